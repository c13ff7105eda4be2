"""One chapter for one branch and period: its opening, its footing, and the bundle of its findings."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from crm_analysis import files, privacy, style, tables
from crm_analysis.findings import Claims, to_json
from crm_analysis.language import _, activate
from crm_analysis.profile import load
from crm_analysis.report.elements import Closing, Element, text
from crm_analysis.report.lines import actions_html, footing_line, footing_rows, support_line
from crm_analysis.tables import footing


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
        kicker = self._kicker(claims)
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

    def _kicker(self, claims: Claims) -> str:
        """Whose page, of when, and what its changes are against, where it states any."""
        scope = self.scope
        where = _("All branches") if scope.branch == "all" else self.profile.branch_name(scope.branch, self.language)
        text_ = _("{organisation}, {branch}. {period}: state on {as_of}").format(
            organisation=style.escape(self.profile.text(self.profile.name, self.language)),
            branch=style.escape(where),
            period=style.period(str(scope.period)),
            as_of=style.day(scope.as_of),
        )
        changed = any(each.change is not None for each in claims.findings + claims.measures)
        previous = scope.previous() if changed else None
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
