"""Models of who buys again, how often and for how much, fitted by maximum likelihood on the original time scale."""

from crm_analysis.value_models.bg_bb import BgBbFit, fit_bg_bb
from crm_analysis.value_models.bg_nbd import BgNbdFit, fit_bg_nbd
from crm_analysis.value_models.comparing import Difference, difference, product
from crm_analysis.value_models.fitting import CannotFit, Estimate, Fit
from crm_analysis.value_models.gamma_gamma import GammaGammaFit, fit_gamma_gamma
from crm_analysis.value_models.histories import Histories, histories
from crm_analysis.value_models.mbg_nbd import MbgNbdFit, fit_mbg_nbd
from crm_analysis.value_models.occasions import Occasions, occasions
from crm_analysis.value_models.pareto_nbd import ParetoNbdFit, fit_pareto_nbd
from crm_analysis.value_models.sbg import SbgFit, fit_sbg
from crm_analysis.value_models.tenures import Tenures, tenures, tenures_from_survivors

__all__ = [
    "BgBbFit",
    "BgNbdFit",
    "CannotFit",
    "Difference",
    "Estimate",
    "Fit",
    "GammaGammaFit",
    "Histories",
    "MbgNbdFit",
    "Occasions",
    "ParetoNbdFit",
    "SbgFit",
    "Tenures",
    "difference",
    "fit_bg_bb",
    "fit_bg_nbd",
    "fit_gamma_gamma",
    "fit_mbg_nbd",
    "fit_pareto_nbd",
    "fit_sbg",
    "histories",
    "occasions",
    "product",
    "tenures",
    "tenures_from_survivors",
]
