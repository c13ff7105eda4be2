"""The contract files: complete, valid under the standard, and refused with a clear message when misspelt."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from crm_analysis import contracts
from crm_analysis.contracts.loading import FOLDER
from crm_analysis.errors import ContractError

# The canonical tables as the design fixes them; columns in capitals must be supplied.
DESIGN = {
    "transactions": "TRANSACTION_ID CUSTOMER_ID BRANCH OCCURRED_AT AMOUNT KIND order_id line_no quantity list_amount "
    "discount tax points_used cost margin refund_of commitment_id campaign_id product category channel restricted "
    "recorded_at",
    "customers": "CUSTOMER_ID BRANCH JOINED_ON name phone email birth_date gender household_id tier_given credit_grade "
    "motive stay_reason interests attitude_recorded_on contact_verified_on contact_status preferred_channel "
    "consent_contact consent_changed_on valid_from valid_to",
    "commitments": "COMMITMENT_ID CUSTOMER_ID BRANCH STARTED_ON AMOUNT CYCLE_MONTHS product expires_on ended_on "
    "end_reason payment_method",
    "dues": "DUE_ID COMMITMENT_ID DUE_ON AMOUNT_DUE collected_on amount_collected failure_reason",
    "survey_responses": "RESPONSE_ID BRANCH ANSWERED_ON SATISFACTION customer_id respondent_kind wave invited_on "
    "contact_id case_id weight stratum",
    "campaigns": "CAMPAIGN_ID NAME PROGRAMME STARTS_ON ENDS_ON WINDOW_DAYS branch randomisation_unit reward_kind "
    "contact_cost planned_reach owner planned_control_share",  # the last is what a drawn list writes beforehand
    "campaign_members": "CAMPAIGN_ID CUSTOMER_ID ARM ASSIGNED_ON stratum contacted_on delivered_on responded_on",
    "costs": "COST_ID INCURRED_ON CATEGORY AMOUNT branch campaign_id planned_amount driver useful_months",
    "contacts": "CONTACT_ID BRANCH OCCURRED_AT CHANNEL DIRECTION customer_id prospect_id touchpoint element staff_id "
    "campaign_id repeat_of cost",
    "cases": "CASE_ID BRANCH RECEIVED_AT CHANNEL KIND customer_id topic cause company_at_fault severity wanted_remedy "
    "remedy remedy_cost resolved_at recovery_confirmed_on escalated_to repeat_of",
    "prospects": "PROSPECT_ID BRANCH SOURCE FIRST_SEEN_ON converted_customer_id",
    "branches": "BRANCH name opened_on closed_on successor peer_group",
    "targets": "MEASURE PERIOD VALUE branch kind source",
    "control_totals": "TABLE BRANCH MONTH ROWS AMOUNT source covered_to",
}


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, str, str], str]:
    """Load one contract in which a text is replaced; the message of the error it raises."""

    def load(file: str, old: str, new: str) -> str:
        text = (FOLDER / file).read_text(encoding="utf-8")
        assert old in text
        (tmp_path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ContractError) as caught:
            contracts.load(tmp_path)
        return re.sub(r"line \d+", "line N", str(caught.value))

    return load


def test_every_table_and_column_of_the_design_has_a_contract() -> None:
    known = contracts.load()
    assert set(known) == set(DESIGN)
    for table, columns in DESIGN.items():
        assert list(known[table].columns) == columns.lower().split()
        assert {name.upper() for name in known[table].required} == {name for name in columns.split() if name.isupper()}


def test_every_column_states_meaning_unit_owner_and_examples() -> None:
    for contract in contracts.load().values():
        for column in contract.columns.values():
            assert column.description and column.unit and column.owner and len(column.examples) >= 2, column


def test_every_rule_states_what_is_wrong_and_what_to_do() -> None:
    rules = [rule for contract in contracts.load().values() for rule in contract.rules]
    assert len({rule.id for rule in rules}) == len(rules) > 200
    for rule in rules:
        assert rule.what.endswith(".") and rule.action.endswith("."), rule.id
        assert rule.id.startswith(rule.table + "_"), rule.id
        assert rule.chapters, rule.id


def test_every_table_has_keys_emptiness_and_duplicates_checked() -> None:
    for contract in contracts.load().values():
        types = {rule.type for rule in contract.rules}
        assert {"row_count", "duplicate_key", "exact_duplicate"} <= types
        assert contract.primary_key


def test_what_others_read_from_the_contracts() -> None:
    known = contracts.load()
    assert known["transactions"].known_date == "occurred_at"
    assert known["transactions"].columns["amount"].logical_type == "number"
    assert known["commitments"].revealed_by == {"ended_on": "ended_on", "end_reason": "ended_on"}
    assert known["campaign_members"].primary_key == ("campaign_id", "customer_id")
    assert known["dues"].relationships[0].to_table == "commitments"


def test_every_declared_service_level_on_age_is_checked_or_a_row_rule_covers_it() -> None:
    known = contracts.load()
    used = {rule.arguments.get("sla") for contract in known.values() for rule in contract.rules}
    declared = {item.id for contract in known.values() for item in contract.freshness}
    assert declared - used == {"customers_contact_age"}
    assert any(rule.id == "customers_contact_stale" for rule in known["customers"].rules)


def test_a_misspelt_key_is_refused_with_file_place_and_nearest_key(edited: Callable[[str, str, str], str]) -> None:
    assert edited("dues.yaml", "        description: One instalment", "        descripton: One instalment") == (
        'dues.yaml, line N: dues.due_id has no key "descripton". Did you mean "description"? '
        "Keys are those of the Open Data Contract Standard 3.1."
    )


def test_a_misspelt_key_deep_in_a_rule_is_found(edited: Callable[[str, str, str], str]) -> None:
    message = edited("dues.yaml", "            severity: critical", "            severty: critical")
    assert message == (
        'dues.yaml, line N: dues.due_id.quality.dues_due_id_missing has no key "severty". Did you mean "severity"? '
        "Keys are those of the Open Data Contract Standard 3.1."
    )


def test_the_line_of_a_misspelt_key_is_right(tmp_path: Path) -> None:
    text = (FOLDER / "dues.yaml").read_text(encoding="utf-8").replace("logicalType: date", "logicaltype: date", 1)
    (tmp_path / "dues.yaml").write_text(text, encoding="utf-8")
    line = 1 + text[: text.index("logicaltype")].count("\n")
    with pytest.raises(ContractError, match=rf'dues.yaml, line {line}: dues.due_on has no key "logicaltype"'):
        contracts.load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "property: unit",
            "property: unitt",
            'dues.yaml: dues.due_id has no custom property "unitt". Did you mean "unit"? '
            "Known here: unit, owner, mustBeSupplied, revealedBy, chapters.",
        ),
        (
            "severity: warning",
            "severity: warnin",
            'dues.yaml: rule dues_row_count_change: severity "warnin" is none of critical, warning, info. '
            'Did you mean "warning"?',
        ),
        (
            "type: out_of_date",
            "type: out_of_dat",
            'dues.yaml: rule dues_stale cannot be compiled: there is no type "out_of_dat". Did you mean "out_of_date"? '
            "Known: duplicate_key, exact_duplicate, foreign_key, refund_without_sale, joined_after_first_transaction, "
            "later_than, off_scale, row_count, row_count_change, month_without_rows, stopped_reporting, out_of_date, "
            "control_total.",
        ),
        (
            "sla: dues_latency",
            "sla: dues_latenc",
            'dues.yaml: rule dues_stale cannot be compiled: there is no sla "dues_latenc". '
            'Did you mean "dues_latency"?',
        ),
        (
            "column_A: amount_due",
            "column_A: amount_dew",
            'dues.yaml: rule dues_collected_above_due cannot be compiled: the table has no column "amount_dew". '
            'Did you mean "amount_due"?',
        ),
        (
            "after_data_ends",
            "after_data_end",
            "dues.yaml: rule dues_collected_on_future cannot be compiled: there is no parameter "
            '"after_data_end". Did you mean "after_data_ends"? Known: data_ends_on, after_data_ends, '
            "contact_stale_before.",
        ),
        (
            "value: collected_on, description",
            "value: colected_on, description",
            'dues.yaml: dues.collected_on: revealedBy names no column: "colected_on". Did you mean "collected_on"?',
        ),
        (
            "to: commitments.commitment_id",
            "to: commitment.commitment_id",
            "dues.yaml: relationship dues_commitment leads to commitment.commitment_id, which no contract has.",
        ),
        (
            "metric: rowCount",
            "metric: missingValues",
            "dues.yaml: rule dues_empty cannot be compiled: give a metric (nullValues, invalidValues, duplicateValues, "
            "rowCount) or type: custom with an implementation.",
        ),
    ],
)
def test_messages(edited: Callable[[str, str, str], str], old: str, new: str, message: str) -> None:
    assert edited("dues.yaml", old, new) == message


@pytest.mark.parametrize(
    ("link", "meant"), [("commitment.commitment_id", "commitments"), ("commitments.comitment_id", "commitment_id")]
)
def test_a_link_to_what_is_not_there_names_what_was_meant(tmp_path: Path, link: str, meant: str) -> None:
    for path in FOLDER.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace("to: commitments.commitment_id", f"to: {link}"), "utf-8")
    with pytest.raises(ContractError) as refused:
        contracts.load(tmp_path)
    assert str(refused.value).endswith(f'leads to {link}, which no contract has. Did you mean "{meant}"?')


def test_a_file_that_is_no_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "dues.yaml").write_text("a: b\nc: [1\nd: e\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"dues.yaml, line 3 is not YAML"):
        contracts.load(tmp_path)


def test_a_key_that_stands_twice_does_not_drop_the_rules_of_the_first(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "data_contracts" / "dues.yaml").read_text(encoding="utf-8")
    (tmp_path / "dues.yaml").write_text(
        text.replace("    properties:\n", "    quality: []\n    properties:\n", 1), "utf-8"
    )
    first = text.splitlines().index("    quality:") + 1
    with pytest.raises(ContractError, match=rf"is not YAML: `quality` stands there already, in line {first}"):
        contracts.load(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"No contract was found: .* Restore it from the repository."):
        contracts.load(tmp_path)


@pytest.mark.slow
def test_a_note_of_other_files_does_not_spare_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_ANALYSIS_BUILD", str(tmp_path / "build"))
    folder = tmp_path / "contracts"
    folder.mkdir()
    for path in FOLDER.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    from crm_analysis.contracts.loading import remember_valid

    remember_valid(contracts.load(folder), tmp_path / "build")
    assert json.loads((tmp_path / "build" / "contracts.json").read_text())["valid"]
    assert contracts.load(folder).keys() == DESIGN.keys()
    text = (folder / "dues.yaml").read_text(encoding="utf-8")
    (folder / "dues.yaml").write_text(text.replace("required: true", "requird: true", 1), encoding="utf-8")
    with pytest.raises(ContractError, match='has no key "requird"'):
        contracts.load(folder)


def test_reading_contracts_does_not_import_great_expectations() -> None:
    code = (
        "import sys; from crm_analysis import contracts; contracts.load(); print('great_expectations' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_foreign_keys_in_yaml_are_those_that_rules_check() -> None:
    for path in FOLDER.glob("*.yaml"):
        body = yaml.safe_load(path.read_text(encoding="utf-8"))["schema"][0]
        links = {link["id"] for link in body.get("relationships", [])}
        rules = {
            rule["implementation"]["relationship"]
            for rule in body["quality"]
            if isinstance(rule.get("implementation"), dict) and rule["implementation"]["type"] == "foreign_key"
        }
        assert links == rules, path.name
