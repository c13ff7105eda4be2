"""The front page: the verdict in a sentence, at most five findings, three actions, the branches, and what changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.book.cells import Outcome
from crm_analysis.book.compare import BranchGap, branch_gaps, moved, without_repeats
from crm_analysis.book.contents import Contents
from crm_analysis.book.pages import Writer, period_name, reach
from crm_analysis.findings import MOST_FINDINGS
from crm_analysis.language import _
from crm_analysis.report import actions_html, footing_line, support_line, svg, table_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ACTIONS = 3
_MOST_CHANGES = 12
_MOST_BARS = 30
_MOST_FAILURES = 6


def write_front(writer: Writer, place: str, period: str, outcomes: Sequence[Outcome], contents: Contents) -> None:
    """Write the front page of one period from the outcomes of all its chapters and branches."""
    whole = spoken_for(outcomes)
    by_chapter = {outcome.chapter: outcome for outcome in whole}
    gaps = branch_gaps([o for o in outcomes if o.finding(contents.front_chart)], contents.front_chart)
    beyond_noise = frozenset((change.branch, change.finding["key"]) for change in moved(without_repeats(outcomes))[0])
    parts = [
        f"# {period_name(period)}",
        f":::{{div}} kicker\n{_kicker(writer, outcomes)}\n:::",
        *_unfinished(period, outcomes),
        *_failures(writer, outcomes),
        f":::{{div}} verdict\n{verdict(writer, by_chapter, contents, beyond_noise)}\n:::",
        *_findings(writer, whole, outcomes, gaps, contents),
        *_actions(writer, whole, outcomes),
        *_branches(writer, outcomes, gaps, contents, beyond_noise),
        *_changes(writer, without_repeats(outcomes)),
        *_unknowns(whole),
        *_foot(writer, whole),
    ]
    writer.write(place, "\n\n".join(part for part in parts if part))


def spoken_for(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes that a front page speaks for: those of all branches, or of the only branch that an edition holds.

    None where it holds several branches and not all together.
    """
    branches = {outcome.branch for outcome in outcomes}
    return [outcome for outcome in outcomes if outcome.branch == "all" or len(branches) == 1]


def _kicker(writer: Writer, outcomes: Sequence[Outcome]) -> str:
    made = [outcome for outcome in outcomes if outcome.bundle]
    as_of = max((outcome.bundle["as_of"] for outcome in made), default="")
    named = {outcome.branch for outcome in outcomes}
    branches = len(named - {"all"})
    organisation = style.escape(writer.profile.text(writer.profile.name, writer.language))
    if len(named) == 1 and branches:
        organisation = f"{organisation}, {writer.branch_name(*named)}"
    template = (
        _("{organisation}. State on {as_of}.")
        if branches < 2
        else _("{organisation}, {branches} branches with pages of their own. State on {as_of}.")
        if writer.profile.branches.largest
        else _("{organisation}, {branches} branches. State on {as_of}.")
    )
    return template.format(
        organisation=organisation,
        branches=branches,
        as_of=style.day(pd.Timestamp(as_of).date()) if as_of else style.DASH,
    ) + _note(writer)


def _note(writer: Writer) -> str:
    note = writer.profile.text(writer.profile.note, writer.language)
    return f" {style.escape(note)}" if note else ""


def _unfinished(period: str, outcomes: Sequence[Outcome]) -> list[str]:
    """The banner of a period that is not over."""
    ends = [outcome.bundle["as_of"] for outcome in outcomes if outcome.bundle and not outcome.bundle["complete"]]
    if not ends:
        return []
    said = _("{period} is not over: the data reach to {day}, so no change is shown.").format(
        period=style.period(period), day=style.day(pd.Timestamp(max(ends)).date())
    )
    return [f":::{{div}} banner\n{said}\n:::"]


def _failures(writer: Writer, outcomes: Sequence[Outcome]) -> list[str]:
    failed = [outcome for outcome in outcomes if outcome.failure]
    if not failed:
        return []
    names = ", ".join(
        f"[{writer.titles[outcome.chapter]}, {writer.branch_name(outcome.branch)}](/{writer.place(outcome)}.md)"
        for outcome in failed[:_MOST_FAILURES]
    ) + (", …" if len(failed) > _MOST_FAILURES else "")
    said = _(
        "{count} of {total} pages failed or were never run, and show their last good state or none: {names}"
    ).format(count=len(failed), total=len(outcomes), names=names)
    return [f":::{{div}} banner failed\n{said}\n:::"]


def verdict(
    writer: Writer, by_chapter: Mapping[str, Outcome], contents: Contents, beyond_noise: Collection[tuple[str, str]]
) -> str:
    """How many customers were kept and what the programmes earned after all costs: the front page in one sentence.

    `beyond_noise` holds branch and key of the changes that passed the false discovery rate.
    """
    if not by_chapter:
        return _("All branches together were not asked for: each branch's pages say what was found there.")
    earned = _programmes(writer, by_chapter, contents)
    counted = by_chapter.get(contents.kept.partition(".")[0])
    changed = counted is not None and (counted.branch, contents.kept) in beyond_noise
    said = _customers(writer, by_chapter, contents, changed, earned)
    if said:
        return said
    if earned:
        return f"{earned[0].upper()}{earned[1:]}."
    leading = [contents.kept.partition(".")[0], contents.earned.partition(".")[0], *by_chapter]
    chapters = [by_chapter[name] for name in leading if name in by_chapter]
    chapters.sort(key=lambda outcome: not outcome.claims.get("findings"))  # those that have something to say first
    first = next((outcome.claims["verdict"] for outcome in chapters if outcome.claims), "")
    return first or _("Nothing could be computed for this period: see the run status.")


def _customers(
    writer: Writer, by_chapter: Mapping[str, Outcome], contents: Contents, changed: bool, earned: str
) -> str:
    """How many stayed, or that nearly all come once; `earned` ends the sentence where there is something to say."""
    kept = _from(by_chapter, contents.kept)
    once = _from(by_chapter, contents.never_back)
    words = writer.profile.vocabulary(writer.language)
    if once is not None and once["value"] is not None:
        template = (
            _(
                "Of the {customers} we have known long enough, **{share} never came back after their first {order}**, "
                "so who comes next decides, not who stays, and {earned}."
            )
            if earned
            else _(
                "Of the {customers} we have known long enough, **{share} never came back after their first {order}**: "
                "who comes next decides, not who stays."
            )
        )
        share = style.percent(once["value"], 0)
        return template.format(share=share, customers=words.customers, order=words.order, earned=earned)
    if kept is None or kept["value"] is None:
        return ""
    change, points = kept.get("change"), ""
    if change is None or change["p"] is None:
        template = (
            _("We kept **{share}** of our {customers}, with no earlier period to compare with, and {earned}.")
            if earned
            else _("We kept **{share}** of our {customers}; there is no earlier period to compare with.")
        )
    elif not changed:
        template = (
            _("We kept **{share}** of our {customers}, no change beyond noise, and {earned}.")
            if earned
            else _("We kept **{share}** of our {customers}: no change beyond noise.")
        )
    else:
        points = style.points(change["difference"], sign=False)
        if change["difference"] > 0:
            template = (
                _("We kept **{share}** of our {customers}, {points} points more than the period before, and {earned}.")
                if earned
                else _("We kept **{share}** of our {customers}, {points} points more than the period before.")
            )
        else:
            template = (
                _("We kept **{share}** of our {customers}, {points} points fewer than the period before, and {earned}.")
                if earned
                else _("We kept **{share}** of our {customers}, {points} points fewer than the period before.")
            )
    share = style.percent(kept["value"])
    return template.format(share=share, customers=words.customers, points=points, earned=earned)


def _programmes(writer: Writer, by_chapter: Mapping[str, Outcome], contents: Contents) -> str:
    """What the programmes earned after all costs, as the end of a sentence; empty where nothing can be said."""
    net = _from(by_chapter, contents.earned)
    if net is None or net["value"] is None:
        return ""
    currency = writer.profile.currency
    costs = _("their own costs")
    after = _from(by_chapter, contents.after_shared)
    if after is not None and after["value"] is not None:
        costs = _("all costs, {shared} of shared systems and data among them").format(
            shared=style.money(net["value"] - after["value"], currency)
        )
        net = after
    low, high = net["low"], net["high"]
    lost = high is not None and high < 0
    if lost:
        template = _("the programmes that can be measured **lost {net}** after {costs} ({interval})")
    elif low is not None and low > 0:
        template = _("the programmes that can be measured **earned {net}** after {costs} ({interval})")
    else:
        template = _(
            "whether the programmes that can be measured earn money after {costs} **is not settled**: net {net} "
            "({interval})"
        )
    widest = max((abs(end) for end in (low, high) if end is not None), default=None)
    return template.format(
        net=style.money(abs(net["value"]) if lost else net["value"], currency, like=widest),
        costs=costs,
        interval=style.interval(*((-high, -low) if lost else (low, high)), "money", currency),
    )


def _from(by_chapter: Mapping[str, Outcome], key: str) -> Mapping[str, Any] | None:
    outcome = by_chapter.get(key.partition(".")[0])
    return outcome.finding(key) if outcome else None


def _findings(
    writer: Writer, whole: Sequence[Outcome], outcomes: Sequence[Outcome], gaps: Sequence[BranchGap], contents: Contents
) -> list[str]:
    """The branch that stands out, then the chapters' leading findings in turn, the one with most at stake first.

    Counts that neither warn nor are estimates, such as rows set aside, are bookkeeping and stay on their page.
    """
    lines = []
    outlier = next((gap for gap in gaps if gap.stands_out), None)
    if outlier is not None:
        lines.append(_outlier(writer, outlier, outcomes, contents))
    queues = [
        [(finding, outcome) for finding in outcome.claims.get("findings", ()) if not _bookkeeping(finding)]
        for outcome in whole
    ]
    queues = [queue for queue in queues if queue]
    queues.sort(key=lambda queue: -max(finding["stake"] for finding, _outcome in queue))
    rank = 0
    while len(lines) < MOST_FINDINGS and any(len(queue) > rank for queue in queues):
        for queue in queues:
            if len(queue) > rank and len(lines) < MOST_FINDINGS:
                finding, outcome = queue[rank]
                support = support_line(finding, writer.profile.currency, min_cell=writer.profile.privacy.min_cell)
                link = f"[{writer.titles[outcome.chapter]}](/{writer.place(outcome)}.md)"
                lines.append(f'{finding["sentence"]} <span class="ci">{support}</span> {link}')
        rank += 1
    if not lines:
        return []
    return [f"## {_('What we found')}", "\n".join(f"1. {line}" for line in lines)]


def _bookkeeping(finding: Mapping[str, Any]) -> bool:
    return finding["tone"] in ("neutral", "good") and finding["low"] is None and finding["unit"] != "money"


def _outlier(writer: Writer, gap: BranchGap, outcomes: Sequence[Outcome], contents: Contents) -> str:
    outcome = next(o for o in outcomes if o.branch == gap.branch and o.finding(contents.front_chart))
    finding = outcome.finding(contents.front_chart) or {}
    share = finding["unit"] == "share"
    size = style.value(abs(gap.difference), "points" if share else finding["unit"], writer.profile.currency)
    template = (
        _("**{branch}: {label} {value}, {size} below the other branches**")
        if gap.difference < 0
        else _("**{branch}: {label} {value}, {size} above the other branches**")
    )
    sentence = template.format(
        branch=writer.branch_name(gap.branch),
        label=finding["label"],
        value=style.value(gap.value, finding["unit"], writer.profile.currency),
        size=_("{points} points").format(points=size.lstrip("+")) if share else size,
    )
    low, high = sorted((abs(gap.difference_low), abs(gap.difference_high)))
    scale, unit = (100.0, "index") if share else (1.0, finding["unit"])
    between = style.interval(low * scale, high * scale, unit, writer.profile.currency)
    support = _("{interval}; n {n}; false discovery rate 5 %").format(interval=between, n=_n(gap, writer))
    link = f"[{writer.titles[outcome.chapter]}, {writer.branch_name(gap.branch)}](/{writer.place(outcome)}.md)"
    return f'{sentence} <span class="ci">({support})</span> {link}'


def _actions(writer: Writer, whole: Sequence[Outcome], outcomes: Sequence[Outcome]) -> list[str]:
    """Three actions: first those whose interval lies above nothing, the largest expected amount first within each.

    Actions of single branches, by their name, only where those that the page speaks for have too few.
    """
    chosen: dict[str, Mapping[str, Any]] = {}
    spoken = {outcome.branch for outcome in whole}
    named = [
        action | {"text": f"{writer.branch_name(outcome.branch)}: {action['text']}"}
        for outcome in outcomes
        if outcome.branch not in spoken
        for action in outcome.claims.get("actions", ())
    ]
    for offered in ([action for outcome in whole for action in outcome.claims.get("actions", ())], named):
        for action in sorted(offered, key=lambda action: ((action["low"] or 0.0) <= 0, -(action["value"] or 0.0))):
            if len(chosen) < MOST_ACTIONS:
                chosen.setdefault(action["key"], action)
    if not chosen:
        return []
    return [f"## {_('What to do')}", actions_html(list(chosen.values()), writer.profile.currency)]


def _branches(
    writer: Writer,
    outcomes: Sequence[Outcome],
    gaps: Sequence[BranchGap],
    contents: Contents,
    beyond_noise: Collection[tuple[str, str]],
) -> list[str]:
    branches = list(dict.fromkeys(outcome.branch for outcome in outcomes if outcome.branch != "all"))
    if not branches:
        return []
    parts = []
    if gaps:
        finding = next(o.finding(contents.front_chart) for o in outcomes if o.finding(contents.front_chart)) or {}
        shown = sorted(gaps[:_MOST_BARS], key=lambda gap: -gap.value)  # the widest gaps, whichever side they are on
        names = {gap.branch: writer.profile.branch_name(gap.branch, writer.language) for gap in shown}
        labels = {gap.branch: f"{style.plain(names[gap.branch])}  ({_n(gap, writer)})" for gap in shown}
        whole = _from({o.chapter: o for o in outcomes if o.branch == "all"}, contents.front_chart)
        drawing = draw_branches(
            shown,
            labels,
            finding["label"],
            finding["unit"],
            writer.profile.currency,
            whole=whole["value"] if whole else None,
        )
        alt = _("{label} by branch with 95 % intervals, from {most} to {least}.").format(
            label=finding["label"],
            most=names[shown[0].branch],
            least=names[shown[-1].branch],
        )
        how = _(
            "Dots: the branch's value; bars: 95 % interval; grey: no different from the others beyond noise; dashed: "
            "all branches together. In brackets: the number the value rests on. The order of neighbours means nothing."
        )
        if len(shown) < len(gaps):
            how += " " + _("Drawn: the {shown} of {total} branches that differ most; the table has them all.").format(
                shown=len(shown), total=len(gaps)
            )
        parts.append(writer.figure(svg(drawing, alt), alt, how))
    keys = [key for key in contents.front_columns if any(outcome.finding(key) for outcome in outcomes)]
    if keys:
        parts.append(_branch_table(writer, outcomes, branches, keys, beyond_noise))
    return [f"## {_('Branches')}", *parts] if parts else []


def _branch_table(
    writer: Writer,
    outcomes: Sequence[Outcome],
    branches: Sequence[str],
    keys: Sequence[str],
    beyond_noise: Collection[tuple[str, str]],
) -> str:
    places = {(outcome.branch, outcome.chapter): outcome for outcome in outcomes}
    head, rows = "", []
    with_target = [key for key in keys if any(key in o.bundle.get("targets", {}) for o in outcomes)]
    for key in keys:
        labelled = next(finding for o in outcomes if (finding := o.finding(key)))
        head += f'<th class="n">{style.inline_html(labelled["label"] or key)}</th>'
        if key in with_target:
            head += f'<th class="n">{_("Target")}</th>'
    whole = ["all"] if any(outcome.branch == "all" for outcome in outcomes) else []
    shown = [(branch, writer.branch_name(branch)) for branch in [*branches, *whole]]
    if len(without_repeats(outcomes)) < len(outcomes):
        shown = [("all", writer.branch_name(branches[0]))]
    for branch, name in shown:
        cells = [f"<td>{name}{reach(branch, outcomes)}</td>"]
        for key in keys:
            outcome = places.get((branch, key.partition(".")[0]))
            finding = outcome.finding(key) if outcome else None
            moved_by = _change_note(finding, (branch, key) in beyond_noise)
            cells.append(f'<td class="n">{writer.measure(finding)}{moved_by}</td>')
            if key in with_target:
                target = outcome.bundle.get("targets", {}).get(key) if outcome else None
                unit = finding["unit"] if finding else "none"
                cells.append(f'<td class="n">{style.value(target, unit, writer.profile.currency)}</td>')
        here = " class=here" if branch == "all" and len(shown) > 1 else ""
        rows.append(f"<tr{here}>{''.join(cells)}</tr>")
    table = f"<table><thead><tr><th>{_('Branch')}</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="crm-table">{table}</div>'


def _n(gap: BranchGap, writer: Writer) -> str:
    return style.DASH if gap.n is None else privacy.count(gap.n, writer.profile.privacy.min_cell)


def _change_note(finding: Mapping[str, Any] | None, beyond_noise: bool) -> str:
    """A branch's change in the table, where it passed the false discovery rate."""
    change = finding.get("change") if finding else None
    if not change or not beyond_noise or finding is None or finding["unit"] != "share":
        return ""
    tone = "good" if change["difference"] > 0 else "bad"
    return f'<br><span class="{tone}">{style.points(change["difference"])}</span>'


def _changes(writer: Writer, outcomes: Sequence[Outcome]) -> list[str]:
    passed, examined = moved(outcomes)
    title = f"## {_('What changed since the previous period')}"
    if not examined:
        return [title, _("No change is shown: the period is incomplete or there is no earlier one to compare with.")]
    if not passed:
        return [title, _("Nothing changed beyond noise (changes examined: {examined}).").format(examined=examined)]
    currency = writer.profile.currency
    rows = []
    for change in passed[:_MOST_CHANGES]:
        finding, difference = change.finding, change.finding["change"]
        unit = "points" if finding["unit"] == "share" else finding["unit"]
        between = style.interval(difference["low"], difference["high"], unit, currency)
        in_points = unit == "points" and between != style.DASH
        rows.append(
            {
                _("Measure"): finding["label"] or finding["key"],
                _("Branch"): writer.profile.branch_name(change.branch, writer.language)
                if change.branch != "all"
                else _("All branches"),
                _("Before"): style.value(difference["previous"], finding["unit"], currency),
                _("Now"): style.value(finding["value"], finding["unit"], currency),
                _("Difference"): _signed(difference["difference"], unit, currency),
                _("95 % interval"): _("{points} points").format(points=between) if in_points else between,
            }
        )
    note = _(
        "{passed} of {examined} changes examined are more than noise; about one in twenty of those may still be chance."
    ).format(passed=len(passed), examined=examined)
    if len(passed) > _MOST_CHANGES:
        note += " " + _("The {shown} least likely to be chance are shown.").format(shown=_MOST_CHANGES)
    return [title, table_html(pd.DataFrame(rows)), f":::{{div}} how\n{note}\n:::"]


def _signed(difference: float, unit: str, currency: str) -> str:
    text = style.value(difference, unit, currency)
    if unit == "points":
        return _("{points} points").format(points=text)
    return text if difference <= 0 else f"+{text}"


def _unknowns(whole: Sequence[Outcome]) -> list[str]:
    """What is not known, the chapters in turn, so that no chapter's list crowds out the others'."""
    each = [outcome.claims.get("unknowns", ()) for outcome in whole]
    unknowns = [unknown for row in zip_longest(*each) for unknown in row if unknown]
    if not unknowns:
        return []
    return [f"## {_('What we do not know')}", "\n".join(f"- {unknown}" for unknown in unknowns[:MOST_FINDINGS])]


def _foot(writer: Writer, whole: Sequence[Outcome]) -> list[str]:
    footed = next((outcome for outcome in whole if outcome.bundle.get("footing")), None)
    if footed is None:
        return []
    line = footing_line(footed.bundle, writer.profile.currency)
    return [f":::{{div}} foot\n{line} [{_('How this book was made')}](/run_status.md)\n:::"]


def draw_branches(
    gaps: Sequence[BranchGap], names: Mapping[str, str], label: str, unit: str, currency: str, *, whole: float | None
) -> Figure:
    """Branches as dots with intervals, the largest on top; coloured only where they differ from the others.

    A dashed line stands at the value of all branches together, where there is one.
    """
    sheet, axes = style.figure(7.2, 0.9 + 0.36 * len(gaps))
    if whole is not None:
        axes.axvline(whole, color=style.MUTE, linewidth=1, linestyle="--", zorder=0)
    for position, gap in enumerate(reversed(gaps)):
        colour = style.GREY if not gap.stands_out else style.ACCENT if gap.difference > 0 else style.BAD
        axes.plot([gap.low, gap.high], [position, position], color=colour, linewidth=2)
        axes.plot([gap.value], [position], marker="o", color=colour)
    axes.set_yticks(
        range(len(gaps)),
        [names[gap.branch] for gap in reversed(gaps)],
    )
    axes.xaxis.set_major_formatter(lambda value, _position: style.value(value, unit, currency, 0))
    axes.set_xlabel(f"{label} ({_('95 % interval')})")
    axes.tick_params(length=0)
    axes.spines[["left"]].set_visible(False)
    return sheet
