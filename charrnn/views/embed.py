"""embed: which symbols does the network take for alike? Cosine neighbours, coming in and going out.

Going in, a symbol is its row of the embedding (one-hot: its column of the first input weights);
going out, its row of the output layer. The control is the cosine that the best of as many random
directions has with one of them: what lies below says nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import ConfigError
from charrnn.modeldir import StoredModel

NUM_NEIGHBOURS = 6
NUM_SYMBOLS = 30  # that are shown if none are named
NUM_ANGLES = 100_001  # in which the control's density is summed
UNITS = {
    "cosine": "-1 to 1, exact: read off the weights",
    "above_in": "share of the symbols shown, exact",
    "above_out": "share of the symbols shown, exact",
    "chance_in": "-1 to 1, exact for random directions",
    "chance_out": "-1 to 1, exact for random directions",
    "chance_pair": "-1 to 1, exact for random directions",
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbour:
    """A symbol and the cosine of its direction with another's."""

    symbol: str
    cosine: float


@dataclass(frozen=True)
class SymbolRow:
    """One symbol and its nearest ones, the nearest first."""

    symbol: str
    going_in: list[Neighbour]
    going_out: list[Neighbour]


@dataclass(frozen=True)
class Embedding:
    """The neighbours of some symbols."""

    rows: list[SymbolRow]
    chance_in: float  # 95% of the best cosines of one random direction are below this
    chance_out: float
    chance_pair: float  # 95% of the best of all pairs shown, going out, are below this
    tied: bool  # both are the same weights
    above_in: float  # share of the symbols whose nearest is above chance
    above_out: float


def measure_embedding(
    stored: StoredModel,
    words: Sequence[str] = (),
    num_neighbours: int = NUM_NEIGHBOURS,
) -> Embedding:
    """Return the neighbours of `words`, or of the first symbols that stand for text.

    Raises ConfigError for a word that is not in the vocabulary.
    """
    tables = symbol_vectors(stored)
    ids = chosen_ids(stored, words)
    tokenizer = stored.tokenizer
    names = zip(tokenizer.pieces, tokenizer.vocabulary, strict=True)
    pieces = [piece or symbol for piece, symbol in names]
    num = len(tokenizer)
    if num < 2:
        raise ConfigError("the vocabulary has one symbol: needs two to compare them")
    chances = [chance_cosine(num - 1, table.shape[1]) for table in tables]
    pairs = len(ids) * (num - 1) - len(ids) * (len(ids) - 1) // 2
    pair = chance_cosine(max(1, pairs), tables[1].shape[1])
    neighbours = [nearest(table, ids, num_neighbours) for table in tables]
    above = [
        float(np.mean([cosines[0] > chance for _, cosines in found]))
        for found, chance in zip(neighbours, chances, strict=True)
    ]
    rows = []
    for place, symbol in enumerate(ids):
        lists = [
            [Neighbour(pieces[i], cosine) for i, cosine in zip(*found[place], strict=True)]
            for found in neighbours
        ]
        rows.append(SymbolRow(pieces[symbol], lists[0], lists[1]))
    tied = stored.config.tie_weights
    return Embedding(rows, chances[0], chances[1], pair, tied, above[0], above[1])


def symbol_vectors(stored: StoredModel) -> tuple[Floats, Floats]:
    """Return the direction of each symbol, (V, E) going in and (V, H) going out, of length one."""
    weights = stored.weights
    if "embedding.weight" in weights:
        going_in = weights["embedding.weight"]
    else:
        going_in = weights["recurrent.weight_ih_l0"].T
    going_out = weights["embedding.weight" if stored.config.tie_weights else "output.weight"]
    return directions(going_in), directions(going_out)


def directions(vectors: NDArray[Any]) -> Floats:
    """Return the rows of `vectors` with length one; rows of zeros stay."""
    wide: Floats = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(norms > 0, norms, 1.0)


def chosen_ids(stored: StoredModel, words: Sequence[str]) -> list[int]:
    """Return the ids of words, or the first ones that stand for text."""
    tokenizer = stored.tokenizer
    if not words:
        special = set(tokenizer.special_ids)
        return [i for i in range(len(tokenizer)) if i not in special][:NUM_SYMBOLS]
    places = {piece.rstrip(" ") or piece: i for i, piece in enumerate(tokenizer.pieces) if piece}
    for word in words:
        if word not in places:
            raise ConfigError(f"{word!r} is not one symbol of the vocabulary of {len(tokenizer)}")
    return [places[word] for word in words]


def nearest(table: Floats, ids: Sequence[int], num: int) -> list[tuple[list[int], list[float]]]:
    """Return for each id the ids of the nearest others, and their cosines."""
    found = []
    for symbol in ids:
        cosines = table @ table[symbol]
        cosines[symbol] = -np.inf
        order = np.argsort(-cosines, kind="stable")[: min(num, len(table) - 1)]
        found.append((order.tolist(), cosines[order].tolist()))
    return found


def chance_cosine(num: int, size: int) -> float:
    """Return what 95% of the largest of `num` cosines of random directions are below; exact.

    The density of the angle between two directions in `size` dimensions goes like sin^(size - 2).
    """
    tail = -math.expm1(math.log(0.95) / num)  # of one cosine
    if size == 1:
        return 1.0 if tail < 0.5 else -1.0
    angles = np.linspace(0, math.pi, NUM_ANGLES)
    passed = np.cumsum(np.sin(angles) ** (size - 2))
    return float(np.cos(np.interp(tail, passed / passed[-1], angles)))


def sentence(found: Embedding) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    top = max(found.rows, key=lambda row: row.going_out[0].cosine)
    pair = f"{top.symbol!r} and {top.going_out[0].symbol!r}"
    text = f"Going out, {pair} are most alike (cosine {top.going_out[0].cosine:.2f}; by chance"
    text += f" {found.chance_pair:.2f}); {found.above_out:.0%} of these symbols have a neighbour"
    text += f" nearer than chance, going in {found.above_in:.0%} (by chance 5%)"
    return text + ". Near means used alike here, not meant alike."


def to_result(found: Embedding) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    return {**asdict(found), "sentence": sentence(found)}
