"""The same person recorded twice: deterministic rules on normalised identity, blocked so that the work is linear.

Two records are compared only when they agree on every field of a rule, which a hash join finds; no rule compares all
pairs. A block larger than `max_block` is a shared value (an office telephone, a default birth date), not a person: it
is counted and left alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

Strength = Literal["certain", "strong", "possible"]
_NOT_IN_A_NAME = re.compile(r"[\W_]+", re.UNICODE)
_NOT_A_DIGIT = re.compile(r"\D+")
_HONORIFIC = re.compile(r"(?<=[가-힣]{2})님$")
PHONE_DIGITS = 9
_SHORTEST_PHONE = 7


@dataclass(frozen=True, slots=True)
class MatchRule:
    """Same person: all `fields` agree and the birth dates, where both are known, do not differ."""

    key: str
    fields: tuple[str, ...]
    strength: Strength


RULES = (
    MatchRule("name_phone_birth", ("name", "phone", "birth_date"), "certain"),
    MatchRule("phone_birth", ("phone", "birth_date"), "strong"),
    MatchRule("name_email", ("name", "email"), "strong"),
    MatchRule("name_phone", ("name", "phone"), "strong"),
    MatchRule("name_birth", ("name", "birth_date"), "possible"),
)
PAIR_COLUMNS = ["customer_a", "customer_b", "branch_a", "branch_b", "rule", "strength", "name_as_written"]


@dataclass(frozen=True, slots=True)
class SamePersons:
    """What the rules found. Only `certain` and `strong` pairs are merged; `possible` ones are an upper bound.

    pairs: customer_a, customer_b, branch_a, branch_b, rule, strength, name_as_written (True where the names agree
    before any normalisation). clusters: customer_id, person_id for every customer (person_id is the smallest
    customer_id of the person). by_rule: rule, strength, pairs, across_branches, as_written, expected_by_chance.
    shared_values: blocks left alone because they are larger than a person can be.
    """

    n_customers: int
    n_persons: int
    n_persons_if_possible: int
    n_in_several_branches: int
    shared_values: int
    fields: tuple[str, ...]
    pairs: pd.DataFrame
    clusters: pd.DataFrame
    by_rule: pd.DataFrame

    @property
    def n_surplus(self) -> int:
        """Customers counted more than once."""
        return self.n_customers - self.n_persons


def normal_name(name: object) -> str | None:
    """A name for comparing: Unicode composed, case, spaces, hyphens and punctuation removed; None when nothing is left.

    >>> normal_name("Kim  Min-su") == normal_name("KIM MINSU")
    True
    >>> normal_name("김 민수") == normal_name("김민수 님")
    True
    """
    if not isinstance(name, str):
        return None
    text = _NOT_IN_A_NAME.sub("", unicodedata.normalize("NFKC", name).casefold())
    return _HONORIFIC.sub("", text) or None


def normal_phone(phone: object) -> str | None:
    """The last nine digits, so that country code and a lost leading zero do not matter; None for placeholders.

    >>> normal_phone("+82 10-1234-5678") == normal_phone("010 1234 5678") == normal_phone("1012345678")
    True
    >>> normal_phone("000-0000-0000") is None
    True
    """
    if not isinstance(phone, str):
        return None
    digits = _NOT_A_DIGIT.sub("", unicodedata.normalize("NFKC", phone))
    if len(digits.lstrip("0")) < _SHORTEST_PHONE or len(set(digits[-8:])) == 1:
        return None
    return digits[-PHONE_DIGITS:]


def normal_email(email: object) -> str | None:
    """An address in lower case without spaces; None without an @."""
    if not isinstance(email, str) or "@" not in email:
        return None
    return email.strip().casefold()


class UnionFind:
    """Disjoint sets with path halving; the smallest member names the set."""

    def __init__(self, items: Iterable[Hashable]) -> None:
        self._parent = {item: item for item in items}

    def find(self, item: Hashable) -> Hashable:
        """The name of the set that holds `item`."""
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, left: Hashable, right: Hashable) -> None:
        """Make the sets of `left` and `right` one."""
        a, b = self.find(left), self.find(right)
        if a != b:
            low, high = (a, b) if a < b else (b, a)  # type: ignore[operator]
            self._parent[high] = low


def normalised(customers: pd.DataFrame) -> pd.DataFrame:
    """customer_id, branch, written (name as it stands), name, phone, email, birth_date; missing columns are empty."""
    empty = pd.Series([None] * len(customers), index=customers.index, dtype=object)

    def column(field: str) -> pd.Series:
        return customers.get(field, empty)

    def mapped(field: str, how: Callable[[object], str | None]) -> pd.Series:
        codes, unique = pd.factorize(column(field), use_na_sentinel=True)
        values = np.array([*(how(value) for value in unique), None], dtype=object)
        return pd.Series(values[codes], index=customers.index, dtype=object)

    return pd.DataFrame(
        {
            "customer_id": customers["customer_id"],
            "branch": column("branch"),
            "written": column("name"),
            "name": mapped("name", normal_name),
            "phone": mapped("phone", normal_phone),
            "email": mapped("email", normal_email),
            "birth_date": pd.to_datetime(column("birth_date"), errors="coerce"),
        }
    )


def same_persons(customers: pd.DataFrame, *, max_block: int = 12) -> SamePersons:
    """Find records of one person under several customer numbers.

    customers: one row per customer_id, with branch and any of name, phone, email, birth_date. The result does not
    depend on the order of rows. Transitive merges that would join two different birth dates are undone: of such a
    cluster only the pairs that agree on the birth date stay.
    """
    frame = normalised(customers).sort_values("customer_id", ignore_index=True)
    found: list[pd.DataFrame] = []
    rows: list[dict[str, object]] = []
    shared = 0
    seen: set[tuple[Hashable, Hashable]] = set()
    usable = [rule for rule in RULES if all(frame[field].notna().any() for field in rule.fields)]
    for rule in usable:
        pairs, oversized = _pairs(frame, rule, max_block)
        shared = max(shared, oversized)
        keys = list(zip(pairs["customer_a"], pairs["customer_b"], strict=True))
        pairs = pairs[np.array([key not in seen for key in keys], dtype=bool)]
        seen.update(keys)
        found.append(pairs)
        rows.append(
            {
                "rule": rule.key,
                "strength": rule.strength,
                "pairs": len(pairs),
                "across_branches": int((pairs["branch_a"] != pairs["branch_b"]).sum()),
                "as_written": int(pairs["name_as_written"].sum()),
                "expected_by_chance": expected_by_chance(frame, rule.fields),
            }
        )
    pairs = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=PAIR_COLUMNS)
    merged = _without_contradictions(frame, pairs[pairs["strength"] != "possible"])
    person = _clusters(frame["customer_id"], merged)
    widest = _clusters(frame["customer_id"], pd.concat([merged, pairs[pairs["strength"] == "possible"]]))
    clusters = pd.DataFrame({"customer_id": frame["customer_id"], "person_id": person})
    branches = frame.assign(person_id=person).groupby("person_id")["branch"].nunique()
    return SamePersons(
        n_customers=len(frame),
        n_persons=int(person.nunique()),
        n_persons_if_possible=int(widest.nunique()),
        n_in_several_branches=int((branches > 1).sum()),
        shared_values=shared,
        fields=tuple(field for field in ("name", "phone", "email", "birth_date") if frame[field].notna().any()),
        pairs=pairs,
        clusters=clusters,
        by_rule=pd.DataFrame(
            rows, columns=["rule", "strength", "pairs", "across_branches", "as_written", "expected_by_chance"]
        ),
    )


def expected_by_chance(frame: pd.DataFrame, fields: tuple[str, ...]) -> float:
    """Pairs of different people that agree on all `fields` by coincidence, were the fields independent.

    The product over fields of the share of pairs that agree, times the number of pairs.
    """
    n_pairs = len(frame) * (len(frame) - 1) / 2
    if n_pairs == 0:
        return 0.0
    agree = 1.0
    for field in fields:
        sizes = frame[field].value_counts().to_numpy(dtype=float)
        agree *= float((sizes * (sizes - 1) / 2).sum()) / n_pairs
    return n_pairs * agree


def _pairs(frame: pd.DataFrame, rule: MatchRule, max_block: int) -> tuple[pd.DataFrame, int]:
    fields = list(rule.fields)
    known = frame.dropna(subset=fields)
    sizes = known.groupby(fields)["customer_id"].transform("size")
    blocks = known[(sizes > 1) & (sizes <= max_block)]
    oversized = int((~known[sizes > max_block].duplicated(subset=fields)).sum())
    both = blocks.merge(blocks, on=fields, suffixes=("_a", "_b"))
    both = both[both["customer_id_a"] < both["customer_id_b"]]
    if "birth_date" not in fields:
        a, b = both["birth_date_a"], both["birth_date_b"]
        both = both[a.isna() | b.isna() | (a == b)]
    return pd.DataFrame(
        {
            "customer_a": both["customer_id_a"],
            "customer_b": both["customer_id_b"],
            "branch_a": both["branch_a"],
            "branch_b": both["branch_b"],
            "rule": rule.key,
            "strength": rule.strength,
            "name_as_written": (both["written_a"] == both["written_b"]).astype(bool),
        }
    ).reset_index(drop=True), oversized


def _clusters(customer_ids: pd.Series, pairs: pd.DataFrame) -> pd.Series:
    linked = pd.unique(pd.concat([pairs["customer_a"], pairs["customer_b"]]))
    sets = UnionFind(linked)
    for a, b in zip(pairs["customer_a"], pairs["customer_b"], strict=True):
        sets.join(a, b)
    names = {item: sets.find(item) for item in linked}
    return customer_ids.map(lambda item: names.get(item, item))


def _without_contradictions(frame: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    person = pd.Series(_clusters(frame["customer_id"], pairs).to_numpy(), index=frame["customer_id"])
    births = frame.assign(person_id=person.to_numpy()).groupby("person_id")["birth_date"].nunique()
    contested = set(births.index[births > 1])
    if not contested:
        return pairs
    agreeing = pairs["rule"].isin([rule.key for rule in RULES if "birth_date" in rule.fields])
    return pairs[agreeing | ~pairs["customer_a"].map(person).isin(contested)]
