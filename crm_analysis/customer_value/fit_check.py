"""Whether the model in use has the customers that there are: how many came back how often, and who is still there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crm_analysis.customer_value.holdout import CLASSES, purchase_class
from crm_analysis.value_models import Estimate, Histories
from crm_analysis.value_models.histories import DAYS_PER_UNIT
from crm_analysis.value_models.purchasing import PurchaseFit

AGES = 40  # groups of customers observed for about as long, each taken at its mean
Z95 = 1.959963984540054


def repeats(fit: PurchaseFit, histories: Histories) -> pd.DataFrame:
    """Customers by number of repeat purchases: repeat_purchases (class), n (counted), foreseen, low, high.

    `foreseen` is what the model says of as many new customers observed for as long (BTYD calls it frequency in
    calibration); low and high hold 95 % of the numbers that chance makes of it where the model holds.
    """
    frame = histories.frame
    edges = [lower for lower, _name in CLASSES]
    names = [name for _lower, name in CLASSES]
    counted = purchase_class(frame["x"]).value_counts().reindex(names, fill_value=0)
    ages = frame["T"].to_numpy(float)
    order = np.argsort(ages, kind="stable")
    of_class = []
    for group in np.array_split(ages[order], min(AGES, max(len(ages), 1))):
        days = float(group.mean()) * DAYS_PER_UNIT[fit.unit] if len(group) else 0.0
        chance = fit.new_customer_probabilities(horizon_days=days, upto=edges[-1] - 1)
        within = np.append(np.add.reduceat(chance, edges[:-1]), max(1 - chance.sum(), 0.0))
        of_class.append((len(group), within))
    sizes = np.array([size for size, _within in of_class], float)[:, None]
    shares = np.array([within for _size, within in of_class])
    foreseen = (sizes * shares).sum(0)
    half = Z95 * np.sqrt((sizes * shares * (1 - shares)).sum(0))
    return pd.DataFrame(
        {
            "repeat_purchases": names,
            "n": counted.to_numpy(),
            "foreseen": foreseen,
            "low": np.maximum(foreseen - half, 0.0),
            "high": foreseen + half,
        }
    )


def still_there(fit: PurchaseFit, histories: Histories) -> Estimate:
    """Mean probability of being alive at the end, with the interval that the parameters' uncertainty gives it."""
    return fit.delta(lambda each: float(each.probability_alive(histories).mean()))
