"""gates: used or stuck? How often each gate of each unit is shut or wide open over a text.

A gate under 0.1 is left-saturated, over 0.9 right-saturated (Karpathy, Johnson & Li 2015); of a
network without gates h itself is, under -0.9 and over 0.9. A unit that keeps c (a GRU's h) by the
factor f (z) forgets with the time constant -1 / E[ln f] tokens. The control is the same network
untrained.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.modeldir import StoredModel
from charrnn.views.envelope import Inspected
from charrnn.views.intervals import BLOCK, Interval, mean_interval
from charrnn.views.keeping import shown_interval, shown_tokens, spread_of, tokens_of
from charrnn.views.memory import Progress, load_network
from charrnn.views.states import run_states

if TYPE_CHECKING:
    from charrnn.model import LanguageModel

SHUT, OPEN = 0.1, 0.9
STUCK = 0.99  # of the tokens in which a gate is shut, or open
CELLS = 10  # of the density in each direction
MAX_TOKENS = 100_000
CONTROL_TOKENS = 10_000
JUDGED = {"lstm": "ifo", "peephole": "ifo", "gru": "rz", "rnn": "h"}
KEEPS = {"lstm": "f", "peephole": "f", "gru": "z", "rnn": ""}
LEAST = 1e-300  # of a gate, so that its logarithm is a number
UNITS = {
    "left": "share",
    "right": "share",
    "stuck": "units, exact on the tokens that were read",
    "time_constants": "tokens, null: without end",
    "spread": "tokens, null: without end or not known",
    "keeps": "tokens, null: without end or not known",
}
Floats = NDArray[np.float64]


class Control(NamedTuple):
    """The same numbers of the untrained network."""

    left: float
    right: float
    stuck: int
    spread: list[float]


@dataclass(frozen=True)
class GateRow:
    """One gate of one layer."""

    layer: int
    gate: str  # i, f, o; r, z; h of a network without gates
    left: Interval  # share of (unit, token) under 0.1
    right: Interval  # share over 0.9
    stuck: int  # units that are shut, or open, in over 99% of the tokens
    control: Control
    density: list[list[int]]  # [left][right] how many units, in tenths
    unit_left: list[float]  # (H,)
    unit_right: list[float]  # (H,)
    time_constants: list[float]  # (H,) tokens; empty where the gate keeps nothing
    spread: list[Interval]  # of 5, 25, 50, 75 and 95% of the units; else empty


@dataclass(frozen=True)
class Gates:
    """All gates, layer by layer."""

    rows: list[GateRow]
    keeps: list[Interval]  # tokens, as `spread`, of the units of all layers; empty without gates
    control_keeps: list[float]  # the same of the untrained network
    num_tokens: int
    warnings: list[str]


@dataclass
class Tally:
    """Sums of one gate of one layer over blocks of tokens."""

    left: Floats  # (blocks, H) tokens
    right: Floats
    logs: Floats  # (blocks, H) sum of ln f; zeros where the gate keeps nothing


Tallies = dict[tuple[int, str], Tally]


def measure_gates(stored: StoredModel, text: Inspected) -> Iterator[Progress | Gates]:
    """Yield how far it is, then the result; of a long text its beginning is looked at."""
    warnings = []
    if len(text.ids) > MAX_TOKENS:
        warnings.append(f"of {len(text.ids):,} tokens the first {MAX_TOKENS:,} are looked at")
        text = replace(text, ids=text.ids[:MAX_TOKENS])
    tallies: Tallies = {}
    for done in count_gates(load_network(stored), text, tallies):
        yield Progress("gates", done, len(text.ids))
    control: Tallies = {}
    short = replace(text, ids=text.ids[:CONTROL_TOKENS])
    for _ in count_gates(load_network(stored, untrained=True), short, control):
        pass
    keeps = KEEPS[stored.config.cell_type]
    rows = [
        gate_row(place, tally, control[place], (len(text.ids), len(short.ids)), keeps)
        for place, tally in tallies.items()
    ]
    kept = [kept_for(part, keeps) for part in (tallies, control)]
    spreads = [
        spread_of(logs, num) if logs is not None else []
        for logs, num in zip(kept, (len(text.ids), len(short.ids)), strict=True)
    ]
    yield Gates(rows, spreads[0], [one.mean for one in spreads[1]], len(text.ids), warnings)


def kept_for(tallies: Tallies, keeps: str) -> Floats | None:
    """Return the sums of ln f of the units of all layers, (blocks, L * H); None without gates."""
    logs = [tally.logs for (_, gate), tally in tallies.items() if gate == keeps]
    return np.concatenate(logs, axis=1) if logs else None


def count_gates(network: "LanguageModel", text: Inspected, tallies: Tallies) -> Iterator[int]:
    """Add the counts of a text to `tallies`, and yield how many tokens are counted."""
    config = network.config
    shape = (-(-len(text.ids) // BLOCK), config.hidden_size)
    low = -OPEN if config.cell_type == "rnn" else SHUT
    for section in run_states(network, text.ids, text.bos_id):
        span = np.arange(section.start, section.stop) // BLOCK
        blocks, first = np.unique(span, return_index=True)
        for layer, signals in enumerate(section.layers):
            for gate in JUDGED[config.cell_type]:
                if (layer, gate) not in tallies:
                    tallies[layer, gate] = Tally(*(np.zeros(shape) for _ in range(3)))
                tally, values = tallies[layer, gate], signals[gate]
                tally.left[blocks] += sums_from(values < low, first)
                tally.right[blocks] += sums_from(values > OPEN, first)
                if gate == KEEPS[config.cell_type]:
                    logs = np.log(np.maximum(values.astype(np.float64), LEAST))
                    tally.logs[blocks] += sums_from(logs, first)
        yield section.stop


def sums_from(values: NDArray[Any], first: NDArray[np.int64]) -> Floats:
    """Return the sums (K, H) of the rows of `values` (N, H) from each of `first` to the next."""
    return np.asarray(np.add.reduceat(values, first, axis=0, dtype=np.float64))


def gate_row(
    place: tuple[int, str], tally: Tally, control: Tally, sizes: tuple[int, int], keeps: str
) -> GateRow:
    """Return the shares, the density and the time constants of the gate at (layer, gate).

    `sizes` are the tokens that the network and the untrained one have read.
    """
    num_tokens = sizes[0]
    left, right = tally.left.sum(0) / num_tokens, tally.right.sum(0) / num_tokens
    tenths = [np.minimum((part * CELLS).astype(np.int64), CELLS - 1) for part in (left, right)]
    density = np.zeros((CELLS, CELLS), np.int64)
    np.add.at(density, tuple(tenths), 1)
    constants: list[float] = []
    spread: list[Interval] = []
    plain: list[float] = []
    if place[1] == keeps:
        constants = [tokens_of(rate) for rate in np.abs(tally.logs.sum(0)) / num_tokens]
        spread = spread_of(tally.logs, num_tokens)
        plain = [one.mean for one in spread_of(control.logs, sizes[1])]
    beside = [float(part.mean(1).sum() / sizes[1]) for part in (control.left, control.right)]
    return GateRow(
        *place,
        block_share(tally.left, num_tokens),
        block_share(tally.right, num_tokens),
        count_stuck(tally, num_tokens),
        Control(beside[0], beside[1], count_stuck(control, sizes[1]), plain),
        density.tolist(),
        left.tolist(),
        right.tolist(),
        constants,
        spread,
    )


def count_stuck(tally: Tally, num_tokens: int) -> int:
    """Return how many units are shut, or open, in over 99% of the tokens."""
    most = np.maximum(tally.left.sum(0), tally.right.sum(0))
    return int((most > STUCK * num_tokens).sum())


def block_share(counts: Floats, num_tokens: int) -> Interval:
    """Return the mean share over units and tokens; the last, shorter block joins the one before."""
    whole = max(1, num_tokens // BLOCK)
    size = BLOCK if num_tokens >= BLOCK else num_tokens
    shares = counts[:whole].sum(1) / size / counts.shape[1]
    found = mean_interval(shares)
    return found._replace(mean=float(counts.sum() / num_tokens / counts.shape[1]))


def sentence(found: Gates, keeps: str) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    caveat = "A gate that never moves may still be of use: it is a constant"
    stuck = sum(row.stuck for row in found.rows)
    total = sum(len(row.unit_left) for row in found.rows)
    beside = f"(untrained {sum(row.control.stuck for row in found.rows)})"
    if not keeps:
        text = f"{stuck} of {total} units are stuck, beyond -0.9 or 0.9 in over 99% of the tokens"
        return f"{text} {beside}. {caveat}."
    text = f"{stuck} of {total} gates are stuck, shut or open in over 99% of the tokens {beside}"
    half, most = (
        f"{shown_interval(own)} (untrained {shown_tokens(plain)})"
        for own, plain in zip(found.keeps[2::2], found.control_keeps[2::2], strict=True)
    )
    text += f"; half of the units keep for {half} tokens or more, 5% for {most} or more"
    return f"{text}. {caveat}; and between two resets a unit keeps longer."


def to_result(found: Gates, keeps: str) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    rows = []
    for row in found.rows:
        named = {name: getattr(row, name)._asdict() for name in ("left", "right", "control")}
        spread = [one._asdict() for one in row.spread]
        rows.append({**asdict(row), **named, "spread": spread})
    return {
        "rows": rows,
        "keeps": [one._asdict() for one in found.keeps],
        "control_keeps": found.control_keeps,
        "num_tokens": found.num_tokens,
        "sentence": sentence(found, keeps),
    }
