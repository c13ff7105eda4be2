"""A study as finished frames: what the figures draw and the tables print, small cells suppressed, words in place."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.estimators.proportions import Estimate
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty import shape
from crm_analysis.satisfaction_loyalty.drivers import first_to_fix
from crm_analysis.satisfaction_loyalty.measure import item_scores
from crm_analysis.satisfaction_loyalty.stores import Pair
from crm_analysis.satisfaction_loyalty.study import Study


def level_name(profile: Profile, label: str) -> str:
    """The name of a level; of merged levels, all their names; the score itself where the profile names none."""
    names = profile.survey.level_names
    found = []
    for part in label.split("+"):
        score = int(part) if part.lstrip("-").isdigit() else None
        known = names.get(score) if score is not None else None
        found.append(profile.text(known, language.active()) if known else _("score {score}").format(score=part))
    return " / ".join(found)


def item_name(profile: Profile, item: str) -> str:
    """The label of a survey item, or its column name."""
    settings = profile.survey.items.get(item)
    return (profile.text(settings.label, language.active()) if settings and settings.label else "") or item


def curve_frame(study: Study, profile: Profile) -> pd.DataFrame:
    """What `charts.link_curve` draws: name, rate, low, high, n, line."""
    columns = ["name", "rate", "low", "high", "n", "line"]
    if study.link is None or study.link.kind in ("too_few", "one_level"):
        return pd.DataFrame(columns=columns)
    levels = study.link.levels.assign(
        name=[level_name(profile, label) for label in study.link.levels["label"]],
        line=shape.straight_line(study.link)["rate"].clip(0, 1),
    )
    return levels[columns]


def curve_note(study: Study) -> str:
    """What the curve shows at its top, as the figure's title."""
    if study.link is None or len(study.steps) < 2:
        return ""
    last, before = (study.steps[k].difference.value for k in (-1, -2))
    return _("last step {last} points, the step before {before}").format(
        last=style.points(last, 0 if abs(last) >= 0.015 else 1), before=style.points(before, 0)
    )


def curve(study: Study, profile: Profile) -> dict[str, Any]:
    """What `charts.link_curve` takes."""
    return {
        "curve": curve_frame(study, profile),
        "window_days": profile.loyalty.window_days,
        "note": curve_note(study),
    }


def who(profile: Profile) -> str:
    """The organisation's word for customers, as a table head."""
    word = profile.vocabulary(language.active()).customers
    return word[:1].upper() + word[1:]


def curve_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The levels of the curve as text, thin ones marked."""
    frame = curve_frame(study, profile)
    thin = frame["n"] < shape.FLAG_UNDER
    return pd.DataFrame(
        {
            _("Level"): frame["name"],
            who(profile): [style.number(n) + (" *" if few else "") for n, few in zip(frame["n"], thin, strict=True)],
            _("Came back"): [style.percent(rate) for rate in frame["rate"]],
            _("95 % interval"): _intervals(frame["low"], frame["high"], "share"),
        }
    )


def _intervals(low: pd.Series, high: pd.Series, unit: str, currency: str = "") -> list[str]:
    return [style.interval(a, b, unit, currency) for a, b in zip(low, high, strict=True)]


def tests_table(study: Study) -> pd.DataFrame:
    """The tests of the link as text: test, result."""
    link = study.link
    if link is None or link.any_link is None:
        return pd.DataFrame()
    yes, no = _("yes"), _("no")

    def answer(test: shape.Test | None, rejected: str, kept: str) -> str:
        if test is None:
            return _("needs three levels")
        return f"{rejected if test.p < 1 - link.level else kept}, {style.p_value(test.p)}"

    rows = [
        (_("Any link?"), answer(link.any_link, yes, _("none seen"))),
        (_("Straight in probability?"), answer(link.straight_probability, no, _("not contradicted"))),
        (_("Straight in log-odds?"), answer(link.straight_logit, no, _("not contradicted"))),
    ]
    below = None if link.bottom is link.top else link.bottom
    for kink, name in ((link.top, _("Kink at the top, points")), (below, _("Kink at the bottom, points"))):
        if kink is not None:
            rows.append((name, f"{style.points(kink.value)} ({style.interval(kink.low, kink.high, 'points')})"))
    if link.top is not None:
        rows.append(
            (_("Smallest kink at the top we could have seen, points"), style.points(link.top.detectable, sign=False))
        )
    return pd.DataFrame(rows, columns=[_("Test"), _("Result")])


def tests_note(study: Study, profile: Profile) -> str:
    """What the table of tests rests on: adjustment, merging, thin levels, follow-up."""
    link = study.link
    if link is None or link.any_link is None:
        return ""
    notes = [_("Kinks are one step less the step below it, Holm-adjusted.")]
    if "bootstrap" in link.any_link.basis or (link.straight_logit and "bootstrap" in link.straight_logit.basis):
        notes.append(_("Where a level is thin, p-values come from a parametric bootstrap."))
    if link.merged:
        notes.append(
            _("Levels with fewer than {fewest} answers were merged with their neighbour: {levels}.").format(
                fewest=shape.MERGE_UNDER, levels=", ".join(style.escape(label) for label in link.merged)
            )
        )
    thin = link.levels[link.levels["n"] < shape.FLAG_UNDER]
    if len(thin):
        notes.append(
            _("Levels marked * rest on fewer than {fewest} {customers}.").format(
                fewest=shape.FLAG_UNDER, customers=profile.vocabulary(language.active()).customers
            )
        )
    return " ".join(notes)


def distribution_frame(distribution: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """What `charts.distribution` draws: name, n, share, low, high; suppressed cells are missing."""
    shown = ~privacy.hide(distribution["n"], profile.privacy.min_cell)
    frame = distribution.assign(name=[level_name(profile, label) for label in distribution["label"]])
    frame[["share", "low", "high"]] = frame[["share", "low", "high"]].where(shown, axis=0)
    return frame.assign(n=frame["n"].where(shown))[["name", "n", "share", "low", "high"]]


def distribution_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The distribution of the period as text."""
    frame = distribution_frame(study.wave.distribution, profile)
    return pd.DataFrame(
        {
            _("Level"): frame["name"],
            _("Answers"): privacy.shown(study.wave.distribution["n"], profile.privacy.min_cell).to_list(),
            _("Share"): [style.percent(share) for share in frame["share"]],
            _("95 % interval"): _intervals(frame["low"], frame["high"], "share"),
        }
    )


def distribution_summary(study: Study) -> str:
    """The mean beside the distribution, as the figure's title."""
    wave = study.wave
    if privacy.small(wave.n, study.min_cell):
        return ""
    return _("index {index} ({low} to {high}), n {n}").format(
        index=style.number(wave.index.mean, 1),
        low=style.number(wave.index.low, 1),
        high=style.number(wave.index.high, 1),
        n=answers_text(study, wave.n),
    )


def answers_text(study: Study, n: int) -> str:
    """A number of answers of the period, where it does not tell that of a small branch."""
    return privacy.count(n, study.min_cell, parts=study.period_rows["branch"].value_counts())


def _in_box(study: Study, box: Estimate) -> int:
    """How many answers of the period stand on the levels of a box."""
    wave, levels = study.wave, study.wave.distribution["n"]
    cells = levels.tail(1) if box is wave.top_box else levels.tail(2) if box is wave.top_two else levels.head(1)
    return int(cells.sum())


def box_text(study: Study, box: Estimate) -> str:
    """The share of a box of the period; where it would tell too small a count, on which side it lies."""
    return (
        style.percent(box.mean)
        if box_shown(study, box)
        else style.share(_in_box(study, box), study.wave.n, study.min_cell)
    )


def box_shown(study: Study, box: Estimate) -> bool:
    """Whether the share of a box tells no count of answers that is too small to show."""
    return not privacy.tells(_in_box(study, box), study.wave.n, study.min_cell)


def earlier_distribution(study: Study, profile: Profile) -> pd.DataFrame | None:
    """The distribution of the period before, or None."""
    return None if study.changed is None else distribution_frame(study.changed.previous.distribution, profile)


def distribution(study: Study, profile: Profile) -> dict[str, Any]:
    """What `charts.distribution` takes."""
    return {
        "levels": distribution_frame(study.wave.distribution, profile),
        "summary": distribution_summary(study),
        "earlier": earlier_distribution(study, profile),
    }


def drivers_frame(study: Study, profile: Profile, *, most: int = 8) -> pd.DataFrame:
    """What `charts.drivers` draws: name, share, low, high, score, target."""
    table = study.drivers.table.head(most)
    return pd.DataFrame(
        {
            "name": [item_name(profile, item) for item in table["item"]],
            "share": table["share"].astype(float),
            "low": table["low"].astype(float),
            "high": table["high"].astype(float),
            "score": [style.number(mean, 1) for mean in table["mean"]],
            "target": [style.number(target, 1) for target in table["target"]],
        }
    )


def kind_name(kind: str) -> str:
    """A driver's kind in words."""
    names = {"delights": _("delights when good"), "annoys": _("annoys when bad"), "undetermined": _("undetermined")}
    return names[kind]


def fix_table(study: Study, profile: Profile) -> pd.DataFrame:
    """What to fix first: attribute, share of satisfaction explained, score now, target, kind."""
    table = first_to_fix(study.drivers)
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Share of satisfaction explained"): [
                f"{style.percent(share, 0)} ({style.interval(low, high, 'share', digits=0)})"
                for share, low, high in zip(table["share"], table["low"], table["high"], strict=True)
            ],
            _("Score now"): [style.number(mean, 1) for mean in table["mean"]],
            _("Target"): [style.number(target, 1) for target in table["target"]],
            _("Kind"): [kind_name(kind) for kind in table["kind"]],
        }
    )


def drivers_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every item: share with interval, score, penalty, reward, kind."""
    table = study.drivers.table
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Share of satisfaction explained"): [style.percent(share) for share in table["share"]],
            _("95 % interval"): _intervals(table["low"], table["high"], "share"),
            _("Score now"): [style.number(mean, 2) for mean in table["mean"]],
            _("Penalty when poor"): [style.number(value, 2) for value in table["penalty"]],
            _("Reward when excellent"): [style.number(value, 2) for value in table["reward"]],
            _("Kind"): [kind_name(kind) for kind in table["kind"]],
        }
    )


def drivers_note(study: Study) -> str:
    """How the drivers were made, or why there are none."""
    drivers = study.drivers
    if drivers.reason == "no_items":
        return _(
            "The profile maps no survey items with the role driver, so nothing can be said about what to fix first."
        )
    if drivers.reason == "too_few":
        return _("Only {n} complete answers: too few to share out satisfaction among the items.").format(
            n=privacy.count(drivers.n, study.min_cell)
        )
    if drivers.reason:
        return _("All answers to an item, or to overall satisfaction, are the same: there is nothing to explain.")
    note = _(
        "{method} shares of R² {r2} with bootstrap intervals, {n} complete answers of the last twelve months; "
        "associations within one survey."
    ).format(method=drivers.method, r2=style.number(drivers.r2, 2), n=style.number(drivers.n))
    if drivers.left_out:
        note += " " + _("Left out, because most did not answer or all said the same: {items}.").format(
            items=", ".join(style.escape(item) for item in drivers.left_out)
        )
    return note


def steps_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every step between levels: points of loyalty and money per hundred customers within the window."""
    if study.link is None or study.link.kind in ("too_few", "one_level"):
        return pd.DataFrame()
    currency = profile.currency
    return pd.DataFrame(
        [
            (
                f"{level_name(profile, step.lower)} → {level_name(profile, step.upper)}",
                style.points(step.difference.value),
                style.interval(step.difference.low, step.difference.high, "points"),
                style.money(step.money_per_hundred, currency),
                style.interval(step.money_low, step.money_high, "money", currency),
            )
            for step in study.steps
        ],
        columns=[
            _("Step"),
            _("Points of loyalty"),
            _("95 % interval"),
            _("Margin per 100 {customers}").format(customers=profile.vocabulary(language.active()).customers),
            _("95 % interval of the margin"),
        ],
    )


def _rule_name(rule: str) -> str:
    names = {
        "": "",
        "blank": _("no answer"),
        "code": _("don't know, refused"),
        "out_of_range": _("outside the scale"),
        "scale_mismatch": _("the scale in the profile does not fit"),
        "undated": _("no date"),
        "weight": _("weight missing, zero or negative"),
        "anonymous": _("anonymous"),
        "running": _("follow-up still running"),
        "not_covered": _("not measurable: data end before the follow-up"),
        "unknown_customer": _("number without any transaction"),
        "before_first": _("answered before the first transaction"),
        "not_first_order": _("not about the first order"),
        "later_answer": _("a further answer of the same person"),
    }
    return names[rule]


def _step_name(step: str) -> str:
    return {"answers": _("answers"), "left out": _("left out"), "used": _("used")}[step]


def footing_table(study: Study) -> pd.DataFrame:
    """From answers to answers used, for the scores and for the link; empty without a survey."""
    if study.missing:
        return pd.DataFrame()
    parts = [(_("Scores, all periods"), study.answers.counts)]
    if study.follow is not None:
        parts.append((_("Link to loyalty"), study.follow.counts))
    rows = [
        (part, _step_name(row.step), _rule_name(row.rule), shown)
        for part, counts in parts
        for row, shown in zip(counts.itertuples(), _footed(counts, study), strict=True)
    ]
    return pd.DataFrame(rows, columns=[_("For"), _("Step"), _("Why"), _("Rows")])


def _footed(counts: pd.DataFrame, study: Study) -> list[str]:
    """The rows of a footing as text; its line "answers" is the total of the others."""
    whole, min_cell = counts["step"] == "answers", study.min_cell
    parts = study.answers.frame["branch"].value_counts()
    shown = privacy.shown(counts.loc[~whole, "rows"], min_cell).reindex(counts.index, fill_value="")
    if privacy.total_tells(parts, min_cell):
        large = counts["rows"] >= min_cell
        shown = shown.mask(large, counts["rows"].map(lambda n: privacy.count(n, min_cell, parts=parts)))
    return shown.where(~whole, counts["rows"].map(lambda n: privacy.count(n, min_cell, parts=parts))).to_list()


def footing_line(study: Study) -> str:
    """The link's footing in one line: answers, what was left out and why, used."""
    if study.follow is None:
        return ""
    parts = [
        f"{_step_name(row.step) if row.step != 'left out' else _rule_name(row.rule)} {shown}"
        for row, shown in zip(study.follow.counts.itertuples(), _footed(study.follow.counts, study), strict=True)
    ]
    return _("Answers that could enter the link: {steps}.").format(steps=" → ".join(parts))


def silence_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Loyalty of respondents beside that of customers who did not answer."""
    silence = study.follow.silence if study.follow else None
    if silence is None:
        return pd.DataFrame()
    groups = ((_("answered"), silence.answered), (_("did not answer"), silence.silent))
    rows = [_share_row(name, g.n, g.share, g.low, g.high, profile) for name, g in groups]
    return pd.DataFrame(rows, columns=[_("Group"), _("Number"), _("Came back"), _("95 % interval")])


def _share_row(name: str, n: int, share: float, low: float, high: float, profile: Profile) -> tuple[str, ...]:
    if privacy.small(n, profile.privacy.min_cell):
        return name, privacy.count(n, profile.privacy.min_cell), style.DASH, style.DASH
    part, cell = round(share * n) if n else 0, profile.privacy.min_cell
    if privacy.tells(part, n, cell):
        return name, style.number(n), style.share(part, n, cell), style.DASH
    return name, style.number(n), style.percent(share), style.interval(low, high, "share")


def unscored_table(study: Study, profile: Profile) -> pd.DataFrame:
    """How often the score is missing, by what the customer did."""
    names = {
        "came_back": _("came back within the window"),
        "did_not": _("did not come back"),
        "repeat": _("had come more than once before the answer"),
        "once": _("had come once"),
    }
    if not study.unscored["missing"].sum():
        return pd.DataFrame()
    rows = [
        _share_row(names[row.group], row.n, row.share, row.low, row.high, profile)
        for row in study.unscored.itertuples()
    ]
    return pd.DataFrame(rows, columns=[_("Group"), _("Answers"), _("Without a score"), _("95 % interval")])


def stated_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Stated loyalty by level, apart from behaviour: item, level, answers, share, interval."""
    rows = [
        (
            item_name(profile, item),
            level_name(profile, row.label),
            style.number(row.n),
            style.percent(row.rate),
            style.interval(row.low, row.high, "share"),
        )
        for item, link in study.stated.items()
        for row in link.levels[~privacy.hide(link.levels["n"], profile.privacy.min_cell)].itertuples()
    ]
    columns = [_("Item"), _("Level"), _("Answers"), _("Would"), _("95 % interval")]
    return pd.DataFrame(rows, columns=columns)


def scores_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The period's index, boxes and net promoter score, and their change."""
    wave, changed = study.wave, study.changed
    if wave.n < profile.privacy.min_cell:
        return pd.DataFrame()
    rows = [
        (
            _("Index, 0 to 100"),
            style.number(wave.index.mean, 1),
            style.interval(wave.index.low, wave.index.high, "index"),
            f"{style.points(changed.index.value / 100)} ({style.p_value(changed.index.p)})" if changed else style.DASH,
        )
    ]
    boxes = ((_("Top level"), wave.top_box), (_("Two top levels"), wave.top_two), (_("Lowest level"), wave.bottom_box))
    for name, box in boxes:
        moved = f"{style.points(changed.top_box.value)} ({style.p_value(changed.top_box.p)})" if changed else style.DASH
        change_text = moved if box is wave.top_box else style.DASH
        few = not box_shown(study, box)
        between = style.DASH if few else style.interval(box.low, box.high, "share")
        rows.append((name, box_text(study, box), between, style.DASH if few else change_text))
    if wave.nps is not None:
        rows.append(
            (
                _("Net promoter score, -100 to 100"),
                style.number(wave.nps.mean, 1),
                style.interval(wave.nps.low, wave.nps.high, "index"),
                style.DASH,
            )
        )
    columns = [_("Measure"), _("Value"), _("95 % interval"), _("Change from the period before")]
    return pd.DataFrame(rows, columns=columns)


def items_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Mean of every item in the period with interval and target."""
    frame = item_scores(study.period_rows, study.answers)
    frame = frame[frame["n"] >= profile.privacy.min_cell]
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in frame["item"]],
            _("Answers"): [style.number(n) for n in frame["n"]],
            _("Mean"): [style.number(mean, 2) for mean in frame["mean"]],
            _("95 % interval"): [
                _("{low} to {high}").format(low=style.number(low, 2), high=style.number(high, 2))
                for low, high in zip(frame["low"], frame["high"], strict=True)
            ],
            _("Target"): [style.number(target, 1) for target in frame["target"]],
        }
    )


def _top_box(share: float, low: float, high: float, part: int, n: int, profile: Profile) -> str:
    if privacy.tells(part, n, profile.privacy.min_cell):
        return style.share(part, n, profile.privacy.min_cell)
    return f"{style.percent(share)} ({style.interval(low, high, 'share')})"


def groups_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Branches side by side (in `all`) and staff beside customers: who, answers, index, top level."""
    rows = [
        (
            profile.branch_name(row["branch"], language.active()),
            style.number(row["n"]),
            f"{style.number(row['index'], 1)} ({style.interval(row['index_low'], row['index_high'], 'index')})",
            _top_box(row["top_box"], row["low"], row["high"], round(row["top_box"] * row["n"]), row["n"], profile),
        )
        for row in study.branches.to_dict("records")
    ]
    for name, wave in ((who(profile), study.wave), (_("Staff and dealers, last twelve months"), study.staff)):
        if wave is not None and wave.n >= profile.privacy.min_cell:
            index, box = wave.index, wave.top_box
            rows.append(
                (
                    name,
                    answers_text(study, wave.n) if wave is study.wave else style.number(wave.n),
                    f"{style.number(index.mean, 1)} ({style.interval(index.low, index.high, 'index')})",
                    _top_box(box.mean, box.low, box.high, int(wave.distribution["n"].iloc[-1]), wave.n, profile),
                )
            )
    return pd.DataFrame(rows, columns=[_("Group"), _("Answers"), _("Index"), _("Top level")])


def stores_table(pair: Pair) -> pd.DataFrame:
    """The constructed pair of stores as text: level, share of each store's customers, share kept at the level."""
    rows = [
        (style.number(row.level), style.percent(row.first), style.percent(row.second), style.percent(row.curve, 0))
        for row in pair.table.itertuples()
    ]
    rows.append((_("Index, 0 to 100"), style.number(pair.index_first, 1), style.number(pair.index_second, 1), ""))
    same = pair.kept_first - pair.by_distribution
    rows.append((_("Kept, both on this curve"), style.percent(pair.kept_first), style.percent(same), ""))
    return pd.DataFrame(rows, columns=[_("Level"), _("First store"), _("Second store"), _("Kept at this level")])


def pitfalls_table(study: Study, profile: Profile) -> pd.DataFrame:
    """The pitfalls that apply to these data, each with the figure that shows it."""
    rows = []
    customers = profile.vocabulary(language.active()).customers
    silence = study.follow.silence if study.follow else None
    if silence is not None and silence.silent.n >= profile.privacy.min_cell:
        rows.append(
            (
                _("Self-selection: those who answer differ from those who do not"),
                _("{points} points of loyalty ({interval})").format(
                    points=style.points(silence.difference.value),
                    interval=style.interval(silence.difference.low, silence.difference.high, "points"),
                ),
            )
        )
    if study.stated:
        rows.append(
            (
                _("Intent asked in the same survey overstates the link"),
                _("stated span {stated} points, behaviour {behaved}").format(
                    stated=style.points(max(link.span for link in study.stated.values()), 0),
                    behaved=style.points(study.link.span if study.link else None, 0),
                ),
            )
        )
    if study.wave.n:
        rows.append(
            (
                _("Ceiling: little room above the top level"),
                _("{share} already answer at the top").format(share=style.percent(study.wave.top_box.mean)),
            )
        )
    if study.link is not None and len(study.link.levels):
        rows.append(
            (
                _("Thin cells: the smallest level decides how sharp the curve is"),
                _("{n} {customers} on the smallest level").format(
                    n=style.number(study.link.levels["n"].min()), customers=customers
                ),
            )
        )
    if study.changed is not None and study.changed.panel:
        rows.append(
            (
                _("The same people answer again: changes are partly regression to the mean"),
                _("{n} {customers} answered in both periods").format(
                    n=style.number(study.changed.panel), customers=customers
                ),
            )
        )
    return pd.DataFrame(rows, columns=[_("Pitfall"), _("Here")])
