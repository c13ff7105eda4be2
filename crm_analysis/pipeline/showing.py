"""How a run is told in the terminal: progress, the table it ends with, ages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


class Progress:
    """A bar on a terminal, a line per finished notebook elsewhere."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.progress import Progress as Bar

            self._bar = Bar(transient=True)
            self._bar.start()
            self._task = self._bar.add_task("notebooks", total=self.total)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, result: Any) -> None:
        if result.status == "skipped":
            return
        self.done += 1
        if self._bar is not None:
            from rich.markup import escape

            self._bar.update(self._task, completed=self.done, description=escape(result.name))
        else:
            print(f"[{self.done}/{self.total}] {result.status:<9} {result.seconds:5.1f} s  {result.name}", flush=True)


def print_summary(results: Sequence[Any]) -> int:
    """Print how the matrix ended as a table of branches and chapters; returns how many cells failed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    failed = [result for result in results if result.status == "failed"]
    if any(result.status != "skipped" for result in results):
        chapters = list(dict.fromkeys(result.chapter for result in results))
        table = Table("period", "branch", *chapters)
        rows: dict[tuple[str, str], dict[str, str]] = {}
        for result in results:
            said = {"done": f"{result.seconds:.1f} s", "skipped": "unchanged"}.get(result.status, result.status.upper())
            rows.setdefault((result.period, result.branch), {})[result.chapter] = said
        for (period, branch), cells in rows.items():
            table.add_row(period, escape(branch), *(cells.get(chapter, "") for chapter in chapters))
        Console(width=None if sys.stdout.isatty() else 120).print(table)
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    print(f"{counts['done']} notebooks run, {counts['skipped']} unchanged, {counts['failed']} failed.")
    for result in failed:
        print(f"failed  {result.name}: {result.error}", file=sys.stderr)
    return len(failed)


def age(seconds: float) -> str:
    """A length of time in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
