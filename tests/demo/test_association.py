"""The built-in association's files tell the truth that was planted in them."""

import errno
import hashlib
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm_analysis import demo
from crm_analysis.demo.truth import FLIPS, ID_PREFIX
from crm_analysis.errors import UserError

pytestmark = pytest.mark.slow

FILES = {
    "seoul": "utf-8",
    "busan": "cp949",
    "incheon": "utf-8-sig",
    "daejeon": "utf-8-sig",
    "gwangju": "utf-8",
}
PAID = ["일시후원", "정기후원", "판매"]


def money(cells: pd.Series) -> pd.Series:
    return pd.to_numeric(cells.astype(str).str.replace("[,원]", "", regex=True))


def day(cells: pd.Series) -> pd.Series:
    return pd.to_datetime(cells.str.slice(0, 10).str.replace(r"[.\-]", "", regex=True), format="%Y%m%d")


def read_transactions(folder: Path, sheets: dict[str, pd.DataFrame]) -> pd.DataFrame:
    frames = []
    for branch, encoding in FILES.items():
        frame = pd.read_csv(folder / f"gifts_{branch}.csv", encoding=encoding, dtype=str).dropna(how="all")
        frames.append(frame.rename(columns={"고객번호": "후원자번호"}).assign(file=branch))
    frames += [sheet[sheet["거래번호"] != "합계"].assign(file="daegu") for sheet in sheets.values()]
    rows = pd.concat(frames, ignore_index=True)
    return rows.assign(amount=money(rows["금액"]), day=day(rows["거래일자"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("association") / "files"
    demo.generate(folder)
    return folder


@pytest.fixture(scope="module")
def planted() -> demo.Truth:
    return demo.truth()


@pytest.fixture(scope="module")
def sheets(folder: Path) -> dict[str, pd.DataFrame]:
    return pd.read_excel(folder / "gifts_daegu.xlsx", sheet_name=None, dtype=str)


@pytest.fixture(scope="module")
def raw(folder: Path, sheets: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return read_transactions(folder, sheets)


@pytest.fixture(scope="module")
def sound(raw: pd.DataFrame) -> pd.DataFrame:
    """Payments a careful analyst would use."""
    rows = raw.drop_duplicates("거래번호")
    keep = (rows["amount"] > 0) & rows["구분"].isin(PAID) & (rows["day"] <= "2026-09-30") & rows["지점"].notna()
    return rows[keep]


@pytest.fixture(scope="module")
def donors(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "donors.csv", dtype=str)


def paid_within(answers: pd.DataFrame, paid: pd.DataFrame, days: int) -> pd.Series:
    """Whether the donor of each row pays on one of the `days` days after `on`."""
    pairs = answers[["key", "customer_id", "on"]].merge(paid, left_on="customer_id", right_on="후원자번호")
    gap = (pairs["day"] - pairs["on"]).dt.days
    return answers["key"].isin(pairs.loc[(gap >= 1) & (gap <= days), "key"])


# the faults, counted


def test_faults_are_in_the_files_in_their_counts(raw, donors, planted):
    faults = planted.faults
    cells = raw.drop(columns=["file", "amount", "day"])
    assert cells.duplicated().sum() == faults.exact_duplicates
    assert raw["거래번호"].duplicated().sum() == faults.exact_duplicates + faults.restated
    assert (raw["amount"] < 0).sum() == faults.negative_gifts
    assert (raw["day"] > "2026-09-30").sum() == faults.future_dated
    assert raw["지점"].isna().sum() == faults.missing_branch
    known = raw["후원자번호"].isna() | raw["후원자번호"].isin(donors["후원자번호"])
    assert (~known).sum() == faults.orphans
    assert donors["가입일"].isna().sum() == faults.missing_joined_on
    assert (donors[["설문입력일", "연락처확인일", "동의변경일"]].apply(day).max() <= "2026-09-30").all()  # none besides


def test_one_person_in_two_branches_under_a_slightly_different_name(donors, planted):
    digits = donors["휴대폰"].str.replace("-", "")
    pairs = donors.assign(digits=digits).groupby(["digits", "생년월일"])
    twice = pairs.filter(lambda group: len(group) > 1)
    assert twice.groupby("digits").ngroups == planted.faults.double_donors
    assert twice.groupby("digits")["지점"].nunique().eq(2).all()
    assert twice.groupby("digits")["성명"].nunique().eq(2).all()


def test_the_silent_branch_ends_early_and_its_rhythm_shows_it(raw, planted):
    last = raw[raw["day"] <= "2026-09-30"].groupby("file")["day"].max().dt.date
    assert last.to_dict() == {name: branch.last_day for name, branch in planted.branches.items()}
    gwangju = np.sort(raw.loc[raw["file"] == "gwangju", "day"].unique())
    gwangju = gwangju[gwangju <= np.datetime64("2026-07-31")]
    assert np.diff(gwangju).max() <= np.timedelta64(4, "D")  # sixty-one silent days stand out


def test_control_totals_match_but_for_one_month(folder, raw, planted):
    totals = pd.read_csv(folder / "control_totals.csv", parse_dates=["month"])
    rows = raw.drop_duplicates("거래번호", keep="last")
    rows = rows[(rows["amount"] > 0) & (rows["day"] <= "2026-09-30")]
    signed = rows["amount"].where(rows["구분"] != "환불", -rows["amount"])
    rows = rows.assign(branch=rows["file"], month=rows["day"].dt.to_period("M").dt.to_timestamp(), signed=signed)
    booked = rows.groupby(["branch", "month"])["signed"].sum()
    wanted = totals.set_index(["branch", "month"])["amount"]
    difference = (wanted - booked).round()
    wrong = difference[difference != 0]
    assert list(wrong.index) == [(planted.faults.mismatch_branch, pd.Timestamp(planted.faults.mismatch_month))]
    assert wrong.iloc[0] == planted.faults.mismatch_amount


def test_excel_sheets_end_with_their_total(sheets):
    assert list(sheets) == ["2023년", "2024년", "2025년", "2026년"]
    for sheet in sheets.values():
        assert sheet["거래번호"].iloc[-1] == "합계"
        assert float(sheet["금액"].iloc[-1]) == sheet["금액"].iloc[:-1].astype(float).sum()


# what donors do


def test_kinds_of_donors_are_all_there():
    world = demo.simulate()
    assert set(world.donors["latent"]) == {"regular", "occasional", "lapsed", "major"}
    assert world.donors["latent"].value_counts().min() > 300


def test_occasional_giving_follows_bg_nbd_in_its_mean(sound, donors, folder, planted):
    """Fader, Hardie and Lee 2005, eq. 9: expected repeat purchases of a customer observed for T."""
    from scipy.special import hyp2f1

    agreed = pd.read_csv(folder / "regular_transfers.csv", dtype=str)
    gifts = sound[(sound["구분"] == "일시후원") & (sound["캠페인"] != "WELCOME26")]
    occasional = donors[~donors["후원자번호"].isin(agreed["후원자번호"])]
    names = {branch.name_ko: branch for branch in planted.branches.values()}
    for name, members in occasional.groupby("지점"):
        branch = names[name]
        mine = gifts[gifts["후원자번호"].isin(members["후원자번호"])]
        days = mine.groupby("후원자번호")["day"].agg(["min", "nunique"])
        t = (pd.Timestamp(branch.last_day) - days["min"]).dt.days.to_numpy() / 7
        r, alpha, a, b = branch.r, branch.alpha_weeks, branch.a, branch.b
        expected = (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, t / (alpha + t)))
        repeat = days["nunique"] - 1
        error = repeat.std() / np.sqrt(len(repeat))
        assert abs(repeat.mean() - expected.mean()) < 4 * error + 0.03 * expected.mean(), name


def test_branches_differ_in_purchase_and_dropout(planted):
    seoul, busan = planted.branches["seoul"], planted.branches["busan"]
    assert seoul.r / seoul.alpha_weeks > 1.5 * busan.r / busan.alpha_weeks
    assert busan.a / (busan.a + busan.b) > 2 * seoul.a / (seoul.a + seoul.b)


def test_monthly_transfers_survive_as_shifted_beta_geometric(planted):
    """Fader and Hardie 2007, eq. 3: S(12) over the branches' own parameters."""
    from scipy.special import betaln

    world = demo.simulate()
    agreed = world.commitments
    fresh = agreed[(agreed["before"] == 0) & (agreed["cycle"] == 1) & ~agreed["major"]]
    fresh = fresh[fresh["started"] >= "2023-10-01"]
    for code, branch in enumerate(planted.branches.values()):
        mine = fresh[fresh["branch"] == code]
        expected = np.exp(
            betaln(branch.churn_alpha, branch.churn_beta + 12) - betaln(branch.churn_alpha, branch.churn_beta)
        )
        assert (mine["paid"] > 12).mean() == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(len(mine)))


def test_dues_and_their_payments_agree(folder, raw):
    due = pd.read_csv(folder / "dues.csv", encoding="cp949")
    paid = raw[(raw["구분"] == "정기후원")].drop_duplicates("거래번호")
    assert due["수납금액"].sum() == paid["amount"].sum()
    assert due["수납일"].notna().sum() == len(paid)
    assert due.loc[due["수납일"].isna(), "실패사유"].notna().mean() > 0.9


def test_a_quarter_of_donors_costs_more_than_it_brings(folder, sound, donors):
    gifts = sound[sound["day"] > "2025-09-30"].groupby("후원자번호")["amount"].sum()
    contacts = pd.read_csv(folder / "contacts.csv", parse_dates=["occurred_at"])
    cost = contacts[contacts["occurred_at"] > "2025-09-30"].groupby("customer_id")["cost"].sum()
    year = pd.DataFrame({"gifts": gifts, "cost": cost}).reindex(donors["후원자번호"]).fillna(0.0)
    touched = year[(year["gifts"] > 0) | (year["cost"] > 0)]
    assert 0.15 < (touched["gifts"] < touched["cost"] + 2_400).mean() < 0.40
    assert year["gifts"].nlargest(len(year) // 100).sum() > 0.25 * year["gifts"].sum()


# satisfaction


@pytest.fixture(scope="module")
def answers(folder: Path) -> pd.DataFrame:
    frame = pd.read_csv(folder / "survey.csv", parse_dates=["answered_on"])
    return frame.rename(columns={"response_id": "key", "answered_on": "on"})


def test_the_link_has_its_planted_rates(answers, sound, planted):
    scored = answers[(answers["respondent_kind"] == "customer") & answers["satisfaction"].between(1, 5)]
    last = scored["branch"].map({name: pd.Timestamp(b.last_day) for name, b in planted.branches.items()})
    closed = scored[scored["on"] + pd.Timedelta(days=180) <= last]
    closed = closed.assign(again=paid_within(closed, sound[["후원자번호", "day"]], 180))
    for name, mine in closed.groupby("branch"):
        branch = planted.branches[name]
        recent = mine["on"] > pd.Timestamp(branch.last_day) - pd.DateOffset(months=30)
        assert recent.sum() >= 1200, name
        rates = mine.groupby("satisfaction")["again"].agg(["mean", "size"])
        wanted = np.array(branch.repeat_by_level)
        error = np.sqrt(wanted * (1 - wanted) / rates["size"])
        assert (abs(rates["mean"] - wanted) < 3.5 * error).all(), name
        shares = rates["size"] / rates["size"].sum()
        assert abs(shares.to_numpy() - branch.level_shares).max() < 0.035, name
        steps = np.diff(rates["mean"])
        kink = steps[3] - steps[2]
        if branch.shape == "convex":
            assert kink > 0.10, name
        if branch.shape == "saturating":
            assert kink < -0.08, name


def test_equal_means_hide_different_distributions(planted):
    seoul, daejeon = planted.branches["seoul"], planted.branches["daejeon"]
    assert abs(seoul.mean_satisfaction - daejeon.mean_satisfaction) < 0.02
    assert seoul.level_shares[4] > 1.8 * daejeon.level_shares[4]


def test_codes_out_of_range_answers_and_staff(answers, planted):
    satisfaction = answers["satisfaction"]
    assert satisfaction.isin([0, 6, 7, 55]).sum() == planted.faults.survey_out_of_range
    assert 0.005 < (satisfaction == 9).mean() < 0.03
    staff = answers[answers["respondent_kind"] == "staff"]
    assert staff["customer_id"].isna().all()
    assert staff.groupby("branch").size().min() >= 30


def test_recovered_complaints_keep_donors(folder, sound, planted):
    cases = pd.read_csv(folder / "cases.csv", parse_dates=["received_at"])
    complaints = cases[cases["kind"].isin(["complaint", "claim"]) & (cases["received_at"] < "2026-01-30")]
    complaints = complaints.assign(key=complaints["case_id"], on=complaints["received_at"].dt.normalize())
    again = paid_within(complaints, sound[["후원자번호", "day"]], 180)
    rate = again.groupby(complaints["recovery_confirmed_on"].notna()).mean()
    assert rate[True] == pytest.approx(planted.repeat_if_recovered, abs=0.08)
    assert rate[False] == pytest.approx(planted.repeat_if_not_recovered, abs=0.09)


# programmes


def effect(folder: Path, paid: pd.DataFrame, planted: demo.Truth, campaign_id: str) -> tuple[float, float, int]:
    """Difference in means between arms within the window, its standard error, and treated members."""
    members = pd.read_csv(folder / "campaign_members.csv", parse_dates=["assigned_on"])
    members = members[members["campaign_id"] == campaign_id]
    pairs = members.merge(
        paid[["후원자번호", "day", "amount"]], left_on="customer_id", right_on="후원자번호", how="left"
    )
    gap = (pairs["day"] - pairs["assigned_on"]).dt.days
    inside = (gap >= 1) & (gap <= planted.campaigns[campaign_id].window_days)
    outcome = pairs["amount"].where(inside, 0.0).groupby([pairs["customer_id"], pairs["arm"]]).sum()
    arms = outcome.groupby("arm").agg(["mean", "var", "size"])
    difference = arms.loc["treated", "mean"] - arms.loc["control", "mean"]
    return float(difference), float(np.sqrt((arms["var"] / arms["size"]).sum())), int(arms.loc["treated", "size"])


@pytest.mark.parametrize("campaign_id", ["CALL25", "WELCOME26", "SPRING26"])
def test_planted_effects_are_in_the_transactions(folder, sound, planted, campaign_id):
    difference, error, _ = effect(folder, sound, planted, campaign_id)
    assert abs(difference - planted.campaigns[campaign_id].effect_per_treated) < 3 * error


def test_one_campaign_earns_and_one_loses(folder, sound, planted):
    costs = pd.read_csv(folder / "costs.csv").groupby("campaign_id")[["amount", "planned_amount"]].sum()
    difference, error, treated = effect(folder, sound, planted, "WELCOME26")
    assert 0.97 * (difference - 1.96 * error) * treated > costs.loc["WELCOME26", "amount"]
    difference, error, treated = effect(folder, sound, planted, "SPRING26")
    assert 0.97 * (difference + 1.96 * error) * treated < costs.loc["SPRING26", "amount"]
    assert costs.loc["SPRING26", "amount"] > 1.5 * costs.loc["SPRING26", "planned_amount"]


def test_the_forgotten_cost_was_planned_at_zero(folder, planted):
    costs = pd.read_csv(folder / "costs.csv")
    forgotten = costs[(costs["campaign_id"] == "SPRING26") & (costs["planned_amount"] == 0)]
    assert forgotten["amount"].tolist() == [planted.campaigns["SPRING26"].forgotten_cost]


def test_arms_are_drawn_as_planned_and_windows_close(folder, planted):
    members = pd.read_csv(folder / "campaign_members.csv")
    share = members.assign(control=members["arm"] == "control").groupby("campaign_id")["control"].mean()
    for campaign in planted.campaigns.values():
        assert share[campaign.campaign_id] == pytest.approx(campaign.holdout, abs=0.02)
    assert share["CONCERT26"] == 0
    welcome = planted.campaigns["WELCOME26"]
    assert welcome.ends_on.toordinal() + welcome.window_days <= planted.branches["gwangju"].last_day.toordinal()
    assert not members.duplicated(["campaign_id", "customer_id"]).any()


def test_best_donors_of_the_concert_fall_back_without_any_effect(folder, sound):
    members = pd.read_csv(folder / "campaign_members.csv")
    guests = members.loc[members["campaign_id"] == "CONCERT26", "customer_id"]
    mine = sound[sound["후원자번호"].isin(guests)]
    before = mine.loc[(mine["day"] >= "2026-01-20") & (mine["day"] < "2026-04-20"), "amount"].sum()
    after = mine.loc[(mine["day"] > "2026-04-20") & (mine["day"] <= "2026-07-19"), "amount"].sum()
    assert after < 0.7 * before


# the generator itself


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_seed_same_bytes(tmp_path):
    demo.generate(tmp_path / "one", seed=7, donors=800)
    demo.generate(tmp_path / "two", seed=7, donors=800)
    demo.generate(tmp_path / "three", seed=8, donors=800)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert digest(tmp_path / "one")["gifts_seoul.csv"] != digest(tmp_path / "three")["gifts_seoul.csv"]


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    demo.generate(tmp_path / "files", seed=7, donors=600)
    before = digest(tmp_path / "files")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("crm_analysis.demo.files.write_workbook", full)
    with pytest.raises(UserError, match="files"):
        demo.generate(tmp_path / "files", seed=8, donors=600)
    assert digest(tmp_path / "files") == before
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_twenty_thousand_donors_in_seconds(tmp_path):
    begin = time.process_time()
    demo.generate(tmp_path / "files")
    assert time.process_time() - begin < 15


def test_every_customer_identifier_carries_the_prefix(folder, donors):
    assert donors["후원자번호"].str.startswith(ID_PREFIX).all()
    assert len(donors) == 20_000


@pytest.mark.parametrize("flip", FLIPS)
def test_each_flip_turns_one_truth(flip):
    straight, flipped = demo.truth(), demo.truth(flips=[flip])
    changed = [b for b in straight.branches if straight.branches[b] != flipped.branches[b]]
    changed += [c for c in straight.campaigns if straight.campaigns[c] != flipped.campaigns[c]]
    if flip.startswith("links_"):  # the same truth of every branch that has it otherwise
        assert changed == [b for b, was in straight.branches.items() if was.shape != flip.removeprefix("links_")]
        for branch in changed:
            was, now = straight.branches[branch], flipped.branches[branch]
            assert replace(was, shape=now.shape, repeat_by_level=now.repeat_by_level) == now
    elif flip == "branches_alike":
        assert changed == [b for b in straight.branches if b != "seoul"]
        assert len({(b.r, b.alpha_weeks, b.a, b.b) for b in flipped.branches.values()}) == 1
        for branch in changed:
            was, now = straight.branches[branch], flipped.branches[branch]
            assert replace(was, r=now.r, alpha_weeks=now.alpha_weeks, a=now.a, b=now.b) == now
    elif flip.startswith("exodus_"):
        assert not changed and flipped.exodus.year == int(flip.removeprefix("exodus_")) and straight.exodus is None
    else:
        assert len(changed) == (0 if flip == "rhythm_only" else 1)


def test_nine_in_ten_of_the_monthly_transfers_end_in_one_month_and_nothing_else_changes():
    straight, flipped = (demo.simulate(9, 2_000, flips) for flips in ((), ("exodus_2025",)))
    was, now = straight.commitments, flipped.commitments
    leaves = now["paid"] < was["paid"]
    assert (now["paid"] <= was["paid"]).all() and set(now.loc[leaves, "cycle"]) == {1}
    assert pd.to_datetime(now.loc[leaves, "ended"]).between("2025-07-01", "2025-08-31").all()
    july = np.datetime64("2025-07", "M").astype(int)
    ran = (was["cycle"] == 1) & ~was["major"]
    ran &= (was["first_month"] <= july) & (was["first_month"] + was["paid"] > july + 1)
    assert 0.85 < leaves[ran].mean() < 0.95 and not leaves[~ran].any()


def test_a_flip_reaches_the_files(tmp_path):
    demo.generate(tmp_path / "f", donors=1_000, flips=["busan_silent", "gwangju_reports", "rhythm_only"])
    totals = pd.read_csv(tmp_path / "f" / "control_totals.csv")
    assert totals["covered_to"].isna().all()
    last = totals.groupby("branch")["month"].max()
    assert (last["busan"], last["gwangju"]) == ("2026-07-01", "2026-09-01")


def test_an_unknown_flip_is_refused():
    with pytest.raises(ValueError, match="no such flip: moon_flat"):
        demo.truth(flips=["moon_flat"])


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="holds other files"):
        demo.generate(tmp_path, donors=600)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
