"""What `report.figure` and `report.table` show: titles, text alternatives, how to read each, frames and notes."""

from crm_analysis.satisfaction_loyalty.captions.branches import branch_split, branch_steps, groups, kinds, stores
from crm_analysis.satisfaction_loyalty.captions.drivers import (
    drivers,
    fix_first,
    path_weights,
    paths,
    penalty_reward,
    performance,
    quadrants,
    reliability,
)
from crm_analysis.satisfaction_loyalty.captions.link import (
    adjusted,
    cuts,
    link_curve,
    smooth,
    stated,
    steps,
    tests,
    ways,
)
from crm_analysis.satisfaction_loyalty.captions.people import answers, pitfalls, silence, type_cuts, type_map, unscored
from crm_analysis.satisfaction_loyalty.captions.scores import (
    distribution,
    item_spread,
    promoters,
    scores,
    service_gaps,
    waves,
)

__all__ = [
    "adjusted",
    "answers",
    "branch_split",
    "branch_steps",
    "cuts",
    "distribution",
    "drivers",
    "fix_first",
    "groups",
    "item_spread",
    "kinds",
    "link_curve",
    "path_weights",
    "paths",
    "penalty_reward",
    "performance",
    "pitfalls",
    "promoters",
    "quadrants",
    "reliability",
    "scores",
    "service_gaps",
    "silence",
    "smooth",
    "stated",
    "steps",
    "stores",
    "tests",
    "type_cuts",
    "type_map",
    "unscored",
    "waves",
    "ways",
]
