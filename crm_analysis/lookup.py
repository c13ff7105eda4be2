"""What lies behind a finding: its definition, rows and query, and the list of customers it speaks of."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crm_analysis import files, runs, style
from crm_analysis.errors import UserError, listed, nearest
from crm_analysis.profile import Profile

if TYPE_CHECKING:
    import pandas as pd


def explain(profile: Profile, key: str, branch: str, period: str | None) -> str:
    """Definition, filters, value, rows, basis and query of a finding, as text for a terminal."""
    bundle, finding = _finding(profile, key, branch, period)
    unit, currency = finding["unit"], profile.currency
    status = runs.published(profile, bundle["chapter"], bundle["branch"], bundle["period"])
    lines = [
        f"{finding['key']}  ({bundle['branch']}, {bundle['period']}, state on {bundle['as_of']})",
        *([f"  says        {_plain(finding['sentence'])}"] if finding["sentence"] else []),
        f"  standing    {status.state}{f', since {status.stale_since}: {status.error}' if status.error else ''}",
        f"  value       {style.value(finding['value'], unit, currency)}",
        f"  interval    {style.interval(finding['low'], finding['high'], unit, currency)} (95 %)",
        f"  n           {style.DASH if finding['n'] is None else style.number(finding['n'])}",
        f"  basis       {finding['basis'] or style.DASH}",
        f"  causal      {'yes: randomised' if finding['causal'] else 'no: description or association'}",
        f"  definition  {finding['definition'] or style.DASH}",
        *(f"  filter      {text}" for text in finding["filters"]),
    ]
    views = _views(profile, finding["query"])
    read = {table for table, _ in views if table} or {"transactions"}
    rows = [row for row in bundle["footing"] if row["table"] in read]
    lines += [
        f"  rows        {row['table']} {row['step']} {row['rule']}: {style.number(row['rows'])}".replace(" :", ":")
        for row in rows
    ]
    if not finding["query"]:
        return "\n".join([*lines, "  query       none of its own: it is computed from the chapter's other results"])
    statements = [
        "-- for DuckDB; the tables are views of the rows as they were read",
        *(f"{view};" for _, view in views),
        f"{finding['query']};",
    ]
    lines += ["  query", *(f"    {line}" for text in statements for line in text.splitlines())]
    return "\n".join(lines)


def _plain(sentence: str) -> str:
    """A finding's sentence without the marks of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", sentence).replace("**", ""))


def _views(profile: Profile, query: str) -> list[tuple[str, str]]:
    """The tables that a query reads, each with the statement that makes it; none for a finding without a query."""
    if not query:
        return []
    from crm_analysis import tables

    return tables.open(profile).views_in(query)


def export_list(profile: Profile, key: str, branch: str, period: str | None, kind: str) -> tuple[Path, int]:
    """Write the customers behind a finding as CSV or Excel under `exports/`, for their owner only.

    Returns the path and the number of rows.
    """
    known = stored_lists(profile, branch, period)
    if key not in known:
        raise UserError(
            f'No list of customers is behind "{key}" for {branch}.{nearest(key, known)} '
            f"Lists: {listed(sorted(known), 30) or 'none'}."
        )
    found = known[key]
    name = f"{files.safe_name(key.replace('.', '-'))}-{found.period}-{files.safe_name(branch)}.{kind}"
    export = files.export_csv if kind == "csv" else files.export_excel
    rows = found.read()
    return export(rows, profile.build_dir / "exports" / name), len(rows)


@dataclass(frozen=True, slots=True)
class StoredList:
    """The customers behind a finding, as its page left them: the period, the day they were known on, and the file."""

    key: str
    period: str
    as_of: date
    path: Path

    def read(self) -> pd.DataFrame:
        """One row per customer."""
        import pandas as pd

        return pd.read_parquet(self.path)


def stored_lists(profile: Profile, branch: str, period: str | None) -> dict[str, StoredList]:
    """The lists behind the findings of a branch, by the finding's key; of one period or of the latest that was run.

    Raises UserError where nothing was run.
    """
    return {
        key: StoredList(key, bundle["period"], date.fromisoformat(bundle["as_of"]), profile.build_dir / path)
        for bundle in _bundles(profile, branch, period)
        for name, path in bundle["lists"].items()
        for key in [f"{bundle['chapter']}.{name}"]
    }


def _finding(
    profile: Profile, key: str, branch: str, period: str | None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    known = []
    for bundle in _bundles(profile, branch, period):
        for finding in [*bundle["claims"]["findings"], *bundle["claims"]["measures"]]:
            known.append(finding["key"])
            if finding["key"] == key:
                return bundle, finding
    raise UserError(
        f'There is no finding "{key}" for {branch}.{nearest(key, known)} Findings: {listed(known, 60) or "none"}.'
    )


def _bundles(profile: Profile, branch: str, period: str | None) -> Iterator[Mapping[str, Any]]:
    """Stored findings of a branch, of one period or of the latest that was run."""
    executed = profile.build_dir / "executed"
    folder = "all" if branch == "all" else files.safe_name(branch)
    there = (
        sorted((path.name for path in executed.iterdir() if (path / folder).is_dir()), reverse=True)
        if executed.exists()
        else []
    )
    if not there or (period and period not in there):
        others = sorted({} if there else _branches_run(executed))
        run = f"Branches that were run: {listed(others, 40)}" if others else f"Periods that were run: {listed(there)}"
        asked = f" --branch {shlex.quote(branch)}{f' --period {period}' if period else ''}"
        next_step = nearest(branch, others) or f" `crm-analysis run --profile {profile.path}{asked}` runs it."
        raise UserError(
            f"Nothing was run for {branch}{f' in {period}' if period else ''}.{next_step} "
            f"{run if others or there else 'Nothing was run yet'}."
        )
    latest = period or max(there, key=lambda name: _as_of(executed / name / folder))
    for path in sorted((executed / latest / folder).glob("*.findings.json")):
        bundle = files.read_json(path)
        if bundle is not None:
            yield bundle


def _branches_run(executed: Path) -> set[str]:
    """Every branch of which some period was run, by the name that it has in the data."""
    bundles = (files.read_json(path) for path in executed.glob("*/*/*.findings.json"))
    return {bundle["branch"] for bundle in bundles if bundle is not None}


def _as_of(folder: Path) -> str:
    return max(((files.read_json(path) or {}).get("as_of", "") for path in folder.glob("*.findings.json")), default="")
