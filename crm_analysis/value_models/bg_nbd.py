"""The beta-geometric / negative binomial model of repeat buying (Fader, Hardie and Lee 2005, Marketing Science 24(2)).

While alive a customer buys at a Poisson rate lambda ~ Gamma(r, alpha); after each repeat purchase the customer drops
out with probability p ~ Beta(a, b). Rate and dropout are independent, nothing depends on the season or on age.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from crm_analysis.value_models.beta_geometric import BetaGeometricFit, fit_beta_geometric
from crm_analysis.value_models.histories import Histories

if TYPE_CHECKING:
    from lifetimes import BetaGeoFitter


@dataclass(frozen=True, slots=True, kw_only=True)
class BgNbdFit(BetaGeometricFit):
    """A fitted BG/NBD model. Customers without a repeat purchase have had no occasion to drop out: their P(alive) is
    one.
    """

    model: ClassVar[str] = "BG/NBD"

    def to_lifetimes(self, histories: Histories | None = None) -> BetaGeoFitter:
        """The same model as a fitter of the lifetimes library, with the data too when `histories` are given."""
        from lifetimes import BetaGeoFitter

        fitter = BetaGeoFitter()
        self._into_lifetimes(fitter, histories)
        return fitter


def fit_bg_nbd(histories: Histories) -> BgNbdFit:
    """Fit BG/NBD to histories (eq. 6 of the paper). Raises CannotFit with fewer than ten repeat customers."""
    return fit_beta_geometric(BgNbdFit, histories)
