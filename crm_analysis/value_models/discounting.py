"""Whole occasions or renewals ahead, discounted at a yearly rate; and sums without end of those who stay."""

from __future__ import annotations

import math

import numpy as np

from crm_analysis.errors import DataError


def whole_steps(count: float, what: str) -> int:
    """`count` occasions or renewals ahead (`what`). Raises DataError unless it is a whole number, zero or more."""
    if not (count >= 0 and count == math.floor(count)):
        raise DataError(f"A prediction looks ahead by a whole number of {what}, zero or more; asked for {count:g}.")
    return int(count)


def discount_factor(rate_annual: float, months: float) -> float:
    """What one unit of money `months` ahead is worth now. Raises DataError for a negative rate."""
    if not rate_annual >= 0:
        raise DataError(f"A discount rate of {rate_annual:g} a year makes no sense here: give zero or more, as 0.1.")
    return float((1 + rate_annual) ** (-months / 12))


def endless_discount_factor(rate_annual: float, months: float, *, instead: str) -> float:
    """The same for a sum without end. Raises DataError at a rate of zero too, pointing to what to call `instead`."""
    if rate_annual == 0:
        raise DataError(f"An endless horizon needs a discount rate above zero; it is 0 a year. Use {instead}.")
    return discount_factor(rate_annual, months)


def discounted_stay(leave: float, stay: np.ndarray, v: float) -> np.ndarray:
    """Sum over i = 1, 2, ... of v**i P(stays i times), for a probability to leave ~ Beta(leave, stay) and v < 1.

    That is v stay / (leave + stay) F(1, stay + 1; leave + stay + 1; v), here by Gauss's continued fraction, which all
    its coefficients being positive is stable for any parameters, where library routines for the series overflow.
    """
    b, c = stay + 1, leave + stay + 1
    fraction = np.ones_like(c)
    for k in range(math.ceil(20 / math.sqrt(1 - v)) + 20, 0, -1):
        fraction = 1 - v * (b + k) * (c + k - 1) / ((c + 2 * k - 1) * (c + 2 * k)) / fraction
        fraction = 1 - v * k * (c - b + k - 1) / ((c + 2 * k - 2) * (c + 2 * k - 1)) / fraction
    return np.asarray(v * stay / (leave + stay) / (1 - v * b / c / fraction))
