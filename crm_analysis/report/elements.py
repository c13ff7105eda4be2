"""What a notebook cell shows: text, tables and figures, in JupyterLab as HTML and in the book as MyST."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from crm_analysis import style
from crm_analysis.language import _

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


_NUMBER = re.compile(
    r"^(?:&[lg]t;\s?)?[−+(]?(?:£|\$|€|¥|₹|R\$|CN¥|[A-Z]{3})?\s?\d[\d,.]*(?:\s?(?:%p?|m|bn|won|points|억원|만원|원))*(?=$|\s[(–;]|\sto\s|~)"
)


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}$")


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


def _kept_together(cell_text: str) -> str:
    """A number or a day in a cell on one line, and its interval on one line."""
    if _DAY.match(cell_text):
        return f'<span class="day">{cell_text}</span>'
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
        return _headed(title, text(alt))
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
