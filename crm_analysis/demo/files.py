"""The association's exports, as untidy as real ones: one transactions file per branch, each in its own manner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pandas as pd

from crm_analysis.demo import faults
from crm_analysis.demo.folders import fresh_folder
from crm_analysis.demo.surveys import EXPECTATIONS, ITEMS, TANGIBLES
from crm_analysis.demo.truth import END, ID_PREFIX
from crm_analysis.demo.workbook import write_workbook
from crm_analysis.demo.world import World, simulate

_KIND_KO: Final = {"gift": "일시후원", "dues": "정기후원", "sale": "판매", "refund": "환불"}
_FAULT_STREAM: Final = 99
_EXCEL_BRANCH: Final = "daegu"
_RETENTION_TARGETS: Final = {
    "seoul": 0.79, "busan": 0.68, "incheon": 0.73, "daegu": 0.76, "daejeon": 0.76, "gwangju": 0.70, None: 0.74,
}  # fmt: skip
_TARGETS: Final = (
    ("customer_value.below_cost_share", 0.20, "target"),
    ("satisfaction_loyalty.top_box", 0.30, "target"),
    ("satisfaction_loyalty.index", 70.0, "target"),
    ("satisfaction_loyalty.index", 68.0, "benchmark"),
    ("data_quality.stale_contacts", 0.25, "target"),
    ("data_quality.set_aside_share", 0.005, "required"),
)
_BRANCH_ROWS: Final = {
    "seoul": ("서울지부", "2008-03-01", "metropolitan"), "busan": ("부산지부", "2011-05-01", "metropolitan"),
    "incheon": ("인천지부", "2012-09-01", "metropolitan"), "daegu": ("대구지부", "2013-02-01", "regional"),
    "daejeon": ("대전지부", "2014-04-01", "regional"), "gwangju": ("광주지부", "2015-10-01", "regional"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one office writes its export. `day` is SQL with a place for the column."""

    who: str = "후원자번호"
    day: str = "strftime({}, '%Y-%m-%d')"
    encoding: str = "utf-8"
    money_in_words: bool = False
    blank_every: int = 0


_PLAIN: Final = Manner()
_WITH_BOM: Final = Manner(encoding="utf-8-sig")
_WINDOWS: Final = Manner(encoding="cp949")
_EXCEL: Final = Manner(day="{}")
_MANNERS: Final = {
    "seoul": _PLAIN,
    "busan": Manner(who="고객번호", encoding="cp949"),
    "incheon": Manner(day="strftime({}, '%Y.%m.%d')", encoding="utf-8-sig", blank_every=900),
    "daejeon": Manner(money_in_words=True, encoding="utf-8-sig"),
    "gwangju": Manner(day="strftime({}, '%Y%m%d')", blank_every=1500),
}


def generate(folder: str | Path, *, seed: int = 20261, donors: int = 20_000, flips: Iterable[str] = ()) -> None:
    """Write the association's files to `folder`, replacing it whole or not at all.

    The same seed, number of donors and flips give the same bytes. Amounts are KRW, days from 2023-10-01 to 2026-09-30.
    Raises ValueError for an unknown flip, UserError for a folder that holds other files or cannot be written.
    """
    world = simulate(seed, donors, flips)
    with fresh_folder(Path(folder), "control_totals.csv") as fresh:
        write_world(world, fresh)


def write_world(world: World, folder: Path) -> None:
    """Write every file of a simulated association to an existing folder."""
    rng = np.random.default_rng([world.truth.seed, _FAULT_STREAM])
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        con.execute("SET preserve_insertion_order = true")
        branches = pd.DataFrame(
            [(code, b.branch, b.name_ko) for code, b in enumerate(world.truth.branches.values())],
            columns=["code", "id", "ko"],
        )
        con.register("branches", branches)
        _transactions(con, rng, world, folder)
        _donors(con, rng, world, folder)
        _commitments(con, world, folder)
        _surveys(con, rng, world, folder)
        _programmes(con, world, folder)
        _service(con, world, folder)
        _small_tables(con, folder)


def _copy(con: duckdb.DuckDBPyConnection, query: str, path: Path, manner: Manner = _PLAIN) -> None:
    con.execute(f"COPY ({query}) TO '{path}' (HEADER, DELIMITER ',')")
    if manner.encoding == "utf-8" and not manner.blank_every:
        return
    text = path.read_text(encoding="utf-8")
    if manner.blank_every:
        lines = text.splitlines(keepends=True)
        empty = "," * lines[0].count(",") + "\n"
        for position in range(len(lines) - len(lines) % manner.blank_every, 0, -manner.blank_every):
            lines.insert(position, empty)
        text = "".join(lines)
    path.write_bytes(text.encode(manner.encoding))


def _id(letter: str, column: str) -> str:
    return f"CASE WHEN {column} >= 0 THEN '{ID_PREFIX}{letter}' || lpad(({column})::VARCHAR, 7, '0') END"


def _donor(column: str) -> str:
    return _id("D", f"({column} + CASE WHEN {column} >= 0 THEN 1 ELSE 0 END)")


def _transactions(con: duckdb.DuckDBPyConnection, rng: np.random.Generator, world: World, folder: Path) -> None:
    rows = faults.transaction_rows(rng, world)
    totals = faults.control_totals(rows, world)
    rows["kind_ko"] = rows["kind"].map(_KIND_KO)
    con.register("rows", rows.drop(columns=["fault", "due", "kind"]))
    con.execute(f"""
        CREATE TEMP TABLE export AS
        SELECT b.id AS branch, {_id("T", "number")} AS txn, {_donor("donor")} AS donor,
            CASE WHEN branch_known THEN b.ko END AS ko, day::DATE AS day, amount, kind_ko, product,
            nullif(campaign, '') AS campaign, {_id("M", "commitment")} AS commitment,
            CASE WHEN restricted THEN 'Y' ELSE 'N' END AS restricted,
            list_amount, discount, channel, {_id("T", "refund_of")} AS refund_of, recorded::DATE AS recorded
        FROM rows JOIN branches b ON b.code = rows.branch
        ORDER BY b.code, recorded, number, amount""")  # fmt: skip
    con.unregister("rows")
    for branch, manner in _MANNERS.items():
        _copy(con, _export_query(branch, manner), folder / f"gifts_{branch}.csv", manner)
    _workbook(con, folder / f"gifts_{_EXCEL_BRANCH}.xlsx")
    con.register("totals", totals)
    _copy(con, """
        SELECT 'transactions' AS "table", b.id AS branch, month::DATE AS month, rows, round(amount)::BIGINT AS amount,
            '재무팀' AS source, covered_to::DATE AS covered_to
        FROM totals JOIN branches b ON b.code = totals.branch
        ORDER BY b.code, month""", folder / "control_totals.csv")  # fmt: skip
    con.execute("DROP TABLE export")


def _export_query(branch: str, manner: Manner) -> str:
    def won(column: str) -> str:
        if manner.money_in_words:
            return f"CASE WHEN {column} < 0 THEN '-' ELSE '' END || format('{{:,}}원', abs({column})::BIGINT)"
        return f"{column}::BIGINT"

    return f"""
        SELECT txn AS 거래번호, donor AS {manner.who}, ko AS 지점, {manner.day.format("day")} AS 거래일자,
            {won("amount")} AS 금액, kind_ko AS 구분, product AS 후원분야, campaign AS 캠페인, commitment AS 약정번호,
            restricted AS 지정기탁, {won("list_amount")} AS 정가, {won("discount")} AS 할인액, channel AS 결제경로,
            refund_of AS 원거래번호, {manner.day.format("recorded")} AS 입력일자
        FROM export WHERE branch = '{branch}'"""


def _workbook(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """One sheet per year of entry, each with a total row."""
    cursor = con.execute(_export_query(_EXCEL_BRANCH, _EXCEL))
    header = [column[0] for column in cursor.description]
    entered, amount = header.index("입력일자"), header.index("금액")
    sheets: dict[str, list[list[Any]]] = {}
    for row in cursor.fetchall():
        sheet = sheets.setdefault(f"{row[entered].year}년", [list(header)])
        sheet.append([None if cell == "" else cell for cell in row])
    for sheet in sheets.values():
        total: list[Any] = [None] * len(header)
        total[0], total[amount] = "합계", sum(row[amount] for row in sheet[1:])
        sheet.append(total)
    write_workbook(path, sheets)


def _donors(con: duckdb.DuckDBPyConnection, rng: np.random.Generator, world: World, folder: Path) -> None:
    people = world.donors.assign(no_joined=faults.missing_joined(rng, world), donor=np.arange(len(world.donors)))
    given = world.payments[world.payments["donor"] >= 0].groupby("donor")["amount"].sum()
    people["given"] = given.reindex(people.index).fillna(0.0)
    con.register("people", people)
    _copy(con, f"""
        SELECT {_donor("donor")} AS 후원자번호, b.ko AS 지점,
            CASE WHEN NOT no_joined THEN strftime(joined, '%Y-%m-%d') END AS 가입일, name AS 성명, phone AS 휴대폰,
            CASE WHEN donor * 7919 % 10 < 7 THEN 'donor' || (donor + 1) || '@example.org' END AS 이메일,
            strftime(birth, '%Y%m%d') AS 생년월일, CASE gender WHEN 'F' THEN '여' ELSE '남' END AS 성별,
            CASE WHEN household >= 0 THEN 'H' || lpad(household::VARCHAR, 6, '0') END AS 가구번호,
            CASE WHEN given >= 3000000 THEN '귀빈' WHEN given >= 600000 THEN '우수' ELSE '일반' END AS 등급,
            credit AS 신용등급, motive AS 후원동기, stay_reason AS 지속이유, interests AS 관심분야,
            strftime(attitude_recorded, '%Y-%m-%d') AS 설문입력일, strftime(verified, '%Y-%m-%d') AS 연락처확인일,
            CASE status WHEN 'returned' THEN '반송' ELSE '정상' END AS 연락처상태,
            CASE WHEN mail THEN '우편' ELSE '문자' END AS 선호채널, CASE WHEN consent THEN 'Y' ELSE 'N' END AS 수신동의,
            strftime(consent_changed, '%Y-%m-%d') AS 동의변경일
        FROM people JOIN branches b ON b.code = people.branch ORDER BY donor""",
        folder / "donors.csv", _WITH_BOM)  # fmt: skip


def _commitments(con: duckdb.DuckDBPyConnection, world: World, folder: Path) -> None:
    agreed = world.commitments.assign(number=np.arange(len(world.commitments)))
    due = world.dues.assign(number=np.arange(len(world.dues)))
    con.register("agreed", agreed)
    con.register("due", due)
    _copy(con, f"""
        SELECT {_id("M", "number")} AS 약정번호, {_donor("donor")} AS 후원자번호, b.ko AS 지점,
            strftime(started, '%Y-%m-%d') AS 약정일, amount::BIGINT AS 약정금액, cycle AS 주기개월,
            CASE WHEN major THEN '고액약정' ELSE '정기후원' END AS 상품, strftime(ended, '%Y-%m-%d') AS 해지일,
            end_reason AS 해지사유, method AS 결제수단
        FROM agreed JOIN branches b ON b.code = agreed.branch ORDER BY number""",
        folder / "regular_transfers.csv", _WITH_BOM)  # fmt: skip
    _copy(con, f"""
        SELECT {_id("U", "number")} AS 청구번호, {_id("M", "commitment")} AS 약정번호,
            strftime(due_on, '%Y-%m-%d') AS 청구일, amount::BIGINT AS 청구금액,
            strftime(collected_on, '%Y-%m-%d') AS 수납일,
            CASE WHEN collected_on IS NULL THEN 0 ELSE amount::BIGINT END AS 수납금액, failure AS 실패사유
        FROM due ORDER BY number""", folder / "dues.csv", _WINDOWS)  # fmt: skip


def _surveys(con: duckdb.DuckDBPyConnection, rng: np.random.Generator, world: World, folder: Path) -> None:
    answers = world.surveys.assign(
        typed=faults.survey_out_of_range(rng, world), number=np.arange(1, len(world.surveys) + 1)
    )
    asked = (*ITEMS, *EXPECTATIONS, *TANGIBLES)
    con.register("answers", answers)
    _copy(con, f"""
        SELECT {_id("S", "number")} AS response_id, b.id AS branch, day::DATE AS answered_on, typed AS satisfaction,
            {_donor("donor")} AS customer_id, respondent AS respondent_kind, wave, invited::DATE AS invited_on,
            {", ".join(f"CASE WHEN respondent = 'customer' THEN {item} END AS {item}" for item in asked)}
        FROM answers JOIN branches b ON b.code = answers.branch ORDER BY number""", folder / "survey.csv")  # fmt: skip


def _programmes(con: duckdb.DuckDBPyConnection, world: World, folder: Path) -> None:
    scale = world.scale
    campaigns = pd.DataFrame(
        [
            (c.campaign_id, c.name, c.programme, c.starts_on, c.ends_on, c.window_days, c.holdout, c.contact_cost,
             round(c.members * scale * (1 - c.holdout)))
            for c in world.truth.campaigns.values()
        ],
        columns=["id", "name", "programme", "starts_on", "ends_on", "window_days", "holdout", "contact_cost", "reach"],
    )  # fmt: skip
    con.register("campaigns", campaigns)
    con.register("members", world.members.assign(number=np.arange(len(world.members))))
    con.register("costs", world.costs.assign(number=np.arange(1, len(world.costs) + 1)))
    con.register("prospects", world.prospects.assign(number=np.arange(1, len(world.prospects) + 1)))
    _copy(con, """
        SELECT id AS campaign_id, name, programme, starts_on::DATE AS starts_on, ends_on::DATE AS ends_on, window_days,
            NULL AS branch, CASE WHEN holdout > 0 THEN 'customer' END AS randomisation_unit,
            CASE id WHEN 'SPRING26' THEN 'discount' WHEN 'CONCERT26' THEN 'recognition' ELSE 'none' END AS reward_kind,
            contact_cost, reach AS planned_reach,
            CASE programme WHEN 'vip' THEN '고액후원팀' WHEN 'upsell' THEN '모금팀' ELSE '후원자서비스팀' END AS owner
        FROM campaigns""", folder / "campaigns.csv", _WITH_BOM)  # fmt: skip
    _copy(con, f"""
        SELECT campaign AS campaign_id, {_donor("donor")} AS customer_id, arm, assigned::DATE AS assigned_on, stratum,
            contacted::DATE AS contacted_on, delivered::DATE AS delivered_on, responded::DATE AS responded_on
        FROM members ORDER BY number""", folder / "campaign_members.csv")  # fmt: skip
    _copy(con, f"""
        SELECT {_id("X", "number")} AS cost_id, day::DATE AS incurred_on, category, amount::BIGINT AS amount,
            NULL AS branch, nullif(campaign, '') AS campaign_id, planned::BIGINT AS planned_amount, driver,
            useful_months::BIGINT AS useful_months
        FROM costs ORDER BY number""", folder / "costs.csv")  # fmt: skip
    _copy(con, f"""
        SELECT {_id("P", "number")} AS prospect_id, b.id AS branch, source, "first"::DATE AS first_seen_on,
            {_donor("donor")} AS converted_customer_id
        FROM prospects JOIN branches b ON b.code = prospects.branch ORDER BY number""",
        folder / "prospects.csv", _WINDOWS)  # fmt: skip


def _service(con: duckdb.DuckDBPyConnection, world: World, folder: Path) -> None:
    con.register("contacts", world.contacts.assign(number=np.arange(1, len(world.contacts) + 1)))
    con.register("cases", world.cases.assign(number=np.arange(1, len(world.cases) + 1)))
    _copy(con, f"""
        SELECT {_id("K", "number")} AS contact_id, b.id AS branch, day::DATE AS occurred_at, channel, direction,
            {_donor("donor")} AS customer_id, touchpoint, element, nullif(campaign, '') AS campaign_id,
            cost::BIGINT AS cost
        FROM contacts JOIN branches b ON b.code = contacts.branch
        ORDER BY number""", folder / "contacts.csv")  # fmt: skip
    _copy(con, f"""
        SELECT {_id("C", "number")} AS case_id, b.id AS branch, strftime(received_at, '%Y-%m-%d %H:%M') AS received_at,
            channel, kind, {_donor("donor")} AS customer_id, topic, company_at_fault, severity, remedy,
            remedy_cost::BIGINT AS remedy_cost, strftime(resolved_at, '%Y-%m-%d %H:%M') AS resolved_at,
            confirmed::DATE AS recovery_confirmed_on
        FROM cases JOIN branches b ON b.code = cases.branch ORDER BY number""", folder / "cases.csv")  # fmt: skip


def _small_tables(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    rows = [(branch, *row) for branch, row in _BRANCH_ROWS.items()]
    con.register("branch_rows", pd.DataFrame(rows, columns=["branch", "name", "opened_on", "peer_group"]))
    quarters = [f"{END.year}Q{quarter}" for quarter in range(1, 5)]
    targets = [
        ("customer_value.retention", q, value, b, "target") for q in quarters for b, value in _RETENTION_TARGETS.items()
    ]
    targets += [(measure, q, value, None, kind) for q in quarters for measure, value, kind in _TARGETS]
    con.register("targets", pd.DataFrame(targets, columns=["measure", "period", "value", "branch", "kind"]))
    _copy(
        con, "SELECT branch, name, opened_on, NULL AS closed_on, peer_group FROM branch_rows", folder / "branches.csv"
    )
    _copy(con, f"""
        SELECT measure, period, value, branch, kind, '{END.year}년 사업계획' AS source FROM targets""",
        folder / "targets.csv")  # fmt: skip
