"""The `crm-analysis` command: parsing arguments, calling the steps, printing what came of it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from crm_analysis import __version__
from crm_analysis.errors import BusyError, UserError

FAILED, STOPPED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. User errors are one message on standard error, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help()
        return 2
    try:
        return int(given.run(given))
    except UserError as error:
        print(f"crm-analysis: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("crm-analysis: stopped; what is finished is kept, and the next run does the rest.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crm-analysis", description="From customer records to a report book.")
    parser.add_argument("--version", action="version", version=f"crm-analysis {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profile", required=True, metavar="FILE", help="the organisation's profile (YAML)")
    common.add_argument(
        "--data", metavar="FOLDER", help="the data folder; otherwise $CRM_ANALYSIS_DATA or the profile's"
    )
    common.add_argument("--language", metavar="CODE", help="language of pages (en, ko); otherwise the profile's")
    matrix = argparse.ArgumentParser(add_help=False)
    matrix.add_argument("--branch", action="append", metavar="B", help="a branch or `all`; may be repeated")
    matrix.add_argument(
        "--period", action="append", metavar="P", help="2026, 2026H1, 2026Q3 or 2026-09; may be repeated"
    )
    matrix.add_argument("--chapter", action="append", metavar="C", help="a chapter; may be repeated")
    matrix.add_argument("--set", action="append", default=[], metavar="C.NAME=VALUE", help="a chapter's own parameter")
    matrix.add_argument("--incomplete", action="store_true", help="run a period that is not over, with a banner")
    work = argparse.ArgumentParser(add_help=False)
    work.add_argument("--workers", type=_positive, metavar="N", help="notebooks at a time; otherwise one per processor")
    work.add_argument("--force", action="store_true", help="run again what is unchanged")

    report = commands.add_parser("report", parents=[common, matrix, work], help="check, run and book; prints the path")
    report.set_defaults(run=_report)
    check = commands.add_parser("check", parents=[common], help="hold the data to their contracts")
    check.add_argument("--strict", action="store_true", help="exit with 1 when there are warnings")
    check.set_defaults(run=_check)
    run = commands.add_parser("run", parents=[common, matrix, work], help="execute the matrix of notebooks")
    run.add_argument("--dry-run", action="store_true", help="print what would run, and why")
    run.set_defaults(run=_run)
    book = commands.add_parser("book", parents=[common, matrix], help="assemble and build the book from what was run")
    book.set_defaults(run=_book)
    status = commands.add_parser("status", parents=[common, matrix], help="the matrix with ages and reasons to re-run")
    status.set_defaults(run=_status)
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("finding", metavar="FINDING", help="a finding's key, such as customer_value.retention")
    one.add_argument("--branch", default="all", metavar="B")
    one.add_argument("--period", metavar="P", help="otherwise the latest that was run")
    explain = commands.add_parser(
        "explain", parents=[common, one], help="definition, filters, rows and query of a finding"
    )
    explain.set_defaults(run=_explain)
    listing = commands.add_parser("list", parents=[common, one], help="export the customers behind a finding")
    listing.add_argument("--format", choices=("csv", "xlsx"), default="csv")
    listing.set_defaults(run=_list)
    export = commands.add_parser("export", parents=[common], help="write one row per customer for other programs")
    export.add_argument("what", choices=("customer-value",), help="scores, segment, tier, value and treatment")
    export.add_argument("--branch", default="all", metavar="B")
    export.add_argument("--period", metavar="P", help="otherwise the last complete one")
    export.add_argument("--incomplete", action="store_true", help="take a period that is not over, as it stands")
    export.add_argument("--format", choices=("parquet", "csv", "xlsx"), help="otherwise all three")
    export.set_defaults(run=_export)
    tiers = commands.add_parser("tiers", parents=[common], help="shares that tier rules would give")
    tiers.add_argument("--branch", default="all", metavar="B")
    tiers.add_argument("--period", metavar="P", help="otherwise the last complete one")
    tiers.add_argument(
        "--preview", nargs="?", const="", required=True, metavar="RULES.yaml",
        help="by the rules of this file, or the profile's own: and/or, rolling and calendar year, beside tier_given",
    )  # fmt: skip
    tiers.set_defaults(run=_tiers)
    init = commands.add_parser("init", help="write a profile to fill in")
    init.add_argument("folder", metavar="FOLDER")
    init.add_argument("--template", choices=("charity", "retail", "bank", "clinic"), default="charity")
    init.add_argument(
        "--from", dest="source", metavar="FILE.csv", help="propose a column mapping from this file's header"
    )
    init.set_defaults(run=_init)
    demo = commands.add_parser("demo", help="write the built-in association's files, at any scale")
    demo.add_argument("folder", metavar="FOLDER", nargs="?", default="build/scaled")
    demo.add_argument("--customers", type=int, required=True, metavar="N")
    demo.add_argument("--seed", type=int, default=20261)
    demo.set_defaults(run=_demo)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)


def _steps(given: argparse.Namespace):  # type: ignore[no-untyped-def]
    """The steps for the profile asked for; loaded late, so that `--help` stays instant."""
    from crm_analysis.pipeline import Steps

    return Steps.of(given.profile, data=given.data, language=given.language)


def _wanted(steps, given: argparse.Namespace):  # type: ignore[no-untyped-def]
    return steps.wanted(given.branch, given.period, given.chapter, incomplete=given.incomplete, parameters=given.set)


def _prepared(steps, given: argparse.Namespace):  # type: ignore[no-untyped-def]
    """What was asked for, the data read and checked for it; what is misspelt is said before the long work."""
    steps.named(given.chapter, given.set)
    steps.read()
    wanted = _wanted(steps, given)
    steps.hold_to_contracts()
    return wanted


def _report(given: argparse.Namespace) -> int:
    steps = _steps(given)
    with steps.alone():
        wanted = _prepared(steps, given)
        results = steps.run(wanted, workers=given.workers, force=given.force)
        page, _broken = steps.book(wanted)
    failed = steps.summary(results)
    print(page)
    return FAILED if failed else 0


def _check(given: argparse.Namespace) -> int:
    steps = _steps(given)
    with steps.alone():
        return steps.check(strict=given.strict)


def _run(given: argparse.Namespace) -> int:
    steps = _steps(given)
    with steps.alone():
        wanted = _prepared(steps, given)
        if given.dry_run:
            steps.show_plan(wanted, force=given.force)
            return 0
        results = steps.run(wanted, workers=given.workers, force=given.force)
    return FAILED if steps.summary(results) else 0


def _book(given: argparse.Namespace) -> int:
    steps = _steps(given)
    with steps.alone():
        page, broken = steps.book(_wanted(steps, given))
    if broken:
        print(f"{broken} pages failed or were never run, and say so. crm-analysis status says why.", file=sys.stderr)
    print(page)
    return FAILED if broken else 0


def _status(given: argparse.Namespace) -> int:
    steps = _steps(given)
    with contextlib.suppress(BusyError), steps.alone():  # a run at work has read the sources itself
        steps.read()
    steps.show_status(_wanted(steps, given))
    return 0


def _explain(given: argparse.Namespace) -> int:
    from crm_analysis import lookup

    print(lookup.explain(_steps(given).profile, given.finding, given.branch, given.period))
    return 0


def _list(given: argparse.Namespace) -> int:
    from crm_analysis import lookup

    print(lookup.export_list(_steps(given).profile, given.finding, given.branch, given.period, given.format))
    return 0


def _export(given: argparse.Namespace) -> int:
    kinds = (given.format,) if given.format else ("parquet", "csv", "xlsx")
    written = _steps(given).export_customer_value(given.branch, given.period, kinds, incomplete=given.incomplete)
    for path, rows in written:
        print(f"{path}  {rows:,} customers" if rows else f"{path}  what the columns mean")
    return 0


def _tiers(given: argparse.Namespace) -> int:
    _steps(given).preview_tiers(given.preview, given.branch, given.period)
    return 0


def _init(given: argparse.Namespace) -> int:
    from crm_analysis.profile import scaffold

    source = Path(given.source) if given.source else None
    print(scaffold.init(Path(given.folder), given.template, source=source))
    return 0


def _demo(given: argparse.Namespace) -> int:
    from crm_analysis import demo

    demo.generate_scaled(Path(given.folder), given.customers, seed=given.seed)
    print(given.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
