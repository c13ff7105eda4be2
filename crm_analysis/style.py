"""One palette, one type, one number format for every page and chart."""

from __future__ import annotations

import functools
import html
import math
import re
import textwrap
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crm_analysis import language, privacy
from crm_analysis.language import _

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTE, LINE, GREY = "#1f2933", "#5f6c7b", "#e4e7eb", "#7b8794"
_INK_LIGHT = 0.0212  # relative luminance of INK
ACCENT, GOOD, BAD, WAIT = "#1f6feb", "#0f766e", "#b42318", "#8a6d00"
SEQUENCE = (ACCENT, "#0f766e", "#b45309", "#7c3aed", "#be185d", "#4d7c0f", "#7b8794")
DASH = "–"
SPACE = "\N{NO-BREAK SPACE}"
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "BRL": f"R${SPACE}", "CNY": "CN¥", "INR": "₹"}
_SUFFIX = re.compile(r"[^0-9]+$")
_LINE_BREAKS = re.compile(
    r"[\s\x1c-\x1f\x85\u2028\u2029]*[\n\r\v\f\x1c-\x1f\x85\u2028\u2029][\s\x1c-\x1f\x85\u2028\u2029]*"
)
_ACTIVE_CHARACTERS = re.compile(r"[^0-9A-Za-z\s.,;?%/\u0080-\U0010ffff]")


def undefined(value: Any) -> bool:
    """Whether a value is missing or not finite: shown as a dash."""
    return value is None or value != value or (isinstance(value, float) and math.isinf(value))


def number(value: float | None, digits: int = 0) -> str:
    """A count or a plain number with thousands separators.

    >>> number(12345.678, 1), number(float("nan"))
    ('12,345.7', '–')
    """
    if value is None or undefined(value):
        return DASH
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text.replace("-", "−")


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage.

    >>> percent(0.7712)
    '77.1\\xa0%'
    """
    return DASH if share is None or undefined(share) else f"{number(share * 100, digits)}{percent_sign()}"


def percent_sign() -> str:
    """The sign behind a number, with the space that the language puts before it: none in Korean."""
    return "%" if language.active() == "ko" else f"{SPACE}%"


def percent_tick(share: float, _position: float = 0) -> str:
    """A share at a tick of an axis, for `set_major_formatter`: no more digits than it needs."""
    return f"{share * 100:.3g}{percent_sign()}"


def share(part: float, whole: float, min_cell: int, digits: int = 1) -> str:
    """A share of customers as a percentage; where it would tell a count too small to show, on which side it lies.

    >>> share(50, 200, 5), share(3, 200, 5), share(199, 200, 5), share(0, 200, 5), share(3, 6, 5)
    ('25.0\\xa0%', '< 2.5\\xa0%', '> 97.5\\xa0%', '0.0\\xa0%', '–')
    """
    if not privacy.tells(part, whole, min_cell):
        return percent(part / whole if whole else None, digits)
    if whole < 2 * min_cell:  # the side alone would tell
        return DASH
    bound = min_cell / whole
    while round(bound * 100, digits) == 0:
        digits += 1
    return f"< {percent(bound, digits)}" if part < min_cell else f"> {percent(1 - bound, digits)}"


def points(difference: float | None, digits: int = 1, *, sign: bool = True) -> str:
    """A difference of two shares in percentage points, signed.

    >>> points(0.0141), points(-0.0141, sign=False)
    ('+1.4', '1.4')
    """
    if difference is None or undefined(difference):
        return DASH
    text = number(abs(difference) * 100, digits)
    return text if not sign or not text.strip("0.,") else f"{'+' if difference > 0 else '−'}{text}"


def _three_digits(value: float) -> str:
    """Three significant digits, as readers of large amounts want them; nothing is 0."""
    size = abs(value)
    if not size:
        return "0"
    return number(value, 0 if size >= 100 else 1 if size >= 10 else 2)


def money(amount: float | None, currency: str, *, like: float | None = None) -> str:
    """An amount at a readable scale: million and billion in English, 만원 and 억원 in Korean.

    From a hundred thousand on three digits are kept. `like` is another amount whose scale is taken, so that the two
    ends of an interval read alike.

    >>> money(41_234_000, "KRW"), money(-950.4, "GBP"), money(342_697, "KRW", like=-17_700_000)
    ('41.2\xa0m\xa0won', '−£950', '0.34\xa0m\xa0won')
    """
    if amount is None or undefined(amount):
        return DASH
    sign, size = ("−" if amount < 0 else ""), abs(amount)
    scale = max(size, abs(like)) if like is not None and not undefined(like) else size
    if currency == "KRW" and language.active() == "ko":
        if scale >= 99_995_000:
            return f"{sign}{_three_digits(size / 1e8)}억원"
        if scale >= 9_999.5:
            return f"{sign}{number(size / 1e4, 1 if scale < 99_950 else 0)}만원"
        return f"{sign}{number(size)}원"
    for unit, name in ((1e9, "bn"), (1e6, "m")):
        if scale >= unit * 0.9995:
            text = f"{_three_digits(size / unit)}{SPACE}{name}"
            break
    else:
        text = number(float(f"{size:.3g}")) if size >= 1e5 else number(size, 2 if _has_cents(size, currency) else 0)
    if currency == "KRW":
        return f"{sign}{text}{SPACE}won"
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{text}" if symbol else f"{sign}{currency}{SPACE}{text}"


def _has_cents(size: float, currency: str) -> bool:
    return size < 100 and currency not in ("KRW", "JPY") and size != round(size)


def value(amount: float | None, unit: str, currency: str = "", digits: int | None = None) -> str:
    """A number in the unit of a finding (`findings.UNITS`)."""
    if unit == "share":
        return percent(amount, 1 if digits is None else digits)
    if unit == "points":
        return points(amount, 1 if digits is None else digits)
    if unit == "money":
        return money(amount, currency)
    return number(amount, {"ratio": 2, "index": 1, "years": 1}.get(unit, 0) if digits is None else digits)


def interval(low: float | None, high: float | None, unit: str, currency: str = "", digits: int | None = None) -> str:
    """A 95 % interval in the unit of a finding; a dash where it is undefined on both sides.

    >>> interval(0.039, 0.073, "points")
    '+3.9 to +7.3'
    """
    if undefined(low) and undefined(high):
        return DASH
    if unit == "money":
        first, last = money(low, currency, like=high), money(high, currency, like=low)
    else:
        first, last = value(low, unit, currency, digits), value(high, unit, currency, digits)
    suffix = _SUFFIX.search(last)
    if suffix:
        first = first.removesuffix(suffix.group())
    return _("{low} to {high}").format(low=first, high=last)


def p_value(p: float | None) -> str:
    """A p-value as it is written in text.

    >>> p_value(0.0004), p_value(0.0321)
    ('p < .001', 'p = .032')
    """
    if p is None or undefined(p):
        return DASH
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")


def day(when: date | None) -> str:
    """A date in words, in the active language.

    >>> day(date(2026, 9, 30))
    '30 September 2026'
    """
    if when is None or when != when:
        return DASH
    if language.active() == "ko":
        return f"{when.year}년 {when.month}월 {when.day}일"
    return f"{when.day} {when:%B %Y}"


def period(label: str) -> str:
    """A period's label as it stands in a sentence: 2026Q3, in Korean 2026년 3분기.

    >>> period("2026Q3")
    '2026Q3'
    """
    if language.active() != "ko":
        return label
    year, rest = label[:4], label[4:]
    part = {"Q": f" {rest[1:]}분기", "H": " 상반기" if rest == "H1" else " 하반기", "-": f" {rest[1:].lstrip('0')}월"}
    return f"{year}년{part.get(rest[:1], '')}"


def escape(text: str) -> str:
    """Text from data, made inert in Markdown and HTML alike: every active character becomes a numeric entity.

    >>> escape("<b>*a*")
    '&#60;b&#62;&#42;a&#42;'
    """
    return _ACTIVE_CHARACTERS.sub(lambda found: f"&#{ord(found.group())};", " ".join(str(text).split()))


def plain(text: str, most: int = 40) -> str:
    """Text from data for a chart: no mathematics, no line breaks, shortened."""
    return shortened(text, most).replace("$", r"\$")


def shortened(text: str, most: int = 40) -> str:
    """Text from data on one line, its tail cut."""
    flat = " ".join(str(text).split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def wrapped(text: str, width: int = 14) -> str:
    """Text of the data under an axis, broken into lines of some `width` letters."""
    return "\n".join(textwrap.wrap(plain(text), width)) or " "


def inline_html(markdown: str) -> str:
    """A sentence template (bold only, data already through `escape`) as HTML."""
    text = re.sub(r"&(?!#?\w+;)", "&amp;", markdown).replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)


def cell(text: Any) -> str:
    r"""A table cell's text as HTML on one line, which Markdown leaves alone too; a dollar of `plain` is one again.

    >>> cell(r"**spend** \$50 & get <10>")
    '&#42;&#42;spend&#42;&#42; $50 &amp; get &lt;10&gt;'
    """
    shown = DASH if undefined(text) else _LINE_BREAKS.sub(" ", str(text)).replace(r"\$", "$")
    return html.escape(shown).replace("*", "&#42;")


@functools.cache
def _fonts() -> list[str]:
    """Font families for charts: Latin first, then the Korean font that the package koreanize-matplotlib ships."""
    import importlib.util  # noqa: PLC0415

    from matplotlib import font_manager  # noqa: PLC0415 - pages without charts do not pay for it

    shipped = importlib.util.find_spec("koreanize_matplotlib")
    for folder in shipped.submodule_search_locations if shipped and shipped.submodule_search_locations else ():
        font_manager.fontManager.addfont(Path(folder) / "fonts" / "NanumGothic.ttf")
    return ["DejaVu Sans", "NanumGothic"]


def settings() -> dict[str, Any]:
    """The house style as matplotlib settings."""
    return {
        "font.family": _fonts(),
        "font.size": 10,
        "text.color": INK,
        "axes.edgecolor": LINE,
        "axes.labelcolor": INK,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": False,
        "axes.unicode_minus": True,
        "grid.color": LINE,
        "xtick.color": MUTE,
        "ytick.color": MUTE,
        "xtick.labelcolor": MUTE,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "svg.fonttype": "path",
        "svg.hashsalt": "crm-analysis",
        "axes.prop_cycle": _cycle(),
    }


def _cycle() -> Any:
    from cycler import cycler  # noqa: PLC0415

    return cycler(color=SEQUENCE)


def ink_on(shade: tuple[float, ...]) -> str:
    """The colour of text, ink or white, that contrasts more with a shade of red, green and blue from 0 to 1 (WCAG)."""
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in map(float, shade[:3]))
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / (_INK_LIGHT + 0.05) else INK


def write_on_cells(axes: Axes) -> None:
    """The texts of a heat map in whichever of ink and white reads better on their cells."""
    cells: Any = axes.collections[0]
    cells.update_scalarmappable()
    shades, columns = cells.get_facecolors(), cells.get_array().shape[1]
    for text in axes.texts:
        x, y = text.get_position()
        text.set_color(ink_on(shades[int(y) * columns + int(x)]))


def figure(width: float = 7.2, height: float = 3.6, **subplots: Any) -> tuple[Figure, Axes]:
    """A figure and its axes in the house style, sizes in inches.

    The figure is not registered with pyplot, so nothing has to be closed.
    """
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure as Sheet  # noqa: PLC0415

    for name, value in settings().items():
        mpl.rcParams[name] = value  # type: ignore[index]
    sheet = Sheet(figsize=(width, height), layout="constrained")
    return sheet, sheet.subplots(**subplots)
