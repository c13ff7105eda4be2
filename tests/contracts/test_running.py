"""Running a check: counts and rows agree, batches do not matter, what is written, what is read back."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from crm_analysis import contracts
from crm_analysis.contracts import checking, recording
from crm_analysis.contracts.compiling import Suite, batched, days_since_epoch, expectation, import_great_expectations
from crm_analysis.contracts.loading import FOLDER
from crm_analysis.errors import ContractError

pytestmark = pytest.mark.slow

amounts = st.one_of(st.none(), st.floats(-5, 5, allow_nan=False))
words = st.one_of(st.none(), st.sampled_from(["sale", "gift", "x", "refund"]))
few = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def native(**kwargs: Any) -> dict[str, Any]:
    import_great_expectations()
    import great_expectations.expectations as known

    return {
        "between": known.ExpectColumnValuesToBeBetween(column="a", min_value=0, meta={"rule": "between"}),
        "pair": known.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="a", column_B="b", or_equal=True, ignore_row_if="either_value_is_missing", meta={"rule": "pair"}
        ),
        "missing": known.ExpectColumnValuesToNotBeNull(column="a", meta={"rule": "missing"}),
        "set": known.ExpectColumnValuesToBeInSet(column="k", value_set=["sale", "gift"], meta={"rule": "set"}),
        "regex": known.ExpectColumnValuesToMatchRegex(column="k", regex="^[a-z]{4,}$", meta={"rule": "regex"}),
        "conditional": known.ExpectColumnValuesToBeNull(
            column="a",
            row_condition={"type": "comparison", "column": {"name": "k"}, "operator": "==", "parameter": "sale"},
            meta={"rule": "conditional"},
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite("some", native())


@few
@given(rows=st.lists(st.tuples(amounts, amounts, words), min_size=1, max_size=30))
def test_counts_and_rows_of_great_expectations_are_those_of_a_plain_loop(suite: Suite, rows: list[Any]) -> None:
    frame = pd.DataFrame(
        {"_row": range(len(rows)), "a": pd.Series([r[0] for r in rows], dtype="float64"),
         "b": pd.Series([r[1] for r in rows], dtype="float64"), "k": pd.Series([r[2] for r in rows], dtype="str")}
    )  # fmt: skip
    fails = {
        "between": [a is not None and a < 0 for a, _, _ in rows],
        "pair": [a is not None and b is not None and a < b for a, b, _ in rows],
        "missing": [a is None for a, _, _ in rows],
        "set": [k is not None and k not in ("sale", "gift") for _, _, k in rows],
        "regex": [k == "x" for _, _, k in rows],
        "conditional": [k == "sale" and a is not None for a, _, k in rows],
    }
    judged = {
        "between": sum(a is not None for a, _, _ in rows),
        "pair": sum(a is not None and b is not None for a, b, _ in rows),
        "missing": len(rows),
        "set": sum(k is not None for _, _, k in rows),
        "regex": sum(k is not None for _, _, k in rows),
        "conditional": sum(k == "sale" for _, _, k in rows),
    }
    for count in suite.run(frame, want_rows=True):
        expected = np.flatnonzero(fails[count.rule]).tolist()
        assert (count.rule, count.failed) == (count.rule, len(expected))
        assert ([] if count.places is None else sorted(count.places.tolist())) == expected, count.rule
        assert count.checked == judged[count.rule], count.rule


def test_rows_are_those_that_the_library_lists_itself(suite: Suite) -> None:
    frame = pd.DataFrame({"_row": [10, 20, 30, 40], "a": [1.0, -1.0, None, -2.0], "b": [0.0] * 4, "k": ["x"] * 4})
    batch = suite._definition.get_batch(batch_parameters={"dataframe": frame})
    listed = batch.validate(
        native()["between"],
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["_row"]},
    )
    by_library = [line["_row"] for line in listed.result["unexpected_index_list"]]
    (ours,) = [count for count in suite.run(frame, want_rows=True) if count.rule == "between"]
    assert frame["_row"].to_numpy()[ours.places].tolist() == by_library == [20, 40]


days = st.integers(0, 400).map(lambda n: (pd.Timestamp("2025-01-01") + pd.Timedelta(days=n)).date().isoformat())
gifts = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", None]), st.sampled_from(["gift", "refund"]), days, st.sampled_from([1.0, 2.0])
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@few
@given(rows=gifts)
def test_derived_rules_agree_with_plain_loops(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], data_set: Any
) -> None:
    names = ("customer_id", "kind", "occurred_at", "amount")
    given_rows = [
        {"transaction_id": f"T{n}", "branch": "b"} | dict(zip(names, row, strict=True)) for n, row in enumerate(rows)
    ]
    folder = tmp_path_factory.mktemp("data")
    data = type(data_set)(folder)(settings={"quality": {"max_set_aside": 1.0}}, transactions=given_rows)
    data.supplied["transactions"] -= {"transaction_id"}
    data.check()
    seen, copies, alone = set(), [], []
    for n, row in enumerate(rows):
        if row in seen:
            copies.append(n)
        seen.add(row)
        earlier = [r for r in rows if r[0] == row[0] and r[1] == "gift" and r[2] <= row[2]]
        if row[1] == "refund" and row[0] is not None and not earlier:
            alone.append(n)
    assert data.rows_of("transactions_exact_duplicate") == copies
    assert data.rows_of("transactions_refund_without_sale") == alone


@pytest.mark.parametrize("rows", [1, 3, 1_000_000])
def test_batches_do_not_change_the_result(data_set: Any, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(checking, "BATCH_ROWS", rows)
    bad = [data_set.payment(n, amount=-1.0 if n % 2 else 1.0, customer_id=None if n == 5 else "A") for n in range(8)]
    given = data_set(settings={"quality": {"max_set_aside": 1.0}}, transactions=bad)
    report = given.check()
    assert given.rows_of("transactions_amount_negative") == [1, 3, 5, 7]
    assert given.rows_of("transactions_customer_id_missing") == [5]
    checked = {item.rule.id: item.rows_checked for item in report.results}
    assert checked["transactions_amount_negative"] == checked["transactions_customer_id_missing"] == 8


def test_a_batch_never_holds_more_rows_than_asked_for(data_set: Any) -> None:
    given = data_set(transactions=data_set.several(100))
    sizes = [len(frame) for frame in batched(given.raw["transactions"], {"amount": "number"}, rows=30)]
    assert sum(sizes) == 100 and max(sizes) <= 30


def test_dates_reach_great_expectations_as_days(data_set: Any) -> None:
    given = data_set(transactions=[data_set.payment(1, occurred_at="2026-09-01T12:00")])
    (frame,) = batched(given.raw["transactions"], {"occurred_at": "timestamp"}, rows=10)
    assert frame["occurred_at"].tolist() == [days_since_epoch("2026-09-01") + 0.5]


# -- rules that cannot be compiled ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "type: expect_column_values_to_be_between",
            "type: expect_column_values_to_be_betwixt",
            'costs.yaml: rule costs_incurred_on_future cannot be compiled: Great Expectations has no '
            '"expect_column_values_to_be_betwixt". Did you mean "expect_column_values_to_be_between"?',
        ),
        (
            "type: expect_column_values_to_be_between",
            "type: expect_column_max_to_be_between",
            'costs.yaml: rule costs_incurred_on_future cannot be compiled: "expect_column_max_to_be_between" judges a '
            "table, not its rows.",
        ),
        (
            "strict_max: true",
            "strict_maximum: true",
            'costs.yaml: rule costs_incurred_on_future cannot be compiled: "expect_column_values_to_be_between" '
            'takes no "strict_maximum". Did you mean "strict_max"?',
        ),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_compiled_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    for path in FOLDER.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace(old, new, 1) if path.name == "costs.yaml" else text, "utf-8")
    contract = contracts.load(tmp_path)["costs"]
    rule = next(rule for rule in contract.rules if rule.id == "costs_incurred_on_future")
    with pytest.raises(ContractError) as caught:
        expectation(rule, contract, {"after_data_ends": "2026-10-01"})
    assert str(caught.value) == message


def test_nothing_is_written_when_a_rule_cannot_be_evaluated(data_set: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = data_set(transactions=[data_set.payment(1)])
    contract = contracts.load()["transactions"]
    bad = next(rule for rule in contract.rules if rule.id == "transactions_kind_unknown")
    object.__setattr__(bad, "type", "expect_column_values_to_be_odd")
    try:
        with pytest.raises(ContractError, match="rule transactions_kind_unknown cannot be compiled"):
            given.check()
    finally:
        object.__setattr__(bad, "type", "expect_column_values_to_be_in_set")
    assert not (given.profile.build_dir).exists()


# -- what is written --------------------------------------------------------------------------------------------------


@pytest.fixture
def faulty(data_set: Any) -> Any:
    rows = [
        data_set.payment(1), data_set.payment(2, amount=-5.0, product="=cmd()"),
        data_set.payment(3, kind=None, amount=-7.0), data_set.payment(4, quantity=-1.0), *data_set.several(20),
    ]  # fmt: skip
    return data_set(transactions=rows)


def test_failures_list_each_row_and_rule_once(faulty: Any) -> None:
    report = faulty.check()
    found = faulty.failures()
    assert list(found.columns) == ["table", "_row", "rule", "severity", "set_aside"]
    assert found.sort_values(["rule", "_row"]).to_numpy().tolist() == [
        ["transactions", 1, "transactions_amount_negative", "critical", True],
        ["transactions", 2, "transactions_amount_negative", "critical", True],
        ["transactions", 2, "transactions_kind_missing", "critical", True],
        ["transactions", 3, "transactions_quantity_negative", "warning", False],
    ]
    assert report.set_aside == {"transactions": 2}
    assert report.rows == {"transactions": 24}


def test_set_aside_rows_are_exported_for_their_owner_only_and_formula_safe(faulty: Any) -> None:
    faulty.check()
    path = faulty.profile.build_dir / "exports" / "set_aside" / "transactions.csv"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    frame = pd.read_csv(path, dtype=str)
    assert frame["line"].tolist() == ["3", "4"]
    assert frame["product"].fillna("").tolist() == ["'=cmd()", ""]
    assert frame["rules"].tolist() == [
        "transactions_amount_negative", "transactions_amount_negative; transactions_kind_missing",
    ]  # fmt: skip
    assert "amount is negative." in frame["reasons"][0]
    assert "customer_id" in frame and "order_id" not in frame


def test_an_export_of_an_earlier_check_does_not_survive_clean_data(data_set: Any) -> None:
    given = data_set(settings={"quality": {"max_set_aside": 1.0}}, transactions=[data_set.payment(1, amount=-1.0)])
    given.check()
    path = given.profile.build_dir / "exports" / "set_aside" / "transactions.csv"
    assert path.exists()
    clean = data_set(transactions=data_set.several(2))
    clean.check()
    assert not path.exists()


def test_the_report_for_pages_holds_counts_and_no_identifier(faulty: Any) -> None:
    faulty.check()
    text = (faulty.profile.build_dir / "data_quality" / "report.json").read_text(encoding="utf-8")
    assert "T-0000" not in text and '"A"' not in text and "transactions.csv" not in text
    stored = json.loads(text)
    (line,) = [line for line in stored["rules"] if line["id"] == "transactions_amount_negative"]
    assert line == {
        "id": "transactions_amount_negative", "table": "transactions", "column": "amount", "dimension": "validity",
        "severity": "critical", "level": "row", "what": "amount is negative.",
        "action": "Record money paid back as a row of kind refund with a positive amount: correct the sign at the "
        "source, or let expressions in the profile tell refunds by the minus and drop it, as crm-analysis init --from "
        "FILE writes them.",
        "rows_checked": 24, "rows_failed": 2, "passed": False, "at_most_share": 0.0,
        "chapters": ["customer_value", "satisfaction_loyalty", "crm_roi"], "details": [],
    }  # fmt: skip
    assert {"id": "transactions_refund_of_orphan", "table": "transactions", "column": "refund_of",
            "reason": "the column refund_of is not supplied"} in stored["not_applicable"]  # fmt: skip


def test_an_unchanged_check_is_read_back_and_equals_the_first(faulty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = faulty.check(fingerprint="one")
    monkeypatch.setattr(checking, "_Run", None)
    assert faulty.check(fingerprint="one") == first
    assert contracts.last_report(faulty.profile.build_dir) == first
    with pytest.raises(TypeError):
        faulty.check(fingerprint="two")


@pytest.mark.parametrize("lost", ["data_quality/failures.parquet", "exports/set_aside/transactions.csv"])
def test_an_unchanged_check_writes_again_what_was_deleted(faulty: Any, lost: str) -> None:
    first = faulty.check(fingerprint="one")
    path = faulty.profile.build_dir / lost
    assert contracts.complete(faulty.profile.build_dir)
    path.unlink()
    assert not contracts.complete(faulty.profile.build_dir)
    assert faulty.check(fingerprint="one") == first
    assert path.exists() and contracts.complete(faulty.profile.build_dir)


def test_reading_a_report_back_does_not_import_great_expectations(faulty: Any) -> None:
    faulty.check()
    code = (
        "import sys; from crm_analysis import contracts; "
        f"report = contracts.last_report({str(faulty.profile.build_dir)!r}); contracts.render(report); "
        "contracts.dictionary(contracts.load()); "
        "print(len(report.breaches), 'great_expectations' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]


def test_a_check_that_is_cut_short_is_not_taken_for_done(faulty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty.check(fingerprint="one")
    monkeypatch.setattr(recording, "_export_set_aside", _full_disk)
    with pytest.raises(OSError, match="full"):
        faulty.check(fingerprint="one", force=True)
    assert contracts.last_report(faulty.profile.build_dir) is None


def _full_disk(*_: Any) -> None:
    raise OSError("full")


# -- what is printed --------------------------------------------------------------------------------------------------


def test_breaches_as_printed(faulty: Any) -> None:
    report = faulty.check()
    console = Console(width=170, record=True, file=io.StringIO(), color_system=None)
    console.print(contracts.render(report))
    text = console.export_text()
    shown = [line.strip("│ ").split("│")[0].strip() for line in text.splitlines() if "transactions_" in line]
    assert shown == ["transactions_amount_negative", "transactions_kind_missing", "transactions_quantity_negative"]
    assert "8.33 %" in text
    first = report.breaches[0]
    assert first.examples == (
        "transaction_id T-00002, amount -5 (transactions.csv, line 3)",
        "transaction_id T-00003, amount -7 (transactions.csv, line 4)",
    )
    assert " ".join(text.split()).endswith(
        "3 of 18 rules broken, 2 of them critical; 14 do not apply. 2 of 24 rows are set aside; "
        "a report can be made of the others."
    )


def test_exit_codes(data_set: Any, faulty: Any) -> None:
    assert faulty.check().exit_code() == 2
    warned = data_set(transactions=[data_set.payment(4, quantity=-1.0), *data_set.several(9)]).check()
    assert (warned.exit_code(), warned.exit_code(strict=True)) == (0, 1)
    clean = data_set(transactions=data_set.several(9)).check()
    assert (clean.exit_code(), clean.exit_code(strict=True)) == (0, 0)


def test_a_share_is_never_rounded_to_nothing() -> None:
    from crm_analysis.contracts.presenting import share

    rule = contracts.load()["costs"].rules[0]
    assert share(checking.Result(rule=rule, rows_checked=1_000_000, rows_failed=1)) == "< 0.01 %"
    assert share(checking.Result(rule=rule, rows_checked=3, rows_failed=1)) == "33.33 %"


# -- dictionary -------------------------------------------------------------------------------------------------------


def test_the_dictionary_holds_every_column_and_every_rule() -> None:
    known = contracts.load()
    pages = contracts.dictionary(known)
    assert set(pages) == set(known)
    for table, contract in known.items():
        lines = pages[table].splitlines()
        for column in contract.columns:
            assert any(line.startswith(f"| `{column}` |") for line in lines), column
        for rule in contract.rules:
            assert any(line.startswith(f"| `{rule.id}` |") for line in lines), rule.id
        widths = {line.replace("\\|", "").count("|") for line in lines if line.startswith("|")}
        assert widths == {6, 8}, table
        readers = next(line for line in lines if "Read by" in line)
        assert all(f"`{chapter}`" in readers for chapter in ("data_quality", *contract.chapters)), readers


def test_the_dictionary_shows_text_as_it_is() -> None:
    from crm_analysis.contracts.presenting import escaped

    assert escaped("a | b <script> *x* `c` $1 {d}") == r"a \| b \<script\> \*x\* \`c\` $1 \{d\}"
