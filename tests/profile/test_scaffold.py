"""A profile to start from loads as it is written, and a mapping proposed from a header is the right one."""

from pathlib import Path

import pytest

from crm_analysis import profile, tables
from crm_analysis.errors import UserError
from crm_analysis.profile import scaffold


def export(folder: Path, header: str, *rows: str, encoding: str = "utf-8", name: str = "export.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return path


@pytest.mark.parametrize("template", scaffold.TEMPLATES)
def test_every_template_loads_as_written(tmp_path, template):
    path = scaffold.init(tmp_path / "우리 단체", template)
    settings = profile.load(path)
    assert path.name == "profile.yaml"
    assert settings.tables["transactions"].sources[0].files == ["transactions*.csv"]
    assert settings.data_root == path.parent / "data"
    assert settings.data_root.is_dir()
    assert settings.words.customers in {"donors", "customers", "patients"}


def test_two_folders_in_korean_are_two_organisations(tmp_path):
    ids = {profile.load(scaffold.init(tmp_path / name)).id for name in ("본사 자료", "부산지부", "our shop")}
    assert len(ids) == 3 and "our-shop" in ids


def test_the_command_in_the_profile_can_be_pasted(tmp_path):
    path = scaffold.init(tmp_path / "우리 단체")
    assert f"`crm-analysis check --profile '{path}'`" in path.read_text(encoding="utf-8")


def test_the_commented_database_loads_once_it_takes_the_place_of_the_files(tmp_path):
    path = scaffold.init(tmp_path / "unit")
    lines = path.read_text(encoding="utf-8").splitlines()
    offered = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    by_key = {line.split(":")[0]: line for line in reversed(offered)}  # of the two databases, the first
    assert list(by_key) == ["time_zone", "table", "database"]
    kept = [line for line in lines if not line.strip().startswith("encoding:")]
    at = next(number for number, line in enumerate(kept) if line.startswith("    files:"))
    kept[at : at + 1] = [f"    {line}" for line in by_key.values()]
    path.write_text("\n".join(kept), encoding="utf-8")
    (source,) = profile.load(path).tables["transactions"].sources
    assert (source.database, source.table, source.time_zone) == ("shop.duckdb", "sales.receipts", "Asia/Seoul")


@pytest.mark.parametrize("template", scaffold.TEMPLATES)
def test_commented_tables_load_once_uncommented(tmp_path, template):
    path = scaffold.init(tmp_path / "unit", template)
    lines = path.read_text(encoding="utf-8").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("  # customers:"))
    end = lines.index("calendar:")
    lines[begin:end] = [line.replace("  # ", "  ", 1) for line in lines[begin:end]]
    path.write_text("\n".join(lines), encoding="utf-8")
    tables = profile.load(path).tables
    assert set(tables) == {"transactions", *scaffold.TEMPLATES[template].more_tables}
    assert tables["customers"].sources[0].columns["joined_on"] == "가입일"


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (
            "거래번호,고객번호,지점,거래일자,금액,구분",
            ["거래번호", "고객번호", "지점", "거래일자", "금액", "구분"],
        ),
        (
            "승인번호,회원번호,매장명,결제일,결제금액(원),거래유형",
            ["승인번호", "회원번호", "매장명", "결제일", "결제금액(원)", "거래유형"],
        ),
        (
            "영수증 번호,후원자 번호,지부,후원 일자,후원금액,후원구분",
            ["영수증 번호", "후원자 번호", "지부", "후원 일자", "후원금액", "후원구분"],
        ),
        (
            "전표번호,차트번호,의원명,진료일,수납액,수납구분",
            ["전표번호", "차트번호", "의원명", "진료일", "수납액", "수납구분"],
        ),
        (
            "Transaction ID,Customer_ID,Store,Order Date,Total Amount,Type",
            ["Transaction ID", "Customer_ID", "Store", "Order Date", "Total Amount", "Type"],
        ),
    ],
)
def test_usual_headers_are_recognised(tmp_path, header, wanted):
    proposal = scaffold.propose_mapping(export(tmp_path, header, "1,2,가,2026-03-01,1000,판매"))
    assert proposal.table == "transactions"
    columns = ("transaction_id", "customer_id", "branch", "occurred_at", "amount", "kind")
    assert [proposal.columns[column] for column in columns] == wanted
    assert proposal.missing == ()


@pytest.mark.parametrize(
    ("header", "table"),
    [
        ("회원번호,가입지점,가입일,성명,휴대폰번호,생년월일", "customers"),
        ("약정번호,후원자번호,지부,약정일,약정금액,납입주기", "commitments"),
        ("청구번호,약정번호,청구일,청구금액,수납일,미납사유", "dues"),
        ("응답번호,지점,응답일,전반적 만족도,고객번호", "survey_responses"),
    ],
)
def test_the_table_is_told_from_its_header(tmp_path, header, table):
    proposal = scaffold.propose_mapping(export(tmp_path, header, ",".join("1" * len(header.split(",")))))
    assert proposal.table == table
    assert proposal.missing == ()


def test_no_header_is_mapped_twice_and_none_is_lost(tmp_path):
    header = "거래일자,결제일,금액,결제금액,메모,고객번호"
    proposal = scaffold.propose_mapping(export(tmp_path, header, "a,b,c,d,e,f"))
    used = list(proposal.columns.values())
    assert len(used) == len(set(used))
    assert sorted([*used, *proposal.unmatched]) == sorted(header.split(","))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_encoding_and_delimiter_are_found(tmp_path, encoding, delimiter):
    header = delimiter.join(["거래번호", "고객번호", "지점", "거래일자", "금액"])
    path = export(tmp_path, header, delimiter.join("12345"), encoding=encoding)
    proposal = scaffold.propose_mapping(path)
    assert proposal.delimiter == delimiter
    assert proposal.encoding == encoding.removesuffix("-sig")
    written = profile.load(scaffold.init(tmp_path / "unit", source=path))
    assert written.tables["transactions"].sources[0].columns["amount"] == "금액"
    assert written.data_root.resolve() == tmp_path.resolve()


def test_a_header_broken_over_two_lines_is_proposed_as_it_is_read(tmp_path):
    path = tmp_path / "gifts.csv"
    path.write_text('고객번호,"거래\n일자",금액\n1,2026-01-02,"3,000"\n', encoding="utf-8")
    proposal = scaffold.propose_mapping(path)
    assert proposal.columns["occurred_at"] == "거래 일자"
    assert proposal.examples["금액"] == "3,000"


def test_words_for_kinds_become_values_and_the_unknown_ones_are_asked_for(tmp_path):
    path = export(
        tmp_path, "거래번호,회원번호,매장,결제일,결제금액,구분",
        "1,2,강남,2026-03-01,1000,판매", "2,2,강남,2026-03-02,1000,반품", "3,2,강남,2026-03-03,1000,교환권",
    )  # fmt: skip
    written = scaffold.init(tmp_path / "unit", "retail", source=path)
    kind = profile.load(written).tables["transactions"].sources[0].columns["kind"]
    assert kind.values == {"판매": "sale", "반품": "refund"}
    assert "# fill in above what these are: 교환권" in written.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "above",
    [
        ["2026년 1분기 수납 현황"],
        ["2026년 1분기 수납 현황,,,,", "", "출력일: 2026-04-02,,,,"],
        ["고객,,거래,,"],
        [",,,,", ",,,,"],
    ],
)
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_the_header_is_found_below_titles_blank_lines_and_merged_cells(tmp_path, above, delimiter):
    lines = [*above, "차트번호,의원명,진료일자,수납액,구분", "7,본원,2026.03.01,9000,수납", "합 계,,,9000,"]
    lines = [line.replace(",", delimiter) for line in lines]
    path = export(tmp_path, lines[0], *lines[1:], encoding="cp949")
    (source,) = profile.load(scaffold.init(tmp_path / "unit", "clinic", source=path)).tables["transactions"].sources
    assert source.header_row == len(above) + 1
    assert source.columns["customer_id"] == "차트번호" and source.columns["amount"] == "수납액"


def test_a_header_in_the_first_line_is_left_unsaid(tmp_path):
    path = export(tmp_path, "고객번호,지점,거래일자,금액,구분", "1,가,2026-03-01,1000,판매")
    assert "header_row" not in scaffold.init(tmp_path / "unit", "retail", source=path).read_text(encoding="utf-8")


def amounts(folder: Path, path: Path) -> list[tuple[str, float]]:
    """Kind and amount of every row, read by the profile that is proposed for a file of transactions."""
    settings = profile.load(scaffold.init(folder / "unit", "retail", source=path))
    settings = settings.model_copy(update={"build_dir": folder / "build"})
    tables.ingest(settings)
    return tables.open(settings).raw("transactions").order_by("_line")[["kind", "amount"]].execute().values.tolist()


@pytest.mark.parametrize("paid_back", ['"(1,200)"', "-1200", '"1,200-"', "△1200원", "₩-1200", "−1200"])
def test_refunds_with_a_minus_lose_it_and_a_sale_with_one_keeps_it(tmp_path, paid_back):
    path = export(
        tmp_path, "고객번호,지점,거래일자,판매 금액,거래 구분",
        "1,가,2026-03-01,5000,판매", f"1,가,2026-03-02,{paid_back},반품", "1,가,2026-03-03,700,취소",
        "1,가,2026-03-04,-30,판매",
    )  # fmt: skip
    assert amounts(tmp_path, path) == [["sale", 5000], ["refund", 1200], ["refund", 700], ["sale", -30]]


def test_where_no_column_tells_kinds_a_minus_does(tmp_path):
    path = export(tmp_path, '고객번호,지점,거래일자,"금액 ""원"""', "1,가,2026-03-01,5000", '1,가,2026-03-02,"-1,200"')
    assert amounts(tmp_path, path) == [["sale", 5000], ["refund", 1200]]


@pytest.mark.parametrize("plain", ["5000", "2026-03-01", "-", "(주)한빛", "A-1"])
def test_amounts_without_a_minus_are_mapped_as_they_are(tmp_path, plain):
    path = export(tmp_path, "고객번호,지점,거래일자,금액", f"1,가,2026-03-01,{plain}")
    (source,) = profile.load(scaffold.init(tmp_path / "unit", "retail", source=path)).tables["transactions"].sources
    assert source.columns["amount"] == "금액"


def test_what_is_missing_or_not_recognised_stands_as_a_note(tmp_path):
    path = export(tmp_path, "회원번호,결제일,결제금액,비고", "7001,2026-03-01,12000,단골")
    text = scaffold.init(tmp_path / "unit", "retail", source=path).read_text(encoding="utf-8")
    assert "branch: {constant: main}  # no column found" in text
    assert "kind: {constant: sale}  # no column found" in text
    assert "#   비고\n" in text


def test_cells_that_tell_of_somebody_do_not_reach_the_profile(tmp_path):
    path = export(
        tmp_path,
        "회원번호,가입지점,가입일,성명,휴대폰,이메일,별명",
        "7001,강남,2024-02-03,홍길동,01012345678,h@x.org,길동이",
    )
    text = scaffold.init(tmp_path / "unit", "retail", source=path).read_text(encoding="utf-8")
    for cell in ("7001", "홍길동", "01012345678", "h@x.org", "길동이"):
        assert cell not in text
    assert "# for example 2024-02-03" in text


def test_a_customers_file_leaves_transactions_to_fill_in(tmp_path):
    path = export(tmp_path, "회원번호,가입지점,가입일,성명", "1,강남,2024-02-03,홍길동")
    tables = profile.load(scaffold.init(tmp_path / "unit", "retail", source=path)).tables
    assert list(tables) == ["customers", "transactions"]


@pytest.mark.parametrize("header", ["=cmd(),#금액: x,\"a, b\",'거래일자'", "yes,no,null,~,1e3"])
def test_hostile_headers_still_give_a_profile_that_loads(tmp_path, header):
    written = scaffold.init(tmp_path / "unit", source=export(tmp_path, header, "1,2,3,4,5"))
    assert "transactions" in profile.load(written).tables


def test_a_profile_is_never_overwritten(tmp_path):
    first = scaffold.init(tmp_path / "unit")
    with pytest.raises(UserError, match="is there already"):
        scaffold.init(tmp_path / "unit", "bank")
    assert "customer: donor" in first.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Export it again with its header."),
        (b"just one column\n1\n", "has one column."),
        (b"PK\x03\x04rest", "is an Excel workbook."),
        (b"a,b\n\xff\xff\xfe\n", "is text in neither utf-8 nor cp949."),
    ],
)
def test_files_that_cannot_be_mapped_say_why(tmp_path, content, message):
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        scaffold.init(tmp_path / "unit", source=path)
    assert message in str(raised.value)
    assert not (tmp_path / "unit").exists()


def test_unknown_template_and_absent_file(tmp_path):
    with pytest.raises(UserError, match='There is no template "chariti". Did you mean "charity"?'):
        scaffold.init(tmp_path / "unit", "chariti")
    with pytest.raises(UserError, match=r"none.csv cannot be read: No such file or directory."):
        scaffold.init(tmp_path / "unit", source=tmp_path / "none.csv")
