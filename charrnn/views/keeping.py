"""How long units keep what they hold: the time constants of their forgetting, with intervals.

A unit that keeps its number by the factor f forgets with the time constant -1 / E[ln f] tokens.
Blocks of the text are drawn anew; the quantiles are those of rates, which are finite: a unit that
never forgets has the rate 0 and a time constant without end.
"""

import math

import numpy as np
from numpy.typing import NDArray

from charrnn.views.intervals import BLOCK, Interval, spread_ends

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NUM_DRAWS = 400
LONG = 1e5  # tokens that are shown as no end
Floats = NDArray[np.float64]


def tokens_of(rate: float) -> float:
    """Return the time constant of a rate of forgetting, in tokens."""
    return 1 / rate if rate > 0 else math.inf if rate == 0 else math.nan


def spread_of(logs: Floats, num_tokens: int, seed: int = 0) -> list[Interval]:
    """Return the time constants that 5, 25, 50, 75 and 95% of the units do not exceed, in tokens.

    `logs` (blocks, H) are sums of ln f over blocks of 500 tokens; the last may be shorter.
    """
    num = len(logs)
    sizes = np.minimum(BLOCK, num_tokens - BLOCK * np.arange(num))
    drawn = np.random.default_rng(seed).multinomial(num, np.full(num, 1 / num), size=NUM_DRAWS)
    rates = np.abs(drawn @ logs) / (drawn @ sizes)[:, None]  # (draws, H)
    whole = np.abs(logs.sum(0)) / num_tokens
    found = []
    for quantile in QUANTILES:
        rate = float(np.quantile(whole, 1 - quantile, method="nearest"))
        draws = np.quantile(rates, 1 - quantile, axis=1, method="nearest")
        ends = Interval(rate, math.nan, math.nan)
        if num > 1:
            ends = spread_ends(rate, draws, num, 0.0, math.inf)
        found.append(Interval(*(tokens_of(end) for end in (ends.mean, ends.high, ends.low))))
    return found


def shown_tokens(value: float) -> str:
    """Return a time constant with two digits; "∞" from 100,000 tokens on."""
    if value >= LONG:
        return "∞"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"


def shown_interval(kept: Interval) -> str:
    """Return a time constant with the ends of its interval, where they are known."""
    middle = shown_tokens(kept.mean)
    if kept.low != kept.low:
        return middle
    return f"{middle} [{shown_tokens(kept.low)}, {shown_tokens(kept.high)}]"
