"""Rules compiled to expectations of Great Expectations, run over frames, and asked which rows fail.

Great Expectations takes seconds to import; it is imported by the first function of this module that runs, never with
the module. Its own condition metric says which rows fail, so that a count and the rows behind it cannot disagree.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from crm_analysis.contracts.model import Contract, Rule
from crm_analysis.errors import ContractError, nearest

_EPOCH = datetime(1970, 1, 1)
DATED = ("date", "timestamp")


@dataclass(frozen=True, slots=True)
class Count:
    """What one rule found in one frame: rows it could judge, rows that fail, and their places in the frame."""

    rule: str
    checked: int
    failed: int
    places: np.ndarray | None = None


def days_since_epoch(value: date | datetime | str) -> float:
    """A day or time as days since 1970-01-01: the form in which date columns reach Great Expectations.

    Comparing numbers is ten times faster there than comparing dates.

    >>> days_since_epoch("1970-01-02")
    1.0
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return (value - _EPOCH).total_seconds() / 86_400


def expectation(rule: Rule, contract: Contract, parameters: Mapping[str, Any]) -> Any:
    """The expectation that `rule` states, its parameters filled in.

    Raises ContractError naming the rule where Great Expectations has no such expectation, refuses its arguments, or
    would judge the table as a whole rather than row by row.
    """
    import pydantic

    import_great_expectations()
    import great_expectations.expectations as known
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    problem = f"{contract.path.name}: rule {rule.id} cannot be compiled: "
    name = "".join(part.capitalize() for part in rule.type.split("_"))
    found = getattr(known, name, None)
    if found is None:
        choices = [re.sub(r"(?<!^)(?=[A-Z])", "_", other).lower() for other in dir(known) if other.startswith("Expect")]
        raise ContractError(problem + f'Great Expectations has no "{rule.type}".{nearest(rule.type, choices)}')
    if not issubclass(found, ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation):
        raise ContractError(problem + f'"{rule.type}" judges a table, not its rows.')
    dated = any(contract.columns[column].logical_type in DATED for column in _compared(rule))
    kwargs = {key: _value(value, parameters, dated and key in _BOUNDS) for key, value in rule.arguments.items()}
    accepted = getattr(found, "model_fields", None) or getattr(found, "__fields__", {})
    for key in kwargs:
        if key not in accepted:
            raise ContractError(problem + f'"{rule.type}" takes no "{key}".{nearest(key, accepted)}')
    try:
        return found(**kwargs, severity=rule.severity, meta={"rule": rule.id})
    except (pydantic.ValidationError, pydantic.v1.ValidationError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise ContractError(problem + text[:300]) from error


_BOUNDS = ("min_value", "max_value")


def _compared(rule: Rule) -> list[str]:
    return [rule.arguments[key] for key in ("column", "column_A", "column_B") if key in rule.arguments]


def _value(value: Any, parameters: Mapping[str, Any], as_days: bool) -> Any:
    if isinstance(value, dict) and "$PARAMETER" in value:
        value = parameters[value["$PARAMETER"]]
    if as_days and isinstance(value, str | date | datetime):
        return days_since_epoch(value)
    return value


def import_great_expectations() -> Any:
    """The library, quiet: no telemetry, no progress bars, no log lines."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own imports of deprecated names
        import great_expectations

    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    return great_expectations


class Suite:
    """An ephemeral suite over frames of one shape; nothing of it is written to disk."""

    def __init__(self, name: str, expectations: Mapping[str, Any]) -> None:
        """`expectations`: rule id -> expectation."""
        library = import_great_expectations()
        from great_expectations.data_context.types.base import ProgressBarsConfig

        self._expectations = dict(expectations)
        context = library.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
        self._definition = asset.add_batch_definition_whole_dataframe(name)
        self._suite = library.ExpectationSuite(name, expectations=list(self._expectations.values()))

    def run(self, frame: pd.DataFrame, *, want_rows: bool) -> Iterator[Count]:
        """Every rule's counts in `frame`, in the order given; with `want_rows` the places that fail as well.

        Rows are looked up only for rules that fail. Raises ContractError naming the rule that could not be evaluated.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas' notices about the library's own code
            batch = self._definition.get_batch(batch_parameters={"dataframe": frame})
            outcome = batch.validate(self._suite, result_format="BASIC")
            results = {item.expectation_config.meta["rule"]: item for item in outcome.results}
            for rule, given in self._expectations.items():
                item = results[rule]
                fault = _exception(item.exception_info)
                if fault:
                    raise ContractError(f"Rule {rule} cannot be compiled: {fault}")
                found = item.result
                failed = int(found["unexpected_count"])
                checked = int(found["element_count"]) - int(found.get("missing_count") or 0)
                places = None
                if failed and want_rows:
                    places = _failing_places(batch, given, frame)
                yield Count(rule, checked, failed, places)


def _failing_places(batch: Any, given: Any, frame: pd.DataFrame) -> np.ndarray:
    from great_expectations.expectations.registry import get_metric_kwargs
    from great_expectations.validator.metric_configuration import MetricConfiguration
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    metric = f"{given.map_metric}.condition"
    kwargs = get_metric_kwargs(metric_name=metric, configuration=given.configuration)
    domain = {key: value for key, value in kwargs["metric_domain_kwargs"].items() if value is not None}
    calculator = MetricsCalculator(batch.data.execution_engine)
    condition = calculator.get_metric(
        MetricConfiguration(
            metric_name=metric,
            metric_domain_kwargs={**domain, "batch_id": batch.id},
            metric_value_kwargs=kwargs["metric_value_kwargs"],
        )
    )[0]
    return frame.index.get_indexer(condition.index[condition.to_numpy(dtype=bool)])


def _exception(info: Any) -> str:
    """What went wrong inside the library, in one line; empty when nothing did."""
    if not info:
        return ""
    several = [info] if "raised_exception" in info else [item for item in info.values() if isinstance(item, dict)]
    for item in several:
        if item.get("raised_exception"):
            return " ".join(str(item.get("exception_message")).split())[:300]
    return ""


def batched(table: Any, columns: Mapping[str, str], *, rows: int) -> Iterator[pd.DataFrame]:
    """`table` in frames of at most `rows` rows: `_row` and `columns` (name -> logical type), dates as days."""
    chosen = {"_row": table["_row"]}
    for name, logical_type in columns.items():
        value = table[name]
        if logical_type in DATED:
            value = value.cast("timestamp").epoch_seconds() / 86_400.0
        chosen[name] = value
    waiting: list[pa.RecordBatch] = []
    for batch in _record_batches(table.select(**chosen), rows):
        for start in range(0, batch.num_rows, rows):
            part = batch.slice(start, rows)
            if waiting and sum(item.num_rows for item in waiting) + part.num_rows > rows:
                yield pa.Table.from_batches(waiting).to_pandas()
                waiting = []
            waiting.append(part)
    if waiting:
        yield pa.Table.from_batches(waiting).to_pandas()


def _record_batches(table: Any, rows: int) -> Any:
    backend = table.get_backend()
    if backend.name == "duckdb":  # its Python client dropped the method that ibis streams with
        return backend.con.sql(str(backend.compile(table))).to_arrow_reader(rows)
    return table.to_pyarrow_batches(chunk_size=rows)
