"""Path model of satisfaction by partial least squares: weights of the index, paths, reliability, total effects.

The structure is assumed, not found: paths are associations within one survey.
"""

from crm_analysis.satisfaction_loyalty.pls.algorithm import Solution, alpha, rho_a, rho_c, solve, total_effects
from crm_analysis.satisfaction_loyalty.pls.model import (
    DRAWS,
    PathModel,
    blocks_of,
    empty,
    fit,
    importance_performance,
    index_weights,
    model,
)

__all__ = [
    "DRAWS",
    "PathModel",
    "Solution",
    "alpha",
    "blocks_of",
    "empty",
    "fit",
    "importance_performance",
    "index_weights",
    "model",
    "rho_a",
    "rho_c",
    "solve",
    "total_effects",
]
