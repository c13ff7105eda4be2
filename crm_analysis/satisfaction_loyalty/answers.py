"""Survey answers, read with the profile's words: codes, scales and reversed items undone, every loss counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis
import numpy as np
import pandas as pd

from crm_analysis.profile.settings import Item, Survey

CUSTOMER_KINDS = ("customer",)
STAFF_KINDS = ("staff", "dealer")
MISMATCH_SHARE = 0.20
CORE = (
    "response_id",
    "customer_id",
    "branch",
    "answered_on",
    "satisfaction",
    "respondent_kind",
    "wave",
    "weight",
    "stratum",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers ready for use.

    `frame` has one row per usable answer: response_id, customer_id (missing where anonymous), branch, answered_on
    (timestamp at midnight), satisfaction (on `scale`, higher is better), respondent_kind, wave, weight (1 where none is
    given), stratum, and one column per item. `counts` foots: step (answers, left out, used), rule, rows. `faults` lists
    rules that took away the use of a whole column (scale_mismatch, no_usable_weight). `item_counts` says what became of
    the answers to each item: item, answers, blank, code, out_of_range, used, fault. `unscored` has the same columns as
    `frame` for dated answers whose overall score cannot be used while their items can. `off_scale` keeps every value
    that was set aside because it lies outside its scale and is no declared code: response_id, customer_id, branch,
    answered_on, item (satisfaction or the item's name), given, scale_low, scale_high.
    """

    frame: pd.DataFrame
    counts: pd.DataFrame
    scale: tuple[float, float]
    items: dict[str, Item]
    weighted: bool
    stratified: bool
    faults: tuple[str, ...]
    item_counts: pd.DataFrame
    unscored: pd.DataFrame
    off_scale: pd.DataFrame

    @property
    def n(self) -> int:
        """Usable answers."""
        return len(self.frame)

    @property
    def whole(self) -> pd.DataFrame:
        """`frame` and `unscored` together: for items, whatever became of the overall score."""
        return pd.concat([self.frame, self.unscored], ignore_index=True) if len(self.unscored) else self.frame

    def between(self, start: date, end: date, *, unscored: bool = False) -> pd.DataFrame:
        """Rows answered from `start` to `end`, both days included; on request those without an overall score too."""
        rows = self.whole if unscored else self.frame
        when = rows["answered_on"]
        return rows[(when >= pd.Timestamp(start)) & (when <= pd.Timestamp(end))]


def load(scope: object, *, kinds: tuple[str, ...] = CUSTOMER_KINDS) -> Answers:
    """All answers of the scope's branch known by its `as_of`, whatever their period; empty without a survey table.

    Answers without `respondent_kind` count as customers'. `scope` is a `tables.Scope`.
    """
    survey: Survey = scope.profile.survey  # type: ignore[attr-defined]
    if not scope.has("survey_responses"):  # type: ignore[attr-defined]
        return prepare(pd.DataFrame(columns=[*CORE, *survey.items]), survey, kinds=kinds)
    return prepare(given(scope).to_pandas(), survey, kinds=kinds)


def given(scope: object) -> ibis.Table:
    """The answers of the scope's branch known by its `as_of`, as they were given; the scope has a survey table."""
    columns = (*CORE, *scope.profile.survey.items)  # type: ignore[attr-defined]
    table = scope.table("survey_responses")  # type: ignore[attr-defined]
    supplied = scope.columns("survey_responses")  # type: ignore[attr-defined]
    wanted = [name for name in columns if name in table.columns and (name in supplied or name == "branch")]
    ordered = table.order_by("response_id") if "response_id" in wanted else table  # draws depend on the order of rows
    return ordered.select(*wanted)


def prepare(raw: pd.DataFrame, survey: Survey, *, kinds: tuple[str, ...] = CUSTOMER_KINDS) -> Answers:
    """Answers from a frame with canonical columns; columns beyond response_id, answered_on, satisfaction are optional.

    A declared code is no answer; an answer outside the scale is left out; a reversed item is turned round. Where more
    than `MISMATCH_SHARE` of the answers lie outside the scale, the profile's scale is wrong: nothing is used and
    `faults` says so. Weights that are negative, zero or missing take their answer out; where no weight is positive,
    the answers are used unweighted.
    """
    frame = raw.reindex(columns=list(dict.fromkeys([*CORE, *[name for name in survey.items if name in raw]]))).copy()
    kind = frame["respondent_kind"].astype("string").fillna(CUSTOMER_KINDS[0])
    frame["respondent_kind"] = kind
    frame = frame[kind.isin(kinds)].reset_index(drop=True)
    frame["answered_on"] = pd.to_datetime(frame["answered_on"]).dt.normalize()
    frame["stratum"] = frame["stratum"].astype("string")
    identity = frame["customer_id"].astype("string")
    frame["customer_id"] = identity.mask(identity == "")
    counted = [("answers", "", len(frame))]
    faults: list[str] = []
    score, reasons = _clean(frame["satisfaction"], survey.satisfaction)
    aside = [_set_aside(frame, "satisfaction", survey.satisfaction, reasons["out_of_range"])]
    if reasons["out_of_range"].sum() > MISMATCH_SHARE * max(int((~reasons["blank"]).sum()), 1):
        faults.append("scale_mismatch")
        score = pd.Series(np.nan, index=score.index)
    frame["satisfaction"] = score
    for rule in ("blank", "code", "out_of_range"):
        counted.append(("left out", rule, int(reasons[rule].sum())))
    keep = frame["satisfaction"].notna()
    if "scale_mismatch" in faults:
        counted.append(("left out", "scale_mismatch", int((~reasons.any(axis=1)).sum())))
    undated = frame["answered_on"].isna() & keep
    counted.append(("left out", "undated", int(undated.sum())))
    keep &= ~undated
    weight = pd.to_numeric(frame["weight"], errors="coerce").astype(float)
    weighted = bool(weight.notna().any())
    if weighted and not (weight[keep] > 0).any():
        faults.append("no_usable_weight")
        weighted = False
    if weighted:
        unweighable = keep & ~(np.isfinite(weight) & (weight > 0))
        counted.append(("left out", "weight", int(unweighable.sum())))
        keep &= ~unweighable
        frame["weight"] = weight
    else:
        frame["weight"] = 1.0
    unscored = frame["satisfaction"].isna() & frame["answered_on"].notna()
    unscored &= np.isfinite(frame["weight"]) & (frame["weight"] > 0)
    both = frame[keep | unscored].reset_index(drop=True)
    items, item_counts, aside_items = _read_items(both, survey)
    scored = both["satisfaction"].notna()
    frame, rest = both[scored].reset_index(drop=True), both[~scored].reset_index(drop=True)
    answered = [name for name in survey.items if name in rest]
    rest = rest[rest[answered].notna().any(axis=1)] if answered else rest.head(0)
    counted.append(("used", "", len(frame)))
    counts = pd.DataFrame(counted, columns=["step", "rule", "rows"])
    return Answers(
        frame=frame,
        counts=counts[(counts["rows"] > 0) | (counts["step"] != "left out")].reset_index(drop=True),
        scale=survey.satisfaction.scale,
        items=items,
        weighted=weighted,
        stratified=bool(frame["stratum"].notna().any()),
        faults=tuple(faults),
        item_counts=item_counts,
        unscored=rest.reset_index(drop=True),
        off_scale=pd.concat(aside + aside_items, ignore_index=True),
    )


def _set_aside(frame: pd.DataFrame, name: str, item: Item, outside: pd.Series) -> pd.DataFrame:
    """The answers to an item that lie outside its scale, as they were given."""
    rows = frame.loc[outside, ["response_id", "customer_id", "branch", "answered_on"]]
    given = pd.to_numeric(frame.loc[outside, name], errors="coerce").astype(float)
    return rows.assign(item=name, given=given, scale_low=item.scale[0], scale_high=item.scale[1])


def _read_items(frame: pd.DataFrame, survey: Survey) -> tuple[dict[str, Item], pd.DataFrame, list[pd.DataFrame]]:
    """Cleans the item columns of `frame` in place: usable items, what became of the answers, and those set aside."""
    items: dict[str, Item] = {}
    aside = []
    counted = []
    for name, item in survey.items.items():
        if name not in frame or not frame[name].notna().any():
            continue
        cleaned, why = _clean(frame[name], item)
        aside.append(_set_aside(frame, name, item, why["out_of_range"]))
        frame[name] = cleaned
        lost = {rule: int(why[rule].sum()) for rule in ("blank", "code", "out_of_range")}
        wrong = lost["out_of_range"] > MISMATCH_SHARE * max(len(frame) - lost["blank"], 1)
        if wrong:
            frame[name] = np.nan
        else:
            items[name] = item
        used = int(frame[name].notna().sum())
        counted.append((name, len(frame), *lost.values(), used, "scale_mismatch" if wrong else ""))
    columns = ["item", "answers", "blank", "code", "out_of_range", "used", "fault"]
    return items, pd.DataFrame(counted, columns=columns), aside


def _clean(column: pd.Series, item: Item) -> tuple[pd.Series, pd.DataFrame]:
    """Scores in range, higher is better, everything else missing; and why each missing one is missing."""
    value = pd.to_numeric(column, errors="coerce").astype(float)
    low, high = item.scale
    blank = value.isna()
    code = value.isin(item.codes)
    outside = ~blank & ~code & ~value.between(low, high)
    score = value.mask(code | outside)
    if item.reversed:
        score = low + high - score
    return score, pd.DataFrame({"blank": blank, "code": code, "out_of_range": outside})
