"""cells as JSON holds it, the stretches of text that are worth painting, and a sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.tokenizer import Tokenizer
from charrnn.views.cells import Cells, Row
from charrnn.views.cells_cause import Cause
from charrnn.views.intervals import Interval

EXCERPT = 300  # tokens
GRADES = ("A", "B", "C", None)
SCALE = (0.02, 0.98)  # quantiles that are painted fully


@dataclass(frozen=True)
class Excerpt:
    """A stretch of text with a unit over it."""

    start: int  # token
    pieces: list[str]
    values: list[float]  # of the unit, its sign turned so that high means the feature
    shares: list[float]  # the same from 0 to 1, for painting
    feature: list[float]


def best_first(found: Cells) -> list[Row]:
    """Return the rows by grade, then by score."""
    return sorted(found.rows, key=lambda r: (GRADES.index(r.grade), -r.judged.score.mean))


def excerpts_of(found: Cells, rows: Sequence[Row], tokenizer: Tokenizer) -> list[Excerpt]:
    """Return a stretch of the second half for each row; rows of one unit have different ones."""
    taken: dict[int, list[int]] = {}
    excerpts = []
    for row in rows:
        excerpt = excerpt_of(found, row, tokenizer, taken.setdefault(row.index, []))
        taken[row.index].append(excerpt.start)
        excerpts.append(excerpt)
    return excerpts


def excerpt_of(found: Cells, row: Row, tokenizer: Tokenizer, taken: Sequence[int] = ()) -> Excerpt:
    """Return the stretch of the second half in which the feature is best seen to change.

    It does not overlap with those that start at `taken`, if there is room.
    """
    part = found.halves.b
    values = row.judged.sign * found.activations.unit(row.index, part).astype(np.float64)
    feature = row.feature.values[part]
    size = min(EXCERPT, len(feature))
    places = np.arange(len(feature) - size + 1) + part.start
    free = np.ones(len(places), bool)
    for other in taken:
        free &= np.abs(places - other) >= size
    start = best_start(feature, row.feature.binary, size, free)
    pieces = [tokenizer.pieces[int(i)] for i in found.ids[part][start : start + size]]
    if "\n" in pieces[: size // 4]:  # begin with a line
        start += pieces.index("\n") + 1
    size = min(size, len(feature) - start)
    low, high = np.quantile(values, SCALE)
    shown = values[start : start + size]
    shares = np.clip((shown - low) / max(high - low, 1e-9), 0, 1)
    ids = found.ids[part][start : start + size]
    return Excerpt(
        part.start + start,
        [tokenizer.pieces[int(i)] for i in ids],
        shown.tolist(),
        shares.tolist(),
        feature[start : start + size].tolist(),
    )


def best_start(
    feature: NDArray[np.float32], binary: bool, size: int, free: NDArray[np.bool_] | None = None
) -> int:
    """Return where a stretch starts that is typical: half on if it can be, and of many changes.

    Of a real feature, the stretch that spreads as all of the text does. `free` says for each start
    whether it may be chosen; where none may, all are.
    """
    barred = np.where(free, 0.0, np.inf) if free is not None and free.any() else 0.0
    values = feature.astype(np.float64)

    def sums(of: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.concatenate([[0.0], np.cumsum(of)])
        return np.asarray(total[size:] - total[:-size])

    mean = sums(values) / size
    if binary:
        changes = sums(np.abs(np.diff(values, append=values[-1])))
        return int(np.argmax(np.minimum(changes, 8) / 8 - np.abs(mean - 0.5) - barred))
    spread = np.sqrt(np.maximum(sums(values**2) / size - mean**2, 0))
    return int(np.argmin(np.abs(mean - values.mean()) + np.abs(spread - values.std()) + barred))


def sentence(found: Cells) -> str:
    """Return what the table says, in one sentence, and its caveat."""
    graded = [row for row in best_first(found) if row.grade in ("A", "B")]
    if not graded:
        return (
            "No unit is seen to track a feature better than networks before training do; it may "
            "still be spread over many units (see the probe)."
        )
    names = ", ".join(f"{row.unit} {row.feature.name}" for row in graded[:4])
    more = f" and {len(graded) - 4} more" if len(graded) > 4 else ""
    num = len({row.unit for row in graded})
    text = f"{num} unit{'s track' if num > 1 else ' tracks'} a feature: {names}{more}"
    if any(row.cause is not None for row in found.rows):
        causal = sum(row.grade == "A" for row in graded)
        return f"{text}; for {causal} of the features the network was seen to need its unit there."
    return f"{text}. That it is used is not shown (--causal tests that)."


def to_result(found: Cells, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    good = [row for row in best_first(found) if row.grade in ("A", "B")]
    pairs = zip(good, excerpts_of(found, good, tokenizer), strict=True)
    excerpts = {row.feature.name: vars(excerpt) for row, excerpt in pairs}
    absent = [
        dict.fromkeys(("unit", "auc", "r2", "memory_r2", "p", "n90", "delta_bits", "grade"))
        for _ in found.absent
    ]
    named = [{"feature": n, **row} for n, row in zip(found.absent, absent, strict=True)]
    return {
        "features": [*map(feature_row, found.rows), *named],
        "details": {row.feature.name: dict(detail_items(row)) for row in found.rows},
        "excerpts": excerpts,
        "num_units": len(found.activations.names),
        "sentence": sentence(found),
    }


def feature_row(row: Row) -> dict[str, Any]:
    """Return the row of a feature: its best unit and what counts; p is after Holm."""
    return {
        "feature": row.feature.name,
        "unit": row.unit,
        "auc": row.judged.auc,
        "r2": row.judged.r2.mean,
        "memory_r2": row.judged.memory.mean,
        "p": row.holm_p,
        "n90": row.probe.n90,
        "delta_bits": None if row.cause is None else row.cause.delta.mean,
        "grade": row.grade,
    }


def detail_items(row: Row) -> Iterator[tuple[str, Any]]:
    """Yield what else is known of a feature's best unit."""

    def named(interval: Interval) -> dict[str, float]:
        return interval._asdict()

    judged, cause = row.judged, row.cause
    yield "kind", "binary" if row.feature.binary else "real"
    yield "sign", judged.sign
    yield "score", named(judged.score)
    yield "memory_r2", named(judged.memory)
    yield "r2", named(judged.r2)
    yield "spearman", named(judged.spearman)
    yield "threshold", judged.threshold
    yield "balanced_accuracy", None if judged.accuracy is None else named(judged.accuracy)
    yield "p_single", row.p
    yield "control", row.control._asdict()
    yield "probe", named(row.probe.score)
    yield "cause", None if cause is None else cause_items(cause)


def cause_items(cause: Cause) -> dict[str, Any]:
    """Return what a unit causes as JSON holds it."""
    clamp = None if cause.clamp is None else cause.clamp._asdict()
    return {**vars(cause), "delta": cause.delta._asdict(), "clamp": clamp}
