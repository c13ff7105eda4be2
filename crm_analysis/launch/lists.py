"""The lists that a campaign can be made of: customers behind findings, segments, treatments, tiers and statuses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import pandas as pd

from crm_analysis import customers, lookup
from crm_analysis.customer_value import exporting, matrix, scores, tiers
from crm_analysis.customer_value.assessment import assess
from crm_analysis.errors import UserError, listed, nearest
from crm_analysis.profile import Profile
from crm_analysis.tables import Tables

__all__ = ["CustomerList", "choose", "names"]

_KINDS = ("segment", "treatment", "tier", "status")


@dataclass(frozen=True, slots=True)
class CustomerList:
    """Customers by a name, as known on `as_of`; each identifier once, sorted."""

    name: str
    as_of: date
    customer_ids: pd.Index


def choose(tables: Tables, name: str, branch: str, period: str) -> CustomerList:
    """The customers of a list: a finding's key, as `crm-analysis list` knows it, or `segment:best`, `treatment:grow`,
    `tier:gold`, `status:lost`, as `crm-analysis export customer-value` tells them of the branch and period.

    A finding's list is that of the period where it was run, otherwise of the latest run. Raises UserError for an
    unknown name, with the lists that exist, and for a list that names no customers or nobody.
    """
    profile = tables.profile
    kind, colon, wanted = name.partition(":")
    if colon and kind.strip().casefold() in _KINDS:
        return _of_kind(tables, kind.strip().casefold(), wanted, branch, period)
    stored = _stored(profile, branch, period)
    if name not in stored:
        known = [*stored, *names(profile)]
        runs = "" if stored else " Lists behind findings are there once `crm-analysis run` has made their pages."
        raise UserError(
            f'There is no list "{name}" for {branch}.{nearest(name, known)} Lists: {listed(known, 60)}.{runs}'
        )
    found = stored[name]
    frame = found.read()
    if "customer_id" not in frame.columns:
        able = [key for key, each in stored.items() if "customer_id" in each.read().columns]
        raise UserError(
            f'The list "{name}" does not name customers but {listed(list(frame.columns), 4)}. Lists of customers: '
            f"{listed([*able, *names(profile)], 60)}."
        )
    return _list(name, found.as_of, frame["customer_id"])


def names(profile: Profile) -> list[str]:
    """Lists that need no run, by name."""
    known = {
        "segment": [segment for segment, _ in scores.SEGMENTS],
        "treatment": list(matrix.TREATMENTS),
        "tier": [tiers.key_of(rule) for rule in tiers.rules_of(profile.tiers)],
        "status": list(customers.STATUSES),
    }
    return [f"{kind}:{value}" for kind in _KINDS for value in known[kind]]


def _stored(profile: Profile, branch: str, period: str) -> dict[str, lookup.StoredList]:
    for asked in (period, None):
        try:
            return lookup.stored_lists(profile, branch, asked)
        except UserError:
            continue
    return {}


def _of_kind(tables: Tables, kind: str, wanted: str, branch: str, period: str) -> CustomerList:
    profile = tables.profile
    known = {_plain(each.partition(":")[2]): each for each in names(profile) if each.startswith(f"{kind}:")}
    if _plain(wanted) not in known:
        shown = list(known.values())
        raise UserError(
            f'There is no list "{kind}:{wanted}" for {branch}.{nearest(f"{kind}:{wanted}", shown)} '
            f"Lists of that kind: {listed(shown, 30)}."
        )
    name = known[_plain(wanted)]
    scope = tables.scope(branch, period, incomplete=True)
    frame = exporting.frame(assess(scope))
    return _list(name, scope.as_of, frame.loc[frame[kind] == name.partition(":")[2], "customer_id"])


def _list(name: str, as_of: date, ids: pd.Series) -> CustomerList:
    found = pd.Index(ids.dropna().astype(str).unique()).sort_values()
    if found.empty:
        raise UserError(f'Nobody is on the list "{name}" (state on {as_of}): there is nothing to make a campaign of.')
    return CustomerList(name, as_of, found)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "_", text.casefold()).strip("_")
