"""A list made into a campaign: screened, drawn, written where every later run reads it back, never twice."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crm_analysis import files
from crm_analysis.errors import UserError, listed, nearest
from crm_analysis.estimators.assignment import CONTROL, TREATED, draw_holdout, value_bands
from crm_analysis.launch.lists import CustomerList
from crm_analysis.launch.screening import Screening, latest_scope, screen
from crm_analysis.profile import Profile
from crm_analysis.tables import Tables, delivery

__all__ = ["PROGRAMMES", "Launched", "Order", "launch", "read_return", "read_share", "said_left_out"]

PROGRAMMES = ("acquisition", "welcome", "upsell", "cross_sell", "vip", "retention", "winback")
LEAST_SHARE, MOST_SHARE = 0.0, 0.9
LONGEST_WINDOW_DAYS = 1096
LONGEST_NAME = 60
_SUITS = {
    "treatment:protect": "vip",
    "treatment:grow": "upsell",
    "treatment:win_back": "winback",
    "segment:newcomers": "welcome",
    "segment:large_gone": "winback",
    "segment:gone": "winback",
    "status:new": "welcome",
    "status:dormant": "winback",
    "status:lost": "winback",
}
_CAMPAIGN = pa.schema(
    [
        ("campaign_id", pa.string()),
        ("name", pa.string()),
        ("programme", pa.string()),
        ("starts_on", pa.date32()),
        ("ends_on", pa.date32()),
        ("window_days", pa.int32()),
        ("branch", pa.string()),
        ("randomisation_unit", pa.string()),
        ("reward_kind", pa.string()),
        ("contact_cost", pa.float64()),
        ("planned_reach", pa.int64()),
        ("owner", pa.string()),
        ("planned_control_share", pa.float64()),
    ]
)
_MEMBER = pa.schema(
    [
        ("campaign_id", pa.string()),
        ("customer_id", pa.string()),
        ("arm", pa.string()),
        ("assigned_on", pa.date32()),
        ("stratum", pa.string()),
    ]
)
_CONTACT = ("name", "phone", "email", "preferred_channel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants of a campaign; `launch` fills in whatever is None. Money in the profile's currency."""

    name: str
    holdout_share: float
    programme: str | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    window_days: int = 90
    contact_cost: float | None = None
    reward_kind: str | None = None
    owner: str | None = None
    branch: str = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A campaign as it was written: the order with every default filled in, who was left out, the arms, the files."""

    order: Order
    source: CustomerList
    screening: Screening
    members: pd.DataFrame
    n_strata: int
    folder: Path
    contacts: Path

    @property
    def n_treated(self) -> int:
        """Members to contact."""
        return int((self.members["arm"] == TREATED).sum())

    @property
    def n_control(self) -> int:
        """Members held out."""
        return int((self.members["arm"] == CONTROL).sum())


def read_share(text: str) -> float:
    """`10%`, `10 %` or `0.1` as a share. Raises UserError for anything else, and for what cannot make a test."""
    given = re.fullmatch(r"\s*(\d+(?:[.,]\d+)?)\s*(%?)\s*", text)
    if given is None:
        raise UserError(f'"{text}" is not a share. Write --holdout 10% or --holdout 0.1.')
    value = float(given[1].replace(",", ".")) / (100 if given[2] else 1)
    if value > 1:
        raise UserError(
            f"--holdout {text}: a share above 1 needs its sign. Write {text.strip()}% for {text.strip()} %."
        )
    if value <= LEAST_SHARE:
        raise UserError(
            "--holdout 0: with nobody held out there is nothing to compare with, and nobody will know what the "
            "campaign earned. Hold out 10% or more."
        )
    if value > MOST_SHARE:
        raise UserError(
            f"--holdout {text}: at most 90 % of a list can be held out, or hardly anybody is left to treat. "
            "`crm-analysis plan` finds the share that is enough."
        )
    return value


def read_return(text: str) -> float:
    """`100%` or `1` as a return on cost. Raises UserError for anything else, and for a return of nothing or less."""
    given = re.fullmatch(r"\s*(\d+(?:[.,]\d+)?)\s*(%?)\s*", text)
    value = float(given[1].replace(",", ".")) / (100 if given[2] else 1) if given else 0.0
    if value <= 0:
        raise UserError(f'"{text}" is not a return that could be found. Write --return 50% for half the cost on top.')
    return value


def launch(tables: Tables, source: CustomerList, order: Order, *, kind: str, today: date) -> Launched:
    """Screen a list, draw who is held out, and write the campaign.

    `kind` is csv or xlsx, of the list of those to contact. The campaign starts on the day after the data end, or on
    `today` where that is later, unless the order names a day. The outcome window and the share held out are written
    with the campaign, before anything has happened. Raises UserError with one message for whatever is wrong; then
    nothing was written.
    """
    profile = tables.profile
    order = _completed(tables, source, order, today)
    assert order.starts_on is not None
    screening = screen(tables, source.customer_ids, starts_on=order.starts_on, window_days=order.window_days)
    members = _drawn(profile, source, screening, order)
    contacts = profile.build_dir / "exports" / f"{_folder_name(order.name)}-contacts.{kind}"
    made = Launched(
        order=order,
        source=source,
        screening=screening,
        members=members,
        n_strata=members["stratum"].nunique(),
        folder=profile.outbox_dir / _folder_name(order.name),
        contacts=contacts,
    )
    export = files.export_csv if kind == "csv" else files.export_excel
    export(_people(tables, members), contacts)
    try:
        _commit(made, profile)
    except BaseException:
        contacts.unlink(missing_ok=True)
        raise
    return made


def _completed(tables: Tables, source: CustomerList, order: Order, today: date) -> Order:
    """The order with its defaults. Raises UserError for what cannot be."""
    profile = tables.profile
    name = unicodedata.normalize("NFC", order.name.strip())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UserError(
            f"--campaign: give the campaign a name of 1 to {LONGEST_NAME} printable characters, such as WELCOME27."
        )
    _refuse_known(tables, name)
    ends = tables.data_ends_on
    first = max(ends + timedelta(days=1), today)
    starts_on = order.starts_on or first
    if starts_on <= ends:
        raise UserError(
            f"--starts {starts_on}: the data already reach to {ends}. What was paid by then is known, so a test that "
            f"starts before cannot be fixed beforehand; start on {first} or later."
        )
    ends_on = order.ends_on or starts_on
    if ends_on < starts_on:
        raise UserError(f"--ends {ends_on} lies before the campaign starts, on {starts_on}.")
    if not 1 <= order.window_days <= LONGEST_WINDOW_DAYS:
        raise UserError(
            f"--window-days {order.window_days}: an outcome is followed for 1 to {LONGEST_WINDOW_DAYS} days after the "
            "start."
        )
    if order.contact_cost is not None and order.contact_cost < 0:
        raise UserError(f"--contact-cost {order.contact_cost:g}: write a cost as a positive number.")
    programme = order.programme or _SUITS.get(source.name, "retention")
    if programme not in PROGRAMMES:
        raise UserError(
            f'--programme: there is no programme "{programme}".{nearest(programme, PROGRAMMES)} '
            f"Programmes: {listed(PROGRAMMES)}."
        )
    contact_cost = order.contact_cost
    if contact_cost is None and profile.cost_to_serve.per_contact > 0:
        contact_cost = profile.cost_to_serve.per_contact
    return Order(
        name=name,
        holdout_share=order.holdout_share,
        programme=programme,
        starts_on=starts_on,
        ends_on=ends_on,
        window_days=order.window_days,
        contact_cost=contact_cost,
        reward_kind=order.reward_kind,
        owner=order.owner or profile.owner(programme) or None,
        branch=order.branch,
    )


def _refuse_known(tables: Tables, name: str) -> None:
    """No campaign is written twice, whoever wrote it first, and none that differs in capitals alone."""
    profile = tables.profile
    known = {}
    if tables.has("campaigns"):
        known = {
            str(each).casefold(): str(each)
            for each in tables.raw("campaigns").select("campaign_id").execute().iloc[:, 0]
        }
    if name.casefold() in known:
        raise UserError(
            f'There is a campaign "{known[name.casefold()]}" already, and an assignment is never changed. Give this '
            "one another name."
        )
    if (folder := profile.outbox_dir / _folder_name(name)).exists():
        raise UserError(
            f"{folder} is there already, and an assignment is never changed. Give this campaign another name."
        )


def _folder_name(name: str) -> str:
    return files.safe_name(name.casefold())


def _drawn(profile: Profile, source: CustomerList, screening: Screening, order: Order) -> pd.DataFrame:
    """customer_id, branch, stratum, arm of everybody who may be contacted. Raises UserError for arms too small."""
    kept = screening.kept
    n, least = len(kept), profile.roi.min_control
    if n == 0:
        raise UserError(
            f'Nobody of the {len(source.customer_ids):,} customers of "{source.name}" may be contacted: '
            f"{said_left_out(screening)}. Nothing was written."
        )
    n_control = round(order.holdout_share * n)
    smaller = min(n_control, n - n_control)
    if smaller < least:
        arm = "holds out" if n_control <= n - n_control else "treats"
        enough = f"a list of {_at_least(least / min(order.holdout_share, 1 - order.holdout_share)):,} or more is needed"
        share = _at_least(100 * least / n)
        other = f"; or hold out {share}%" if n_control <= n - n_control and share <= 50 else ""  # noqa: PLR2004
        raise UserError(
            f"--holdout {order.holdout_share:.4g} {arm} {smaller:,} of the {n:,} customers who may be contacted; a "
            f"result needs {least} in each arm (roi.min_control). For this share {enough}{other}."
        )
    stratum = kept["branch"] + " " + value_bands(kept).astype(str).str.zfill(2)
    units = kept[["customer_id", "branch"]].assign(stratum=stratum)
    return units.assign(arm=draw_holdout(units, share=order.holdout_share, salt=order.name))


def _at_least(value: float) -> int:
    return math.ceil(value - 1e-9)


def said_left_out(screening: Screening) -> str:
    """How many were left out and why, as text for a terminal."""
    reasons = {
        "no_consent": "without consent",
        "consent_unknown": "whose consent is not recorded",
        "universal_holdout": "held out of every campaign (roi.universal_holdout)",
        "running_campaign": f"in a running campaign ({listed(screening.running, 4)})",
        "contact_limit": "contacted as often as contact_limits allows",
    }
    return "; ".join(f"{n:,} {reasons[name]}" for name, n in screening.left_out.items()) or "nobody was left out"


def _people(tables: Tables, members: pd.DataFrame) -> pd.DataFrame:
    """Those to contact, with what the data hold on how to reach them, and room for what became of the contact."""
    treated = members.loc[members["arm"] == TREATED, ["customer_id", "branch"]]
    scope = latest_scope(tables)
    there = [name for name in _CONTACT if scope.has("customers") and name in scope.columns("customers")]
    if there:
        known = scope.table("customers").select("customer_id", *there).execute().drop_duplicates("customer_id")
        treated = treated.merge(known, on="customer_id", how="left", validate="one_to_one")
    return treated.reset_index(drop=True).assign(**dict.fromkeys(delivery.COLUMNS, ""))


def _commit(made: Launched, profile: Profile) -> None:
    """Write campaign, members and record into a folder of their own, whole or not at all, for their owner only."""
    outbox = made.folder.parent
    with files.writing(made.folder):
        if not outbox.is_dir():
            outbox.mkdir(parents=True)
            outbox.chmod(0o700)
        files.sweep(outbox)
        work = Path(tempfile.mkdtemp(prefix=f".{made.folder.name}.", suffix=".part", dir=outbox))
        try:
            fresh = work / "new"  # one folder deeper than what a run reads
            fresh.mkdir()
            pq.write_table(pa.Table.from_pylist([_campaign(made)], _CAMPAIGN), fresh / "campaigns.parquet")
            rows = made.members.assign(campaign_id=made.order.name, assigned_on=made.order.starts_on)
            pq.write_table(
                pa.Table.from_pandas(rows[_MEMBER.names], _MEMBER, preserve_index=False),
                fresh / "campaign_members.parquet",
            )
            files.write_json(fresh / "record.json", _record(made, profile))
            for path in fresh.iterdir():
                path.chmod(0o600)
            fresh.chmod(0o700)
            fresh.rename(made.folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _campaign(made: Launched) -> dict[str, Any]:
    order = made.order
    return {
        "campaign_id": order.name,
        "name": order.name,
        "programme": order.programme,
        "starts_on": order.starts_on,
        "ends_on": order.ends_on,
        "window_days": order.window_days,
        "branch": None if order.branch == "all" else order.branch,
        "randomisation_unit": "customer",
        "reward_kind": order.reward_kind,
        "contact_cost": order.contact_cost,
        "planned_reach": made.n_treated,
        "owner": order.owner,
        "planned_control_share": order.holdout_share,
    }


def _record(made: Launched, profile: Profile) -> dict[str, Any]:
    """How the members came about, without naming one."""
    screening = made.screening
    return {
        **{name: str(value) if isinstance(value, date) else value for name, value in _campaign(made).items()},
        "profile": profile.id,
        "list": made.source.name,
        "list_as_of": str(made.source.as_of),
        "on_the_list": len(made.source.customer_ids),
        "left_out": dict(screening.left_out),
        "consent_known_on": str(screening.consent_on) if screening.consent_on else None,
        "treated": made.n_treated,
        "held_out": made.n_control,
        "strata": f"branch and value decile, {made.n_strata}",
        "salt": made.order.name,
        "drawn_by": "crm_analysis.estimators.assignment.draw_holdout",
    }
