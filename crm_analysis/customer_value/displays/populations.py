"""Whom the page counts: customers by status, and how many each part of the page counts and leaves out."""

from __future__ import annotations

import pandas as pd

from crm_analysis import privacy, style
from crm_analysis.customer_value import disclosure
from crm_analysis.customer_value.assessment import CustomerValue
from crm_analysis.customer_value.populations import HERE, by_status, parts, told
from crm_analysis.customer_value.wording import status_name, words
from crm_analysis.language import _


def status_table(state: CustomerValue) -> pd.DataFrame:
    """Customers by status."""
    by_branch, hidden = by_status(state)
    sizes = by_branch.sum(axis=1)
    few = sizes.map(lambda n: privacy.small(n, state.scope.profile.privacy.min_cell))
    shown = disclosure.counts(state, by_branch).mask(hidden & ~few, _("withheld"))
    share = (sizes / max(sizes.sum(), 1)).map(style.percent)
    return pd.DataFrame(
        {
            _("Status"): [status_name(key) for key in sizes.index],
            disclosure.who(state): shown.to_list(),
            _("Share"): share.where(~hidden & ("all" in told(state)), style.DASH).to_list(),
        }
    )


def population_table(state: CustomerValue) -> pd.DataFrame:
    """How many of those with a status each part of the page counts, and how many it leaves out."""
    everybody, open_ = state.status["customer_id"], told(state)
    names = {
        "all": (_("Status"), _("with {orders} or a commitment, ever")),
        "segments": (_("Segments"), _("with {orders}, ever")),
        "matrix": (_("Matrix of present and future value"), _("everybody with a status")),
        "profit": (_("Profit"), _("with {orders} or contacted at a cost within twelve months, or not lost")),
        "ahead": (
            _("Months ahead"),
            _("still here or not, with a running commitment or {orders} that could be repeated"),
        ),
        "tiers": (_("Tiers"), _("not lost")),
        HERE: (_("Still here"), _("neither dormant nor lost")),
    }
    rows = []
    for key, frame in parts(state).items():
        side = everybody.isin(frame["customer_id"]).map({True: "in", False: "out"})
        sizes = disclosure.tally(state, everybody, side, ("in", "out"))
        shown = disclosure.counts(state, sizes)
        few = sizes.sum(axis=1).map(lambda n: privacy.small(n, state.scope.profile.privacy.min_cell))
        veiled = pd.Series({"in": key not in open_, "out": key != "all" and not {key, "all"} <= open_})
        shown = shown.mask(veiled & ~few, _("withheld"))
        if key == HERE or key == "all" in open_:
            shown["in"] = disclosure.count(state, int(sizes.loc["in"].sum()), frame["customer_id"])
        name, whom = names[key]
        rows.append((name, whom.format(orders=words(state.scope.profile).orders), shown["in"], shown["out"]))
    return pd.DataFrame(rows, columns=[_("Counted in"), _("Whom it counts"), disclosure.who(state), _("Left out")])
