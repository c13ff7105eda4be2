"""What a notebook shows: the opening of a page, its figures and tables, its footing, and the bundle of its findings.

Every element displays as HTML in JupyterLab and carries, under `ELEMENT`, what the book makes of it. `Page.close` ends
a notebook and carries, under `BUNDLE`, the findings that the run matrix stores.
"""

from __future__ import annotations

import functools
import html
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from crm_analysis import files, privacy, style, tables
from crm_analysis.findings import Action, Claims, Finding, to_json
from crm_analysis.language import _, activate
from crm_analysis.profile import load
from crm_analysis.tables import footing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ELEMENT = "application/vnd.crm-analysis.element+json"
BUNDLE = "application/vnd.crm-analysis.findings+json"
_SHEET = f"""<style>.crm{{max-width:60rem}}
.crm .kicker,.crm .how,.crm .ci,.crm .foot{{color:{style.MUTE};font-size:.9em}}
.crm .verdict{{font-size:1.25em;line-height:1.45;border-left:4px solid {style.INK};padding:.2rem 0 .2rem 1rem}}
.crm table{{border-collapse:collapse;font-variant-numeric:tabular-nums}}.crm th{{text-align:left;color:{style.MUTE}}}
.crm td,.crm th{{padding:.3rem .8rem .3rem 0;border-bottom:1px solid {style.LINE}}}.crm .n{{text-align:right}}
.crm svg{{max-width:100%;height:auto}}</style>"""


@dataclass(frozen=True)
class Element:
    """Something a notebook cell shows.

    `kind` is one of opening, heading, text, missing, figure, table, closing; `myst` is its text in the book (MyST),
    `html` its look in JupyterLab; a figure keeps its drawing and words in `data`.
    """

    kind: str
    html: str
    myst: str = ""
    data: Mapping[str, Any] | None = None

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return {
            "text/plain": f"<{self.kind}>",
            "text/html": f'{_SHEET}<div class="crm">{self.html}</div>',
            ELEMENT: {"kind": self.kind, "myst": self.myst, **(self.data or {})},
        }


@dataclass(frozen=True)
class Closing:
    """The end of a notebook: the footing line and the findings for the run matrix."""

    element: Element
    bundle: Mapping[str, Any]

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return self.element._repr_mimebundle_() | {BUNDLE: self.bundle}


def heading(text: str, level: int = 2) -> Element:
    """A heading, already translated."""
    return Element("heading", f"<h{level}>{style.inline_html(text)}</h{level}>", f"{'#' * level} {text}")


def text(markdown: str) -> Element:
    """A paragraph: a sentence template with bold, data already through `style.escape`."""
    return Element("text", f"<p>{style.inline_html(markdown)}</p>", markdown)


def table(frame: pd.DataFrame | None, *, title: str = "", note: str = "") -> Element:
    """A table of finished text under its heading: numbers already formatted with `style`, their columns align right.

    Every cell and column name is escaped. An empty frame shows its note, or a sentence that there is nothing to show.
    `frame` is None where the table does not apply to the page: then nothing is shown, the heading included.
    """
    if frame is None:
        return Element("text", "")
    if frame.empty:
        return _headed(title, text(note or _("Nothing to show here for this branch and period.")))
    markup = table_html(frame)
    note_html = f'<p class="how">{style.inline_html(note)}</p>' if note else ""
    return _headed(title, Element("table", markup + note_html, markup + ("\n\n" + _how(note) if note else "")))


def tables_below(title: str, given: Sequence[Mapping[str, Any]]) -> Element:
    """Several tables under one heading, each with the keyword arguments of `table`, its own title one level down."""
    if not given:
        return Element("text", "")
    parts = [_headed(item["title"], table(item["frame"], note=item.get("note", "")), level=3) for item in given]
    body = Element("table", "".join(part.html for part in parts), "\n\n".join(part.myst for part in parts))
    return _headed(title, body)


def _headed(title: str, element: Element, *, level: int = 2) -> Element:
    if not title:
        return element
    head = heading(title, level)
    return Element(element.kind, head.html + element.html, f"{head.myst}\n\n{element.myst}", element.data)


def table_html(frame: pd.DataFrame) -> str:
    """A frame of finished text as an HTML table on one line; wide tables scroll inside their own box."""
    names = [str(name).replace(" %", f"{style.SPACE}%") for name in frame.columns]
    rows = [[style.cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    right = [any(row[i] for row in rows) and all(_numeric(row[i]) for row in rows) for i in range(len(names))]
    right[:1] = [False]  # the first column names the rows
    rows = [[_kept_together(text) if flag else text for text, flag in zip(row, right, strict=True)] for row in rows]
    css = [' class="n"' if flag else "" for flag in right]
    head = "".join(f"<th{c}>{html.escape(name)}</th>" for name, c in zip(names, css, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{c}>{value}</td>" for value, c in zip(row, css, strict=True)) + "</tr>" for row in rows
    )
    return f'<div class="crm-table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


_NUMBER = re.compile(
    r"^(?:&[lg]t;\s?)?[−+(]?(?:£|\$|€|¥|₹|R\$|CN¥|[A-Z]{3})?\s?\d[\d,.]*(?:\s?(?:%p?|m|bn|won|points|억원|만원|원))*(?=$|\s[(–;]|\sto\s|~)"
)


def _kept_together(cell_text: str) -> str:
    """A number in a cell on one line, and its interval on one line."""
    value, bracket, interval = cell_text.partition(" (")
    value = value.replace(" ", style.SPACE)
    return f'{value} <span class="ci">({interval}</span>' if bracket else value


def _numeric(cell_text: str) -> bool:
    return (
        cell_text in ("", style.DASH, _("none"), _("withheld"))
        or bool(_NUMBER.match(cell_text))
        or cell_text.startswith(("p =", "p &lt;"))
    )


def figure(
    drawing: Figure | None, *, alt: str, how_to_read: str, table: pd.DataFrame | None = None, title: str = ""
) -> Element:
    """A chart with its text alternative, a line on how to read it, and the table behind it.

    `drawing` is None where a chart has nothing to draw; `alt` then says so in its place.
    """
    if drawing is None:
        return text(alt)
    markup = svg(drawing, alt)
    behind = table_html(table) if table is not None and not table.empty else ""
    folded = f"<details><summary>{_('The numbers behind this figure')}</summary>{behind}</details>" if behind else ""
    head = heading(title).html if title else ""
    return Element(
        "figure",
        f'{head}{markup}<p class="how">{style.inline_html(how_to_read)}</p>{folded}',
        data={"title": title, "svg": markup, "alt": alt, "how_to_read": how_to_read, "table": folded},
    )


def svg(drawing: Figure, alt: str) -> str:
    """A drawing as SVG text without dates, the same for the same drawing, with its text alternative."""
    stream = io.StringIO()
    drawing.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    markup = stream.getvalue()
    markup = markup[markup.index("<svg") :]
    markup = re.sub(r"<metadata>.*?</metadata>", "", markup, flags=re.DOTALL)
    return markup.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" ', 1)


def _how(note: str) -> str:
    return f":::{{div}} how\n{note}\n:::"


class Page:
    """One chapter for one branch and period. Made by `open_page`."""

    def __init__(self, chapter: str, scope: tables.Scope, language: str) -> None:
        self.chapter = chapter
        self.scope = scope
        self.profile = scope.profile
        self.language = language

    def opening(self, claims: Claims) -> Element:
        """The kicker, banners, the verdict, the findings and what to do."""
        currency = self.profile.currency
        kicker = self._kicker()
        parts_html = [f'<p class="kicker">{style.inline_html(kicker)}</p>']
        parts = [f":::{{div}} kicker\n{kicker}\n:::"]
        for banner in self._banners():
            parts_html.append(f'<p class="banner">{style.inline_html(banner)}</p>')
            parts.append(f":::{{div}} banner\n{banner}\n:::")
        parts_html.append(f'<p class="verdict">{style.inline_html(claims.verdict)}</p>')
        parts.append(f":::{{div}} verdict\n{claims.verdict}\n:::")
        if claims.findings:
            title = _("What we found")
            parts_html.append(f"<h2>{title}</h2><ol>")
            parts.append(f"## {title}")
            lines = []
            for finding in claims.findings:
                support = support_line(finding, currency, min_cell=self.profile.privacy.min_cell)
                ci = f' <span class="ci">{style.inline_html(support)}</span>' if support else ""
                parts_html.append(f'<li class="{finding.tone}">{style.inline_html(finding.sentence)}{ci}</li>')
                lines.append(f"1. {finding.sentence}" + (f' <span class="ci">{support}</span>' if support else ""))
            parts_html.append("</ol>")
            parts.append("\n".join(lines))
        if claims.actions:
            title = _("What to do")
            markup = actions_html(claims.actions, currency)
            parts_html.append(f"<h2>{title}</h2>{markup}")
            parts += [f"## {title}", markup]
        return Element("opening", "".join(parts_html), "\n\n".join(parts))

    def missing(self, wanted: tuple[str, ...]) -> Element:
        """Which tables would unlock this chapter, for those of `wanted` that the profile does not map."""
        absent = [name for name in wanted if not self.scope.has(name)]
        if not absent:
            return Element("text", "")
        names = ", ".join(f"`{name}`" for name in absent)
        said = (
            _("This chapter needs the table {names}; map it in the profile to unlock it.")
            if len(absent) == 1
            else _("This chapter needs the tables {names}; map them in the profile to unlock it.")
        )
        found = text(said.format(names=names))
        return Element("missing", found.html, found.myst)

    def close(self, claims: Claims, lists: Mapping[str, pd.DataFrame] | None = None) -> Closing:
        """What is not known, the footing line, and the bundle of findings.

        `lists` holds, per finding key without the chapter's name, the customers behind it: they go to
        `exports/lists/` below the build folder, readable by their owner only, for `crm-analysis list`.
        """
        stored = {}
        for name, frame in (lists or {}).items():
            stored[name] = self._store_list(name, frame)
        bundle = {
            "chapter": self.chapter,
            "branch": self.scope.branch,
            "period": str(self.scope.period),
            "as_of": self.scope.as_of.isoformat(),
            "language": self.language,
            "currency": self.profile.currency,
            "complete": self.scope.complete,
            "claims": to_json(claims),
            "targets": self._targets(claims),
            "footing": footing_rows(self._footing()),
            "control": to_json(footing.against_control(self.scope)) if self._tells_amount() else None,
            "lists": stored,
        }
        return Closing(_closing(claims, footing_line(bundle, self.profile.currency)), bundle)

    def _kicker(self) -> str:
        scope = self.scope
        where = _("All branches") if scope.branch == "all" else self.profile.branch_name(scope.branch, self.language)
        text_ = _("{organisation}, {branch}. {period}: state on {as_of}").format(
            organisation=style.escape(self.profile.text(self.profile.name, self.language)),
            branch=style.escape(where),
            period=style.period(str(scope.period)),
            as_of=style.day(scope.as_of),
        )
        previous = scope.previous()
        if previous is None:
            return text_ + "."
        said = _("{state}; change against {before}.").format(state=text_, before=style.day(previous.as_of))
        moved = self._moved_holidays(previous)
        return said if not moved else f"{said} {moved}"

    def _moved_holidays(self, previous: tables.Scope) -> str:
        """Holidays that touch a comparison: on covered days of this period or of the one before, but not of both."""
        moved = [
            name
            for name, days in self.profile.calendar.holidays.items()
            if len({any(s.period.start <= day <= s.as_of for day in days) for s in (self.scope, previous)}) == 2
        ]
        if not moved:
            return ""
        names = ", ".join(style.escape(_(name.capitalize())) for name in moved)
        return _("{holidays} lies in only one of the two periods, so flows are not quite comparable.").format(
            holidays=names
        )

    def _banners(self) -> list[str]:
        scope = self.scope
        banners = []
        if not scope.complete:
            banners.append(
                _("{period} is not over: the data reach to {day}, so no change is shown.").format(
                    period=style.period(str(scope.period)), day=style.day(scope.as_of)
                )
            )
        silent = scope.coverage[scope.coverage["silent"] & (scope.coverage["last_covered_day"] < scope.period.end)]
        for row in silent.itertuples(index=False):
            banners.append(
                _(
                    "{branch} reported nothing after {day}: its figures end there and nobody is counted as lost since."
                ).format(
                    branch=style.escape(self.profile.branch_name(row.branch, self.language)),
                    day=style.day(row.last_covered_day),
                )
            )
        return banners

    @functools.cached_property
    def _withheld(self) -> frozenset[tuple[str, str | None]]:
        """Steps of the footing whose amounts are of few customers, or nearly all of one."""
        rule = self.profile.privacy
        return privacy.withheld_steps(footing.contributions(self.scope), rule.min_cell, rule.dominance_share)

    def _tells_amount(self) -> bool:
        return (footing.USED, "") not in self._withheld

    def _footing(self) -> pd.DataFrame:
        """The scope's footing, amounts missing where they may not be shown."""
        steps = self.scope.footing()
        of = zip(steps["table"], steps["step"], steps["rule"], strict=True)
        hidden = [table == "transactions" and (step, rule) in self._withheld for table, step, rule in of]
        return steps.assign(amount=steps["amount"].mask(pd.Series(hidden, index=steps.index, dtype=bool)))

    def _targets(self, claims: Claims) -> dict[str, float]:
        found = {}
        for finding in claims.findings + claims.measures:
            target = self.scope.target(finding.key)
            if target is not None:
                found[finding.key] = float(target)
        return found

    def _store_list(self, name: str, frame: pd.DataFrame) -> str:
        """Write a list where it stays, or where the run collects it; returns the path where it stays."""
        final = files.lists_folder(self.profile.build_dir, str(self.scope.period), self.scope.branch)
        file = f"{self.chapter}.{name}.parquet"
        collected = os.environ.get(files.LISTS_VARIABLE)
        path = (Path(collected) if collected else final) / file
        with files.replacing(path, suffix=".parquet", owner_only=True) as temporary:
            frame.to_parquet(temporary, index=False)
        return str((final / file).relative_to(self.profile.build_dir))


def _closing(claims: Claims, line: str) -> Element:
    markup, unknowns = "", ""
    if claims.unknowns:
        title = _("What we do not know")
        items = "".join(f"<li>{style.inline_html(unknown)}</li>" for unknown in claims.unknowns)
        markup = f"<h2>{title}</h2><ul>{items}</ul>"
        unknowns = f"## {title}\n\n" + "\n".join(f"- {unknown}" for unknown in claims.unknowns)
    return Element(
        "closing", f'{markup}<p class="foot">{line}</p>', unknowns, {"foot": f":::{{div}} foot\n{line}\n:::"}
    )


def open_page(chapter: str, *, profile: str, branch: str, period: str, language: str) -> Page:
    """The page of `chapter` for a profile (path), a branch (`all` or an id) and a period (`latest` or a label).

    Raises ProfileError or ScopeError where one of them does not exist.
    """
    activate(language)
    return Page(chapter, tables.open(load(profile, language=language)).scope(branch, period, incomplete=True), language)


def support_line(finding: Finding | Mapping[str, Any], currency: str, *, min_cell: int) -> str:
    """Interval, count and basis of a finding, in brackets: what the sentence rests on."""
    get = finding.get if isinstance(finding, Mapping) else lambda name: getattr(finding, name)
    parts = []
    if not (style.undefined(get("low")) and style.undefined(get("high"))):
        between = style.interval(get("low"), get("high"), str(get("unit")), currency)
        if get("unit") == "points":
            between = _("{points} points").format(points=between)
        elif get("unit") == "ratio":  # the sentence is in money, with an interval of its own
            between = _("ROI {interval}").format(interval=between)
        parts.append(between)
    if (n := get("n")) is not None:
        parts.append(f"n{style.SPACE}{privacy.count(n, min_cell)}")
    if get("basis"):
        parts.append(str(get("basis")).replace(" %", f"{style.SPACE}%"))
    return f"({'; '.join(parts)})" if parts else ""


def actions_html(actions: tuple[Action, ...] | list[Mapping[str, Any]], currency: str) -> str:
    """The table of things to do: action, who, expected a year with interval where one is stated, resting on."""
    rows = []
    told = [action.get("value") if isinstance(action, Mapping) else action.value for action in actions]
    valued = any(not style.undefined(value) for value in told)
    for action in actions:
        get = action.get if isinstance(action, Mapping) else lambda name, action=action: getattr(action, name)
        expected = style.DASH if style.undefined(get("value")) else style.money(get("value"), currency)
        if not style.undefined(get("low")) and not style.undefined(get("high")):
            expected += f' <span class="ci">({style.interval(get("low"), get("high"), "money", currency)})</span>'
        cells = [style.inline_html(str(get("text"))), style.inline_html(get("owner") or style.DASH), expected]
        rows.append(
            f"<tr><td>{cells[0]}</td><td>{cells[1]}</td>"
            + (f'<td class="n">{cells[2]}</td>' if valued else "")
            + f"<td>{style.inline_html(get('resting_on') or style.DASH)}</td></tr>"
        )
    head = (
        f"<th>{_('Action')}</th><th>{_('Who')}</th>"
        + (f'<th class="n">{_("Expected a year")}</th>' if valued else "")
        + f"<th>{_('Resting on')}</th>"
    )
    return f'<div class="crm-table"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def footing_rows(footing: pd.DataFrame) -> list[dict[str, Any]]:
    """The footing of a scope as plain JSON rows."""
    return [to_json(dict(row)) for row in footing.to_dict("records")]


def rule_in_short(rule: str) -> str:
    """A rule of transactions in a few words; a rule of the organisation's own by its identifier."""
    known = {
        "amount_missing": _("no amount"),
        "amount_negative": _("negative amount"),
        "branch_missing": _("no branch"),
        "duplicate_key": _("duplicate number"),
        "exact_duplicate": _("exact duplicate"),
        "kind_missing": _("no kind"),
        "kind_unknown": _("unknown kind"),
        "occurred_at_future": _("dated in the future"),
        "occurred_at_missing": _("no date"),
        "occurred_at_too_old": _("dated too early"),
        "refund_without_sale": _("refund without sale"),
        "transaction_id_missing": _("no number"),
    }
    name = rule.removeprefix("transactions_")
    return known.get(name, name.replace("_", " "))


def footing_line(bundle: Mapping[str, Any], currency: str) -> str:
    """The short footing at the foot of every page: from the transaction rows in the files to the rows used, and the
    amount against the finance office's where it stated one.
    """
    transactions = [row for row in bundle["footing"] if row["table"] == "transactions"]

    def total(step: str, field: str) -> float:
        return sum(row[field] or 0 for row in transactions if row["step"] == step)

    in_files, aside = total("in files", "rows"), total("set aside", "rows")
    withheld = any(row["step"] == "used" and style.undefined(row["amount"]) for row in transactions)
    why = ", ".join(
        f"{style.escape(rule_in_short(row['rule']))} {style.number(row['rows'])}"
        for row in transactions
        if row["step"] == "set aside" and row["rows"]
    )
    line = _(
        "Transaction rows in the files {files} → set aside {aside} ({share}{why}) → anonymous {anonymous} → "
        "used {used}; amount used {amount}."
    ).format(
        files=style.number(in_files),
        aside=style.number(aside),
        share=style.percent(aside / in_files if in_files else None, 2),
        why=f": {why}" if why else "",
        anonymous=style.number(total("anonymous", "rows")),
        used=style.number(total("used", "rows")),
        amount=_("withheld") if withheld else style.money(total("used", "amount"), currency),
    )
    control = bundle.get("control")
    if control and control["amount_stated"]:
        line += " " + _("Files {ours}, finance office {theirs} over the months it stated: difference {share}.").format(
            ours=style.money(control["amount"], currency),
            theirs=style.money(control["amount_stated"], currency),
            share=style.percent(abs(control["amount"] / control["amount_stated"] - 1), 2),
        )
    others = sum(
        row["rows"] or 0 for row in bundle["footing"] if row["step"] == "set aside" and row["table"] != "transactions"
    )
    if others:
        line += " " + _("Rows set aside in other tables: {rows}.").format(rows=style.number(others))
    return line
