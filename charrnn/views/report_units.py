"""All units of a network over one excerpt, to flip through, and the best of them in full."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError
from charrnn.views import cell, cells_result
from charrnn.views.activations import main_signal, record
from charrnn.views.cells import Cells
from charrnn.views.memory import Progress, load_network
from charrnn.views.report_request import Made, Request, Steps
from charrnn.views.statistics import autocorrelation_time

EXCERPT = 1200  # tokens, or fewer of a large network
LEAST = 120
NUMBERS = 1_800_000  # of all units over the excerpt, a byte each
WATCHED = 30_000  # tokens over which a unit's own numbers are taken
FULL = 127


@dataclass(frozen=True)
class Unit:
    """One unit, and how it is painted."""

    name: str
    scale: str  # what is painted: h, c or tanh(c)
    low: float  # of the scale
    high: float
    mean: float
    std: float
    time: float  # autocorrelation time, tokens
    tracks: str  # the features that it tracks, with their grades; else empty


@dataclass(frozen=True)
class Units:
    """The excerpt with every unit over it."""

    start: int
    pieces: list[str]
    units: list[Unit]
    levels: NDArray[np.int8]  # (D, n) -127 is the low end of a unit's scale, 127 the high one
    left_out: int  # units for which there was no room
    best: int  # the unit that is shown first
    tracked: dict[str, str]  # units that track features, the best first
    cell: cell.Cell  # the same unit in full


def make_units(request: Request, made: Mapping[str, Made]) -> Steps[Made]:
    """Return all units over one excerpt, and the best in full; its envelope is that of `cell`."""
    text = request.need_text()
    found = made["cells"].found if "cells" in made else None
    if found is None:
        ids = np.asarray(text.ids[:WATCHED])
        steps = record(load_network(request.stored), ids, text.bos_id)
        activations = yield from counted(steps, len(ids))
    else:
        ids, activations = found.ids, found.activations
    ids = np.asarray(ids)
    start, best = begin_at(request, found)
    names = activations.names
    size = min(EXCERPT, len(ids), max(LEAST, NUMBERS // len(names)))
    start = max(0, min(start, len(ids) - size))
    room = max(1, NUMBERS // size)
    shown = names[:room] if names.index(best) < room else [best, *names[: room - 1]]
    labels = tracked(found)
    levels = np.zeros((len(shown), size), np.int8)
    units = []
    for index, name in enumerate(shown):
        values = activations.unit(names.index(name), slice(0, len(ids)))
        unit, shares = describe(name, values, labels.get(name, ""), start, size)
        units.append(unit)
        levels[index] = np.round((2 * shares - 1) * FULL)
        if not index % 32:
            yield Progress("units", index, 2 * len(shown))
    whole = yield from counted(cell.measure_cell(request.stored, text, best), len(text.ids))
    pieces = cell.shown_pieces(request.stored.tokenizer, ids[start : start + size])
    left_out = len(names) - len(shown)
    flip = Units(start, pieces, units, levels, left_out, shown.index(best), labels, whole)
    names_of = {"autocorrelation_time": "tokens", "time_constant": "tokens", "logit": "nats"}
    result = cell.to_result(whole)
    return Made(flip, request.seal("cell", result, names_of, {"unit": best}, whole.warnings))


def counted(steps: Any, total: int) -> Steps[Any]:
    """Yield the progress of a pass over `total` tokens; return its result."""
    while True:
        try:
            yield Progress("reading", next(steps), total)
        except StopIteration as stop:
            return stop.value


def begin_at(request: Request, found: Cells | None) -> tuple[int, str]:
    """Return where the excerpt starts, and the unit that is shown first."""
    if found is None or not found.rows:
        return 0, f"{main_signal(request.stored.config.cell_type)}:0:0"
    row = cells_result.best_first(found)[0]
    return cells_result.excerpt_of(found, row, request.stored.tokenizer).start, row.unit


def tracked(found: Cells | None) -> dict[str, str]:
    """Return for each unit that is a feature's best what it tracks, with the grade."""
    labels: dict[str, str] = {}
    for row in cells_result.best_first(found) if found is not None else []:
        if row.grade in ("A", "B"):
            before = f"{labels[row.unit]}, " if row.unit in labels else ""
            labels[row.unit] = f"{before}{row.feature.name} ({row.grade})"
    return labels


def describe(
    name: str, values: NDArray[np.float32], tracks: str, start: int, size: int
) -> tuple[Unit, NDArray[np.float64]]:
    """Return a unit and its shares, 0 to 1, on its own scale over the excerpt, (n,)."""
    if not np.isfinite(values).all():
        raise CorpusError(f"unit {name} is not finite over this text: needs another one")
    what, low, high = "h", -1.0, 1.0
    shown = values[start : start + size].astype(np.float64)
    if name[0] == "c" and float(np.median(np.abs(values))) < cell.FLAT:
        what, shown = "tanh(c)", np.tanh(shown)
    elif name[0] == "c":
        what, (low, high) = "c", np.quantile(values, cell.SCALE).tolist()
    shares = np.clip((shown - low) / max(high - low, 1e-9), 0, 1)
    mean, std = (float(f(values, dtype=np.float64)) for f in (np.mean, np.std))
    time = autocorrelation_time(values[:WATCHED])
    return Unit(name, what, low, high, mean, std, time, tracks), shares
