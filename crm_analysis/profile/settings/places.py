"""Where an organisation's tables are, and how their columns become canonical ones."""

from __future__ import annotations

import zoneinfo
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from crm_analysis.profile.settings.base import Settings


class Column(Settings):
    """How one canonical column is made from a source.

    Give one of: `from` (a header, with optional `values` that rename its cells), `constant`, or `expression` (SQL over
    the source's own columns).
    """

    from_: str | None = Field(None, alias="from")
    values: dict[str, str | None] = {}
    constant: str | float | int | bool | None = None
    expression: str | None = None

    @model_validator(mode="after")
    def one_way(self) -> Column:
        """Exactly one way of making the column."""
        given = [self.from_ is not None, self.constant is not None, self.expression is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of `from`, `constant` and `expression`")
        return self


class Source(Settings):
    """Files that share one layout, or one table of a database, read where it is."""

    files: list[str] = Field([], description="globs below the data folder")
    database: str | None = Field(
        None, description="a DuckDB file below the data folder, or postgresql://USER@HOST/NAME without a password"
    )
    table: str | None = Field(None, description="the table or view of the database, as NAME or SCHEMA.NAME")
    encoding: str = "auto"
    delimiter: str | None = None
    sheet: str | int | list[str] | Literal["*"] | None = None
    header_row: int | None = Field(1, ge=1, description="1-based row of the header; null where the file has none")
    names: list[str] | None = Field(None, description="column names for a file without a header")
    columns: dict[str, str | Column] = {}
    missing: list[str] = Field([], description="cell texts that mean: no value")
    where: str | None = Field(None, description="SQL over the source's columns; other rows belong to another table")
    time_zone: str | None = Field(
        None, description="whose clock says on which day a moment was, for cells that hold moments (with time zone)"
    )
    total_words: list[str] = [
        *("합계", "총계", "총합계", "소계", "누계", "계"),
        *("total", "grand total", "subtotal", "sum"),
    ]

    @field_validator("files", mode="before")
    @classmethod
    def one_file(cls, files: object) -> object:
        """A single file or glob may be written without a list."""
        return [files] if isinstance(files, str) else files

    @model_validator(mode="after")
    def one_place(self) -> Source:
        """Either files or a table of a database, with the settings that apply to it."""
        if bool(self.files) == (self.database is not None):
            raise ValueError("say where the rows are: either `files`, or `database` and `table`")
        if self.database is None and self.table is not None:
            raise ValueError("`table` is a table of a `database`; for files leave it out")
        if self.database is not None:
            if not self.table:
                raise ValueError("`database` needs `table`, the table or view to read")
            moot = sorted(_OF_FILES & self.model_fields_set)
            if moot:
                raise ValueError(f"`{moot[0]}` is about files; a table of a database does without it")
            _check_address(self.database)
        return self

    @field_validator("time_zone")
    @classmethod
    def zone_known(cls, time_zone: str | None) -> str | None:
        """A name of the time zone database."""
        if time_zone is not None and time_zone not in zoneinfo.available_timezones():
            raise ValueError("this is no time zone; write one such as Asia/Seoul")
        return time_zone


def is_server(database: str) -> bool:
    """Whether `database` is the address of a PostgreSQL server, and not a file."""
    return database.startswith(("postgresql://", "postgres://"))


def _check_address(database: str) -> None:
    """Raise ValueError for the address of a server that holds a password, or whose port is no number."""
    if not is_server(database):
        return
    address = urlsplit(database)
    if address.password is not None or "password=" in address.query:
        raise ValueError("a profile holds no password: take it out and set PGPASSWORD or ~/.pgpass instead")
    try:
        _ = address.port
    except ValueError as error:
        raise ValueError("the server's port is no number; write postgresql://USER@HOST:PORT/NAME") from error


_OF_FILES = frozenset(("encoding", "delimiter", "sheet", "header_row", "names", "total_words"))


class Table(Settings):
    """One canonical table, from one or several sources."""

    sources: list[Source] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def short_form(cls, value: object) -> object:
        """A table with one source may be written without `sources`."""
        if isinstance(value, dict) and "sources" not in value:
            return {"sources": [value]}
        return value
