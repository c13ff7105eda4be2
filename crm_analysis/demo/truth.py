"""The planted truth of the built-in association. Only this package and tests read it.

A flip reverses one single truth, so that a test can ask whether verdict and recommendation turn with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

START = date(2023, 10, 1)
"""First day in the files."""
END = date(2026, 9, 30)
"""Last day in the files of a branch that reports."""
SILENT_AFTER = date(2026, 7, 31)
"""Last day in the files of a branch that stopped reporting."""
HORIZON = date(2027, 3, 31)
"""Behaviour is simulated to this day, so that outcomes after `END` exist, though no file shows them."""
FOLLOW_UP_DAYS = 180

ID_PREFIX = "HNL-"
"""Every identifier of the association starts with this; it occurs nowhere else, so a leak can be searched for."""

FLIPS = MappingProxyType(
    {
        "welcome_loses": "the welcome call brings no gift; its costs stay",
        "welcome_earns_more": "the welcome call brings three times as much",
        "spring_earns": "the spring discount brings large gifts",
        "seoul_straight": "Seoul's link is straight in probability",
        "daegu_convex": "Daegu's link accelerates at the top",
        "links_straight": "every branch's link is straight in probability",
        "links_convex": "every branch's link accelerates at the top",
        "gwangju_reports": "Gwangju reports to the end",
        "busan_silent": "Busan stops reporting after 31 July 2026",
        "rhythm_only": "no control total says how far a branch's data reach",
        "branches_alike": "every branch's occasional donors give as Seoul's do",
        "exodus_2025": "nine in ten of the monthly transfers that run in July 2025 end with it",
        "exodus_2026": "nine in ten of the monthly transfers that run in July 2026 end with it",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchTruth:
    """What is true of one branch."""

    branch: str
    name_ko: str
    donors: int
    last_day: date
    # occasional donors: BG/NBD in weeks (Fader, Hardie and Lee 2005), Gamma-Gamma in KRW (Fader and Hardie 2013)
    r: float
    alpha_weeks: float
    a: float
    b: float
    spend_p: float
    spend_q: float
    spend_gamma: float
    # regular monthly transfers: shifted beta-geometric in months (Fader and Hardie 2007)
    churn_alpha: float
    churn_beta: float
    failed_transfer_rate: float
    silent_end_share: float
    # satisfaction: share of answers per level 1-5 and P(gift or dues within 180 days | level)
    level_shares: tuple[float, float, float, float, float]
    repeat_by_level: tuple[float, float, float, float, float]
    shape: str  # convex, straight, saturating
    answers: int
    attitude_complete: tuple[float, float, float]  # motive, stay_reason, interests

    @property
    def mean_gift(self) -> float:
        """Expected gift of an occasional donor, KRW."""
        return self.spend_p * self.spend_gamma / (self.spend_q - 1)

    @property
    def repeat_rate(self) -> float:
        """Share of respondents who pay again within 180 days."""
        return sum(p * r for p, r in zip(self.level_shares, self.repeat_by_level, strict=True))

    @property
    def mean_satisfaction(self) -> float:
        """Expected answer, 1 to 5."""
        return sum(level * share for level, share in enumerate(self.level_shares, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignTruth:
    """What one campaign does, per member, beyond what would have happened anyway.

    `treated_rate` of treated members make one extra payment of mean `treated_mean` KRW within the window, and
    `control_rate` of control members one of mean `control_mean`. Costs are KRW for 20,000 donors.
    """

    campaign_id: str
    name: str
    programme: str
    starts_on: date
    ends_on: date
    window_days: int
    members: int
    holdout: float
    treated_rate: float
    treated_mean: float
    control_rate: float
    control_mean: float
    contact_cost: float
    planned_cost: float
    actual_cost: float
    forgotten_cost: float
    verdict: str  # earns, loses, unknown, not causal, too early

    @property
    def effect_per_treated(self) -> float:
        """Expected incremental amount per treated member, intention to treat, KRW."""
        return self.treated_rate * self.treated_mean - self.control_rate * self.control_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How many rows of each fault are in the files, for 20,000 donors; all scale with the number of donors."""

    exact_duplicates: int = 120
    orphans: int = 60
    future_dated: int = 14
    negative_gifts: int = 25
    missing_branch: int = 20
    missing_joined_on: int = 40
    restated: int = 12
    double_donors: int = 38
    survey_out_of_range: int = 22
    mismatch_branch: str = "incheon"
    mismatch_month: str = "2026-05"
    mismatch_amount: float = 3_150_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Everything that was planted."""

    seed: int
    flips: frozenset[str]
    branches: MappingProxyType[str, BranchTruth]
    campaigns: MappingProxyType[str, CampaignTruth]
    faults: Faults
    exodus: date | None = None
    """First day of the month in which nine in ten of the monthly transfers that run are paid for the last time."""
    recovered_share: float = 0.55
    repeat_if_recovered: float = 0.80
    repeat_if_not_recovered: float = 0.50
    kept_by_early_contacts: tuple[float, float, float] = (0.58, 0.64, 0.76)
    """P(still paying after 12 months | 0, 1, 2 or more contacts in the first 90 days), donors with a commitment."""
    early_contact_shares: tuple[float, float, float] = (0.45, 0.30, 0.25)


CONVEX = (0.28, 0.36, 0.44, 0.52, 0.82)
STRAIGHT = (0.34, 0.44, 0.54, 0.64, 0.74)
SATURATING = (0.14, 0.34, 0.56, 0.80, 0.80)

_BRANCHES = (
    BranchTruth(
        branch="seoul", name_ko="서울지부", donors=5600, last_day=END,
        r=0.95, alpha_weeks=9.0, a=0.55, b=3.4, spend_p=6.0, spend_q=4.2, spend_gamma=20_000.0,
        churn_alpha=0.70, churn_beta=19.0, failed_transfer_rate=0.025, silent_end_share=0.30,
        level_shares=(0.06, 0.09, 0.17, 0.34, 0.34), repeat_by_level=CONVEX, shape="convex", answers=4300,
        attitude_complete=(0.82, 0.71, 0.64),
    ),
    BranchTruth(
        branch="busan", name_ko="부산지부", donors=4000, last_day=END,
        r=0.60, alpha_weeks=10.0, a=1.10, b=2.3, spend_p=6.0, spend_q=4.0, spend_gamma=15_000.0,
        churn_alpha=0.75, churn_beta=12.0, failed_transfer_rate=0.080, silent_end_share=0.62,
        level_shares=(0.07, 0.12, 0.28, 0.34, 0.19), repeat_by_level=CONVEX, shape="convex", answers=3400,
        attitude_complete=(0.41, 0.28, 0.22),
    ),
    BranchTruth(
        branch="incheon", name_ko="인천지부", donors=3500, last_day=END,
        r=0.75, alpha_weeks=9.0, a=0.80, b=2.8, spend_p=6.5, spend_q=4.0, spend_gamma=14_500.0,
        churn_alpha=0.70, churn_beta=15.0, failed_transfer_rate=0.035, silent_end_share=0.38,
        level_shares=(0.05, 0.09, 0.24, 0.36, 0.26), repeat_by_level=CONVEX, shape="convex", answers=3000,
        attitude_complete=(0.63, 0.52, 0.40),
    ),
    BranchTruth(
        branch="daegu", name_ko="대구지부", donors=2700, last_day=END,
        r=0.80, alpha_weeks=11.0, a=0.60, b=2.6, spend_p=5.5, spend_q=3.8, spend_gamma=17_000.0,
        churn_alpha=0.65, churn_beta=16.0, failed_transfer_rate=0.030, silent_end_share=0.35,
        level_shares=(0.06, 0.12, 0.27, 0.35, 0.20), repeat_by_level=STRAIGHT, shape="straight", answers=2500,
        attitude_complete=(0.70, 0.55, 0.47),
    ),
    BranchTruth(
        branch="daejeon", name_ko="대전지부", donors=2400, last_day=END,
        r=0.85, alpha_weeks=10.0, a=0.70, b=3.0, spend_p=6.0, spend_q=4.2, spend_gamma=16_500.0,
        churn_alpha=0.70, churn_beta=17.0, failed_transfer_rate=0.030, silent_end_share=0.35,
        level_shares=(0.03, 0.05, 0.17, 0.58, 0.17), repeat_by_level=STRAIGHT, shape="straight", answers=2350,
        attitude_complete=(0.55, 0.48, 0.51),
    ),
    BranchTruth(
        branch="gwangju", name_ko="광주지부", donors=1800, last_day=SILENT_AFTER,
        r=0.70, alpha_weeks=8.5, a=0.90, b=2.7, spend_p=6.0, spend_q=4.0, spend_gamma=13_500.0,
        churn_alpha=0.70, churn_beta=14.0, failed_transfer_rate=0.035, silent_end_share=0.40,
        level_shares=(0.07, 0.12, 0.25, 0.33, 0.23), repeat_by_level=SATURATING, shape="saturating", answers=2000,
        attitude_complete=(0.30, 0.24, 0.35),
    ),
)  # fmt: skip

_CAMPAIGNS = (
    CampaignTruth(
        campaign_id="CALL25", name="2025년 되돌아오기 전화", programme="winback",
        starts_on=date(2025, 1, 13), ends_on=date(2025, 1, 31), window_days=120, members=1500, holdout=0.30,
        treated_rate=0.085, treated_mean=40_000.0, control_rate=0.0, control_mean=0.0, contact_cost=2_500.0,
        planned_cost=3_400_000.0, actual_cost=3_625_000.0, forgotten_cost=0.0, verdict="unknown",
    ),
    CampaignTruth(
        campaign_id="WELCOME26", name="2026년 첫 석 달 감사 전화", programme="retention",
        starts_on=date(2026, 4, 6), ends_on=date(2026, 4, 30), window_days=90, members=2400, holdout=0.40,
        treated_rate=0.24, treated_mean=56_000.0, control_rate=0.0, control_mean=0.0, contact_cost=2_600.0,
        planned_cost=4_900_000.0, actual_cost=5_144_000.0, forgotten_cost=0.0, verdict="earns",
    ),
    CampaignTruth(
        campaign_id="SPRING26", name="2026년 봄 바자회 할인권", programme="upsell",
        starts_on=date(2026, 5, 4), ends_on=date(2026, 5, 15), window_days=60, members=3000, holdout=0.35,
        treated_rate=0.30, treated_mean=10_000.0, control_rate=0.12, control_mean=20_000.0, contact_cost=1_400.0,
        planned_cost=9_700_000.0, actual_cost=18_330_000.0, forgotten_cost=7_400_000.0, verdict="loses",
    ),
    CampaignTruth(
        campaign_id="CONCERT26", name="2026년 고액후원자 음악회", programme="vip",
        starts_on=date(2026, 4, 20), ends_on=date(2026, 5, 21), window_days=90, members=240, holdout=0.0,
        treated_rate=0.0, treated_mean=0.0, control_rate=0.0, control_mean=0.0, contact_cost=65_000.0,
        planned_cost=21_000_000.0, actual_cost=23_600_000.0, forgotten_cost=0.0, verdict="not causal",
    ),
    CampaignTruth(
        campaign_id="AUTUMN26", name="2026년 가을 정기후원 증액", programme="upsell",
        starts_on=date(2026, 8, 24), ends_on=date(2026, 9, 18), window_days=90, members=2000, holdout=0.20,
        treated_rate=0.06, treated_mean=40_000.0, control_rate=0.0, control_mean=0.0, contact_cost=1_500.0,
        planned_cost=3_600_000.0, actual_cost=3_500_000.0, forgotten_cost=0.0, verdict="too early",
    ),
)  # fmt: skip


def truth(seed: int = 20261, flips: Iterable[str] = ()) -> Truth:
    """The truth that `generate` plants with this seed and these flips.

    Raises ValueError for a flip that does not exist.
    """
    flips = frozenset(flips)
    unknown = flips - FLIPS.keys()
    if unknown:
        raise ValueError(f"no such flip: {', '.join(sorted(unknown))}; there are {', '.join(FLIPS)}")
    branches = {b.branch: b for b in _BRANCHES}
    campaigns = {c.campaign_id: c for c in _CAMPAIGNS}
    if "welcome_loses" in flips:
        campaigns["WELCOME26"] = replace(campaigns["WELCOME26"], treated_rate=0.0, verdict="loses")
    if "welcome_earns_more" in flips:
        campaigns["WELCOME26"] = replace(campaigns["WELCOME26"], treated_rate=0.60, treated_mean=70_000.0)
    if "spring_earns" in flips:
        campaigns["SPRING26"] = replace(
            campaigns["SPRING26"], treated_rate=0.60, treated_mean=45_000.0, verdict="earns"
        )
    if "seoul_straight" in flips:
        branches["seoul"] = replace(branches["seoul"], repeat_by_level=STRAIGHT, shape="straight")
    if "daegu_convex" in flips:
        branches["daegu"] = replace(branches["daegu"], repeat_by_level=CONVEX, shape="convex")
    for flip, rates, shape in (("links_straight", STRAIGHT, "straight"), ("links_convex", CONVEX, "convex")):
        if flip in flips:
            branches = {name: replace(b, repeat_by_level=rates, shape=shape) for name, b in branches.items()}
    if "branches_alike" in flips:
        habit = {name: getattr(branches["seoul"], name) for name in ("r", "alpha_weeks", "a", "b")}
        branches = {name: replace(b, **habit) for name, b in branches.items()}
    if "gwangju_reports" in flips:
        branches["gwangju"] = replace(branches["gwangju"], last_day=END)
    if "busan_silent" in flips:
        branches["busan"] = replace(branches["busan"], last_day=SILENT_AFTER)
    exodus = next((date(year, 7, 1) for year in (2025, 2026) if f"exodus_{year}" in flips), None)
    return Truth(
        seed=seed,
        flips=flips,
        branches=MappingProxyType(branches),
        campaigns=MappingProxyType(campaigns),
        faults=Faults(),
        exodus=exodus,
    )
