"""What the chapter says of public data that nobody made for it, and which a careful analyst would say too.

CDNOW (in the lifetimes wheel): one group of first buyers; Pareto/NBD foresees the nine months that the papers hide.
Online Retail (UCI): ten months, refunds and lines without a customer; no model beats the last period. Olist: hardly
anybody comes back, so that models of repeat purchases add nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crm_analysis import language, profile, tables
from crm_analysis.customer_value import captions
from crm_analysis.customer_value.assessment import CustomerValue, assess
from crm_analysis.customer_value.displays import matrix, migration
from crm_analysis.customer_value.sentences import claims
from crm_analysis.tables.failures import hold_to_contracts
from crm_analysis.tables.ingestion import ingest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CRM_ANALYSIS_DATA") or ROOT.parent / "shared" / "data")


def assessed(name: str, period: str, folder: Path, patch: pytest.MonkeyPatch) -> CustomerValue:
    """All branches of a public data set, through the same profile, contracts and scope as the command."""
    patch.setenv("CRM_ANALYSIS_BUILD", str(folder))
    language.activate("en")
    given = None if name == "cdnow" else DATA
    settings = profile.load(ROOT / "analyses" / "profiles" / f"{name}.yaml", data=given)
    ingest(settings)
    hold_to_contracts(tables.open(settings))
    return assess(tables.open(settings).scope("all", period))


def texts(state: CustomerValue) -> tuple[str, str, str]:
    """The verdict, the findings and what is not known, with ordinary blanks."""
    said = claims(state)
    parts = (said.verdict, " ".join(each.sentence for each in said.findings), " ".join(said.unknowns))
    verdict, findings, unknowns = (part.replace("\N{NO-BREAK SPACE}", " ") for part in parts)
    return verdict, findings, unknowns


@pytest.mark.realdata
def test_cdnow(tmp_path, monkeypatch):
    state = assessed("cdnow", "1998Q2", tmp_path, monkeypatch)
    verdict, findings, unknowns = texts(state)
    check = state.outlook.holdout
    assert check.n == 2357 and check.actual == 1882
    assert "it beat the rules of thumb when tried" in verdict and "1,882 took place" in findings
    assert "nobody has come for the first time since 25 March 1997" in unknowns
    assert "how often and how much are unrelated" in unknowns
    assert state.scores["segment"].value_counts(normalize=True).max() < 0.3


@pytest.mark.realdata("online_retail.parquet")
def test_online_retail(tmp_path, monkeypatch):
    state = assessed("online_retail", "2011Q3", tmp_path, monkeypatch)
    verdict, findings, unknowns = texts(state)
    assert verdict.startswith("The data do not reach back far enough")
    assert "it does not beat the best rule of thumb" in findings and "does not beat a rule of thumb" in verdict
    assert "rather too high" in unknowns
    assert float(state.profits.customers["refunds"].sum()) > 0
    assert "too much for those dormant or lost" in matrix.sentence(state)


@pytest.mark.realdata("olist_orders.parquet")
def test_olist(tmp_path, monkeypatch):
    state = assessed("olist", "2018Q2", tmp_path, monkeypatch)
    verdict, findings, _unknowns = texts(state)
    assert "96 % of the customers" in verdict and "never came back" in verdict
    assert "models of repeat purchases add nothing here" in verdict
    assert "spend on the second purchase, not on forecasts" in findings
    assert "There is no matrix" in matrix.figure(state)["alt"]
    advice = f"{captions.segments(state)} {migration.tiers(state)}"
    assert "contact at low cost" not in advice and "Contact first" not in advice
