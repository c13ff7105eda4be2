"""A notebook that fails, one that never ran, and what the commands that look things up then say."""

from __future__ import annotations

import csv
import json
import shutil
import stat
from pathlib import Path

import duckdb
import openpyxl
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# `all` comes first on every list, wherever it was asked for
ASKED = ("--profile", "shop.yaml", "--branch", "north", "--branch", "all", "--chapter", "data_quality")


@pytest.fixture
def broken(shop):
    """A shop with analyses of its own, run once; after that its data quality notebook fails for the branch north."""
    shop.write()
    shutil.copytree(ROOT / "analyses", shop.folder / "analyses", ignore=shutil.ignore_patterns("profiles"))
    done = shop.run("run", *ASKED)
    assert done.returncode == 0, done.stderr
    path = shop.folder / "analyses" / "data_quality.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    place = next(i for i, cell in enumerate(notebook["cells"]) if "parameters" in cell["metadata"].get("tags", ()))
    source = 'if branch == "north":\n    raise ValueError("the meter is <b>broken</b>")'
    notebook["cells"].insert(
        place + 1,
        {"cell_type": "code", "id": "broken", "metadata": {}, "execution_count": None, "outputs": [], "source": source},
    )
    path.write_text(json.dumps(notebook), encoding="utf-8")
    shop.stopped_in = place + 2
    return shop


def test_a_failed_notebook_is_named_and_its_page_says_so(broken, read):
    done = broken.run("report", *ASKED)
    assert done.returncode == 1
    assert "1 notebooks run" in done.stdout and "1 failed." in done.stdout
    assert done.stderr.splitlines() == ["failed  2025Q4/north/data_quality: ValueError: the meter is <b>broken</b>"]
    html = broken.folder / "build" / "shop" / "html"
    assert done.stdout.splitlines()[-1] == "build/shop/html/index.html"
    page = read(html / "2025Q4" / "north" / "data_quality.html")
    assert "This page has failed since 20" in page and "; what stands here is from 20" in page
    assert f"The notebook stopped in its cell {broken.stopped_in} (ValueError). crm-analysis status says why." in page
    assert not [path for path in html.rglob("*.html") if "the meter is" in path.read_text(encoding="utf-8")]
    assert "Usable" in page  # the last good state stands below
    assert "failed" not in read(html / "2025Q4" / "all" / "data_quality.html")
    assert "1 of 2 pages failed or were never run" in read(html / "index.html")

    state = broken.run("status", *ASKED)
    assert state.returncode == 0
    whole, north = state.stdout.splitlines()
    assert whole.startswith("fresh ") and whole.endswith("2025Q4/all/data_quality")
    assert north.startswith("failed ") and north.endswith("ValueError: the meter is <b>broken</b>")

    alone = broken.run("book", *ASKED)  # the book alone hides it no more than the report does
    assert (alone.returncode, alone.stderr) == (
        1,
        "Pages that failed or were never run, and say so: 1. crm-analysis status says why.\n",
    )
    assert "This page has failed since 20" in read(html / "2025Q4" / "north" / "data_quality.html")

    planned = broken.run("run", "--dry-run", *ASKED)
    assert "run   2025Q4/north/data_quality  failed last time" in planned.stdout


def test_a_page_that_never_ran_says_so(broken, read):
    done = broken.run("book", *ASKED, "--chapter", "crm_roi")
    assert done.returncode == 1
    assert "Pages that failed or were never run, and say so: 2." in done.stderr
    html = broken.folder / "build" / "shop" / "html"
    page = read(html / "2025Q4" / "north" / "crm_roi.html")
    assert "This page could not be made. It was never executed." in page
    assert "2 of 4 pages failed or were never run" in read(html / "index.html")
    state = broken.run("status", "--profile", "shop.yaml", "--branch", "south", "--chapter", "crm_roi")
    assert state.stdout.split() == ["missing", "never", "2025Q4/south/crm_roi", "never", "run"]


def test_a_book_before_anything_was_read_says_what_to_do(new_shop, refused):
    new_shop.write()
    assert refused(new_shop.run("book", "--profile", "shop.yaml")) == (
        "The sources of shop were not read yet. `crm-analysis report --profile shop.yaml` does everything in turn."
    )


def test_findings_are_explained_and_their_customers_listed(shop, refused):
    for row in shop.rows:
        row[1] = f"={row[1]}+1"  # what a spreadsheet would run
    shop.write()
    asked = ("--profile", "shop.yaml", "--branch", "north")
    done = shop.run("run", *asked, "--chapter", "customer_value", "--set", "satisfaction_loyalty.seed=2")
    assert refused(done) == ('Parameters are given for "satisfaction_loyalty", which is not among the chapters to run.')
    done = shop.run("run", *asked, "--chapter", "customer_value")
    assert done.returncode == 0, done.stderr

    told = shop.run("explain", "customer_value.top_tenth_share", *asked)
    assert told.returncode == 0, told.stderr
    first, *lines = told.stdout.splitlines()
    assert first == "customer_value.top_tenth_share  (north, 2025Q4, state on 2025-12-31)"
    named = {line.split()[0] for line in lines[: lines.index("  query")]}
    assert named >= {"value", "interval", "n", "basis", "causal", "definition", "rows"}
    # as it stands, in a DuckDB that knows nothing of the shop, the query gives the customers that the finding counts
    query = "\n".join(lines[lines.index("  query") + 1 :])
    n = next(int(line.split()[1].replace(",", "")) for line in lines if line.split()[0] == "n")
    with duckdb.connect() as con:
        found = con.execute(query).df()
    assert set(found["branch"]) == {"north"} and found["customer_id"].is_unique
    assert n == int((found["last_on"].astype(str) > "2024-12-31").sum())
    assert refused(shop.run("explain", "customer_value.retention", "--profile", "shop.yaml", "--branch", "North")) == (
        'Nothing was run for North. Did you mean "north"? Branches that were run: north.'
    )
    assert refused(shop.run("explain", "customer_value.top_tenth_shaer", *asked)).startswith(
        'There is no finding "customer_value.top_tenth_shaer" for north. '
        'Did you mean "customer_value.top_tenth_share"? Findings: '
    )

    never = ("--profile", "shop.yaml", "--branch", "north", "--period", "2025Q3")
    assert refused(shop.run("explain", "customer_value.top_tenth_share", *never)) == (
        "Nothing was run for north in 2025Q3. `crm-analysis run --profile shop.yaml --branch north --period 2025Q3` "
        "runs it. Periods that were run: 2025Q4."
    )
    missing = refused(shop.run("list", "customer_value.nobody", *asked))
    assert missing.startswith('No list of customers is behind "customer_value.nobody" for north.')
    name = "customer_value.slipping_away"
    assert name in missing
    paths, counts = {}, {}
    for kind in ("csv", "xlsx"):
        written = shop.run("list", name, *asked, "--format", kind)
        assert written.returncode == 0, written.stderr
        path, rows = written.stdout.strip().split("  ")
        counts[kind] = int(rows.removesuffix(" rows"))
        paths[kind] = shop.folder / path
        assert paths[kind].parent == shop.folder / "build" / "shop" / "exports"
        assert stat.S_IMODE(paths[kind].stat().st_mode) == 0o600
    with open(paths["csv"], encoding="utf-8-sig", newline="") as stream:
        header, *rows = list(csv.reader(stream))
    sheet = openpyxl.load_workbook(paths["xlsx"]).active
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert "customer_id" in header and len(rows) == sheet.max_row - 1 > 0
    assert set(counts.values()) == {len(rows)}
    texts = [value for row in rows for value in row]
    assert any(text.startswith("'=") for text in texts)
    assert not [text for text in texts if text.startswith(("=", "+", "@"))]
    assert not [cell.coordinate for cell in cells if cell.data_type == "f"]
    lists = shop.folder / "build" / "shop" / "exports" / "lists"
    assert {stat.S_IMODE(path.stat().st_mode) for path in lists.rglob("*.parquet")} == {0o600}
