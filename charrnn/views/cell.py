"""cell: what does one unit do? Its numbers over a text, and the places where it is high and low."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError
from charrnn.modeldir import StoredModel
from charrnn.tokenizer import Tokenizer
from charrnn.views.activations import parse_unit
from charrnn.views.cell_numbers import Numbers, numbers_of
from charrnn.views.envelope import Inspected
from charrnn.views.states import run_states

NUM_CONTEXTS = 20  # highest, and lowest
APART = 20  # tokens between two of them
BEFORE, AFTER = 40, 12  # tokens around a place
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PER_QUANTILE = 3
NUM_BINS = 40
NUM_TOKENS = 10  # promoted, and suppressed
EXCERPT = 2000  # tokens that are painted
MAX_TOKENS = 100_000  # of the text that are looked at
KEEPERS = {"lstm": "f", "peephole": "f", "gru": "z"}  # the gate that keeps
FLAT = 3.0  # |c| from which tanh(c) tells nothing more
SCALE = (0.02, 0.98)  # quantiles that are painted fully, of a c that is mostly beyond

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Context:
    """A place with the text around it; the unit has its value after the symbol."""

    position: int
    value: float
    before: str
    symbol: str
    after: str


@dataclass(frozen=True)
class Effect:
    """What one more of a unit adds to the logit of a symbol, less its mean over all symbols."""

    symbol: str
    logit: float


@dataclass(frozen=True)
class Cell:
    """All that is known of a unit."""

    unit: str
    values: Floats  # (N,)
    pieces: list[str]
    numbers: Numbers
    histogram: list[int]
    edges: list[float]
    highest: list[Context]
    lowest: list[Context]
    quantiles: list[tuple[float, list[Context]]]
    promoted: list[Effect]
    suppressed: list[Effect]
    warnings: list[str]


def measure_cell(stored: StoredModel, text: Inspected, unit: str) -> Generator[int, None, Cell]:
    """Yield how many tokens are read; return what the unit does.

    Raises ConfigError for a unit that is not there.
    """
    signal, layer, place = parse_unit(unit, stored.config)
    ids = np.asarray(text.ids[:MAX_TOKENS])
    warnings = []
    if len(ids) < len(text.ids):
        warnings.append(f"the first {len(ids):,} of {len(text.ids):,} tokens were looked at")
    values, kept = yield from read_unit(stored, ids, text.bos_id, signal, layer, place)
    if not np.isfinite(values).all():
        raise CorpusError(f"unit {unit} is not finite over this text: needs another one")
    pieces = shown_pieces(stored.tokenizer, ids)
    counts, edges = np.histogram(values, NUM_BINS)
    top = layer == stored.config.num_layers - 1 and signal == "h"
    promoted, suppressed = effects_of(stored, place) if top else ([], [])
    return Cell(
        unit=unit,
        values=values,
        pieces=pieces,
        numbers=numbers_of(values, kept),
        histogram=counts.tolist(),
        edges=edges.tolist(),
        highest=extremes(values, pieces, highest=True),
        lowest=extremes(values, pieces, highest=False),
        quantiles=quantile_contexts(values, pieces),
        promoted=promoted,
        suppressed=suppressed,
        warnings=warnings,
    )


def read_unit(
    stored: StoredModel,
    ids: NDArray[Any],
    bos_id: int | None,
    signal: str,
    layer: int,
    place: int,
) -> Generator[int, None, tuple[Floats, Floats | None]]:
    """Yield how many tokens are read; return the signal of a unit and the gate that keeps it."""
    from charrnn.model import LanguageModel

    network = LanguageModel(stored.config)
    network.load_weights(stored.weights)
    network.eval().requires_grad_(False)
    keeper = KEEPERS.get(stored.config.cell_type)
    values, kept = [], []
    for section in run_states(network, ids, bos_id):
        signals = section.layers[layer]
        values.append(signals[signal][:, place])
        if keeper is not None:
            kept.append(signals[keeper][:, place])
        yield section.stop
    return np.concatenate(values), np.concatenate(kept) if kept else None


def shown_pieces(tokenizer: Tokenizer, ids: NDArray[Any]) -> list[str]:
    """Return the text of each token; of a special one, its symbol."""
    names = zip(tokenizer.pieces, tokenizer.vocabulary, strict=True)
    pieces = [piece or symbol for piece, symbol in names]
    return [pieces[i] for i in ids.tolist()]


def extremes(values: Floats, pieces: list[str], *, highest: bool) -> list[Context]:
    """Return the places of the highest or lowest values, not too near to each other."""
    order = np.argsort(-values if highest else values, kind="stable")
    free = np.ones(len(values), bool)
    found: list[Context] = []
    for index in order.tolist():
        if free[index]:
            found.append(context_at(index, values, pieces))
            if len(found) == NUM_CONTEXTS:
                break
            free[max(0, index - APART + 1) : index + APART] = False
    return found


def quantile_contexts(values: Floats, pieces: list[str]) -> list[tuple[float, list[Context]]]:
    """Return a few places, drawn at random, whose values are nearest to each quantile."""
    rng = np.random.default_rng(0)
    order = np.argsort(values, kind="stable")
    found = []
    for quantile in QUANTILES:
        middle, reach = quantile * (len(order) - 1), max(PER_QUANTILE, len(order) // 200)
        near = order[max(0, int(middle) - reach) : int(middle) + reach + 1]
        chosen = rng.permutation(near)[:PER_QUANTILE]
        found.append((quantile, [context_at(int(i), values, pieces) for i in chosen]))
    return found


def context_at(index: int, values: Floats, pieces: list[str]) -> Context:
    """Return the place `index` with the text around it."""
    return Context(
        position=index,
        value=float(values[index]),
        before="".join(pieces[max(0, index - BEFORE) : index]),
        symbol=pieces[index],
        after="".join(pieces[index + 1 : index + 1 + AFTER]),
    )


def effects_of(stored: StoredModel, place: int) -> tuple[list[Effect], list[Effect]]:
    """Return the symbols that a unit of the last layer promotes, and suppresses, most first."""
    weights = stored.weights
    matrix = weights["embedding.weight" if stored.config.tie_weights else "output.weight"]
    column = np.asarray(matrix[:, place], np.float64)
    column = column - column.mean()
    symbols = stored.tokenizer.vocabulary

    def first(order: NDArray[Any]) -> list[Effect]:
        return [Effect(symbols[i], float(column[i])) for i in order[:NUM_TOKENS].tolist()]

    highest, lowest = (first(np.argsort(sign * column, kind="stable")) for sign in (-1, 1))
    return [one for one in highest if one.logit > 0], [one for one in lowest if one.logit < 0]


def scale_of(cell: Cell) -> tuple[str, float, float]:
    """Return what is painted, and its values at the ends of the scale.

    Gates are painted from 0 to 1, c as tanh(c) and the rest from -1 to 1. A c that is mostly where
    tanh(c) tells nothing more is painted as it is, between two quantiles.
    """
    letter = cell.unit[0]
    if letter != "c":
        return letter, 0.0 if letter in "ifozr" else -1.0, 1.0
    if float(np.median(np.abs(cell.values))) < FLAT:
        return "tanh(c)", -1.0, 1.0
    low, high = np.quantile(cell.values, SCALE).tolist()
    return "c", low, high


def shares_of(cell: Cell) -> NDArray[np.float64]:
    """Return the values on the scale of `scale_of`, from 0 to 1, (N,)."""
    what, low, high = scale_of(cell)
    shown = cell.values.astype(np.float64)
    shown = np.tanh(shown) if what == "tanh(c)" else shown
    return np.clip((shown - low) / max(high - low, 1e-9), 0, 1)


def to_result(cell: Cell) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    shown = cell.values[:EXCERPT]
    numbers = cell.numbers._asdict()
    return {
        "unit": cell.unit,
        **{name: None if one is None else one._asdict() for name, one in numbers.items()},
        "histogram": cell.histogram,
        "edges": cell.edges,
        "highest": [vars(one) for one in cell.highest],
        "lowest": [vars(one) for one in cell.lowest],
        "quantiles": [
            {"quantile": quantile, "contexts": [vars(one) for one in contexts]}
            for quantile, contexts in cell.quantiles
        ],
        "promoted": [vars(one) for one in cell.promoted],
        "suppressed": [vars(one) for one in cell.suppressed],
        "excerpt": {"start": 0, "pieces": cell.pieces[:EXCERPT], "values": shown.tolist()},
        "sentence": sentence(cell),
    }


def sentence(cell: Cell) -> str:
    """Return what the numbers say, in one sentence, with its caveat."""
    alike, keeps = cell.numbers.autocorrelation_time, cell.numbers.time_constant
    size = f"{alike.mean:.0f}"
    text = f"{cell.unit} stays alike for about {size} token{'' if size == '1' else 's'}"
    text += "" if alike.low != alike.low else f" [{alike.low:.0f}, {alike.high:.0f}]"
    if keeps is not None:
        text += f", and its gate keeps for {keeps.mean:.3g} (resets count)"
    return text + "; what it looks like in a few places is no proof (cells tests that)."
