"""Bad input through the installed command: exit code, the whole message, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the command is tried on POSIX systems"),
]
FULL_DISK = ["bash", "-c", 'ulimit -f 2; exec "$0" "$@"']


def test_a_missing_file(shop, refused):
    shop.write()
    (shop.folder / "sales.csv").unlink()
    assert refused(shop.check()) == (
        f'transactions: no file matches "sales.csv" in {shop.folder}. Files there: shop.yaml. If it is '
        "elsewhere, set `data` in the profile, or give --data."
    )


def test_an_encoding_that_was_declared_wrongly(shop, refused):
    shop.profile["tables"]["transactions"]["encoding"] = "utf-8"
    shop.rows[3][2] = "서울"
    shop.write()
    text = (shop.folder / "sales.csv").read_text(encoding="utf-8")
    (shop.folder / "sales.csv").write_bytes(text.encode("cp949"))
    assert refused(shop.check()) == (
        "transactions: sales.csv is not utf-8: line 5 holds the byte 0xBC at position 173 of the file. "
        "It reads as cp949: write `encoding: cp949` (or auto) for this source in the profile."
    )


def test_bytes_that_are_of_no_known_encoding(shop, refused):
    shop.write()
    lines = (shop.folder / "sales.csv").read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b"north", b"no\xff\xffth").replace(b"south", b"so\xff\xffth")
    (shop.folder / "sales.csv").write_bytes(b"".join(lines))
    assert refused(shop.check()) == (
        "transactions: sales.csv is neither UTF-8 (line 8, byte 0xFF) nor cp949 (line 8, byte 0xFF). Say which it is "
        "under `encoding:` in the profile, or save the file as UTF-8."
    )


def test_a_missing_column_names_the_nearest(shop, refused):
    shop.header[4] = "payed"
    shop.write()
    assert refused(shop.check()) == (
        'transactions.amount: sales.csv has no column "paid". Did you mean "payed"? Its headers: '
        "receipt, customer, store, day, payed, kind."
    )


def test_a_required_column_that_is_mapped_to_nothing(shop, refused):
    del shop.profile["tables"]["transactions"]["columns"]["amount"]
    shop.header[4] = "amounts"
    shop.write()
    assert refused(shop.check()) == (
        'transactions.amount: the required column is missing in sales.csv. Did you mean "amounts"? Its headers: '
        "receipt, customer, store, day, amounts, kind. Map one to `amount` under tables.transactions.columns in the "
        "profile."
    )


def test_a_file_that_may_not_be_read(shop, refused):
    shop.rows[3][4] = "17.00"  # read anew
    shop.write()
    (shop.folder / "sales.csv").chmod(0)
    assert refused(shop.check(prefix=_without_rights())) == (
        "No permission to read sales.csv. Ask its owner for read access."
    )


@pytest.mark.parametrize(
    ("rights", "message"),
    [
        (0, "No permission to read the folder sold. Ask its owner for read access."),
        (0o311, "transactions: no permission to read sold. Ask its owner for read access."),
    ],
)
def test_a_folder_that_may_not_be_looked_into(shop, refused, rights, message):
    shop.profile["data"] = "sold"
    shop.profile["tables"]["transactions"]["files"] = ["s*.csv"]
    shop.write()
    sold = shop.folder / "sold"
    sold.mkdir()
    sold.chmod(rights)
    try:
        assert refused(shop.check(prefix=_without_rights())) == message
    finally:
        sold.chmod(0o755)


def test_a_required_table_under_another_name(shop, refused):
    shop.profile["tables"]["transaction"] = shop.profile["tables"].pop("transactions")
    shop.write()
    assert refused(shop.check()) == (
        "shop.yaml: `tables`: the table `transactions` is required: say under `tables:` where it is; rename "
        "`transaction` if it is meant"
    )


def test_a_data_folder_that_is_not_there(shop, refused):
    shop.profile["data"] = "exports/2025"
    shop.write()
    assert refused(shop.check()) == (
        f'transactions: no file matches "sales.csv" in {shop.folder}/exports/2025. The folder does not exist: set '
        "`data` in the profile, or give --data."
    )


def test_a_date_that_is_none(shop, refused):
    shop.rows[10][3] = "2025-13-45"
    shop.rows[20][3] = "soon"
    shop.write()
    assert refused(shop.check()) == (
        'transactions.occurred_at: 2 of 944 cells are not readable as dates (first: "2025-13-45" in '
        'line 12 of sales.csv). Correct the source, or list codes that mean "no value" under `missing:` '
        "of tables.transactions in the profile."
    )


def test_an_amount_that_is_none(shop, refused):
    shop.rows[5][4] = "twelve"
    shop.write()
    assert refused(shop.check()) == (
        'transactions.amount: 1 of 944 cells is not readable as amounts (first: "twelve" in line 7 of '
        'sales.csv). Correct the source, or list codes that mean "no value" under `missing:` of '
        "tables.transactions in the profile."
    )


def test_an_empty_table(shop, refused):
    shop.rows = []
    shop.write()
    assert refused(shop.check()) == (
        "transactions: sales.csv holds no rows. Export it again, or take the table out of the profile."
    )


def test_two_currencies(shop, refused):
    shop.rows[4][4] = "$12.00"
    shop.rows[9][4] = "€8.00"
    shop.write()
    assert refused(shop.check()) == (
        "transactions: the profile's currency is EUR, but 1 of 944 rows carries $ (first: line 6 of "
        "sales.csv). One profile has one currency: convert the amounts, or keep the other currency in a "
        "profile of its own."
    )


def test_an_unknown_branch(shop, refused):
    shop.write()
    assert refused(shop.run("run", "--profile", "shop.yaml", "--branch", "nroth"), reads=True) == (
        'There is no branch "nroth" in shop. Did you mean "north"? Branches: all, north, south.'
    )


def test_a_branch_without_rows_in_the_period(shop, refused):
    shop.rows = [row for row in shop.rows if row[2] == "north" or row[3] > "2025-06"]
    first = min(row[3] for row in shop.rows if row[2] == "south")
    shop.write()
    asked = ("--profile", "shop.yaml", "--branch", "south", "--period", "2025Q1")
    for command in ("run", "report"):
        assert refused(shop.run(command, *asked), reads=True) == (
            f'The branch "south" has no rows in 2025Q1: its data run from {first} to 2025-12-31. '
            "Ask for a period within them, or leave the branch out."
        )


def test_a_period_without_rows(shop, refused):
    shop.write()
    assert refused(shop.run("run", "--profile", "shop.yaml", "--period", "2019Q1"), reads=True) == (
        "2019Q1 holds no rows: the data of shop run from 2025-01-01 to 2025-12-31. The last complete quarter is 2025Q4."
    )


def test_a_period_in_the_future(shop, refused):
    shop.write()
    assert refused(shop.run("run", "--profile", "shop.yaml", "--period", "2026Q2"), reads=True) == (
        "2026Q2 lies after the end of the data: the data of shop end on 2025-12-31. The last complete "
        "quarter is 2025Q4; take that one."
    )


def test_a_period_that_is_not_over(shop, refused):
    shop.profile["coverage"] = {"data_ends_on": "2025-11-20"}
    shop.write()
    assert refused(shop.run("run", "--profile", "shop.yaml", "--period", "2025Q4"), reads=True) == (
        "2025Q4 is not over: the data of shop end on 2025-11-20. The last complete quarter is 2025Q3; "
        "take that one, or ask for it as it stands with --incomplete."
    )


def test_a_refusal_leaves_what_was_made_before_as_it_was(shop, refused):
    """Tables, check and exports of a good run outlive whatever is wrong the next time."""
    shop.rows[7][4] = ""  # one row is set aside
    shop.write()
    made = shop.check()
    assert made.returncode == 2 and any("/exports/set_aside/" in name for name in made.added), made.stdout
    good = (shop.folder / "sales.csv").read_bytes()
    (shop.folder / "sales.csv").write_bytes(good.replace(b"2025-", b"2025-13-", 1))
    refused(shop.check())
    (shop.folder / "sales.csv").write_bytes(good[: good.rindex(b"R")])
    refused(shop.check(prefix=FULL_DISK))


def test_an_unknown_chapter(shop, refused):
    shop.write()
    assert refused(shop.run("run", "--profile", "shop.yaml", "--chapter", "customer_valu")) == (
        'There is no chapter "customer_valu". Did you mean "customer_value"? Chapters: data_quality, '
        "customer_value, satisfaction_loyalty, crm_roi."
    )


def test_an_unknown_parameter(shop, refused):
    shop.write()
    notebook = Path(__file__).parents[2] / "analyses" / "customer_value.ipynb"
    assert refused(shop.run("run", "--profile", "shop.yaml", "--set", "customer_value.brnch=north")) == (
        f'{notebook} has no parameter "brnch". Did you mean "branch"? '
        "Its parameters: profile, branch, period, language."
    )


def test_a_parameter_of_another_kind(shop, refused):
    shop.write()
    notebook = Path(__file__).parents[2] / "analyses" / "satisfaction_loyalty.ipynb"
    assert refused(shop.run("run", "--profile", "shop.yaml", "--set", "satisfaction_loyalty.seed=one")) == (
        f"{notebook}: the parameter \"seed\" is a whole number, such as 1; 'one' is text."
    )


def test_a_parameter_without_chapter(shop, refused):
    shop.write()
    assert refused(shop.run("run", "--profile", "shop.yaml", "--set", "top_share=0.2")) == (
        '"top_share=0.2" is not a parameter. Write CHAPTER.NAME=VALUE, such as satisfaction_loyalty.seed=2.'
    )


def test_a_parameter_of_an_unknown_chapter(shop, refused):
    shop.write()
    assert refused(shop.run("run", "--profile", "shop.yaml", "--set", "customer_valeu.branch=north")) == (
        'There is no chapter "customer_valeu". Did you mean "customer_value"? Chapters: data_quality, '
        "customer_value, satisfaction_loyalty, crm_roi."
    )


def test_a_typo_in_the_profile(shop, refused):
    shop.profile["privcy"] = {"min_cell": 5}
    shop.write()
    assert refused(shop.check()) == ('shop.yaml: `privcy` is not a setting. Did you mean "privacy"?')


def test_a_setting_written_twice(shop, refused):
    shop.write()
    with open(shop.folder / "shop.yaml", "a", encoding="utf-8") as stream:
        stream.write("\ncurrency: USD\n")
    lines = (shop.folder / "shop.yaml").read_text(encoding="utf-8").splitlines()
    assert refused(shop.check()) == (
        f"shop.yaml is not valid YAML in line {len(lines)}: `currency` stands there already, in line "
        f"{lines.index('currency: EUR') + 1}; keep one of the two."
    )


def test_a_profile_that_is_not_yaml(shop, refused):
    shop.write()
    (shop.folder / "shop.yaml").write_text("id: shop\n\tname: x\n", encoding="utf-8")
    assert refused(shop.check()) == (
        "shop.yaml is not valid YAML in line 2: found character '\\t' that cannot start any token."
    )


def test_an_identifier_and_a_currency_that_are_none(shop, refused):
    shop.profile |= {"id": "../../etc", "currency": "won"}
    shop.write()
    assert refused(shop.check()) == (
        "shop.yaml: `id`: write small letters a to z, digits, - and _ only, at most 41 of them, as it names a folder "
        "(found '../../etc'); `currency`: write the three capital letters of the currency, such as KRW (found 'won')"
    )


def test_a_language_without_pages(shop, refused):
    shop.write()
    message = "shop.yaml: `language`: there are no pages in this language. Languages: en, ko (found 'fr')"
    assert refused(shop.run("report", "--profile", "shop.yaml", "--language", "fr")) == message
    shop.profile["language"] = "fr"
    shop.write()
    assert refused(shop.check()) == message


def test_a_condition_that_names_no_column(shop, refused):
    shop.profile["tables"]["transactions"]["where"] = "stor = 'north'"
    shop.write()
    assert refused(shop.check()) == (
        "tables.transactions.where: the condition stor = 'north' cannot be used on sales.csv: it has no column "
        '"stor". Did you mean "store"?'
    )


def test_a_last_covered_day_of_no_branch(shop, refused):
    shop.profile["coverage"] = {"last_covered_day": {"nroth": "2025-10-31"}}
    shop.write()
    assert refused(shop.check(), reads=True) == (
        'coverage.last_covered_day: there is no branch "nroth" in the transactions of shop. Did you mean "north"? '
        "Branches: north, south."
    )


def test_a_title_above_the_header(shop, refused):
    shop.write()
    sales = shop.folder / "sales.csv"
    sales.write_text("Sales of 2025\n" + sales.read_text(encoding="utf-8"), encoding="utf-8")
    assert refused(shop.check()) == (
        'transactions: line 2 of sales.csv has 6 cells, the header has 1. If "Sales of 2025" is a title, set '
        "`header_row` to the row of the header; another separator is set by `delimiter`."
    )
    shop.profile["tables"]["transactions"]["delimiter"] = ";"
    shop.write()
    assert refused(shop.check()) == (
        'transactions.transaction_id: sales.csv has no column "receipt". Its headers: receipt,customer,store,day,paid,'
        'kind. If "receipt,customer,store,day,paid,kind" is a title, set `header_row` to the row of the header; '
        "another separator is set by `delimiter`."
    )


def test_no_profile(shop, refused):
    assert refused(shop.check()) == ("There is no profile shop.yaml. `crm-analysis init FOLDER` writes one to fill in.")


def _contract(shop, change) -> None:
    """A copy of the contracts in the shop's own folder, with `transactions.yaml` changed."""
    folder = shop.folder / "data_contracts"
    shutil.copytree(Path(__file__).parents[2] / "data_contracts", folder)
    path = folder / "transactions.yaml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(contract)
    path.write_text(yaml.safe_dump(contract, sort_keys=False, allow_unicode=True), encoding="utf-8")


def test_a_contract_with_a_misspelt_key(shop, refused):
    shop.write()

    def change(contract):
        contract["schema"][0]["propertees"] = contract["schema"][0].pop("properties")

    _contract(shop, change)
    assert refused(shop.check()) == (
        'transactions.yaml, line 295: transactions has no key "propertees". Did you mean "properties"? '
        "Keys are those of the Open Data Contract Standard 3.1."
    )


def test_a_contract_rule_that_cannot_be_compiled(shop, refused):
    shop.write()

    def change(contract):
        contract["schema"][0].setdefault("quality", []).append(
            {
                "id": "magic",
                "type": "custom",
                "engine": "greatExpectations",
                "severity": "warning",
                "dimension": "conformity",
                "description": "x",
                "customProperties": [{"property": "action", "value": "y"}],
                "implementation": {"type": "expect_column_value_to_be_in_set", "kwargs": {"value_set": ["sale"]}},
            }
        )

    _contract(shop, change)
    assert refused(shop.check()) == (
        "transactions.yaml: rule magic cannot be compiled: Great Expectations has no "
        '"expect_column_value_to_be_in_set". Did you mean "expect_column_values_to_be_in_set"?'
    )


def _without_rights() -> list[str]:
    """What runs a command bound by the permissions of files, as root is not."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    return drop if os.geteuid() == 0 else []


def test_no_write_permission(new_shop, refused):
    new_shop.write()
    build = new_shop.folder / "build"
    build.chmod(0o555)
    try:
        assert refused(new_shop.check(prefix=_without_rights())) == (
            "No permission to write build/shop. Give yourself write access to build or run from another folder."
        )
    finally:
        build.chmod(0o755)


def test_a_full_disk(new_shop, refused):
    new_shop.write()
    done = new_shop.check(prefix=FULL_DISK)
    assert refused(done) == (
        "The disk is full: build/shop/tables could not be written and nothing was left half-written. "
        "Free some space and run again; what is finished will be skipped."
    )
