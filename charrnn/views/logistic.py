"""Logistic regression with an L1 penalty, and what its accuracies are worth.

min over w, b of  sum_i ln(1 + exp(-y_i (w x_i + b))) + |w|_1 / C,  by FISTA (Beck & Teboulle 2009).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from charrnn.views.intervals import Interval

STRENGTHS = tuple(2.0**power for power in range(-8, 1))  # C
NUM_STEPS = 400
QUANTILE = 1.959964  # of the normal distribution, for 95%
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Linear:
    """A classifier: w x + b > 0, of features that are scaled first."""

    weights: Floats  # (D,) of the scaled features
    intercept: float
    center: Floats  # (D,)
    scale: Floats  # (D,)

    def __call__(self, features: Floats) -> Flags:
        """Return which rows of `features` (N, D) are of the positive class."""
        scaled = (features - self.center) / self.scale
        positive: Flags = scaled @ self.weights + self.intercept > 0
        return positive


def fit(
    features: Floats, positive: Flags, strength: float, start: "Linear | None" = None
) -> Linear:
    """Return the classifier of one C; `start` is where the descent begins."""
    center, scale = features.mean(0), features.std(0)
    scale = np.where(scale < 1e-6, 1.0, scale)
    inputs = np.column_stack([(features - center) / scale, np.ones(len(features))])
    signs = np.where(positive, 1.0, -1.0)
    rate = 4 / largest_eigenvalue(inputs)
    weights = np.zeros(inputs.shape[1])
    if start is not None:
        weights = np.append(start.weights, start.intercept)
    ahead, momentum = weights, 1.0
    for _ in range(NUM_STEPS):
        margins = np.clip(signs * (inputs @ ahead), -500, 500)
        moved = ahead + rate * (inputs.T @ (signs / (1 + np.exp(margins))))
        new = np.sign(moved) * np.maximum(np.abs(moved) - rate / strength, 0)
        new[-1] = moved[-1]  # the intercept bears no penalty
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / following * (new - weights)
        done = np.abs(new - weights).max() < 1e-5
        weights, momentum = new, following
        if done:
            break
    return Linear(weights[:-1], float(weights[-1]), center, scale)


def largest_eigenvalue(inputs: Floats) -> float:
    """Return an upper estimate of the largest eigenvalue of inputs' inputs."""
    vector: Floats = np.random.default_rng(0).normal(size=(inputs.shape[1],))
    value = 1.0
    for _ in range(50):
        vector = inputs.T @ (inputs @ (vector / np.linalg.norm(vector)))
        value = float(np.linalg.norm(vector))
    return 1.02 * max(value, 1e-12)


def choose(
    train: Floats, positive: Flags, dev: Floats, dev_positive: Flags
) -> tuple[Linear, float]:
    """Return the classifier whose C is best on `dev`, and C; of equals the smallest."""
    best, best_strength, best_share, last = None, 0.0, -1.0, None
    for strength in STRENGTHS:
        last = fit(train, positive, strength, last)
        share = float((last(dev) == dev_positive).mean())
        if share > best_share:
            best, best_strength, best_share = last, strength, share
    assert best is not None
    return best, best_strength


def wilson(correct: int, total: int) -> Interval:
    """Return a share and its 95% interval (Wilson 1927)."""
    share, square = correct / total, QUANTILE**2 / total
    middle = (share + square / 2) / (1 + square)
    half = QUANTILE / (1 + square) * np.sqrt(share * (1 - share) / total + square / 4 / total)
    return Interval(share, float(middle - half), float(middle + half))


def accuracy(guesses: Flags, positive: Flags) -> Interval:
    """Return the share of guesses that are right, with its Wilson interval."""
    return wilson(int((guesses == positive).sum()), len(positive))


def best_threshold(values: Floats, positive: Flags) -> tuple[float, bool]:
    """Return the threshold that parts `values` (N,) best, and whether above it is positive."""
    order = np.argsort(values, kind="stable")
    ordered, signs = values[order], np.where(positive[order], 1, -1)
    right = np.cumsum(np.append(0, -signs)) + signs.clip(0).sum()  # if above is positive
    cuts = np.append(np.append(-np.inf, (ordered[1:] + ordered[:-1]) / 2), np.inf)
    apart = np.append(np.append(True, ordered[1:] > ordered[:-1]), True)
    scores = np.where(apart, right, -1)
    wrong = np.where(apart, len(values) - right, -1)
    above = bool(scores.max() >= wrong.max())
    place = int(np.argmax(scores if above else wrong))
    return float(cuts[place]), above


def naive_bayes(texts: Sequence[str], positive: Flags, others: Sequence[str]) -> Flags:
    """Return the guesses for `others` of a bag of words and pairs of words (add-one counts)."""
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for text, flag in zip(texts, positive, strict=True):
        counts[int(flag)].update(set(grams(text)))
    known = set(counts[0]) | set(counts[1])
    totals = [count.total() + len(known) for count in counts]
    odds = {
        gram: np.log((counts[1][gram] + 1) / totals[1]) - np.log((counts[0][gram] + 1) / totals[0])
        for gram in known
    }
    share = float(np.clip(positive.mean(), 1e-6, 1 - 1e-6))
    prior = np.log(share / (1 - share))
    scores = [prior + sum(odds.get(gram, 0.0) for gram in set(grams(text))) for text in others]
    return np.array(scores) > 0


def grams(text: str) -> list[str]:
    """Return the words of a text and its pairs of neighbouring words, in lower case."""
    words = text.lower().split()
    return words + [f"{first} {second}" for first, second in pairwise(words)]
