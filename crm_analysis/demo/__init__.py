"""The built-in association: a Korean charity with known truth, written as the ordinary files a real one would have."""

from crm_analysis.demo.files import generate, write_world
from crm_analysis.demo.scaled import generate_scaled
from crm_analysis.demo.truth import BranchTruth, CampaignTruth, Faults, Truth, truth
from crm_analysis.demo.world import World, simulate

__all__ = [
    "BranchTruth",
    "CampaignTruth",
    "Faults",
    "Truth",
    "World",
    "generate",
    "generate_scaled",
    "simulate",
    "truth",
    "write_world",
]
