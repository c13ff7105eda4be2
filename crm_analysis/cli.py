"""The `crm-analysis` command: parsing arguments, calling the steps, printing what came of it."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from crm_analysis import __version__, imports
from crm_analysis.errors import BusyError, UserError

FAILED, STOPPED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. User errors are one message on standard error, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    imports.spare_address_grammar()
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
        "--data",
        metavar="FOLDER",
        help="the data folder; otherwise $CRM_ANALYSIS_DATA or the profile's; data that come with a package stay",
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
    book = commands.add_parser(
        "book", parents=[common, matrix], help="assemble and build the book from what was run",
        description="A book of a part (--branch, --period, --chapter) takes the place of the whole one; what was run "
        "stays, and the next book without them holds all of it again.",
    )  # fmt: skip
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
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument("--branch", default="all", metavar="B")
    state.add_argument("--period", metavar="P", help="otherwise the last complete one")
    state.add_argument("--incomplete", action="store_true", help="take a period that is not over, as it stands")
    a_list = "a key that `list` knows, segment:NAME, treatment:NAME, tier:NAME or status:NAME"
    export = commands.add_parser(
        "export", parents=[common, state],
        help="turn a list into a campaign with a holdout, or write one row per customer for other programs",
        description="`export customer-value` writes scores, segment, tier, value and treatment of every customer. "
        "`export LIST --campaign NAME --holdout 10%` draws who is held out, writes the campaign to the outbox, from "
        "which every later run reads it back, and writes the list of those to contact.",
    )  # fmt: skip
    export.add_argument("what", metavar="LIST", help=f"customer-value, or the list of a campaign: {a_list}")
    export.add_argument("--format", choices=("parquet", "csv", "xlsx"), help="otherwise all; of contacts: csv or xlsx")
    export.add_argument("--campaign", metavar="NAME", help="name of the new campaign, such as WELCOME27")
    export.add_argument("--holdout", metavar="SHARE", help="share held out at random, such as 10%%")
    export.add_argument("--programme", metavar="P", help="its purpose; otherwise what suits the list, or retention")
    export.add_argument("--starts", type=_day, metavar="DAY", help="otherwise the day after the data end, or today")
    export.add_argument("--ends", type=_day, metavar="DAY", help="last day of contacts; otherwise the first")
    export.add_argument("--window-days", type=int, default=90, metavar="N", help="days the outcome is followed (90)")
    export.add_argument("--contact-cost", type=float, metavar="MONEY", help="cost of contacting one customer")
    export.add_argument("--reward-kind", metavar="KIND", help="what they receive: none, discount, gift, ...")
    export.add_argument("--owner", metavar="WHO", help="who answers for it; otherwise the profile's owner")
    export.set_defaults(run=_export)
    plan = commands.add_parser(
        "plan", parents=[common, state], help="what a test of a list can show against break-even, and whom to hold out"
    )
    plan.add_argument("what", metavar="LIST", help=a_list)
    plan.add_argument("--contact-cost", type=float, required=True, metavar="MONEY", help="cost of contacting one")
    plan.add_argument("--fixed-cost", type=float, default=0.0, metavar="MONEY", help="whatever is spent besides")
    plan.add_argument("--holdout", metavar="SHARE", help="otherwise the smallest share that finds the return")
    plan.add_argument("--return", dest="roi", default="100%", metavar="SHARE", help="return worth finding (100%%)")
    plan.add_argument("--window-days", type=int, default=90, metavar="N", help="days the outcome is followed (90)")
    plan.set_defaults(run=_plan)
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


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a day; write it as 2027-01-15") from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)


def _steps(given: argparse.Namespace):  # type: ignore[no-untyped-def]
    """The steps for the profile asked for; loaded late, so that `--help` stays instant."""
    from crm_analysis.pipeline import Steps

    return Steps.of(given.profile, data=given.data, language=given.language)


def _wanted(steps, given: argparse.Namespace):  # type: ignore[no-untyped-def]
    from crm_analysis.pipeline import asking

    return asking.wanted(
        steps.profile, given.branch, given.period, given.chapter, incomplete=given.incomplete, parameters=given.set
    )


def _prepared(steps, given: argparse.Namespace):  # type: ignore[no-untyped-def]
    """What was asked for, the data read and checked for it; what is misspelt is said before the long work."""
    from crm_analysis.pipeline import asking

    asking.named(given.chapter, given.set)
    steps.read()
    wanted = _wanted(steps, given)
    steps.hold_to_contracts()
    return wanted


def _summary(results: Sequence[Any]) -> int:
    from crm_analysis.pipeline import showing

    return showing.print_summary(results)


def _report(given: argparse.Namespace) -> int:
    steps = _steps(given)
    with steps.alone():
        wanted = _prepared(steps, given)
        results = steps.run(wanted, workers=given.workers, force=given.force)
        page, _broken = steps.book(wanted)
    failed = _summary(results)
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
    return FAILED if _summary(results) else 0


def _book(given: argparse.Namespace) -> int:
    steps = _steps(given)
    with steps.alone():
        page, broken = steps.book(_wanted(steps, given))
    if broken:
        print(
            f"Pages that failed or were never run, and say so: {broken}. crm-analysis status says why.", file=sys.stderr
        )
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

    path, rows = lookup.export_list(_steps(given).profile, given.finding, given.branch, given.period, given.format)
    print(f"{path}  {rows:,} rows")
    return 0


def _export(given: argparse.Namespace) -> int:
    asked = {"--campaign": given.campaign, "--holdout": given.holdout}
    if given.what == "customer-value":
        stray = [name for name, value in asked.items() if value is not None]
        if stray:
            raise UserError(
                f"export customer-value writes everybody and takes no {stray[0]}. A campaign is made of a list, such "
                "as `export treatment:grow --campaign NAME --holdout 10%`."
            )
        kinds = (given.format,) if given.format else ("parquet", "csv", "xlsx")
        written = _steps(given).export_customer_value(given.branch, given.period, kinds, incomplete=given.incomplete)
        for path, rows in written:
            print(f"{path}  {rows:,} customers" if rows else f"{path}  what the columns mean")
        return 0
    absent = [name for name, value in asked.items() if value is None]
    if absent:
        raise UserError(
            f"export {given.what}: a campaign needs {' and '.join(absent)}, such as --campaign WELCOME27 --holdout "
            "10%. `crm-analysis list FINDING` writes a list alone, `crm-analysis export customer-value` everybody."
        )
    if given.format == "parquet":
        raise UserError("--format parquet: the list of those to contact is csv or xlsx.")
    from crm_analysis import launch

    order = launch.Order(
        name=given.campaign,
        holdout_share=launch.read_share(given.holdout),
        programme=given.programme,
        starts_on=given.starts,
        ends_on=given.ends,
        window_days=given.window_days,
        contact_cost=given.contact_cost,
        reward_kind=given.reward_kind,
        owner=given.owner,
        branch=given.branch,
    )
    steps = _steps(given)
    made, shown = steps.export_campaign(
        given.what, order, given.period, given.format or "csv", incomplete=given.incomplete
    )
    print(launch.said(made, shown, steps.profile))
    return 0


def _plan(given: argparse.Namespace) -> int:
    from crm_analysis import launch

    steps = _steps(given)
    source, screening, outlook = steps.plan_list(
        given.what,
        given.branch,
        given.period,
        incomplete=given.incomplete,
        contact_cost=given.contact_cost,
        fixed_cost=given.fixed_cost,
        holdout_share=None if given.holdout is None else launch.read_share(given.holdout),
        expected_roi=launch.read_return(given.roi),
        window_days=given.window_days,
    )
    print(launch.said_plan(source, screening, outlook, steps.profile))
    return 0


def _tiers(given: argparse.Namespace) -> int:
    _steps(given).preview_tiers(given.preview, given.branch, given.period)
    return 0


def _init(given: argparse.Namespace) -> int:
    from crm_analysis.profile import scaffold

    source = Path(given.source) if given.source else None
    path = scaffold.init(Path(given.folder), given.template, source=source)
    print(path)
    print(f'Open it, fill in what is marked "fill in", then: crm-analysis check --profile {shlex.quote(str(path))}')
    return 0


def _demo(given: argparse.Namespace) -> int:
    from crm_analysis import demo

    demo.generate_scaled(Path(given.folder), given.customers, seed=given.seed)
    print(given.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
