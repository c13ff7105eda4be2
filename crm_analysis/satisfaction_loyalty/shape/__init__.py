"""The shape of the link between satisfaction and loyalty: is there one, is it straight, where does it bend.

Input is a table of levels, one row per level of satisfaction, made by `tabulate`. All tests treat customers as
independent, so each may appear once.
"""

from crm_analysis.satisfaction_loyalty.shape.examining import (
    FEWEST_ANSWERS,
    STRAIGHT_WITHIN,
    Shape,
    examine,
    of_interest,
    straight_line,
)
from crm_analysis.satisfaction_loyalty.shape.levels import (
    FLAG_UNDER,
    MERGE_UNDER,
    MOST_LEVELS,
    bands,
    merge_levels,
    tabulate,
)
from crm_analysis.satisfaction_loyalty.shape.testing import DRAWS, POWER, THICK_CELL, Kink, Test

__all__ = [
    "DRAWS",
    "FEWEST_ANSWERS",
    "FLAG_UNDER",
    "MERGE_UNDER",
    "MOST_LEVELS",
    "POWER",
    "STRAIGHT_WITHIN",
    "THICK_CELL",
    "Kink",
    "Shape",
    "Test",
    "bands",
    "examine",
    "merge_levels",
    "of_interest",
    "straight_line",
    "tabulate",
]
