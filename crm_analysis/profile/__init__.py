"""An organisation's settings: where its tables are, what its words mean, which rules and assumptions it uses."""

from crm_analysis.profile.loading import load
from crm_analysis.profile.settings import Profile

__all__ = ["Profile", "load"]
