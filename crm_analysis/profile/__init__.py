"""An organisation's settings: where its tables are, what its words mean, which rules and assumptions it uses."""

from crm_analysis.profile.loading import DATA_VARIABLE, load, load_tiers
from crm_analysis.profile.settings import Profile

__all__ = ["DATA_VARIABLE", "Profile", "load", "load_tiers"]
