"""The chapter's tables as finished text, and the customer lists behind its findings."""

from __future__ import annotations

from typing import Any

import pandas as pd

from crm_analysis import language, privacy, style
from crm_analysis.data_quality import reporting
from crm_analysis.data_quality.assessment import ALL, Assessment, State
from crm_analysis.data_quality.footing import EXAMPLES
from crm_analysis.data_quality.scorecard import DIMENSIONS
from crm_analysis.data_quality.wording import (
    attitude_name,
    chapter_name,
    dimension_name,
    money,
    passing,
    rule_label,
    signed_percent,
    small_percent,
    variable_name,
    vocabulary,
)
from crm_analysis.language import _
from crm_analysis.report import rule_in_short

TAIL = 0.1  # the share of lines beyond the outermost quantile
MOST_BRANCHES = 14
_MOST_RULES_DRAWN = 4


def scores(assessment: Assessment) -> pd.DataFrame:
    """For the chart: dimension, score, before, branches (pairs of name and score)."""
    now = assessment.state.scorecard.dimensions
    before = _by_dimension(assessment.previous)
    each = {branch: _by_dimension(state) for branch, state in assessment.branches.items()}
    return pd.DataFrame(
        {
            "dimension": [dimension_name(name) for name in now["dimension"]],
            "score": now["score"].to_list(),
            "text": [passing(score) for score in now["score"]],
            "before": [before.get(name, float("nan")) for name in now["dimension"]],
            "branches": [
                [(_name(assessment, branch), scores[name]) for branch, scores in each.items() if name in scores]
                for name in now["dimension"]
            ],
        }
    )


def score_table(assessment: Assessment) -> pd.DataFrame:
    """Scores by dimension now and before, and in `all` by branch, as percentages."""
    columns = {_("Now"): assessment.state, _("Previous period"): assessment.previous}
    columns |= {_name(assessment, branch): state for branch, state in assessment.branches.items()}
    shown = {name: state for name, state in columns.items() if state is not None}
    rows = [
        {_("Dimension"): dimension_name(name)}
        | {column: passing(_by_dimension(state).get(name)) for column, state in shown.items()}
        for name in DIMENSIONS
        if any(name in _by_dimension(state) for state in shown.values())
    ]
    rows.append(
        {_("Dimension"): _("All, of 100")}
        | {
            column: style.number(None if state.scorecard.score is None else state.scorecard.score * 100, 1)
            for column, state in shown.items()
        }
    )
    return pd.DataFrame(rows)


def months(assessment: Assessment) -> pd.DataFrame:
    """For the chart: branch (name), month, rows, covered; the branches with most lines when there are many."""
    frame = assessment.state.reporting.months
    order = frame.groupby("branch")["rows"].sum().sort_values(ascending=False, kind="stable").index[:MOST_BRANCHES]
    kept = frame[frame["branch"].isin(order)].copy()
    kept["branch"] = pd.Categorical(kept["branch"], categories=list(order))
    kept = kept.sort_values(["branch", "month"])
    kept["branch"] = [_name(assessment, branch) for branch in kept["branch"]]
    return kept[["branch", "month", "rows", "covered"]].reset_index(drop=True)


def month_table(assessment: Assessment) -> pd.DataFrame:
    """The last twelve months of deliveries by branch; a dash where nothing was delivered, which is not zero."""
    frame = months(assessment)
    frame["rows"] = frame["rows"].where(frame["covered"] | (frame["rows"] > 0))
    wide = frame.pivot_table(
        index="branch",
        columns="month",
        values="rows",
        sort=False,
        aggfunc=lambda rows: rows.sum(min_count=1),
        dropna=False,
    )
    recent = sorted(wide.columns)[-12:]
    shown = wide[recent].map(style.number).reset_index()
    shown.columns = pd.Index([_("Branch"), *recent])
    return shown


def steps(assessment: Assessment) -> pd.DataFrame:
    """For the chart: label, rows, kind ("total", "loss", "apart") from the files to the lines used."""
    foot, customer = assessment.state.footing, vocabulary(assessment).customer
    rows = [(_("in the files"), foot.rows_in_files, "total")]
    drawn = foot.by_rule.head(_MOST_RULES_DRAWN)
    rows += [(rule_in_short(rule), n, "loss") for rule, n in zip(drawn["rule"], drawn["rows"], strict=True)]
    rest = foot.rows_set_aside - int(drawn["rows"].sum())
    if rest:
        rows.append((_("set aside for other reasons"), rest, "loss"))
    if foot.rows_anonymous:
        rows.append((_("without {customer}").format(customer=customer), foot.rows_anonymous, "apart"))
    rows.append((_("used per {customer}").format(customer=customer), foot.rows_used, "total"))
    return pd.DataFrame(rows, columns=["label", "rows", "kind"])


def step_table(assessment: Assessment) -> pd.DataFrame:
    """Lines and net amounts from the files to the lines used."""
    foot, customer = assessment.state.footing, vocabulary(assessment).customer
    rows = [(_("In the files"), foot.rows_in_files, foot.amount_in_files)]
    rows += [
        (_("set aside: {why}").format(why=rule_label(assessment, row.rule)), row.rows, row.amount)
        for row in foot.by_rule.itertuples(index=False)
    ]
    rows += [
        (_("Without {customer}").format(customer=customer), foot.rows_anonymous, foot.amount_anonymous),
        (_("Used per {customer}").format(customer=customer), foot.rows_used, foot.amount_used),
    ]
    return pd.DataFrame(
        {
            _("Step"): [name for name, _rows, _amount in rows],
            _("Lines"): [style.number(n) for _name, n, _amount in rows],
            _("Amount"): [money(assessment, amount) for _name, _rows, amount in rows],
        }
    )


def lines(assessment: Assessment) -> pd.DataFrame:
    """The lines before anything is set aside; in `all` by branch as well."""
    states = {
        _("All branches")
        if assessment.scope.branch == ALL
        else _name(assessment, assessment.scope.branch): assessment.state
    }
    states |= {_name(assessment, branch): state for branch, state in assessment.branches.items()}
    without = _("Without {customer}").format(customer=vocabulary(assessment).customer)
    return pd.DataFrame(
        [
            {
                _("Branch"): name,
                _("Lines"): style.number(state.facts.lines),
                without: style.number(state.facts.without_customer),
                _("Refunds, cancellations"): style.number(state.facts.refunds),
                _("Exact duplicates"): style.number(state.facts.copies),
                _("Amount zero"): style.number(state.facts.zero),
                _("Amount negative"): style.number(state.facts.negative),
                _("Set aside"): small_percent(state.rate("set_aside")),
            }
            for name, state in states.items()
        ]
    )


def failing(assessment: Assessment) -> pd.DataFrame:
    """Every rule that fails here: rows, share, severity, what to do, and whose numbers it touches."""
    severity = {"critical": _("critical"), "warning": _("warning"), "info": _("information")}
    return pd.DataFrame(
        [
            {
                _("Rule"): f"{row.table}: {_(str(row.what)) if row.what else row.id}",
                _("Dimension"): f"{dimension_name(row.dimension)}, {severity.get(row.severity, row.severity)}",
                _("Rows"): style.number(row.rows_failed),
                _("Share"): small_percent(row.share_failed),
                _("What to do"): _(str(row.action)) if row.action else style.DASH,
                _("Touches"): _touched(row.chapters),
            }
            for row in assessment.failing.itertuples(index=False)
        ]
    )


def _touched(chapters: tuple[str, ...]) -> str:
    if set(chapters) >= {"customer_value", "satisfaction_loyalty", "crm_roi"}:
        return _("all chapters")
    return ", ".join(chapter_name(name) for name in chapters) or style.DASH


def attitudes(assessment: Assessment) -> pd.DataFrame:
    """How many have a motive, a reason to stay and interests on record, with denominators."""
    cell = assessment.scope.profile.privacy.min_cell
    states = {"": assessment.state} | (assessment.branches if assessment.scope.branch == ALL else {})
    rows = []
    for branch, state in states.items():
        for row in state.attitudes.itertuples(index=False):
            few = privacy.small(row.filled_recent, cell) or privacy.small(row.n_recent - row.filled_recent, cell)
            few_in_all = privacy.small(row.filled, cell) or privacy.small(row.n - row.filled, cell)
            parts = [] if branch else _parts(assessment, row.field)
            rows.append(
                {
                    _("Branch"): _name(assessment, branch) if branch else _here(assessment),
                    _("On record"): attitude_name(row.field),
                    _("Paid in the last year"): privacy.count(row.n_recent, cell, parts=[n.n_recent for n in parts]),
                    _("of these known"): privacy.count(row.filled_recent, cell, parts=[n.filled_recent for n in parts]),
                    _("Share"): style.DASH if few else style.percent(row.share_recent),
                    _("All on record"): privacy.count(row.n, cell, parts=[n.n for n in parts]),
                    _("of all known"): style.DASH if few_in_all else style.percent(row.share),
                }
            )
    return pd.DataFrame(rows)


def _parts(assessment: Assessment, field: str) -> list[Any]:
    """A field's line of `attitudes` in every branch."""
    return [
        row
        for state in assessment.branches.values()
        for row in state.attitudes.itertuples(index=False)
        if row.field == field
    ]


def contact_ages(assessment: Assessment) -> pd.DataFrame:
    """Age of contact data by branch, with the Wilson interval and the rate at which contacts stop working."""
    states = {"": assessment.state} | (assessment.branches if assessment.scope.branch == ALL else {})
    cell = assessment.scope.profile.privacy.min_cell
    rows = []
    for branch, state in states.items():
        found = state.contacts
        if found is None or privacy.small(found.n_dated, cell):
            continue
        dated = [each.contacts.n_dated for each in assessment.branches.values() if each.contacts is not None]
        rows.append(
            {
                _("Branch"): _name(assessment, branch) if branch else _here(assessment),
                _("With a date"): privacy.count(found.n_dated, cell, parts=[] if branch else dated),
                _("Older than the limit"): style.share(found.n_stale, found.n_dated, cell),
                _("95 % interval"): style.DASH
                if privacy.tells(found.n_stale, found.n_dated, cell)
                else style.interval(found.low, found.high, "share"),
                _("Median age, days"): style.number(found.median_age_days),
                _("Lost a year"): style.percent(found.decay.rate_annual),
                _("Source of the rate"): _("own returned contacts") if found.decay.source == "own" else _("assumed"),
                _("Expected not to work"): style.number(found.expected_dead),
            }
        )
    return pd.DataFrame(rows)


def same_person_rules(assessment: Assessment) -> pd.DataFrame:
    """How many pairs each rule found, how many across branches, and how many chance alone would make."""
    persons, cell = assessment.state.persons, assessment.scope.profile.privacy.min_cell
    if persons is None:
        return pd.DataFrame()
    strength = {"certain": _("certain"), "strong": _("strong"), "possible": _("possible, not merged")}
    names = {
        "name_phone_birth": _("name, telephone and birth date"),
        "phone_birth": _("telephone and birth date"),
        "name_email": _("name and e-mail"),
        "name_phone": _("name and telephone"),
        "name_birth": _("name and birth date"),
    }
    return pd.DataFrame(
        [
            {
                _("Agree on"): names[row.rule],
                _("Evidence"): strength[row.strength],
                _("Pairs"): privacy.count(row.pairs, cell),
                _("Across branches"): privacy.count(row.across_branches, cell),
                _("Name written the same"): privacy.count(row.as_written, cell),
                _("Pairs by chance"): style.number(row.expected_by_chance, 1),
            }
            for row in persons.by_rule.itertuples(index=False)
        ]
    )


def totals(assessment: Assessment) -> pd.DataFrame:
    """The finance office's monthly totals beside ours: those that differ, then the last three that agree."""
    every = assessment.state.footing.totals
    off = every[every["off"]]
    agreeing = every[~every["off"]].sort_values(["month", "branch"]).tail(EXAMPLES)
    shown = pd.concat([off, agreeing])
    return pd.DataFrame(
        {
            _("Branch"): [_name(assessment, branch) for branch in shown["branch"]],
            _("Month"): shown["month"].to_list(),
            _("Finance office"): [money(assessment, amount) for amount in shown["amount_finance"]],
            _("In the files"): [money(assessment, amount) for amount in shown["amount_used"]],
            _("Difference"): [money(assessment, amount) for amount in shown["difference"]],
            _("Share of total"): [signed_percent(share) for share in shown["share"]],
            _("Lines, finance"): [style.number(n) for n in shown["rows_finance"]],
            _("Lines, files"): [style.number(n) for n in shown["rows_used"]],
        }
    )


def last_days(assessment: Assessment) -> pd.DataFrame:
    """Last day with a row, per table and branch; the fewer of the two are the columns.

    Of many branches those are shown that end first.
    """
    frame = assessment.last_days
    if frame.empty:
        return pd.DataFrame()
    wide = frame.assign(branch=frame["branch"].fillna("")).pivot_table(
        index="branch", columns="table", values="last_day", aggfunc="max"
    )
    wide = wide[[name for name in reporting.DATED if name in wide.columns]]
    shown = wide.map(lambda day: style.DASH if day != day or day is None else f"{day:%Y-%m-%d}")
    ends = wide.drop(index="", errors="ignore").iloc[:, 0].sort_values(kind="stable").index
    if len(ends) > MOST_BRANCHES:
        shown = shown.drop(index=ends[MOST_BRANCHES:]).reindex([*wide.index.intersection([""]), *ends[:MOST_BRANCHES]])
    shown.index = pd.Index([_name(assessment, branch) if branch else _("without branch") for branch in shown.index])
    if len(shown) < len(shown.columns):
        return shown.T.reset_index(names=_("Table"))
    return shown.reset_index(names=_("Branch"))


def drifts(assessment: Assessment) -> pd.DataFrame:
    """Every distribution compared, with its noise and habit."""
    mix = assessment.mix
    return pd.DataFrame(
        [
            {
                _("Distribution"): variable_name(found.variable),
                _("Points that changed place"): style.points(found.distance, sign=False),
                _("Noise, up to"): style.points(found.noise, sign=False),
                _("Habit, up to"): style.DASH if found.habit is None else style.points(found.habit, sign=False),
                _("Test (Holm)"): style.p_value(p),
                _("Moved most"): found.biggest,
                _("Before"): style.percent(found.share_before),
                _("Now"): style.percent(found.share_now),
                _("Lines"): style.number(found.n_now),
            }
            for found, p in zip(mix.drifts, mix.adjusted, strict=True)
        ]
    )


def amount_quantiles(assessment: Assessment) -> pd.DataFrame:
    """Quantiles of the amount in the previous period and now."""
    frame, cell = assessment.mix.quantiles, assessment.scope.profile.privacy.min_cell
    lines = min((found.n_now for found in assessment.mix.drifts), default=0)
    if assessment.state.facts.customers < cell or lines * TAIL < cell:
        frame = frame.iloc[:0]
    return pd.DataFrame(
        {
            _("Share of lines below"): [style.percent(q, 0) for q in frame["quantile"]],
            _("Before"): [money(assessment, amount) for amount in frame["before"]],
            _("Now"): [money(assessment, amount) for amount in frame["now"]],
        }
    )


def fields(assessment: Assessment) -> pd.DataFrame:
    """Columns with gaps, emptiest first; columns that are full everywhere are only counted in the note."""
    gaps = assessment.fields[assessment.fields["filled"] < assessment.fields["rows"]].sort_values(
        "share", kind="stable"
    )
    return pd.DataFrame(
        {
            _("Table"): gaps["table"].to_list(),
            _("Column"): gaps["column"].to_list(),
            _("Rows"): [style.number(n) for n in gaps["rows"]],
            _("Filled"): [style.number(n) for n in gaps["filled"]],
            _("Share"): [passing(share) for share in gaps["share"]],
        }
    )


def lists(assessment: Assessment) -> dict[str, pd.DataFrame]:
    """Customers behind the findings, for exports only: same_person (pairs) and stale_contacts."""
    found = {}
    state = assessment.state
    if state.persons is not None:
        pairs = state.persons.pairs
        found["same_person"] = pairs.rename(columns={"customer_a": "customer_id", "customer_b": "same_person_as"})
    if state.contacts is not None:
        people = state.customers
        verified = pd.to_datetime(people["contact_verified_on"], errors="coerce")
        age = (pd.Timestamp(assessment.scope.as_of) - verified).dt.days
        old = people.assign(contact_age_days=age)[age > state.contacts.limit_days]
        kept = ["customer_id", "branch", "contact_verified_on", "contact_age_days"]
        found["stale_contacts"] = old[kept].sort_values("contact_age_days", ascending=False, ignore_index=True)
    return found


def _by_dimension(state: State | None) -> dict[str, float]:
    if state is None:
        return {}
    frame = state.scorecard.dimensions
    return dict(zip(frame["dimension"], frame["score"], strict=True))


def _name(assessment: Assessment, branch: str) -> str:
    return assessment.scope.profile.branch_name(branch, language.active())


def _here(assessment: Assessment) -> str:
    return _("All branches") if assessment.scope.branch == ALL else _name(assessment, assessment.scope.branch)
