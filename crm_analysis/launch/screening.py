"""Who of a list may be contacted: consent, running campaigns, and how often somebody was contacted lately."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import pandas as pd

from crm_analysis.crm_roi.history import recent_margin
from crm_analysis.crm_roi.outcomes import with_columns
from crm_analysis.tables import Scope, Tables
from crm_analysis.units import Period

__all__ = ["REASONS", "Screening", "latest_scope", "screen"]

REASONS = ("no_consent", "consent_unknown", "universal_holdout", "running_campaign", "contact_limit")
"""Why somebody is left out, in the order in which it is tried: each customer counts under the first that holds."""


@dataclass(frozen=True, slots=True)
class Screening:
    """`kept` (customer_id, branch, value: margin of the past year; sorted by customer) and how many were left out.

    `consent_on` is the day on which consents are known, None where the data hold none and nobody could be left out for
    it. `limits` says whether the profile limits contacts. `running` are the campaigns in which some still are.
    """

    kept: pd.DataFrame
    left_out: Mapping[str, int]
    consent_on: date | None
    limited: bool
    running: tuple[str, ...]


def latest_scope(tables: Tables) -> Scope:
    """Everything that is known, of all branches, to the last day of the data."""
    calendar = tables.profile.calendar
    last = Period.containing(
        tables.data_ends_on, calendar.default_period, fiscal_year_starts=calendar.fiscal_year_starts
    )
    return tables.scope("all", last, incomplete=True)


def screen(tables: Tables, customer_ids: pd.Index, *, starts_on: date, window_days: int) -> Screening:
    """Leave out of a list whoever may not be contacted on `starts_on`, as known at the end of the data.

    No consent (`customers.consent_contact`), no word on it where the data hold that column, held out of every campaign
    (the control arm of the profile's `roi.universal_holdout`), in either arm of a campaign whose outcome window
    overlaps this one's (a held-out customer who is contacted measures nothing any more), or as often contacted within
    the profile's `contact_limits` as it allows.
    """
    scope = latest_scope(tables)
    ids = pd.Index(customer_ids)
    consent = _consent(scope)
    members = _members(tables)
    reason = pd.Series("", index=ids, dtype=object)
    if consent is not None:
        given = consent.reindex(ids)
        reason[given.isna().to_numpy()] = "consent_unknown"
        reason[(given == 0).to_numpy()] = "no_consent"
    apart = members["campaign_id"] == tables.profile.roi.universal_holdout
    alone = members.loc[apart & (members["arm"] == "control") & (members["ends_on"] >= starts_on), "customer_id"]
    _mark(reason, ids.isin(alone), "universal_holdout")
    members = members[~apart]
    running = members[
        (members["assigned_on"] <= starts_on + timedelta(days=window_days)) & (members["ends_on"] >= starts_on)
    ]
    _mark(reason, ids.isin(running["customer_id"]), "running_campaign")
    limits = tables.profile.contact_limits
    if limits is not None:
        days = _contact_days(scope, members, after=starts_on - timedelta(days=limits.within_days), to=starts_on)
        often = days.groupby("customer_id")["day"].nunique().reindex(ids).fillna(0) >= limits.max_contacts
        _mark(reason, often.to_numpy(), "contact_limit")
    counts = reason[reason != ""].value_counts()
    kept = ids[(reason == "").to_numpy()]
    still = running[running["customer_id"].isin(ids)]["campaign_id"].unique()
    return Screening(
        kept=_known(scope, kept),
        left_out={name: int(counts[name]) for name in REASONS if name in counts},
        consent_on=scope.as_of if consent is not None else None,
        limited=limits is not None,
        running=tuple(sorted(map(str, still))),
    )


def _mark(reason: pd.Series, where: object, name: str) -> None:
    reason[(reason == "").to_numpy() & where] = name


def _consent(scope: Scope) -> pd.Series | None:
    """1 or 0 by customer, in every row of a customer; None where the data hold no consents."""
    if not scope.has("customers") or "consent_contact" not in scope.columns("customers"):
        return None
    rows = scope.table("customers")
    each = rows.group_by("customer_id").aggregate(given=rows.consent_contact.cast("int64").min())
    return each.execute().set_index("customer_id")["given"]


def _members(tables: Tables) -> pd.DataFrame:
    """Members of every campaign, those assigned ahead included: campaign_id, customer_id, arm, and as dates
    assigned_on, contacted_on, and ends_on of the outcome window.
    """
    columns = ["campaign_id", "customer_id", "arm", "assigned_on", "contacted_on", "ends_on"]
    if not (tables.has("campaigns") and tables.has("campaign_members")):
        return pd.DataFrame(columns=columns)
    rows = with_columns(tables.accepted("campaign_members"), {"contacted_on": "date"})
    windows = tables.accepted("campaigns").select("campaign_id", "window_days")
    joined = rows.join(windows, "campaign_id")
    frame = joined.select(
        "campaign_id",
        "customer_id",
        "arm",
        assigned_on=joined.assigned_on.cast("date"),
        contacted_on=joined.contacted_on.cast("date"),
        ends_on=(joined.assigned_on.cast("date") + joined.window_days.cast("int64").as_interval("D")).cast("date"),
    ).execute()
    for name in ("assigned_on", "contacted_on", "ends_on"):
        frame[name] = pd.to_datetime(frame[name]).dt.date
    return frame


def _contact_days(scope: Scope, members: pd.DataFrame, *, after: date, to: date) -> pd.DataFrame:
    """customer_id and day of each contact that the organisation made, or has assigned, after one day and to another."""
    treated = members[members["arm"] == "treated"]
    day = treated["contacted_on"].where(treated["contacted_on"].notna(), treated["assigned_on"])
    frames = [pd.DataFrame({"customer_id": treated["customer_id"], "day": day})]
    if scope.has("contacts"):
        rows = scope.table("contacts")
        out = rows.filter((rows.direction == "out") & rows.customer_id.notnull())
        made = out.select("customer_id", day=out.occurred_at.cast("date"))
        made = made.filter((made.day > ibis.literal(after)) & (made.day <= ibis.literal(to))).execute()
        frames.append(made.assign(day=pd.to_datetime(made["day"]).dt.date))
    found = pd.concat(frames, ignore_index=True)
    return found[[after < when <= to for when in found["day"]]]


def _known(scope: Scope, ids: pd.Index) -> pd.DataFrame:
    """The branch of each customer, by the customers' own table where there is one, and the margin of the past year."""
    paid = recent_margin(scope).set_index("customer_id").reindex(ids)
    branch = paid["branch"]
    if scope.has("customers"):
        rows = scope.table("customers")
        home = rows.group_by("customer_id").aggregate(branch=rows.branch.min()).execute().set_index("customer_id")
        branch = home["branch"].reindex(ids).fillna(branch)
    frame = pd.DataFrame(
        {"customer_id": ids, "branch": branch.fillna("").to_numpy(), "value": paid["margin"].fillna(0.0).to_numpy()}
    )
    return frame.sort_values("customer_id", ignore_index=True)
