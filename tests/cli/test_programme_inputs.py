"""What an analyst reads about campaigns that cannot be judged as they were written: each fault, and the rest alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cli.conftest import FAULTS, Done, Shop

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Reported:
    """A shop checked and reported on: how both commands ended, and the words of the chapter's page and annex."""

    check: Done
    report: Done
    page: str
    annex: str

    def checked(self) -> str:
        """What `check` printed, its table's frames and line breaks taken out."""
        return " ".join(self.check.stdout.replace("\u2502", " ").split())


@pytest.fixture(scope="module")
def reported(programme_shop: Shop) -> Reported:
    from tests.cli.conftest import words  # noqa: PLC0415

    check = programme_shop.check()
    report = programme_shop.run(
        "report", "--profile", "shop.yaml", "--period", "2025", "--chapter", "crm_roi", "--branch", "all", "--workers",
        "1",
    )  # fmt: skip
    pages = programme_shop.folder / "build" / "shop" / "html" / "2025" / "all"
    return Reported(check, report, *(words(pages / name) for name in ("crm_roi.html", "crm_roi-annex.html")))


def gate(reported: Reported, key: str, check: str) -> str:
    """What the annex says that one check of one campaign found."""
    after = reported.annex.partition("The gate: may the arms be compared?")[2]
    return after.partition(f"{FAULTS[key]} {check} ")[2][:70]


def test_rows_that_break_a_contract_are_set_aside_and_the_report_is_made_of_the_rest(reported):
    assert reported.check.returncode == 2 and "Traceback" not in reported.check.stderr
    assert "a report can be made of the others" in reported.checked()
    assert reported.report.returncode == 0 and "0 failed" in reported.report.stdout


def test_the_campaign_without_a_fault_is_judged_beside_those_with_one(reported):
    assert "Letter with a control earned" in reported.page
    assert "The 3 controlled programmes that closed in 2025" in reported.page
    for title in ("What one more cost", "Who responds, by group", "Contact everybody, some or nobody"):
        assert title in reported.annex


def test_no_control(reported):
    assert "Letter without control cost \u20ac120 and nobody was held out." in reported.page
    assert "Of Letter without control nobody can say: nobody was held out." in reported.page
    assert "Hold out half of the next Letter without control at random" in reported.page


def test_control_smaller_than_thirty(reported):
    assert (
        "What Letter with a small control earned: 40 treated and 12 held out are too few here for a return."
        in reported.page
    )
    assert gate(reported, "few", "Both arms large enough").startswith("failed 40 treated, 12 held out")


def test_duplicate_assignment(reported):
    assert "campaign_members_duplicate_key" in reported.checked() and "customer_id TWICE000" in reported.checked()
    assert "campaign_members.csv, line" in reported.checked()
    found = gate(reported, "twice", "One assignment per member")
    assert found.startswith("noted 20 assigned more than once, counted once")
    assert "Letter assigned twice 60 60" in reported.page, "each member once, and the result stands"


def test_customer_in_both_arms(reported):
    assert "What Letter in both arms earned: 20 members are in both arms, so no return is stated." in reported.page
    assert "Find out why members of Letter in both arms stand in both arms before it runs again" in reported.page
    assert gate(reported, "both", "Nobody in both arms").startswith("failed 20 left out of both arms")


def test_outcome_before_assignment(reported):
    found = gate(reported, "early", "No response before the assignment")
    assert found.startswith("noted 12 responses dated before, not used")
    assert "Letter answered early 60 60" in reported.page


def test_negative_cost(reported):
    assert "costs_amount_negative" in reported.checked() and "costs.csv, line 11" in reported.checked()
    assert "book a credit as a lower cost" in reported.checked()
    assert "Letter with a control earned" in reported.page and "on a cost of \u20ac120" in reported.page


def test_cost_without_a_campaign(reported):
    assert (
        "One cost line (\u20ac333) belongs to a campaign by kind but names none that exists: it is in no return."
        in reported.page
    )


def test_window_not_over_yet(reported):
    assert (
        "Letter still running is too early to judge until 8 February 2026; 120 customers are being followed."
        in reported.page
    )
    assert "Letter still running 60 60 \u2013 \u20ac120 \u2013 \u2013 too early until 8 February 2026" in (
        reported.page
    )


def test_all_outcomes_zero(reported):
    assert (
        "What Letter without purchases earned: nobody in either arm paid anything in the window. Either the window is "
        "empty or the transactions of these members are missing; no return is stated." in reported.page
    )
    assert gate(reported, "empty", "No payment counts as zero").startswith("passed 100 % of members paid nothing")


def test_one_arm_lost_to_follow_up(reported):
    assert "south reported nothing after" in reported.page
    assert (
        "What Letter lost to follow up earned: one arm lost more members to follow-up than the other (40 treated, 0 "
        "held out), so no return is stated." in reported.page
    )
    assert "Find out why one arm of Letter lost to follow up cannot be followed to the end of its window" in (
        reported.page
    )


@pytest.mark.parametrize(
    ("table", "change", "said"),
    [
        ("costs", ("120.0,good", "$120.0,good"), "costs: the profile's currency is EUR, but 1 of 11 rows carries $"),
        ("campaign_members", ("good,GOOD000,treated", "good,GOOD000,test"), "arm is none of treated, control"),
    ],
    ids=["currency", "arm"],
)
def test_a_cell_that_cannot_be_read_as_it_is(
    programme_shop: Shop, new_shop: Shop, refused: Callable[..., str], table: str, change: tuple[str, str], said: str
) -> None:
    shop = new_shop
    shop.profile, shop.rows = programme_shop.profile, programme_shop.rows
    shop.write()
    for file in programme_shop.folder.glob("c*.csv"):
        text = file.read_text(encoding="utf-8")
        changed = text.replace(*change) if file.stem == table else text
        assert file.stem != table or changed != text
        (shop.folder / file.name).write_text(changed, encoding="utf-8")
    done = shop.check()
    if table == "costs":
        message = refused(done, reads=True)
        assert said in message and "first: line 2 of costs.csv" in message
        assert "convert the amounts, or keep the other currency in a profile of its own" in message
    else:
        assert done.returncode == 2 and said in " ".join(done.stdout.replace("\u2502", " ").split())
