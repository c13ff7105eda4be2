"""Chapter, annex and branch pages as MyST text."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from crm_analysis import files, privacy, style
from crm_analysis.book.cells import Outcome
from crm_analysis.book.compare import branch_gaps
from crm_analysis.language import _, active
from crm_analysis.profile import Profile
from crm_analysis.report import heading

BESIDE_AT_MOST = 6


class Writer:
    """Writes the pages of one edition into a Sphinx source folder."""

    def __init__(self, folder: Path, profile: Profile, language: str, titles: Mapping[str, str]) -> None:
        self.folder = folder
        self.profile = profile
        self.language = language
        self.titles = titles

    def branch_name(self, branch: str) -> str:
        """The reader's name of a branch, inert in Markdown."""
        if branch == "all":
            return _("All branches")
        return style.escape(self.profile.branch_name(branch, self.language))

    def place(self, outcome: Outcome, *, annex: bool = False) -> str:
        """The path of a page below the book, without its ending."""
        tail = "-annex" if annex else ""
        return f"{outcome.period}/{branch_folder(outcome.branch)}/{outcome.chapter}{tail}"

    def write(self, page: str, text: str) -> None:
        """Store a page; dollar signs are amounts, never mathematics, and bold is bold beside any letter.

        Markdown ends no bold between a sign and a letter without a blank, as Korean particles stand: **12 %**이며.
        """
        lines = [line if line.startswith(":alt:") else _inert(line) for line in text.rstrip().split("\n")]
        files.write_text(self.folder / f"{page}.md", "\n".join(lines) + "\n")

    def chapter(self, outcome: Outcome, siblings: Sequence[Outcome]) -> list[str]:
        """Write a chapter's page and, where it has one, its annex; returns their places.

        `siblings` are the same chapter's outcomes of all branches in the same period.
        """
        title = f"# {self.titles[outcome.chapter]}: {self.branch_name(outcome.branch)}"
        parts = [title, *self.standing(outcome)]
        elements = _worth_showing(outcome.elements)
        body = [self.element(element, outcome) for element in elements]
        foot = [element["foot"] for element in elements if element["kind"] == "closing"]
        ends = [element["kind"] == "closing" for element in elements]
        parts += [text for text, end in zip(body, ends, strict=True) if not end]
        parts += self.beside(outcome, siblings)
        parts += [text for text, end in zip(body, ends, strict=True) if end]
        links = [f"[{_('Method')}](/methods/{outcome.chapter}.md)"]
        places = [self.place(outcome)]
        bare = len(elements) < len(outcome.elements)
        if outcome.annex and not (bare and not any(map(_shows, outcome.annex))):
            places.append(self.place(outcome, annex=True))
            links.insert(0, f"[{_('Annex: everything else that was computed')}](/{places[1]}.md)")
            annex = [f"# {_('Annex')}: {self.titles[outcome.chapter]}, {self.branch_name(outcome.branch)}"]
            annex += [self.element(element, outcome) for element in outcome.annex]
            annex += [f"[{_('Back to the chapter')}](/{places[0]}.md)", *foot]
            self.write(places[1], "\n\n".join(part for part in annex if part))
        parts += [" · ".join(links), *foot]
        self.write(places[0], "\n\n".join(part for part in parts if part))
        return places

    def element(self, element: Mapping[str, Any], outcome: Outcome) -> str:
        """A page element as MyST; a figure's drawing becomes a file beside the page."""
        if element["kind"] != "figure":
            return str(element["myst"])
        return self.figure(element["svg"], element["alt"], element["how_to_read"], element["table"], element["title"])

    def figure(self, svg: str, alt: str, how_to_read: str, table: str = "", title: str = "") -> str:
        """A drawing with its text alternative, its line on how to read it and the folded table behind it."""
        name = f"_figures/{hashlib.sha256(svg.encode()).hexdigest()[:16]}.svg"
        files.write_text(self.folder / name, svg)
        alternative = re.sub(r"\s+", " ", html.unescape(alt))
        parts = [heading(title).myst] if title else []
        parts.append(f"```{{image}} /{name}\n:alt: {alternative}\n```")
        parts.append(f":::{{div}} how\n{how_to_read}\n:::")
        return "\n\n".join(parts + ([table] if table else []))

    def standing(self, outcome: Outcome) -> list[str]:
        """The banner of a page that failed, or that something changed for since it was made."""
        since = "; ".join(_(part) for part in outcome.stale.split("; "))
        day, reason = style.escape(outcome.made_on), style.escape(outcome.failure or since)
        failed_on = style.escape(outcome.failed_on)
        if outcome.failure and outcome.elements:
            said = _(
                "This page has failed since {failed_on}; what stands here is from {day}. {reason} "
                "`crm-analysis status` says why."
            )
        elif outcome.failed_on:
            said = _("This page has failed since {failed_on}. {reason} `crm-analysis status` says why.")
        elif outcome.failure:
            said = _("This page could not be made. {reason}")
        elif outcome.stale:
            said = _("This page was made on {day}; since then {reason}. Run the report again.")
        else:
            return []
        kind = "banner failed" if outcome.failure else "banner"
        return [f":::{{div}} {kind}\n{said.format(day=day, reason=reason, failed_on=failed_on)}\n:::"]

    def beside(self, outcome: Outcome, siblings: Sequence[Outcome]) -> list[str]:
        """The chapter's measures beside those of the other branches."""
        branches = [sibling for sibling in siblings if sibling.branch != "all"]
        measures = [f for f in outcome.every_finding() if f["compare"]][:BESIDE_AT_MOST]
        if len(branches) < 2 or not measures:
            return []
        out = {f["key"]: {gap.branch: gap for gap in branch_gaps(branches, f["key"])} for f in measures}
        head = f"<th>{_('Branch')}</th>" + "".join(
            f'<th class="n">{style.inline_html(f["label"] or f["key"])}</th>' for f in measures
        )
        rows = []
        for sibling in branches:
            here = ' class="here"' if sibling.branch == outcome.branch else ""
            cells = [f"<td>{self.branch_name(sibling.branch)}{reach(sibling.branch, siblings)}</td>"]
            for measure in measures:
                found, gap = sibling.finding(measure["key"]), out[measure["key"]].get(sibling.branch)
                mark = "*" if gap is not None and gap.stands_out else ""
                cells.append(f'<td class="n">{self.measure(found)}{mark}</td>')
            rows.append(f"<tr{here}>{''.join(cells)}</tr>")
        note = ""
        if any(gap.stands_out for gaps in out.values() for gap in gaps.values()):
            said = _("An asterisk marks a branch that differs from the others beyond noise (false discovery rate 5 %).")
            note = f":::{{div}} how\n{said}\n:::"
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        return [
            f"## {_('Branches beside each other') if outcome.branch == 'all' else _('Beside the other branches')}",
            f'<div class="crm-table">{table}</div>',
            note,
        ]

    def measure(self, finding: Mapping[str, Any] | None) -> str:
        """A measure with its interval for a table cell, as HTML."""
        if finding is None or finding["value"] is None:
            return style.DASH
        if privacy.small(finding["n"] or 0, self.profile.privacy.min_cell):
            return style.DASH
        currency = self.profile.currency
        text = style.value(finding["value"], finding["unit"], currency)
        if finding["low"] is None and finding["high"] is None:
            return text
        if finding["unit"] == "money":  # at the scale of its interval, as the chapter's own page writes it
            wider = max(abs(end) for end in (finding["low"], finding["high"]) if end is not None)
            text = style.money(finding["value"], currency, like=wider)
        between = style.interval(finding["low"], finding["high"], finding["unit"], currency)
        return f'{text}<br><span class="ci">({between})</span>'

    def branch(self, branch: str, period: str, outcomes: Sequence[Outcome]) -> str:
        """The landing page of a branch: each chapter's verdict, with a link; returns its place."""
        place = f"{period}/{branch_folder(branch)}/index"
        parts = [f"# {self.branch_name(branch)}, {period_name(period)}"]
        for outcome in outcomes:
            parts.append(f"## [{self.titles[outcome.chapter]}](/{self.place(outcome)}.md)")
            parts += self.standing(outcome)
            if outcome.claims:
                parts.append(f":::{{div}} verdict\n{outcome.claims['verdict']}\n:::")
        self.write(place, "\n\n".join(parts))
        return place


def _inert(line: str) -> str:
    line = re.sub(r"(?<=\d) (?=%)|(?<=\bp) (?=[<=&] ?)|(?<=\bp [<=]) (?=[.\d])", style.SPACE, line)
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", line).replace("$", "&#36;")


def _shows(element: Mapping[str, Any]) -> bool:
    return element["kind"] in ("figure", "table")


def reach(branch: str, outcomes: Sequence[Outcome]) -> str:
    """How far the data of a branch reach, where that is not as far as those of the others."""
    ends = {outcome.branch: outcome.bundle["as_of"] for outcome in outcomes if outcome.bundle}
    if not ends or ends.get(branch, "") >= max(ends.values()) or branch not in ends:
        return ""
    day = style.day(pd.Timestamp(ends[branch]).date())
    return f'<br><span class="wait">{_("data to {day}").format(day=day)}</span>'


def _worth_showing(elements: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The elements of a page; of one whose tables are missing and that shows nothing, its opening and end alone."""
    if any(map(_shows, elements)) or all(element["kind"] != "missing" for element in elements):
        return list(elements)
    return [element for element in elements if element["kind"] in ("opening", "missing", "closing")]


def branch_folder(branch: str) -> str:
    """The folder of a branch, the same in the book as in the executed matrix."""
    return "all" if branch == "all" else files.safe_name(branch)


def period_name(label: str) -> str:
    """A period in words: third quarter 2026."""
    year, rest = label[:4], label[4:]
    if rest.startswith("Q"):
        names = (
            _("First quarter {year}"),
            _("Second quarter {year}"),
            _("Third quarter {year}"),
            _("Fourth quarter {year}"),
        )
        return names[int(rest[1]) - 1].format(year=year)
    if rest.startswith("H"):
        return (_("First half {year}"), _("Second half {year}"))[int(rest[1]) - 1].format(year=year)
    if rest:
        return style.period(label) if active() == "ko" else f"{date.fromisoformat(f'{label}-01'):%B %Y}"
    return _("Year {year}").format(year=year)
