"""Both arms of one campaign side by side, and how their members were drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm_analysis.estimators.arms import Arm, shares
from crm_analysis.estimators.arms import difference as arm_difference
from crm_analysis.estimators.means import MeanDifference

__all__ = ["FEWEST_UNITS", "Comparison", "compare", "usable_strata"]

FEWEST_UNITS = 2
"""A stratum with fewer units in an arm has no variance of its own."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Members of both arms, one row each, and the arms they were drawn into."""

    treated: pd.DataFrame
    control: pd.DataFrame
    arms: tuple[Arm, Arm]

    def values(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """One column of both arms."""
        return self.treated[column].to_numpy(float), self.control[column].to_numpy(float)

    def difference(self, first: np.ndarray, second: np.ndarray, basis: str = "") -> MeanDifference:
        """Difference in means per member, its variance from the units that were drawn."""
        treated, control = self.arms
        clustered, stratified = treated.unit is not None, treated.stratum is not None
        manner = "Welch, by stratum" if stratified else "Welch"
        name = ", ".join(part for part in (basis, manner, "clustered" if clustered else "") if part)
        return arm_difference(first, second, treated=treated, control=control, basis=name)


def compare(units: pd.DataFrame, *, strata: pd.Series | None = None) -> Comparison:
    """The arms of `units` (rows of a gate); `strata` (like `usable_strata` gives) weighs strata by their treated."""
    treated = (units["arm"] == "treated").to_numpy()
    control = (units["arm"] == "control").to_numpy()
    names = units["unit"]
    unit = None if names.is_unique else pd.factorize(names)[0].astype(np.int64)
    code = None if strata is None else pd.factorize(strata, use_na_sentinel=False)[0].astype(np.int64)
    weights = (1.0,) if code is None else shares(code[treated], code[control], over="treated")
    arms = tuple(
        Arm(int(of.sum()), None if unit is None else unit[of], None if code is None else code[of], weights)
        for of in (treated, control)
    )
    return Comparison(units[treated], units[control], (arms[0], arms[1]))


def usable_strata(units: pd.DataFrame) -> pd.Series | None:
    """The stratum of each member; those with fewer than two units in an arm are put together, with the smallest others
    where that is not enough.

    None where there are no strata, or where one is left.
    """
    if units["stratum"].nunique() < 2:  # noqa: PLR2004
        return None
    given = units["stratum"].fillna("").astype(str)
    by_size = given.value_counts(ascending=True, sort=True).index.to_list()
    together = _few(units, given)
    strata = given
    while together:
        strata = given.where(~given.isin(together), "\0")
        if not _few(units, strata):
            break
        rest = [name for name in by_size if name not in together]
        if not rest:
            return None
        together.append(rest[0])
    return strata if strata.nunique() > 1 else None


def _few(units: pd.DataFrame, strata: pd.Series) -> list[str]:
    drawn = pd.DataFrame({"unit": units["unit"], "stratum": strata, "arm": units["arm"]}).drop_duplicates()
    counts = pd.crosstab(drawn["stratum"], drawn["arm"]).reindex(columns=["treated", "control"], fill_value=0)
    return [str(name) for name in counts.index[counts.min(axis=1) < FEWEST_UNITS]]
