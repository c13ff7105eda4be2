"""Kinds of reward side by side: bars, table and words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import style
from crm_analysis.crm_roi.study import Study
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["bars", "figure", "findings", "kind_name", "sentence"]


def bars(study: Study) -> pd.DataFrame:
    """Each measured campaign under its kind, and the kind's pooled value: label, gained, low, high, pooled."""
    rows = []
    for kind in study.rewards.measured:
        mine = study.rewards.campaigns[study.rewards.campaigns["kind"] == kind.kind]
        if len(mine) > 1 and kind.pooled is not None:
            label = _("{kind}, {n} programmes").format(kind=kind_name(kind.kind), n=len(mine))
            rows.append((label, kind.pooled.mean, kind.pooled.low, kind.pooled.high, True))
        for item in mine.itertuples(index=False):
            label = _("{kind}: {name}").format(kind=kind_name(kind.kind), name=style.plain(item.name, 28))
            rows.append((label, item.gained, item.low, item.high, False))
    return pd.DataFrame(rows, columns=["label", "gained", "low", "high", "pooled"])


def figure(study: Study) -> dict[str, Any]:
    """Words and table, as keyword arguments of `report.figure`."""
    title = _("Kinds of reward side by side")
    if study.evaluation.without_tables:
        return {"title": "", "alt": " ", "how_to_read": ""}
    if not study.rewards.measured:
        return {"title": title, "alt": sentence(study), "how_to_read": ""}
    note = _(
        "Controlled programmes of this and all earlier periods; at 1 the margin gained pays the cost. Diamonds: the "
        "programmes of one kind together, weighted by how sure each is and allowing for their differing (Paule and "
        "Mandel). Kinds went to different lists at different times: a difference between them is no effect of the "
        "reward. Only a test that draws the reward at random within one list can tell that."
    )
    return {
        "title": title,
        "table": _table(study),
        "alt": (
            _("Margin gained for each unit of cost by kind of reward, one programme.")
            if len(study.rewards.campaigns) == 1
            else _("Margin gained for each unit of cost by kind of reward, {n} programmes.")
        ).format(n=len(study.rewards.campaigns)),
        "how_to_read": f"{sentence(study)} {note}",
    }


def sentence(study: Study) -> str:
    """How the kinds compare, or what is missing for a comparison."""
    found = study.rewards
    if not found.measured:
        return _(
            "Kinds of reward cannot be compared: no controlled programme has a return so far. Hold out a share of the "
            "next list and fill `reward_kind` of the table `campaigns`."
        )
    absent = ", ".join(kind_name(kind) for kind in found.absent)
    if found.between is None:
        only = found.measured[0]
        return _(
            "**Only one kind of reward has been measured: {kind}.** To compare, programmes with another kind "
            "({absent}) need a held-out share and their `reward_kind` in the table `campaigns`."
        ).format(kind=kind_name(only.kind), absent=absent)
    parts = [
        _("{kind} {gained} ({interval})").format(
            kind=kind_name(kind.kind),
            gained=style.number(kind.pooled.mean, 2),
            interval=style.interval(kind.pooled.low, kind.pooled.high, "ratio"),
        )
        for kind in found.measured
        if kind.pooled is not None
    ]
    differs = found.between.p is not None and found.between.p < 0.05  # noqa: PLR2004
    template = (
        _("**Margin gained for each unit of cost differs between kinds ({p}):** {parts}.")
        if differs
        else _("**No kind of reward is shown to bring more for its cost than another ({p}):** {parts}.")
    )
    said = template.format(p=style.p_value(found.between.p), parts="; ".join(parts))
    return f"{said} {_('Not measured so far: {kinds}.').format(kinds=absent)}" if absent else said


def findings(study: Study) -> tuple[Finding, ...]:
    """One finding per kind of which more than one programme was measured."""
    out = []
    for kind in study.rewards.measured:
        pooled = kind.pooled
        if pooled is None or pooled.n < 2:  # noqa: PLR2004 - a single programme has its own return
            continue
        out.append(
            Finding(
                key=f"crm_roi.reward.{kind.kind if kind.kind.isidentifier() else 'other'}",
                sentence="",
                value=pooled.mean,
                low=pooled.low,
                high=pooled.high,
                unit="ratio",
                basis=_("inverse variance, Paule and Mandel, 95 %; different lists, not causal between kinds"),
                n=pooled.n,
                label=_("Margin gained for each unit of cost, {kind}").format(kind=kind_name(kind.kind)),
                query=study.evaluation.query,
            )
        )
    return tuple({finding.key: finding for finding in out}.values())


def kind_name(code: str) -> str:
    """A kind of reward, as readers know it."""
    return {
        "price": _("lower price"),
        "gift": _("gift"),
        "recognition": _("recognition"),
        "choice": _("choice of reward"),
        "none": _("contact alone"),
        "unknown": _("kind not recorded"),
    }.get(code, style.plain(code))


def _table(study: Study) -> pd.DataFrame:
    rows = []
    for kind in study.rewards.kinds:
        pooled = kind.pooled
        rows.append(
            {
                _("Kind of reward"): kind_name(kind.kind),
                _("Measured programmes"): style.number(len(kind.measured)),
                _("Margin gained for each unit of cost"): style.DASH
                if pooled is None
                else _("{value} ({interval})").format(
                    value=style.number(pooled.mean, 2), interval=style.interval(pooled.low, pooled.high, "ratio")
                ),
                _("Spread between its programmes"): style.DASH
                if pooled is None or pooled.p is None
                else _("{tau}, {p}").format(tau=style.number(pooled.tau, 2), p=style.p_value(pooled.p)),
                _("Without a return that could be weighed"): ", ".join(map(style.plain, kind.unmeasured)) or style.DASH,
            }
        )
    return pd.DataFrame(rows)
