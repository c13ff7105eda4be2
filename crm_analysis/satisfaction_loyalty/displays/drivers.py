"""The drivers as finished frames: what explains satisfaction, what harms and delights, and what to fix first."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.language import _
from crm_analysis.profile.settings import Profile
from crm_analysis.satisfaction_loyalty.displays.names import intervals, item_name
from crm_analysis.satisfaction_loyalty.drivers import MOST_ITEMS, first_to_fix, quadrants
from crm_analysis.satisfaction_loyalty.study import Study

MOST_NAMED = 6
MOST_DRAWN = 8


def _ranks(first: pd.Series, last: pd.Series) -> list[str]:
    """The ranks that each item can have, such as 1 or 1–3."""
    return [f"{a}" if a == b else f"{a}–{b}" for a, b in zip(first, last, strict=True)]


def listed(profile: Profile, items: tuple[str, ...]) -> str:
    """Names of items, the first few of many."""
    names = ", ".join(style.escape(item_name(profile, item)) for item in items[:MOST_NAMED])
    if len(items) <= MOST_NAMED:
        return names
    return _("{names} and {n} more").format(names=names, n=style.number(len(items) - MOST_NAMED))


def drivers_frame(study: Study, profile: Profile) -> pd.DataFrame:
    """What `charts.drivers` draws: name, share, low, high, score, target, rank."""
    table = study.drivers.table.head(MOST_DRAWN)
    return pd.DataFrame(
        {
            "name": [item_name(profile, item) for item in table["item"]],
            "share": table["share"].astype(float),
            "low": table["low"].astype(float),
            "high": table["high"].astype(float),
            "score": [style.number(mean, 1) for mean in table["mean"]],
            "target": [style.number(target, 1) for target in table["target"]],
            "rank": _ranks(table["rank_first"], table["rank_last"]),
        }
    )


def kind_name(kind: str) -> str:
    """A driver's kind in words."""
    names = {"delights": _("delights when good"), "annoys": _("annoys when bad"), "undetermined": _("undetermined")}
    return names[kind]


def gain_text(row: pd.Series) -> str:
    """The gain in the index that goes with an item at its target, with interval; a dash where it cannot be told."""
    if pd.isna(row["gain"]):
        return style.DASH
    return f"{style.points(row['gain'], 1)} ({style.interval(row['gain_low'], row['gain_high'], 'points')})"


def _loyalty_text(row: pd.Series) -> str:
    if pd.isna(row["loyalty"]):
        return style.DASH
    return f"{style.points(row['loyalty'], 1)} ({style.interval(row['loyalty_low'], row['loyalty_high'], 'points')})"


def fix_table(study: Study, profile: Profile) -> pd.DataFrame:
    """What to fix first: attribute, share of satisfaction explained, score, target, kind, and what goes with it."""
    table = first_to_fix(study.drivers)
    if table.empty:
        return pd.DataFrame()
    points = table.assign(**{name: table[name] / 100 for name in ("gain", "gain_low", "gain_high")})
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Places it can have"): _ranks(table["fix_first"], table["fix_last"]),
            _("Share of what the items explain"): [
                f"{style.percent(share, 0)} ({style.interval(low, high, 'share', digits=0)})"
                for share, low, high in zip(table["share"], table["low"], table["high"], strict=True)
            ],
            _("Score now"): [style.number(mean, 1) for mean in table["mean"]],
            _("Target"): [style.number(target, 1) for target in table["target"]],
            _("Kind"): [kind_name(kind) for kind in table["kind"]],
            _("Index at target, points"): [gain_text(row) for _k, row in points.iterrows()],
            _("Loyalty at target, points"): [_loyalty_text(row) for _k, row in table.iterrows()],
        }
    )


def fix_note(study: Study) -> str:
    """How the short list is made and what its gains are."""
    note = _(
        "Ranked by the points of the index, items whose gain is not established last, by the share they explain; "
        "places: every one that an item can hold by those points (95 %). "
        "Points: what goes with the target, or the top of the scale, being reached, the other items as they are; a "
        "difference between respondents, not a promise."
    )
    table = first_to_fix(study.drivers)
    if len(table) and not table["established"].any():
        note = _("No item's gain is established: every interval reaches zero.") + " " + note
    return note


def drivers_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Every item: share with interval, the ranks it can have, score, penalty, reward, kind."""
    table = study.drivers.table
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Share of what the items explain"): [style.percent(share) for share in table["share"]],
            _("95 % interval"): intervals(table["low"], table["high"], "share"),
            _("Ranks it can have"): _ranks(table["rank_first"], table["rank_last"]),
            _("Score now"): [style.number(mean, 2) for mean in table["mean"]],
            _("Penalty when poor"): [style.number(value, 2) for value in table["penalty"]],
            _("Reward when excellent"): [style.number(value, 2) for value in table["reward"]],
            _("Kind"): [kind_name(kind) for kind in table["kind"]],
        }
    )


def drivers_says(study: Study, profile: Profile) -> str:
    """Which items lead, as far as the data can tell them apart."""
    table = study.drivers.table
    if table.empty:
        return ""
    leading = tuple(table.loc[table["rank_first"] == 1, "item"])
    if len(leading) == 1:
        row = table.iloc[0]
        return _("{item} explains most: {share} of what is explained ({low} to {high}).").format(
            item=style.escape(item_name(profile, row["item"])),
            share=style.percent(row["share"], 0),
            low=style.percent(row["low"], 0),
            high=style.percent(row["high"], 0),
        )
    return _("Which item explains most is open between {n}: {items}. Do not choose between them on this chart.").format(
        n=style.number(len(leading)), items=listed(profile, leading)
    )


def drivers_note(study: Study, profile: Profile) -> str:
    """How the drivers were made, or why there are none."""
    drivers = study.drivers
    if drivers.reason == "no_items":
        return _(
            "The profile maps no survey items with the role driver, so nothing can be said about what to fix first."
        )
    if drivers.reason == "too_few":
        return _("Only {n} complete answers: too few to share out satisfaction among the items.").format(
            n=privacy.count(drivers.n, study.min_cell)
        )
    if drivers.reason == "unexplained":
        return _(
            "The items together explain no more of satisfaction than chance would ({r2} of its differences, {n} "
            "answers): there is nothing to share out, and no item to fix first."
        ).format(r2=style.percent(drivers.r2, 0), n=privacy.count(drivers.n, study.min_cell))
    if drivers.reason == "one_item":
        return _("Only one item can be used: there is nothing to share out.")
    if drivers.reason:
        return _("All answers to an item, or to overall satisfaction, are the same: there is nothing to explain.")
    notes = [
        _(
            "Together the items explain {r2} of the differences in satisfaction, shared out among those who answered "
            "every item in the last twelve months: {n} of {all}. Scores are of all who answered the item; "
            "associations within one survey."
        ).format(
            r2=style.percent(drivers.r2, 0),
            n=privacy.count(drivers.n, study.min_cell),
            all=privacy.count(drivers.n_scored, study.min_cell, parts=drivers.parts),
        )
    ]
    if len(drivers.table) > MOST_DRAWN:
        notes.append(_("Drawn are the {n} largest.").format(n=style.number(MOST_DRAWN)))
    thin = tuple(item for item in drivers.left_out if item not in drivers.crowded)
    if thin:
        notes.append(
            _("Left out, because most did not answer or all said the same: {items}.").format(
                items=listed(profile, thin)
            )
        )
    if drivers.crowded:
        notes.append(
            _(
                "The survey has {all} items, more than can be told apart: the {kept} that go most with satisfaction "
                "are shared out, {n} are left out. Choose them in the profile rather than by these answers."
            ).format(
                all=style.number(MOST_ITEMS + len(drivers.crowded)),
                kept=style.number(MOST_ITEMS),
                n=style.number(len(drivers.crowded)),
            )
        )
    if drivers.collinear:
        notes.append(
            _(
                "Answered so much like other items that they cannot be told apart: {items}. They share what they "
                "explain; take it as one thing, or ask one of them only."
            ).format(items=listed(profile, drivers.collinear))
        )
    return " ".join(notes)


def contrasts_frame(study: Study, profile: Profile, *, most: int = 12) -> pd.DataFrame:
    """What `charts.penalty_reward` draws: name, penalty, reward and their limits, kind."""
    table = study.drivers.table
    if table.empty:
        return pd.DataFrame(columns=["name", "kind"])
    table = table[table["penalty"].notna() | table["reward"].notna()].head(most)
    columns = ["penalty", "penalty_low", "penalty_high", "reward", "reward_low", "reward_high", "kind"]
    return table[columns].assign(name=[item_name(profile, item) for item in table["item"]]).reset_index(drop=True)


def contrasts_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Penalty, reward, their sum with its Holm interval, and the kind of every item."""
    table = study.drivers.table
    if table.empty:
        return pd.DataFrame()

    def told(name: str) -> list[str]:
        return [
            style.DASH
            if pd.isna(value)
            else f"{style.number(value, 2)} ({style.interval(low, high, 'index', digits=2)})"
            for value, low, high in zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)
        ]

    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Penalty when poor"): told("penalty"),
            _("Reward when excellent"): told("reward"),
            _("Reward plus penalty, at equal distance"): told("asymmetry"),
            _("Are they unequal?"): [style.DASH if pd.isna(p) else style.p_value(p) for p in table["p"]],
            _("Kind"): [kind_name(kind) for kind in table["kind"]],
        }
    )


def contrasts_says(study: Study, profile: Profile) -> str:
    """Which items annoy and which delight; or that none can be told."""
    table = study.drivers.table
    if table.empty:
        return ""
    annoys, delights = (tuple(table.loc[table["kind"] == kind, "item"]) for kind in ("annoys", "delights"))
    if annoys and delights:
        return _("Keep these from ever being bad: {annoys}. Put what is left into these: {delights}.").format(
            annoys=listed(profile, annoys), delights=listed(profile, delights)
        )
    if annoys:
        return _("Keep these from ever being bad: {annoys}. No item is shown to delight more than it annoys.").format(
            annoys=listed(profile, annoys)
        )
    if delights:
        return _("These reward excellence: {delights}. No item is shown to annoy more than it delights.").format(
            delights=listed(profile, delights)
        )
    return _("No item is shown to harm more when poor than it helps when excellent, or the other way round.")


def place_name(place: str) -> str:
    """A quadrant of the map in words."""
    names = {
        "fix": _("important, below target"),
        "keep": _("important, target met"),
        "later": _("less important, below target"),
        "enough": _("less important, target met"),
        "open": _("open: on a line"),
    }
    return names[place]


def quadrants_frame(study: Study, profile: Profile) -> pd.DataFrame:
    """What `charts.quadrants` draws: name, distance and share with limits, even, place (in words), known (bool)."""
    table = quadrants(study.drivers)
    return table.assign(
        name=[item_name(profile, item) for item in table["item"]],
        known=table["place"] != "open",
        place=[place_name(place) for place in table["place"]],
    )


def quadrants_table(study: Study, profile: Profile) -> pd.DataFrame:
    """Where every item with a target stands."""
    table = quadrants(study.drivers)
    if table.empty:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            _("Attribute"): [item_name(profile, item) for item in table["item"]],
            _("Share of what the items explain"): [style.percent(share) for share in table["share"]],
            _("95 % interval"): intervals(table["low"], table["high"], "share"),
            _("Score less target, points of 100"): [
                f"{style.number(value, 1)} ({style.interval(low, high, 'index')})"
                for value, low, high in zip(
                    table["distance"], table["distance_low"], table["distance_high"], strict=True
                )
            ],
            _("Place"): [place_name(place) for place in table["place"]],
        }
    )


def quadrants_says(study: Study, profile: Profile) -> str:
    """Which items are surely important and surely below their target."""
    table = quadrants(study.drivers)
    if table.empty:
        return ""
    fix, unsure = (tuple(table.loc[table["place"] == place, "item"]) for place in ("fix", "open"))
    if fix:
        return _("Important and short of the target, beyond chance: {items}.").format(items=listed(profile, fix))
    if unsure:
        return _("No item is both important and short of its target beyond chance; on a line: {items}.").format(
            items=listed(profile, unsure)
        )
    return _("No item is both important and short of its target.")
