"""From a list of the book to a campaign that measures itself: whom to take, whom to hold out, and where it is kept."""

from crm_analysis.launch.campaign import Launched, Order, launch, read_return, read_share
from crm_analysis.launch.lists import CustomerList, choose
from crm_analysis.launch.planning import Outlook, plan, shown_by
from crm_analysis.launch.saying import said, said_plan
from crm_analysis.launch.screening import Screening, screen

__all__ = [
    "CustomerList",
    "Launched",
    "Order",
    "Outlook",
    "Screening",
    "choose",
    "launch",
    "plan",
    "read_return",
    "read_share",
    "said",
    "said_plan",
    "screen",
    "shown_by",
]
