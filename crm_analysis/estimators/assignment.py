"""Drawing who is held out: stratified, in equal probability for everybody, and the same again from the same salt."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["CONTROL", "TREATED", "draw_holdout", "value_bands"]

TREATED, CONTROL = "treated", "control"


def draw_holdout(units: pd.DataFrame, *, share: float, salt: str) -> pd.Series:
    """`treated` or `control` for each row of `units` (customer_id, stratum), under the index of `units`.

    Systematic sampling with a random start over the units in the order of their strata, in random order within each
    (Cochran 1977, chapter 8): everybody is held out with probability `share`, the number held out is `share` of all and
    of each stratum, to within one. Order and start come from SHA-256 of `salt` and the identifiers alone, so that the
    same salt draws the same people whatever the order of the rows, the machine or the library; another salt draws
    independently.

    Raises ValueError for a share that is not between 0 and 1, and for a customer who stands there twice.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share between 0 and 1 is held out, not {share}")
    if units["customer_id"].duplicated().any():
        raise ValueError("each customer is drawn once")
    lots = _lots(units["customer_id"], salt)
    order = pd.DataFrame(
        {"stratum": units["stratum"].astype(str).to_numpy(), "lot": lots, "id": units["customer_id"].to_numpy()}
    ).sort_values(["stratum", "lot", "id"], kind="stable")
    start = _lots([""], salt)[0]
    steps = np.floor(np.arange(len(units) + 1) * share + start)
    held = np.empty(len(units), dtype=bool)
    held[order.index.to_numpy()] = np.diff(steps) > 0
    return pd.Series(np.where(held, CONTROL, TREATED), index=units.index, dtype=object)


def value_bands(units: pd.DataFrame, *, bands: int = 10) -> pd.Series:
    """The band of `value` within its `branch`, 1 the lowest, under the index of `units` (customer_id, branch, value).

    Bands of a branch differ in size by one at most; equal values are told apart by customer_id.
    """
    ordered = units.sort_values(["branch", "value", "customer_id"], kind="stable")
    place = ordered.groupby("branch", dropna=False).cumcount()
    size = ordered.groupby("branch", dropna=False)["branch"].transform("size")
    return (np.floor(bands * place / size) + 1).astype(int).reindex(units.index)


def _lots(ids: Iterable[object], salt: str) -> NDArray[np.float64]:
    """A number in [0, 1) for each identifier, from a digest of the salt and the identifier."""
    base = hashlib.sha256(f"{len(salt)}:{salt}:".encode("utf-8", "surrogatepass"))

    def lot(text: object) -> float:
        own = base.copy()
        own.update(str(text).encode("utf-8", "surrogatepass"))
        return math.ldexp(int.from_bytes(own.digest()[:8]) >> 11, -53)

    return np.fromiter((lot(text) for text in ids), float)
