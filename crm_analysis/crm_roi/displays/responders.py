"""Who responds: effects by group, Qini curves and the worth of targeting, in frames and words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import cells
from crm_analysis.crm_roi.responders import AGES, FEWEST_TO_LEARN, FOLD_DRAWS, REST, Group, Responders, Split
from crm_analysis.crm_roi.results import Evaluation
from crm_analysis.crm_roi.study import Study
from crm_analysis.estimators.uplift import Gain
from crm_analysis.findings import Finding
from crm_analysis.language import _, active
from crm_analysis.profile import Profile

__all__ = ["band_figure", "bands", "curves", "findings", "groups", "qini_figure", "sentence", "targeting"]

MOST_PANELS = 4


def curves(study: Study) -> pd.DataFrame:
    """Qini curves of the largest campaigns: name, targeted, gain, low, high, line (random order)."""
    parts = []
    for found in _largest(study):
        curve = found.qini
        if curve is None:
            continue
        end = float(curve.gain[-1])
        parts.append(
            pd.DataFrame(
                {
                    "name": found.name,
                    "targeted": curve.targeted,
                    "gain": curve.gain,
                    "low": curve.low,
                    "high": curve.high,
                    "line": curve.targeted * end,
                }
            )
        )
    columns = ["name", "targeted", "gain", "low", "high", "line"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def bands(study: Study) -> pd.DataFrame:
    """Effect by band of value before, of the largest campaigns: name, band, n_bands, value, low, high, shrunk, all.

    `all` is the campaign's own effect, as its tables have it. The bands' weighted mean, towards which they are
    shrunken, is another number where the spread differs from band to band.
    """
    rows = []
    effects = {result.campaign_id: result.effect("margin") for result in study.evaluation.closed}
    for found in _largest(study):
        on_all = effects[found.campaign_id]
        split = next((s for s in found.splits if s.code == "value"), None)
        if split is None or split.pooled is None or on_all is None:
            continue
        for number, group in enumerate(split.groups, 1):
            if _hidden(group, study.evaluation) or group.found.low is None:
                continue
            plain = group.found
            rows.append(
                (found.name, number, len(split.groups), plain.difference, plain.low, plain.high, group.shrunk,
                 on_all.plain.difference)
            )  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "band", "n_bands", "value", "low", "high", "shrunk", "all"])


def qini_figure(study: Study) -> dict[str, Any]:
    """Words and table of the Qini curves, as keyword arguments of `report.figure`."""
    drawn = [found for found in study.responders if found.qini is not None]
    if not drawn:
        alt = _(
            "No programme of this period drew its members one by one, with {n} in either arm: nobody can be ranked."
        ).format(n=style.number(FEWEST_TO_LEARN))
        return {"title": _("Can those who respond be picked out?"), "alt": alt, "how_to_read": ""}
    currency = study.evaluation.currency
    table = pd.DataFrame(
        {
            _("Programme"): [style.plain(found.name) for found in drawn],
            _("Qini coefficient, per member"): [
                cells.amount(found.qini.coefficient, found.qini.coefficient_low, found.qini.coefficient_high, currency)
                for found in drawn
                if found.qini is not None
            ],
            _("Better than random order?"): [_ordered(found) for found in drawn],
        }
    )
    return {
        "table": table,
        "title": _("Can those who respond be picked out?"),
        "alt": (
            _("Qini curve of one programme with its coefficient.")
            if len(drawn) == 1
            else _("Qini curves of {n} programmes with their coefficients.")
        ).format(n=len(drawn)),
        "how_to_read": _(
            "Members stand in the order in which a model expects them to respond, a model that never saw the member "
            "itself. Height: the margin of the treated so far less that of as many held-out members (Radcliffe 2007), "
            "over all treated. The dashed line is random order; the band is the 95 % bootstrap interval of each point. "
            "The Qini coefficient is the area between curve and dashed line. A curve on the line means that nobody "
            "can be picked out."
        ),
    }


def band_figure(study: Study) -> dict[str, Any]:
    """Words and table of the effects by value before, as keyword arguments of `report.figure`."""
    title = _("Who responds, by what members left in the year before")
    frame = bands(study)
    if frame.empty:
        alt = _("No controlled programme of this period has groups large enough to compare.")
        return {"title": title, "alt": alt, "how_to_read": ""}
    shrunken = frame["shrunk"].notna()
    said = [sentence(found, study) for found in study.responders if found.splits]
    said.append(
        _(
            "From the lowest value before to the highest, same value together. Open dots and bars: difference between "
            "treated and held out, 95 % interval; dashed: the effect on all."
        )
    )
    if shrunken.any():
        said.append(
            _(
                "Filled dots: the difference drawn towards the bands' mean, in which the surer band weighs more, by as "
                "much as chance explains; the closer together they lie, the less is known of any difference."
            )
        )
    if not shrunken.all():
        said.append(_("How much three bands or fewer truly differ is not known: none is drawn towards the others."))
    return {
        "table": _band_table(frame, study.evaluation.currency),
        "title": title,
        "alt": _("Effect on margin per member by band of value before, plain and shrunken.")
        if shrunken.any()
        else _("Effect on margin per member by band of value before."),
        "how_to_read": " ".join(said),
    }


def _band_table(frame: pd.DataFrame, currency: str) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            _("Programme"): [style.plain(name) for name in frame["name"]],
            _("Value before"): [_band(n, of) for n, of in zip(frame["band"], frame["n_bands"], strict=True)],
            _("Difference"): [
                cells.amount(v, a, b, currency)
                for v, a, b in zip(frame["value"], frame["low"], frame["high"], strict=True)
            ],
        }
    )
    if frame["shrunk"].notna().any():
        table[_("Shrunken")] = [style.money(value, currency) for value in frame["shrunk"]]
    return table


def groups(study: Study, profile: Profile) -> dict[str, Any]:
    """Effects by group in every way of splitting, as keyword arguments of `report.table`."""
    currency = study.evaluation.currency
    rows = []
    for found in study.responders:
        for split in found.splits:
            for number, group in enumerate(split.groups, 1):
                hidden = _hidden(group, study.evaluation)
                plain = group.found
                rows.append(
                    {
                        _("Programme"): style.plain(found.name) if number == 1 else "",
                        _("Split by"): _way(split.code) if number == 1 else "",
                        _("Group"): _label(split, group, number, profile),
                        _("Treated"): _count(group, "treated", study.evaluation),
                        _("Held out"): _count(group, "control", study.evaluation),
                        _("Difference"): _("withheld")
                        if hidden
                        else cells.amount(plain.difference, plain.low, plain.high, currency),
                        _("Shrunken"): style.DASH
                        if hidden
                        else cells.amount(group.shrunk, group.shrunk_low, group.shrunk_high, currency),
                        _("The rule would contact"): style.share(
                            group.n_targeted, group.n_judged, study.evaluation.min_cell, 0
                        ),
                        _("Do the groups differ?"): _differ(split) if number == 1 else "",
                    }
                )
    return {
        "title": _("Who responds, by group"),
        "frame": None if study.evaluation.without_tables else pd.DataFrame(rows),
        "note": _(
            "Margin per member, treated less held out, 95 % intervals. Shrunken: drawn towards the groups' mean, in "
            "which the surer group weighs more, by the share of its variance that is chance (empirical Bayes, Morris "
            "1983); of three groups or fewer the spread is not known and none is shrunken. Differences are tested by "
            "Cochran's Q, adjusted for the number of splits (Holm). Groups too small in an arm stand together."
        ),
    }


def targeting(study: Study) -> dict[str, Any]:
    """The worth of choosing whom to contact, as keyword arguments of `report.table`."""
    currency = study.evaluation.currency
    rows = []
    said = []
    for found in study.responders:
        policy = found.policy
        if policy is None:
            continue
        said.append(_advice(found, study))
        rows.append(
            {
                _("Programme"): style.plain(found.name),
                _("Cost of a contact"): style.money(policy.contact_cost, currency),
                _("The rule would contact"): style.share(policy.n_targeted, policy.n, study.evaluation.min_cell, 0),
                _("Profit, everybody"): _gain(policy.everybody, currency),
                _("Profit, by the rule"): _gain(policy.targeted, currency),
                _("Rule less everybody"): _gain(policy.over_everybody, currency),
                _("Advice"): {
                    "target": _("by the rule"),
                    "everybody": _("everybody"),
                    "nobody": _("nobody"),
                    "unsettled": _("not settled"),
                    "all_branches": _("see all branches"),
                }[policy.advice],
            }
        )
    note = _(
        "Profit over all members of the list, with 95 % intervals; contacting nobody earns and costs nothing. "
        "The profit of everybody is the net as it ran, carried over to those held out: the same margin gained and "
        "the same cost of a contact for each of them, the costs that do not depend on the number of contacts once. The "
        "rule contacts whoever is expected to add more margin than a contact costs. Every member is judged by rules "
        "that had not seen that outcome (five folds, drawn {n} times); profits are averages over the draws, and the "
        "rule would contact whom it chose in more than half of them. It is advised only where it is shown to beat both "
        "everybody and nobody, allowing for the number of programmes tried (Holm)."
    ).format(n=FOLD_DRAWS)
    if any(found.policy is not None and found.policy.whole_cost for found in study.responders):
        note += " " + _(
            "Where the ledger does not tell contacts from other costs, all of it counts as saved with them."
        )
    return {
        "title": _("Contact everybody, some or nobody"),
        "frame": None if study.evaluation.without_tables else pd.DataFrame(rows),
        "note": " ".join([*said, note]) if rows else "",
    }


def sentence(found: Responders, study: Study) -> str:
    """Whether any group responds differently."""
    name = style.escape(found.name)
    differing = found.differing
    if differing:
        return _("**Members of {name} respond differently by {ways}.**").format(
            name=name, ways=", ".join(_way(split.code) for split in differing)
        )
    if all(split.pooled is None or split.pooled.tau == 0 for split in found.splits):
        return _(
            "No group of {name}'s members is shown to respond differently: the groups differ by no more than chance."
        ).format(name=name)
    return _(
        "No group of {name}'s members is shown to respond differently: what differences there are could be chance."
    ).format(name=name)


def findings(study: Study) -> tuple[Finding, ...]:
    """One finding per campaign: what choosing would bring against contacting everybody."""
    out = []
    for found in study.responders:
        policy = found.policy
        if policy is None:
            continue
        gain = policy.over_everybody
        out.append(
            Finding(
                key=f"crm_roi.{found.key}.targeting",
                sentence=_advice(found, study),
                value=gain.mean,
                low=gain.low,
                high=gain.high,
                unit="money",
                basis=_("randomised, doubly robust, rule judged on members it had not seen, 95 %"),
                n=None if _tells(found, study.evaluation) else policy.n,
                tone="good" if policy.advice == "target" else "neutral",
                causal=True,
                label=_("Choosing against contacting everybody, {name}").format(name=found.name),
                definition=_(
                    "Profit over the whole list of contacting whoever is expected to add more margin than a contact "
                    "costs, less the profit of contacting everybody."
                ),
                query=study.evaluation.query,
            )
        )
    return tuple(out)


def _advice(found: Responders, study: Study) -> str:
    policy = found.policy
    assert policy is not None
    currency = study.evaluation.currency
    said = {
        "name": style.escape(found.name),
        "share": style.share(policy.n_targeted, policy.n, study.evaluation.min_cell, 0),
        "everybody": _gain(policy.everybody, currency),
        "rule": _gain(policy.targeted, currency),
        "gain": _gain(policy.over_everybody, currency),
    }
    same = policy.n_targeted in (0, policy.n)
    match policy.advice:
        case "all_branches":
            text = _(
                "**Whom to contact with {name} is decided over all branches**, since it ran in several: see their "
                "page. Here everybody leaves {everybody}, the rule {rule}."
            )
        case "target":
            text = _(
                "**Contact only {share} of the next list of {name}, chosen by the rule**: {gain} more is left than by "
                "contacting everybody."
            )
        case "everybody" if same:
            text = _(
                "**No rule beats contacting everybody with {name}**: none was found to choose by; everybody leaves "
                "{everybody}."
            )
        case "everybody":
            text = _(
                "**No rule is shown to beat contacting everybody with {name}**: everybody leaves {everybody}, the rule "
                "{rule}."
            )
        case "nobody":
            text = _(
                "**No rule is shown to make {name} pay: contact nobody.** Everybody would leave {everybody}, the rule "
                "{rule}."
            )
        case _:
            text = _(
                "**Whether to contact everybody, some or nobody with {name} is not settled**: everybody leaves "
                "{everybody}, the rule {rule}."
            )
    return text.format(**said)


def _largest(study: Study) -> list[Responders]:
    ordered = sorted(study.responders, key=lambda r: -(r.n_treated + r.n_control))[:MOST_PANELS]
    return [found for found in study.responders if found in ordered]


def _tells(found: Responders, evaluation: Evaluation) -> bool:
    result = next(r for r in evaluation.closed if r.campaign_id == found.campaign_id)
    return any(privacy.total_tells(result.by_branch(arm), evaluation.min_cell) for arm in ("treated", "control"))


def _hidden(group: Group, evaluation: Evaluation) -> bool:
    told = any(privacy.total_tells(parts, evaluation.min_cell) for parts in group.by_branch.values())
    return group.withheld or told


def _count(group: Group, arm: str, evaluation: Evaluation) -> str:
    n = group.found.n_treated if arm == "treated" else group.found.n_control
    return privacy.count(n, evaluation.min_cell, parts=group.by_branch[arm])


def _differ(split: Split) -> str:
    if split.pooled is None:
        return style.DASH
    chance = style.p_value(split.p_holm).replace(" ", style.SPACE)
    return (_("yes, {p}") if split.differs else _("not shown, {p}")).format(p=chance)


def _ordered(found: Responders) -> str:
    curve = found.qini
    if curve is None or curve.coefficient_low == curve.coefficient_high:
        return _("no difference found to order by")
    if curve.coefficient_low > 0:
        return _("yes")
    return _("no, worse") if curve.coefficient_high < 0 else _("not shown")


def _way(code: str) -> str:
    return {
        "stratum": _("stratum"),
        "tenure": _("tenure"),
        "age": _("age"),
        "branch": _("branch"),
        "value": _("value before"),
    }[code]


def _label(split: Split, group: Group, number: int, profile: Profile) -> str:
    if group.code == REST:
        return _("the others together")
    match split.code:
        case "tenure":
            return (
                _("under half a year"),
                _("half a year to a year"),
                _("1 to 2 years"),
                _("2 to 5 years"),
                _("5 years and more"),
            )[int(group.code)]
        case "age":
            at = int(group.code)
            if at == 0:
                return _("under {years}").format(years=AGES[0])
            if at == len(AGES):
                return _("{years} and over").format(years=AGES[-1])
            return _("{low} to {high}").format(low=AGES[at - 1], high=AGES[at] - 1)
        case "branch":
            return profile.branch_name(group.code, active())
        case "value":
            return _band(number, len(split.groups))
        case _:
            return style.plain(group.code)


def _band(number: int, of: int) -> str:
    if number == 1:
        return _("1 of {of} (lowest)").format(of=of)
    return _("{number} of {of} (highest)").format(number=of, of=of) if number == of else f"{number} / {of}"


def _gain(gain: Gain, currency: str) -> str:
    return cells.amount(gain.mean, gain.low, gain.high, currency)
