"""`crm-analysis tiers --preview`: what a rule would give, before anyone commits to it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable

import pytest
import yaml

pytestmark = pytest.mark.slow

RULES = {
    "rules": [
        {"name": "Gold", "all": [{"visits": 6}, {"amount": 200}]},
        {"name": "Silver", "visits": 3},
        {"name": "Others"},
    ]
}


def preview(shop, rules: dict | str | None = None, *arguments: str):
    """The command on the shop, by the rules of a file where some are given."""
    if rules is not None:
        text = rules if isinstance(rules, str) else yaml.safe_dump(rules)
        (shop.folder / "rules.yaml").write_text(text, encoding="utf-8")
    named = ["rules.yaml"] if rules is not None else []
    return shop.run("tiers", "--profile", "shop.yaml", *arguments, "--preview", *named)


def bought(shop) -> dict[str, tuple[int, float]]:
    """Visits and money of each customer, added up from the file: all of it lies within the last twelve months."""
    found: dict[str, tuple[set[str], float]] = {}
    for _receipt, customer, _store, day, paid, _kind in shop.rows:
        days, money = found.get(customer, (set(), 0.0))
        found[customer] = (days | {day}, money + float(paid))
    return {customer: (len(days), money) for customer, (days, money) in found.items()}


def cells(output: str, name: str) -> list[str]:
    """The cells of a printed row."""
    row = next(line for line in output.splitlines() if re.match(rf"│ {re.escape(name)} ", line))
    return [cell.strip() for cell in row.strip("│ ").split("│")]


def count(cell: str) -> int:
    return int(cell.rsplit(maxsplit=1)[-1].replace(",", ""))


def test_shares_by_and_or_and_both_years(shop):
    shop.write()
    done = preview(shop, RULES)
    assert done.returncode == 0, done.stderr
    each = bought(shop).values()
    gold = sum(n >= 6 and money >= 200 for n, money in each)
    either = sum(n >= 6 or money >= 200 for n, money in each)
    row = cells(done.stdout, "Gold")
    assert row[1] == "visits >= 6 and amount >= 200"
    assert (count(row[2]), count(row[3])) == (gold, either)
    assert row[2].split("\N{NO-BREAK SPACE}%")[0] == f"{100 * gold / len(each):.1f}"
    assert cells(done.stdout, "Others")[1] == "everybody left"
    assert "no tier_given" in done.stdout and "No tier was changed" in done.stdout
    kept = r"build/(shop/(tables|data_quality|exports/set_aside)/|[^/]+$|shop/[^/]+$)"
    assert all(re.match(kept, name) for name in done.added), "what every reading of the sources leaves, and no more"


def test_the_profiles_own_rules_and_a_branch(shop):
    shop.profile["tiers"] = {"rules": RULES["rules"][1:]}
    shop.write()
    done = preview(shop, None, "--branch", "north")
    assert done.returncode == 0, done.stderr
    north = {row[1] for row in shop.rows if row[2] == "north"}
    silver = sum(n >= 3 for customer, (n, _money) in bought(shop).items() if customer in north)
    assert count(cells(done.stdout, "Silver")[2]) == silver
    assert "no rule has two thresholds" in done.stdout.lower()


def test_beside_the_organisations_own_tiers(shop):
    each = bought(shop)
    given = {customer: "A" if money >= 150 else "B" for customer, (_n, money) in each.items()}
    del given["C0000"]
    with open(shop.folder / "members.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(
            [["customer_id", "branch", "joined_on", "tier_given"]]
            + [[c, "south" if int(c[1:]) % 3 == 0 else "north", "2025-01-01", tier] for c, tier in given.items()]
        )
    shop.profile["tables"]["customers"] = {"files": ["members.csv"]}
    shop.write()
    done = preview(shop, RULES)
    assert done.returncode == 0, done.stderr
    crossed = sum(given.get(c) == "A" and n >= 6 and money >= 200 for c, (n, money) in each.items())
    row = cells(done.stdout, "A")
    assert int(row[1]) == crossed
    assert int(row[-1]) == sum(tier == "A" for tier in given.values())
    assert int(cells(done.stdout, "(none)")[-1]) == 1


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            {"rules": [{"name": "A", "visit": 3}, {"name": "B"}]},
            'rules.yaml: `tiers.rules.0.visit` is not a setting. Did you mean "visits"?',
        ),
        (
            {"rules": [{"name": "A", "visits": {}}, {"name": "B"}]},
            "rules.yaml: `tiers.rules.0.visits`: a threshold is missing: write `at_least`, `more_than`, `at_most`, "
            "`less_than` or `top_share`",
        ),
        (
            {"rules": [{"name": "A", "visits": 3}, {"name": "A"}]},
            'rules.yaml: `tiers`: two rules are named "A"; each tier needs a name of its own',
        ),
        (
            {"rules": [{"name": "A", "visits": 3}, {"name": "B", "visits": 14}, {"name": "C"}]},
            'rules.yaml: `tiers`: nobody is left for "B": whoever fulfils it is in "A" before; put it first or '
            "change it",
        ),
        (
            {"preset": "department_store"},
            "rules.yaml: `tiers`: the preset department_store has thresholds in won, and the currency is EUR; write "
            "`rules` of your own",
        ),
        ("", "rules.yaml holds no rules. Write `preset: deciles`, or `rules:` as under `tiers:` in a profile."),
        ("rules: [", "rules.yaml is not valid YAML"),
    ],
)
def test_a_bad_rule_is_refused_before_anything_is_read(shop, refused: Callable[..., str], rules, said):
    shop.write()
    assert refused(preview(shop, rules)).startswith(said)


def test_names_that_do_not_exist_are_refused(shop, refused: Callable[..., str]):
    shop.write()
    done = shop.run("tiers", "--profile", "shop.yaml", "--preview", "nowhere.yaml")
    assert refused(done) == (
        "There is no file of rules nowhere.yaml. Without a file, --preview shows the profile's own."
    )
    message = refused(shop.run("tiers", "--profile", "shop.yaml", "--branch", "nroth", "--preview"), reads=True)
    assert message == 'There is no branch "nroth" in shop. Did you mean "north"? Branches: all, north, south.'
    assert "lies after the end of the data" in refused(
        shop.run("tiers", "--profile", "shop.yaml", "--period", "2031", "--preview"), reads=True
    )
