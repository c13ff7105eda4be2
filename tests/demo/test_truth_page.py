"""The page that describes the association says what the truth says."""

from pathlib import Path

import pytest
from scipy.special import betaln

from crm_analysis import demo
from crm_analysis.demo.truth import FLIPS

PAGE = (Path(demo.__file__).parent / "README.md").read_text(encoding="utf-8")


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("branch", demo.truth().branches.values(), ids=lambda branch: branch.branch)
def test_branches(branch):
    kept = 2.718281828459045 ** float(
        betaln(branch.churn_alpha, branch.churn_beta + 12) - betaln(branch.churn_alpha, branch.churn_beta)
    )
    assert (
        row(
            branch.branch,
            f"{branch.donors:,}",
            f"{branch.mean_gift:,.0f}",
            f"{branch.r / branch.alpha_weeks * 365.2425 / 7:.1f}",
            f"{branch.a / (branch.a + branch.b):.0%}".replace("%", " %"),
            f"{kept:.0%}".replace("%", " %"),
            f"{branch.failed_transfer_rate:.1%}".replace("%", " %"),
        )
        in PAGE
    )
    assert (
        row(
            branch.branch,
            branch.shape,
            *(f"{rate:.0%}".replace("%", " %") for rate in branch.repeat_by_level),
            f"{branch.level_shares[4]:.0%}".replace("%", " %"),
        )
        in PAGE
    )


def test_faults_and_flips():
    faults = demo.truth().faults
    for count in (
        row("exact duplicates", str(faults.exact_duplicates)),
        row("gifts of donors nobody knows", str(faults.orphans)),
        row("negative gifts", str(faults.negative_gifts)),
        row("gifts without a branch", str(faults.missing_branch)),
        row("gifts dated in the future", str(faults.future_dated)),
        row("gifts entered twice with different amounts", str(faults.restated)),
        row("donors without a day of joining", str(faults.missing_joined_on)),
        row("one person under two numbers, in two branches", str(faults.double_donors)),
        row("satisfaction outside the scale", str(faults.survey_out_of_range)),
        f"{faults.mismatch_amount:,.0f} won",
    ):
        assert count in PAGE
    assert all(f"`{flip}`" in PAGE for flip in FLIPS)
    assert all(row(campaign, "")[:-3] in PAGE for campaign in demo.truth().campaigns)
