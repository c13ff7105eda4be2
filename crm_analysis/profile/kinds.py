"""What differs between organisations of one kind and another, for the profile that `crm-analysis init` writes."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What differs between organisations of one kind and another."""

    name: str
    customer: str
    customers: str
    order: str
    orders: str
    movement: str  # kind of a transaction where no column says it
    status: dict[str, float]
    status_notes: dict[str, str]
    margin: float
    margin_note: str
    per_order: int
    per_order_note: str
    window_days: int
    window_note: str
    owners: dict[str, str]
    more_tables: tuple[str, ...]
    tiers: str = "deciles"


_STATUS_NOTES: Final = {
    "new_days": "days for which somebody counts as new",
    "overdue_rhythm": "silence, in multiples of the customer's own usual gap",
    "dormant_rhythm": "the same, for dormant",
    "dormant_days": "nobody is dormant before",
    "lost_days": "everybody silent for longer is lost",
    "dormant_unpaid_months": "with a commitment: months of unpaid dues",
}
TEMPLATES: Final = MappingProxyType(
    {
        "charity": Kind(
            name="Our association",
            customer="donor", customers="donors", order="gift", orders="gifts", movement="gift",
            status={"new_days": 90, "dormant_unpaid_months": 6, "dormant_days": 365, "lost_days": 730},
            status_notes=_STATUS_NOTES, margin=0.97, margin_note="gifts less payment fees", per_order=150,
            per_order_note="receipt and booking", window_days=180,
            window_note="a gift within half a year of the answer",
            owners={"welcome": "Donor service", "retention": "Donor service", "upsell": "Fundraising",
                    "vip": "Major gifts", "data_quality": "Data steward"},
            more_tables=("customers", "commitments", "dues", "survey_responses", "campaigns", "campaign_members",
                         "costs", "contacts", "cases", "control_totals"),
            tiers="association",
        ),
        "retail": Kind(
            name="Our shops", customer="customer", customers="customers", order="purchase", orders="purchases",
            movement="sale",
            status={"new_days": 60, "overdue_rhythm": 1.5, "dormant_rhythm": 3, "dormant_days": 120, "lost_days": 365},
            status_notes=_STATUS_NOTES, margin=0.30, margin_note="gross margin on sales, before value-added tax",
            per_order=500, per_order_note="packing, card fees, delivery", window_days=90,
            window_note="a purchase within three months of the answer",
            owners={"welcome": "Stores", "retention": "CRM team", "vip": "VIP desk", "winback": "CRM team",
                    "data_quality": "Data steward"},
            more_tables=("customers", "survey_responses", "campaigns", "campaign_members", "costs", "contacts",
                         "cases", "control_totals"),
        ),
        "bank": Kind(
            name="Our bank", customer="customer", customers="customers", order="transaction", orders="transactions",
            movement="sale",
            status={"new_days": 180, "dormant_unpaid_months": 6, "overdue_rhythm": 2, "dormant_days": 365,
                    "lost_days": 1095},
            status_notes=_STATUS_NOTES, margin=1.0, margin_note="1.0 where amounts are fees and net interest already",
            per_order=0, per_order_note="cost of one transaction in the branch or by app", window_days=365,
            window_note="a product or deposit within a year of the answer",
            owners={"cross_sell": "Product management", "retention": "Branches", "vip": "Private banking",
                    "data_quality": "Data office"},
            more_tables=("customers", "commitments", "survey_responses", "campaigns", "campaign_members", "costs",
                         "contacts", "cases", "control_totals"),
        ),
        "clinic": Kind(
            name="Our clinic", customer="patient", customers="patients", order="visit", orders="visits",
            movement="sale",
            status={"new_days": 90, "overdue_rhythm": 1.5, "dormant_rhythm": 3, "dormant_days": 270, "lost_days": 730},
            status_notes=_STATUS_NOTES, margin=0.45, margin_note="fees less material and doctors' share",
            per_order=3000,
            per_order_note="reception and consumables of one visit", window_days=180,
            window_note="a visit within half a year of the answer",
            owners={"welcome": "Reception", "retention": "Patient service", "winback": "Patient service",
                    "data_quality": "Office manager"},
            more_tables=("customers", "survey_responses", "campaigns", "campaign_members", "costs", "contacts",
                         "cases", "control_totals"),
        ),
    }
)  # fmt: skip
