"""What became of a campaign's contacts, read back from the list of those to contact that `export` wrote.

`export LIST --campaign NAME` writes `NAME-contacts` with three empty columns: contacted_on, delivered_on and
responded_on. Whoever sends the campaign fills in days, and the next run puts them into the campaign's members in the
outbox. Who is in which arm since when is never changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crm_analysis import files
from crm_analysis.errors import DataError
from crm_analysis.profile import Profile

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "take_back"]

COLUMNS = ("contacted_on", "delivered_on", "responded_on")
KINDS = ("csv", "xlsx")
STATE = "delivery.json"
"""Beside a campaign's members: the digest of the list of contacts that they were filled from."""
_HEADER_LINES = 2


def take_back(profile: Profile) -> None:
    """Put the days filled in in each list of contacts into the members of its campaign.

    A list that has not changed since is not read again. Raises DataError, with file, column, rows and an example, for
    a cell that is no day and for customers whom the campaign does not treat, and for two lists of one campaign.
    """
    for members in sorted(profile.outbox_dir.glob("*/campaign_members.parquet")):
        at = profile.build_dir / "exports"
        lists = [file for kind in KINDS if (file := at / f"{members.parent.name}-contacts.{kind}").is_file()]
        if len(lists) > 1:
            raise DataError(
                f"{lists[0]} and {lists[1].name}: two lists of contacts of one campaign, and nobody can tell which of "
                "them was filled in. Keep the one with the days and move the other away."
            )
        for file in lists:
            state = {"contacts_sha256": files.sha256_of([file])}
            if files.read_json(members.parent / STATE) != state:
                _fold(members, _read(file), file)
                files.write_json(members.parent / STATE, state)
                (members.parent / STATE).chmod(0o600)


def _fold(members: Path, filled: pd.DataFrame, file: Path) -> None:
    import pandas as pd  # noqa: PLC0415 - only a list that was filled in pays for it
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    known = pq.read_table(members)
    rows = known.to_pandas()
    of_list = {files.formula_safe(customer): customer for customer in rows.loc[rows["arm"] == "treated", "customer_id"]}
    strangers = filled[~filled["customer_id"].isin(of_list)]
    if len(strangers):
        raise DataError(
            f"{file}: {len(strangers):,} of {len(filled):,} rows name customers whom the campaign does not treat "
            f"(first: line {strangers.index[0] + _HEADER_LINES}, {strangers['customer_id'].iloc[0]!r}). Keep the "
            "rows that `export` wrote; contacts with others belong in the table contacts."
        )
    found = {name: _days(filled, name, file) for name in COLUMNS if name in filled}
    found = {name: days for name, days in found.items() if days.notna().any()}
    before = [name for name in COLUMNS if name in known.column_names]
    if not found and not before:
        return
    days = pd.DataFrame(found, index=filled.index).groupby(filled["customer_id"].map(of_list)).min()
    plain = known.drop_columns(before).schema.remove_metadata()
    schema = pa.schema([*plain, *(pa.field(name, pa.date32()) for name in days)])
    made = rows.drop(columns=before).join(days, on="customer_id")[schema.names]
    with files.replacing(members, suffix=".parquet", owner_only=True) as temporary:
        pq.write_table(pa.Table.from_pandas(made, schema, preserve_index=False), temporary)


def _read(file: Path) -> pd.DataFrame:
    """The list as text."""
    import pandas as pd  # noqa: PLC0415

    try:
        if file.suffix == ".csv":
            frame = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        else:
            frame = pd.read_excel(file, dtype=str, keep_default_na=False)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: this is not UTF-8 text (byte {error.start}). Save it as CSV UTF-8, as `export` wrote it."
        ) from None
    except (ValueError, OSError) as error:
        raise DataError(f"{file}: this list of contacts cannot be read ({error}).") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    if "customer_id" not in frame:
        raise DataError(f"{file}: the column customer_id is missing. Fill in days beside the columns that were there.")
    return frame[frame["customer_id"].str.strip().ne("")]


def _days(filled: pd.DataFrame, name: str, file: Path) -> pd.Series:
    import pandas as pd  # noqa: PLC0415

    text = filled[name].str.strip().str.slice(0, 10)
    found = pd.to_datetime(text.where(text.ne("")), format="%Y-%m-%d", errors="coerce")
    unread = filled[found.isna() & text.ne("")]
    if len(unread):
        raise DataError(
            f"{file}: {name}: {len(unread):,} of {len(filled):,} rows hold no day (first: line "
            f"{unread.index[0] + _HEADER_LINES}, {unread[name].iloc[0]!r}). Write days as 2026-10-31."
        )
    return found
