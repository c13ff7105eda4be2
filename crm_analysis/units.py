"""Time and money units: the only home of conversions between days, months, years and rates."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from crm_analysis.errors import ScopeError

DAYS_PER_YEAR = 365.2425
DAYS_PER_MONTH = DAYS_PER_YEAR / 12
DAYS_PER_WEEK = 7.0
_MONTHS = {"year": 12, "half": 6, "quarter": 3, "month": 1}
_LABEL = re.compile(r"^(\d{4})(?:(?:H([12]))|(?:Q([1-4]))|(?:-(0[1-9]|1[0-2])))?$")


def months_to_days(months: float) -> float:
    """Length of `months` in days, by the mean Gregorian month."""
    return months * DAYS_PER_MONTH


def add_months(day: date, months: int) -> date:
    """`day` moved by whole calendar months, held back to the last day of a shorter month.

    >>> add_months(date(2026, 1, 31), 1)
    datetime.date(2026, 2, 28)
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of the organisation's calendar; `start` and `end` are its first and last day.

    `fiscal_year_starts` is the month in which the fiscal year begins. A fiscal year is named after the calendar year
    in which it begins; months keep their calendar names.
    """

    label: str
    kind: str
    start: date
    end: date
    fiscal_year_starts: int = 1

    @classmethod
    def parse(cls, label: str, *, fiscal_year_starts: int = 1) -> Period:
        """Read `2026`, `2026H1`, `2026Q3` or `2026-09`. Raises ScopeError for anything else."""
        match = _LABEL.match(label.strip())
        if not match:
            raise ScopeError(
                f'"{label}" is not a period. Write a year (2026), a half (2026H1), a quarter (2026Q3) '
                "or a month (2026-09)."
            )
        year, half, quarter, month = match.groups()
        if not 1900 <= int(year) <= 2200:
            raise ScopeError(f'"{label}" lies outside the years 1900 to 2200.')
        first = fiscal_year_starts
        if half:
            kind, offset = "half", 6 * (int(half) - 1)
        elif quarter:
            kind, offset = "quarter", 3 * (int(quarter) - 1)
        elif month:
            kind, offset, first = "month", int(month) - 1, 1
        else:
            kind, offset = "year", 0
        start = add_months(date(int(year), first, 1), offset)
        end = add_months(start, _MONTHS[kind]) - timedelta(days=1)
        return cls(label.strip(), kind, start, end, fiscal_year_starts)

    @classmethod
    def containing(cls, day: date, kind: str, *, fiscal_year_starts: int = 1) -> Period:
        """The period of `kind` that holds `day`."""
        first = 1 if kind == "month" else fiscal_year_starts
        months = (day.year - 1) * 12 + day.month - first
        year, within = divmod(months, 12)
        year += 1
        step = within // _MONTHS[kind]
        label = {
            "year": f"{year:04d}",
            "half": f"{year:04d}H{step + 1}",
            "quarter": f"{year:04d}Q{step + 1}",
            "month": f"{year:04d}-{step + 1:02d}",
        }[kind]
        return cls.parse(label, fiscal_year_starts=fiscal_year_starts)

    @classmethod
    def last_complete(cls, data_ends_on: date, kind: str, *, fiscal_year_starts: int = 1) -> Period:
        """The last period of `kind` that data up to and including `data_ends_on` cover to its end."""
        running = cls.containing(data_ends_on, kind, fiscal_year_starts=fiscal_year_starts)
        return running if running.end <= data_ends_on else running.previous()

    def check_over(self, data_ends_on: date, profile_id: str, *, incomplete: bool = False) -> None:
        """Raise ScopeError for a period after the end of the data, or one not over then unless `incomplete`."""
        if self.end <= data_ends_on or (incomplete and self.start <= data_ends_on):
            return
        last = Period.last_complete(data_ends_on, self.kind, fiscal_year_starts=self.fiscal_year_starts)
        begun = self.start <= data_ends_on
        raise ScopeError(
            f"{self} {'is not over' if begun else 'lies after the end of the data'}: the data of {profile_id} end on "
            f"{data_ends_on}. The last complete {self.kind} is {last}; take that one"
            f"{', or ask for it as it stands with --incomplete' if begun else ''}."
        )

    def previous(self) -> Period:
        """The period of the same kind just before."""
        return Period.containing(self.start - timedelta(days=1), self.kind, fiscal_year_starts=self.fiscal_year_starts)

    def next(self) -> Period:
        """The period of the same kind just after."""
        return Period.containing(self.end + timedelta(days=1), self.kind, fiscal_year_starts=self.fiscal_year_starts)

    def year_before(self) -> Period:
        """The same period one year earlier."""
        return Period.containing(add_months(self.start, -12), self.kind, fiscal_year_starts=self.fiscal_year_starts)

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.end - self.start).days + 1

    def __str__(self) -> str:
        return self.label
