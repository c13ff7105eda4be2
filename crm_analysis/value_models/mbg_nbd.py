"""The modified beta-geometric / negative binomial model (Batislam, Denizel and Filiztekin 2007, International Journal
of Research in Marketing 24(3); as CBG/NBD in Hoppe and Wagner 2007, Marketing JRM 29(2)).

BG/NBD in which a customer may drop out at time zero too, right after the first purchase. Customers without a repeat
purchase are no longer alive for certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from crm_analysis.value_models.beta_geometric import BetaGeometricFit, fit_beta_geometric
from crm_analysis.value_models.histories import Histories

if TYPE_CHECKING:
    from lifetimes import ModifiedBetaGeoFitter


@dataclass(frozen=True, slots=True, kw_only=True)
class MbgNbdFit(BetaGeometricFit):
    """A fitted MBG/NBD model."""

    model: ClassVar[str] = "MBG/NBD"
    at_zero: ClassVar[int] = 1

    def to_lifetimes(self, histories: Histories | None = None) -> ModifiedBetaGeoFitter:
        """The same model as a fitter of the lifetimes library, with the data too when `histories` are given."""
        from lifetimes import ModifiedBetaGeoFitter

        fitter = ModifiedBetaGeoFitter()
        self._into_lifetimes(fitter, histories)
        return fitter


def fit_mbg_nbd(histories: Histories) -> MbgNbdFit:
    """Fit MBG/NBD to histories. Raises CannotFit with fewer than ten repeat customers."""
    return fit_beta_geometric(MbgNbdFit, histories)
