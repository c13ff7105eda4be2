"""The steps from an organisation's files to its book, what was asked of them, and how they are told in the terminal."""

from crm_analysis.pipeline.steps import Steps

__all__ = ["Steps"]
