"""Ranks, areas under curves, and the null of circular shifts: is a unit's match more than chance?

Activations hang together over time, so the naive test finds a match in pure noise. The null keeps
each series as it is and shifts one against the other: every shift beyond a guard is a draw of what
a unit would score on the feature if the two had nothing to do with each other. By FFT all shifts
cost as much as a few. Family errors: the maximum over units, Holm (1979) over features.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Array = NDArray[np.float32]

GUARD_TIMES = 5.0  # autocorrelation times around the true alignment that are no null
MAX_GUARD = 0.25  # of the text, at most


def average_ranks(values: NDArray[np.floating]) -> Floats:
    """Return the ranks of `values` (N,), 1 .. N; equal ones share the mean of theirs."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    ends = np.append(first[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((first + 1 + ends) / 2, ends - first)
    return ranks


def standardize(values: NDArray[np.floating]) -> Array:
    """Return `values` with mean 0 and sum of squares 1 along the last axis; constants give 0."""
    centred = np.asarray(values, np.float64)
    centred = centred - centred.mean(-1, keepdims=True)
    norm = np.sqrt((centred**2).sum(-1, keepdims=True))
    tiny = 1e-9 * np.sqrt(centred.shape[-1]) * (1e-30 + np.abs(values).max(-1, keepdims=True))
    return np.asarray(np.where(norm > tiny, centred / np.where(norm > 0, norm, 1), 0), np.float32)


def auc(values: NDArray[np.floating], on: NDArray[np.bool_]) -> float:
    """Return P(a value where `on` > one where not) + P(equal) / 2; nan where all are alike."""
    num_on = int(on.sum())
    num_off = len(on) - num_on
    if not num_on or not num_off:
        return float("nan")
    total = float(average_ranks(values)[on].sum())
    return (total - num_on * (num_on + 1) / 2) / (num_on * num_off)


def autocorrelation_time(values: NDArray[np.floating]) -> float:
    """Return 1 + 2 sum of the autocorrelations up to the first that is not positive; 1 is noise."""
    size = len(values)
    unit = np.asarray(standardize(values), np.float64)
    spectrum = np.fft.rfft(unit, 2 * size)
    correlations = np.fft.irfft(np.abs(spectrum) ** 2)[:size]
    if correlations[0] < 0.5:
        return 1.0  # constant
    over = np.flatnonzero(correlations <= 0)
    stop = int(over[0]) if len(over) else size
    return float(1 + 2 * correlations[1:stop].sum())


def fast_length(size: int) -> int:
    """Return the largest length up to `size` whose prime factors are 2, 3 and 5."""
    best = 1
    five = 1
    while five <= size:
        three = five
        while three <= size:
            best = max(best, three << ((size // three).bit_length() - 1))
            three *= 3
        five *= 5
    return best


def shift_maxima(units: Array, features: Array) -> Array:
    """Return the largest |correlation| of any unit with each feature at each circular shift.

    `units` (U, N) and `features` (F, N) are standardized; the result is (F, N), shift 0 first.
    """
    import torch

    size = units.shape[-1]
    result = np.zeros((len(features), size), np.float32)
    spectra = torch.fft.rfft(torch.from_numpy(units))
    for place, feature in enumerate(features):
        other = torch.fft.rfft(torch.from_numpy(feature)).conj()
        found = torch.fft.irfft(spectra * other, n=size)
        result[place] = found.abs_().amax(0).numpy()
    return result


def guard_of(times: Sequence[float], size: int) -> int:
    """Return how many shifts on either side of the true alignment do not count as null."""
    return int(min(np.ceil(GUARD_TIMES * max(times)), MAX_GUARD * size))


def shift_p_value(maxima: Array, observed: float, guard: int) -> float:
    """Return the share of the shifts beyond the guard that reach `observed`, itself included."""
    beyond = maxima[guard + 1 : len(maxima) - guard]
    return float((1 + np.count_nonzero(beyond >= observed)) / (1 + len(beyond)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values adjusted for the family, in their order; each at most 1. Holm (1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[int(index)] = largest
    return adjusted


def token_means(values: Array, tokens: NDArray[np.int64], num_tokens: int) -> Array:
    """Return the mean of each series where each token stands, (U, V); 0 for one that never does.

    `values` is (U, N), `tokens` (N,).
    """
    order = np.argsort(tokens, kind="stable")
    present, first = np.unique(tokens[order], return_index=True)
    means = np.zeros((len(values), num_tokens), np.float32)
    if len(present):
        sums = np.add.reduceat(values[:, order].astype(np.float64), first, axis=1)
        means[:, present] = sums / np.diff(np.append(first, len(tokens)))
    return means


def without_token(values: Array, tokens: NDArray[np.int64], num_tokens: int) -> Array:
    """Return `values` (U, N) less their mean given the token at each place."""
    means = token_means(values, tokens, num_tokens)
    return np.asarray(values - means[:, tokens], np.float32)
