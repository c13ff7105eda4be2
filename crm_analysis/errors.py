"""Every error a user can meet, and how its text is made.

A `UserError` names the place, the count, one example and the next step. The command line prints it without a
traceback and exits with its `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the reader of the message can put right: input, profile, contract or environment."""

    exit_code = 2


class ProfileError(UserError):
    """The profile cannot be read or contradicts itself."""


class ContractError(UserError):
    """A contract file is misspelt, or one of its rules cannot be compiled."""


class DataError(UserError):
    """The data cannot be used as they are; nothing was written."""


class ScopeError(UserError):
    """The branch or period asked for does not exist, holds no rows, or is not over."""


class BusyError(UserError):
    """Another process is at work in the build folder."""


def no_such_branch(branch: str, branches: Iterable[str], profile_id: str) -> ScopeError:
    """The refusal of a branch that is not among the `branches` of a profile's data.

    >>> str(no_such_branch("nroth", ["north", "south"], "shop"))
    'There is no branch "nroth" in shop. Did you mean "north"? Branches: all, north, south.'
    """
    there = ["all", *branches]
    return ScopeError(
        f'There is no branch "{branch}" in {profile_id}.{nearest(branch, there)} Branches: {listed(there, 40)}.'
    )


def selection_refused(among: str) -> str:
    """Why results are not computed among those who opened, responded, redeemed or were reached.

    >>> selection_refused("responded").startswith('Results among "responded" are not computed')
    True
    """
    return (
        f'Results among "{among}" are not computed: who opens, answers or redeems differs from who does not, campaign '
        "or not, so their difference from the held-out members is no effect. Everybody assigned is compared "
        '(among "assigned"); where `campaign_members.delivered_on` is given, the page states the effect on those '
        "reached beside it."
    )


def nearest(name: str, choices: Iterable[str]) -> str:
    """`' Did you mean "x"?'` for the choice most like `name`, or an empty string when none is near.

    >>> nearest("brnach", ["branch", "period"])
    ' Did you mean "branch"?'
    >>> nearest("colour", ["branch", "period"])
    ''
    """
    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return f' Did you mean "{found[0]}"?' if found else ""


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names joined for a message, the tail of a long list counted instead of printed.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = list(names)
    if len(every) <= most:
        return ", ".join(every)
    return f"{', '.join(every[:most])} and {len(every) - most} more"
