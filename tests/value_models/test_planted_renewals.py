"""The demo plants a shifted beta-geometric in each branch's monthly transfers, among what hides it: a history that
begins in October 2023 with survivors of older cohorts alone, ends without notice, transfers that fail and are repaired,
and a branch that stops reporting. The model has to find it.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from crm_analysis import demo, value_models
from crm_analysis.demo import donors, giving
from crm_analysis.value_models import SbgFit

AS_OF = date(2026, 9, 30)
BEGINS = date(2023, 10, 1)


def planted(seed: int) -> dict[str, tuple[tuple[float, float], SbgFit]]:
    """For each branch the planted alpha and beta, and the fit to the tables of this seed."""
    truth, rng = demo.truth(seed), np.random.default_rng(seed)
    agreed = giving.commitments(rng, truth, donors.simulate_donors(rng, truth, 20_000))
    due, ended = giving.dues(rng, truth, agreed)
    names = np.array(list(truth.branches))
    table = pd.DataFrame(
        {
            "commitment_id": agreed.index,
            "customer_id": agreed["donor"],
            "branch": names[agreed["branch"]],
            "started_on": agreed["started"],
            "cycle_months": agreed["cycle"],
            "ended_on": pd.Series(ended).where(ended <= np.datetime64(AS_OF)),
        }
    )
    dues = due.rename(columns={"commitment": "commitment_id"})
    monthly, branch_of = (agreed[name].to_numpy()[due["commitment"]] for name in ("cycle", "branch"))
    coverage = pd.DataFrame({"branch": names, "last_covered_day": [b.last_day for b in truth.branches.values()]})
    found = {}
    for number, (name, branch) in enumerate(truth.branches.items()):
        tenures = value_models.tenures(
            table[agreed["branch"] == number],
            cycle_months=1,
            as_of=AS_OF,
            dues=dues[(monthly == 1) & (branch_of == number)],
            coverage=coverage,
            history_starts_on=BEGINS,
        )
        found[name] = ((branch.churn_alpha, branch.churn_beta), value_models.fit_sbg(tenures))
    return found


def test_planted_renewals_are_found_in_each_branch():
    inside = []
    for truth, fit in planted(20261).values():
        assert fit.converged and fit.notes == ()
        table = fit.parameter_table()
        inside.append((table["low"].to_numpy() <= truth) & (truth <= table["high"].to_numpy()))
    assert np.sum(inside) >= 11


@pytest.mark.slow
def test_planted_renewals_lie_in_the_intervals():
    """200 seeds, six branches, two parameters."""
    inside = []
    for seed in range(200):
        for truth, fit in planted(seed).values():
            table = fit.parameter_table()
            inside.append((table["low"].to_numpy() <= truth) & (truth <= table["high"].to_numpy()))
    shares = np.mean(inside, axis=0)
    assert (shares >= 0.93).all(), shares
