"""gates: used or stuck? How often each gate of each unit is shut or wide open over a text.

A gate under 0.1 is left-saturated, over 0.9 right-saturated (Karpathy, Johnson & Li 2015); of a
network without gates h itself is, under -0.9 and over 0.9. A unit that keeps c (a GRU's h) by the
factor f (z) forgets with the time constant -1 / E[ln f] tokens. The control is the same network
untrained.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.modeldir import StoredModel
from charrnn.views.envelope import Inspected
from charrnn.views.intervals import BLOCK, Interval, mean_interval
from charrnn.views.memory import Progress, load_network
from charrnn.views.states import run_states

if TYPE_CHECKING:
    from charrnn.model import LanguageModel

SHUT, OPEN = 0.1, 0.9
CELLS = 10  # of the density in each direction
MAX_TOKENS = 100_000
CONTROL_TOKENS = 10_000
JUDGED = {"lstm": "ifo", "peephole": "ifo", "gru": "rz", "rnn": "h"}
KEEPS = {"lstm": "f", "peephole": "f", "gru": "z", "rnn": ""}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GateRow:
    """One gate of one layer."""

    layer: int
    gate: str  # i, f, o; r, z; h of a network without gates
    left: Interval  # share of (unit, token) under 0.1
    right: Interval  # share over 0.9
    control: tuple[float, float]  # the same of the untrained network
    density: list[list[int]]  # [left][right] how many units, in tenths
    unit_left: list[float]  # (H,)
    unit_right: list[float]  # (H,)
    time_constants: list[float]  # (H,) tokens, ascending quantiles in `spread`; else empty
    spread: list[float]  # 5, 25, 50, 75 and 95% of the units


@dataclass(frozen=True)
class Gates:
    """All gates, layer by layer."""

    rows: list[GateRow]
    num_tokens: int
    warnings: list[str]


@dataclass
class Tally:
    """Sums of one gate of one layer."""

    left: Floats  # (blocks, H) tokens
    right: Floats
    logs: Floats  # (H,) sum of ln f


def measure_gates(stored: StoredModel, text: Inspected) -> Iterator[Progress | Gates]:
    """Yield how far it is, then the result; of a long text its beginning is looked at."""
    warnings = []
    if len(text.ids) > MAX_TOKENS:
        warnings.append(f"of {len(text.ids):,} tokens the first {MAX_TOKENS:,} are looked at")
        text = replace(text, ids=text.ids[:MAX_TOKENS])
    tallies: dict[tuple[int, str], Tally] = {}
    for done in count_gates(load_network(stored), text, tallies):
        yield Progress("gates", done, len(text.ids))
    control: dict[tuple[int, str], Tally] = {}
    short = replace(text, ids=text.ids[:CONTROL_TOKENS])
    for _ in count_gates(load_network(stored, untrained=True), short, control):
        pass
    keeps = KEEPS[stored.config.cell_type]
    rows = [
        gate_row(layer, gate, tally, len(text.ids), gate == keeps)
        for (layer, gate), tally in tallies.items()
    ]
    numbers = len(short.ids) * stored.config.hidden_size
    for index, row in enumerate(rows):
        tally = control[row.layer, row.gate]
        beside = (float(tally.left.sum()) / numbers, float(tally.right.sum()) / numbers)
        rows[index] = replace(row, control=beside)
    yield Gates(rows, len(text.ids), warnings)


def count_gates(
    network: "LanguageModel", text: Inspected, tallies: dict[tuple[int, str], Tally]
) -> Iterator[int]:
    """Add the counts of a text to `tallies`, and yield how many tokens are counted."""
    config = network.config
    num_blocks = -(-len(text.ids) // BLOCK)
    low = -OPEN if config.cell_type == "rnn" else SHUT
    for section in run_states(network, text.ids, text.bos_id):
        blocks = np.arange(section.start, section.stop) // BLOCK
        for layer, signals in enumerate(section.layers):
            for gate in JUDGED[config.cell_type]:
                if (layer, gate) not in tallies:
                    shape = (num_blocks, config.hidden_size)
                    empty = np.zeros(config.hidden_size)
                    tallies[layer, gate] = Tally(np.zeros(shape), np.zeros(shape), empty)
                tally, values = tallies[layer, gate], signals[gate]
                np.add.at(tally.left, blocks, values < low)
                np.add.at(tally.right, blocks, values > OPEN)
                if gate == KEEPS[config.cell_type]:
                    with np.errstate(divide="ignore"):
                        tally.logs += np.log(values.astype(np.float64)).sum(0)
        yield section.stop


def gate_row(layer: int, gate: str, tally: Tally, num_tokens: int, keeps: bool) -> GateRow:
    """Return the shares, the density and the time constants of one gate."""
    left, right = tally.left.sum(0) / num_tokens, tally.right.sum(0) / num_tokens
    tenths = [np.minimum((part * CELLS).astype(np.int64), CELLS - 1) for part in (left, right)]
    density = np.zeros((CELLS, CELLS), np.int64)
    np.add.at(density, tuple(tenths), 1)
    constants: list[float] = []
    spread: list[float] = []
    if keeps:
        with np.errstate(divide="ignore"):
            times = -num_tokens / tally.logs
        constants = np.where(tally.logs == 0, np.inf, times).tolist()
        spread = np.quantile(constants, QUANTILES, method="nearest").tolist()
    intervals = [block_share(part, num_tokens) for part in (tally.left, tally.right)]
    return GateRow(
        layer,
        gate,
        intervals[0],
        intervals[1],
        (0.0, 0.0),
        density.tolist(),
        left.tolist(),
        right.tolist(),
        constants,
        spread,
    )


def block_share(counts: Floats, num_tokens: int) -> Interval:
    """Return the mean share over units and tokens; the last, shorter block joins the one before."""
    whole = max(1, num_tokens // BLOCK)
    size = BLOCK if num_tokens >= BLOCK else num_tokens
    shares = counts[:whole].sum(1) / size / counts.shape[1]
    found = mean_interval(shares)
    return found._replace(mean=float(counts.sum() / num_tokens / counts.shape[1]))


def sentence(found: Gates, keeps: str) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    caveat = "A gate that never moves may still be of use: it is a constant."
    stuck, total = 0, 0
    for row in found.rows:
        shares = np.maximum(row.unit_left, row.unit_right)
        stuck, total = stuck + int((shares > 0.99).sum()), total + len(shares)
    text = f"{stuck} of {total} gates are stuck, shut or open in over 99% of the tokens"
    if not keeps:
        text = text.replace("gates are stuck, shut or open", "units are stuck at -1 or 1")
        return f"{text}. {caveat}"
    kept = [value for row in found.rows for value in row.time_constants]
    half = float(np.quantile(kept, 0.5, method="nearest"))
    most = float(np.quantile(kept, 0.95, method="nearest"))
    return (
        f"{text}; half of the units keep for {half:.1f} tokens or more, 5% for {most:.0f}. {caveat}"
    )


def to_result(found: Gates, keeps: str) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    rows = []
    for row in found.rows:
        control = dict(zip(("left", "right"), row.control, strict=True))
        ends = {"left": row.left._asdict(), "right": row.right._asdict(), "control": control}
        rows.append({**asdict(row), **ends})
    return {"rows": rows, "num_tokens": found.num_tokens, "sentence": sentence(found, keeps)}
