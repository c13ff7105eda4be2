"""Data contracts: what each canonical table must hold, and the check that holds the data to it."""

from crm_analysis.contracts.loading import fingerprint, load
from crm_analysis.contracts.model import Column, Contract, Freshness, Relationship, Rule

__all__ = ["Column", "Contract", "Freshness", "Relationship", "Rule", "fingerprint", "load"]
