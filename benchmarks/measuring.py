"""One comparison, and how time is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds of ours and of a peer on the same data in the same run.

    The bar is either `at least` so many times faster (ratio = theirs / ours), or `at most` so many times slower or that
    share of the time (ratio = ours / theirs).
    """

    work: str
    ours: float
    peer: str
    theirs: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def ratio(self) -> float:
        """As the bar counts it."""
        return self.theirs / self.ours if self.at_least is not None else self.ours / self.theirs

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.ratio >= self.at_least if self.at_least is not None else self.ratio <= (self.at_most or 0.0)

    @property
    def bar(self) -> str:
        """The bar in words."""
        return f"at least {self.at_least:g}x faster" if self.at_least is not None else f"at most {self.at_most:g} of it"

    @property
    def verdict(self) -> str:
        """`met` or `MISSED`."""
        return "met" if self.met else "MISSED"


def seconds(work: Callable[[], object], *, repeat: int = 1) -> float:
    """Wall time of `work`, the best of `repeat`."""
    best = float("inf")
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best
