"""Symbols that a model does not know: left out of all numbers, but not of what is shown."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.views.surprisal import Surprisal


def skipped_rows(skipped: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """Return the unknown symbols as JSON holds them."""
    return [{"before": place, "symbol": symbol} for place, symbol in skipped]


def with_skipped(
    found: Surprisal, pieces: list[str], skipped: Sequence[tuple[int, str]]
) -> tuple[Surprisal, list[str], NDArray[np.bool_]]:
    """Return all as it stands in the text: the unknown symbols too, without any number.

    The flags (N,) say which they are.
    """
    places = [place for place, _ in skipped]
    flags = np.insert(np.zeros(len(pieces), bool), places, True)
    whole = np.empty(len(flags), dtype=object)
    whole[flags], whole[~flags] = [symbol for _, symbol in skipped], pieces

    def spread(values: NDArray[Any], empty: float) -> NDArray[Any]:
        return np.insert(values, places, empty, axis=0)

    wider = replace(
        found,
        nats=spread(found.nats, np.nan),
        entropy=spread(found.entropy, np.nan),
        rank=spread(found.rank, 0),
        ratio=spread(found.ratio, np.nan),
        guesses=spread(found.guesses, -1),
        guess_shares=spread(found.guess_shares, 0),
    )
    return wider, whole.tolist(), flags
