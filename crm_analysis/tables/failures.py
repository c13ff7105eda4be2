"""The tables held to their contracts, and fingerprints of failing rows, so that a run of one branch notices when only
its own failures change.
"""

from __future__ import annotations

import ibis

from crm_analysis import contracts
from crm_analysis.tables import fingerprints
from crm_analysis.tables.opening import Tables


def hold_to_contracts(tables: Tables, *, fingerprint: str = "") -> contracts.Report:
    """Check every table that the profile maps and write what was found; see `contracts.check`.

    `fingerprint` is that of all the check depends on: where it is that of the last check, its report is read back.
    Tables opened before do not know the new failures: open them again. Raises ContractError as `contracts.check` does.
    """
    names = [name for name in tables.profile.tables if tables.has(name)]
    report = contracts.check(
        {name: tables.raw(name) for name in names},
        {name: tables.columns(name) for name in names},
        tables.profile,
        data_ends_on=tables.data_ends_on,
        coverage=tables.coverage,
        fingerprint=fingerprint,
    )
    fingerprint_failures(tables)
    return report


def fingerprint_failures(tables: Tables) -> None:
    """Write `data_quality/failures.fingerprints.parquet`: table, branch, known_month, rows, hash of failing rows."""
    found: list[fingerprints.Entry] = []
    if tables.failures_path.exists():
        failures = tables.con.read_parquet(str(tables.failures_path))
        for table in sorted(failures.select("table").distinct().execute()["table"]):
            found += _of_table(tables, failures, table)
    fingerprints.write(tables.failures_path.with_suffix(".fingerprints.parquet"), found)


def _of_table(tables: Tables, failures: ibis.Table, table: str) -> list[fingerprints.Entry]:
    rows = tables.raw(table)
    known = tables.known_date(table)
    month = rows[known].cast("date").strftime("%Y-%m") if known else ibis.null("string")
    branch = rows["branch"] if "branch" in rows.columns else ibis.null("string")
    own = failures.filter(failures["table"] == table)
    own = own.select("_row", rule_=own["rule"] + own["set_aside"].cast("string"))
    # a row is known by its content: its place shifts when another branch's rows are added above it in the same file
    content = [name for name in rows.columns if not name.startswith("_")]
    text = ibis.literal("\x1f").join([rows[name].cast("string").fill_null("") for name in content])
    joined = own.join(rows.select("_row", branch_=branch, month_=month, text_=text), "_row")
    marked = joined.mutate(hash_=(joined["rule_"] + joined["text_"]).hash())
    grouped = marked.group_by(["branch_", "month_"]).agg(n=marked.count(), h=marked["hash_"].bit_xor())
    frame = grouped.order_by(["branch_", "month_"]).execute()
    return [
        (
            table,
            None if row.branch_ != row.branch_ else row.branch_,
            None if row.month_ != row.month_ else row.month_,
            int(row.n),
            str(row.h),
        )
        for row in frame.itertuples(index=False)
    ]
