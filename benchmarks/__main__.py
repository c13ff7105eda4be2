"""`python -m benchmarks [NAME ...]`: run benchmarks and print one table with ratios against the bars of the design."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterator

from benchmarks.measuring import Comparison

NAMES = ("summary", "memory", "contract_check", "matrix", "value_models", "satisfaction", "programmes")


def main() -> int:
    """0 when every bar is met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, to see that it runs")
    given = parser.parse_args()
    wanted = given.names or NAMES
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    found = list(_run(wanted, quick=given.quick))
    print(f"\nPython {sys.version.split()[0]}, {os.cpu_count()} processors")
    lines = [("work", "ours", "peer", "seconds", "ratio", "bar", "")]
    for item in found:
        times = (f"{item.ours:.2f} s", item.peer, f"{item.theirs:.2f} s")
        lines.append((item.work, *times, f"{item.ratio:.2f}", item.bar, item.verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return 0 if all(item.met for item in found) else 1


def _run(names: tuple[str, ...] | list[str], *, quick: bool) -> Iterator[Comparison]:
    for name in names:
        print(f"== {name}", flush=True)
        yield from importlib.import_module(f"benchmarks.{name}").run(quick=quick)


if __name__ == "__main__":
    sys.exit(main())
