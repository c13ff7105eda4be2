"""Best-customer campaigns at their entry line: figure, table and words."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.crm_roi import cells
from crm_analysis.crm_roi.study import Study
from crm_analysis.crm_roi.thresholds import BAND, NEAR, PUSH_DAYS, Threshold
from crm_analysis.estimators.discontinuity import Jump
from crm_analysis.estimators.means import MeanDifference
from crm_analysis.findings import Finding
from crm_analysis.language import _

__all__ = ["drawn", "figure", "findings", "sentence", "table"]

FEWEST_DOTS = 3
"""Fewest dots on a side of the line, within the bandwidth, for the fitted lines to be drawn."""
_FAR = 10.0


def drawn(study: Study) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Dots and fitted lines of the largest measured list; nothing where there is none, no lines where too few dots."""
    found = _shown(study)
    if found is None or found.lines is None:
        return None, None
    return found.dots, found.lines if _enough_dots(found) else found.lines.iloc[:0]


def _enough_dots(found: Threshold) -> bool:
    """Whether either side of the line has dots enough within the bandwidth to show what a fit through them rests on."""
    if found.dots is None or found.effect is None:
        return False
    near = found.dots.loc[found.dots["position"].abs() < found.effect.bandwidth, "position"]
    return min((near < 0).sum(), (near >= 0).sum()) >= FEWEST_DOTS


def figure(study: Study) -> dict[str, Any]:
    """Words of the figure, as keyword arguments of `report.figure`."""
    found = _shown(study)
    title = _("The effect at the line that lets customers in")
    if study.evaluation.without_tables:
        return {"title": "", "alt": " ", "how_to_read": ""}
    if found is None:
        return {"title": title, "alt": _why_nothing(study), "how_to_read": ""}
    dots = _("Dots: mean margin of neighbours in value before, larger for more people.")
    fits = (
        _(
            "Lines: local fits on either side within the bandwidth; their gap at the dotted line is the effect on "
            "those at the line, if nothing else changes there and nobody could place himself just over it. It says "
            "nothing about the best far above the line."
        )
        if _enough_dots(found)
        else _(
            "No line is drawn: with fewer than {n} dots on a side, near the line, it would hang on a handful of people."
        ).format(n=FEWEST_DOTS)
    )
    return {
        "title": title,
        "alt": _("Margin in the window by value before, on both sides of the line of {name}.").format(name=found.name),
        "how_to_read": f"{sentence(found, study)} {dots} {fits}",
        "table": _dots_table(found, study),
    }


def table(study: Study) -> dict[str, Any]:
    """Effect, sensitivity and checks of every list with a line, as keyword arguments of `report.table`."""
    rows = [
        {_("Programme"): style.plain(found.name), _("At the line"): name, _("Found"): text}
        for found in study.thresholds
        for name, text in _checks(found, study)
    ]
    return {
        "title": _("The line, looked at from all sides"),
        "frame": None if study.evaluation.without_tables or not study.thresholds else pd.DataFrame(rows),
        "note": _(
            "Robust bias-corrected intervals (Calonico, Cattaneo and Titiunik 2014), 95 %. The effect should not hang "
            "on the bandwidth, and there should be none on what was paid before anybody could count towards the line. "
            "Heaps of round amounts can make a jump of the density (McCrary 2008) by themselves; the comparison with "
            "the year before is free of them."
        )
        if rows
        else "",
    }


def sentence(found: Threshold, study: Study) -> str:
    """What being let in added for those at the line, against what it cost, and what speaks against believing it."""
    effect, cost, currency = found.effect, found.cost_per_treated, study.evaluation.currency
    if effect is None:
        return _reason(found)
    said = {
        "name": style.escape(found.name),
        "value": style.money(effect.value, currency),
        "interval": style.interval(effect.low, effect.high, "money", currency),
        "cost": style.money(cost, currency),
    }
    reservations = _reservations(found)
    if cost is None:
        text = _("At the line of {name} margin differs by {value} a member ({interval}).")
    elif effect.low > cost and not reservations:
        text = _("**At the line {name} added {value} a member** ({interval}), more than the {cost} it cost.")
    elif effect.high < cost and not reservations:
        text = _("**At the line {name} did not pay**: it added {value} a member ({interval}) at a cost of {cost}.")
    else:
        text = _(
            "**Whether {name} pays at the line cannot be told**: {value} a member ({interval}), at a cost of {cost}."
        )
    return " ".join([text.format(**said), *reservations])


def findings(study: Study) -> tuple[Finding, ...]:
    """One finding per measured list: the effect at its line."""
    return tuple(
        Finding(
            key=f"crm_roi.{found.key}.at_the_line",
            sentence=sentence(found, study),
            value=found.effect.value,
            low=found.effect.low,
            high=found.effect.high,
            unit="money",
            basis=_("regression discontinuity, robust 95 %, holds at the line only"),
            n=found.effect.n_below + found.effect.n_above,
            tone="wait",
            label=_("Effect at the entry line per member, {name}").format(name=found.name),
            definition=_(
                "Jump of the mean margin in the window at the value that lets customers in, by local regression on "
                "either side."
            ),
        )
        for found in study.thresholds
        if found.effect is not None
    )


def _shown(study: Study) -> Threshold | None:
    measured = [found for found in study.thresholds if found.effect is not None]
    return max(measured, key=lambda found: found.n_in, default=None)


def _why_nothing(study: Study) -> str:
    if study.thresholds:
        return " ".join(_reason(found) for found in study.thresholds)
    return _(
        "No programme of this period has an entry line. Where customers come onto a best-customer list by their value, "
        "name the rule in the profile under `roi.entry_rules` (measure, days, threshold): the effect at the line can "
        "then be looked at."
    )


def _reason(found: Threshold) -> str:
    template = {
        "too_few": _("{name}: too few people stand near the line here, or one pays nearly all; no effect is stated."),
        "not_covered": _("{name}: the data do not reach to the end of its window; no effect at the line is stated."),
        "no_line": _(
            "{name}: its members are not those with the highest value by the rule in `roi.entry_rules`, so there is no "
            "line to look at."
        ),
    }[found.state]
    return template.format(name=style.escape(found.name))


def _reservations(found: Threshold) -> list[str]:
    said = []
    if _pushed_over(found):
        said.append(_("More people than a year earlier stand just over the line: some pushed, do not trust the jump."))
    if found.placebo is not None and found.placebo.p < 0.05:  # noqa: PLR2004
        said.append(_("Those over the line differed before it could count: do not read the jump as an effect."))
    return said


def _pushed_over(found: Threshold) -> bool:
    """Whether the share just over the line is shown to be larger than a year earlier."""
    if found.near is None or found.near_before is None or found.near_p is None:
        return False
    now, then = (over / max(over + below, 1) for over, below in (found.near, found.near_before))
    return found.near_p < 0.05 and now > then  # noqa: PLR2004


def _checks(found: Threshold, study: Study) -> list[tuple[str, str]]:
    evaluation = study.evaluation
    currency, cell = evaluation.currency, evaluation.min_cell
    line = _("about {amount}").format(amount=style.money(_rounded(found.line), currency))
    if found.rule.threshold is not None:
        line = style.money(found.line, currency)
    if math.isnan(found.line):
        line = style.DASH
    said = _("{line}, of {measure} in {days} days before the start").format(
        line=line,
        measure=_("what was paid") if found.rule.measure == "amount" else _("margin"),
        days=found.rule.days,
    )
    rows = [(_("The line"), said)]
    if found.effect is None:
        return [*rows, (_("Effect per member"), _reason(found).replace("`", ""))]  # a cell knows no markup
    rows += [
        (_("Effect per member"), _jump(found.effect, currency, cell)),
        (_("the same, half the bandwidth"), _jump(found.halved, currency, cell)),
        (_("the same, double the bandwidth"), _jump(found.doubled, currency, cell)),
        (_("Cost per member"), style.money(found.cost_per_treated, currency)),
        (_("Members below and above the line, within the bandwidth"), _entered(found)),
        (_("Jump before anybody could count (should be none)"), _jump(found.placebo, currency, cell)),
    ]
    if found.density is not None:
        rows.append(
            (
                _("Density just over the line against just below"),
                _("{ratio} times, {p}; nearest {n}: {above} over, {below} below, {exact}").format(
                    ratio=style.number(math.exp(found.density.log_jump), 2),
                    p=style.p_value(found.density.p),
                    n=found.density.near_above + found.density.near_below,
                    above=privacy.count(found.density.near_above, cell),
                    below=privacy.count(found.density.near_below, cell),
                    exact=style.p_value(found.density.binomial_p),
                ),
            )
        )
    if found.near is not None and found.near_before is not None:
        over, below, was_over, was_below = (privacy.count(n, cell) for n in (*found.near, *found.near_before))
        rows.append(
            (
                _("Just over and just below the line (within {share})").format(share=style.percent(NEAR - 1, 0)),
                _("{over} and {below}; a year earlier {was_over} and {was_below}, {p}").format(
                    over=over, below=below, was_over=was_over, was_below=was_below, p=style.p_value(found.near_p)
                ),
            )
        )
    band = style.percent(BAND, 0)
    rows += [
        (
            _("Brought in the last {days} days by those between {share} of the line and the line").format(
                days=PUSH_DAYS, share=band
            ),
            _years(found.pushed, currency, cell),
        ),
        (
            _("Margin in the window of those left out between {share} of the line and the line").format(share=band),
            _years(found.left_out, currency, cell),
        ),
    ]
    return rows


def _rounded(amount: float) -> float:
    """Two digits: a line found between two customers' amounts does not tell either."""
    return float(f"{amount:.2g}")


def _jump(found: Jump | None, currency: str, cell: int) -> str:
    if found is None:
        return _("cannot be looked at: too few people, or no data that far back")
    return _("{value}; {below} below, {above} above, from {low} to {high} of the line").format(
        value=cells.amount(found.value, found.low, found.high, currency),
        below=privacy.count(found.n_below, cell),
        above=privacy.count(found.n_above, cell),
        low=_of_line(math.exp(-found.bandwidth)),
        high=_of_line(math.exp(found.bandwidth)),
    )


def _of_line(share: float) -> str:
    """A share of the line; beyond a tenth or ten times of it digits say nothing."""
    if share > _FAR:
        return f"> {style.percent(_FAR, 0)}"
    return style.percent(share, 0) if share > 1 / _FAR else f"< {style.percent(1 / _FAR, 0)}"


def _entered(found: Threshold) -> str:
    return _("{below} and {above} are members").format(
        below=style.percent(found.in_below, 0), above=style.percent(found.in_above, 0)
    )


def _years(found: MeanDifference | None, currency: str, cell: int) -> str:
    if found is None:
        return _("cannot be looked at: too few people, or no data that far back")
    return _("{now} each ({n}), a year earlier {then} ({n_then}); difference {value}").format(
        now=style.money(found.mean_treated, currency),
        n=privacy.count(found.n_treated, cell),
        then=style.money(found.mean_control, currency),
        n_then=privacy.count(found.n_control, cell),
        value=cells.amount(found.difference, found.low, found.high, currency),
    )


def _dots_table(found: Threshold, study: Study) -> pd.DataFrame:
    dots = found.dots if found.dots is not None else pd.DataFrame(columns=["position", "value", "n"])
    return pd.DataFrame(
        {
            _("Value before, share of the line"): [style.percent(math.exp(at), 0) for at in dots["position"]],
            _("People"): [style.number(n) for n in dots["n"]],
            _("Margin in the window"): [style.money(value, study.evaluation.currency) for value in dots["value"]],
        }
    )
