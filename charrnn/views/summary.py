"""summary: what is this model, is it healthy, and how good is it beside simple floors?"""

import lzma
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.encoding import Ids
from charrnn.modeldir import StoredModel, read_train_record
from charrnn.modeldir.files import METRICS, TRAIN
from charrnn.store import read_journal
from charrnn.tensors import Tensors
from charrnn.views.envelope import own_dataset
from charrnn.views.telling import Told, untold

PROBE_TOKENS = 2_000  # of the text, on which units are watched
DEAD_STD = 1e-3  # of a unit's h over time
LZMA_LIMIT = 8_000_000  # bytes of training text that are compressed for the floor
GATES = {"lstm": "ifgo", "peephole": "ifgo", "gru": "rzn", "rnn": "h"}


@dataclass(frozen=True)
class Summary:
    """Numbers of one model; None where the text or the record they need is not there."""

    parameters: dict[str, int]  # by block
    num_parameters: int
    spectra: dict[str, dict[str, float]]  # of each recurrent block: norm and radius
    dead_units: dict[str, int] | None  # by layer
    record: dict[str, Any]  # of train.json
    train_loss: float | None  # nats per token, as last logged
    valid_loss: float | None
    floors: dict[str, float]  # nats per token


def count_parameters(weights: Tensors) -> dict[str, int]:
    """Return the parameters of the embedding, of each recurrent layer and of the output."""
    counts: dict[str, int] = {}
    for name, value in weights.items():
        block = name.split(".")[0]
        if block == "recurrent":
            block = f"layer {name.rsplit('_l', 1)[1]}"
        counts[block] = counts.get(block, 0) + value.size
    return counts


def measure_spectra(stored: StoredModel, told: Told = untold) -> dict[str, dict[str, float]]:
    """Return spectral norm and radius of the square block of each gate of each layer."""
    found = {}
    size, gates = stored.config.hidden_size, GATES[stored.config.cell_type]
    for layer in range(stored.config.num_layers):
        matrix = stored.weights[f"recurrent.weight_hh_l{layer}"].astype(np.float64)
        for index, gate in enumerate(gates):
            block = matrix[index * size : (index + 1) * size]
            found[f"{gate}:{layer}"] = {
                "norm": float(np.linalg.norm(block, 2)),
                "radius": float(np.abs(np.linalg.eigvals(block)).max()),
            }
            told("spectra", len(found), stored.config.num_layers * len(gates))
    return found


def count_dead_units(stored: StoredModel, ids: Ids, told: Told = untold) -> dict[str, int]:
    """Return, for each layer, how many units hardly move on the first part of the text."""
    import torch

    from charrnn.model import LanguageModel

    model = LanguageModel(stored.config)
    model.load_weights(stored.weights)
    model.eval()
    tokens = torch.from_numpy(np.asarray(ids[:PROBE_TOKENS]).astype(np.int64))
    states, state = [], None
    with torch.no_grad():
        for token in tokens:
            _, state = model.run_layers(token[None, None], state)
            states.append(state[0][:, 0].numpy().copy())  # (L, H)
            told("dead units", len(states), len(tokens))
    std = np.array(states).std(axis=0)
    return {str(layer): int((row < DEAD_STD).sum()) for layer, row in enumerate(std)}


def measure_floors(stored: StoredModel, train: Ids, valid: Ids) -> dict[str, float]:
    """Return losses that need no network, in nats per token of the held-out part."""
    size = stored.config.vocab_size
    counts = np.bincount(np.asarray(train), minlength=size).astype(np.float64) + 1
    shares = counts / counts.sum()
    if len(valid) < 2:
        return {"uniform": math.log(size)}
    unigram = float(-np.log(shares[np.asarray(valid)]).mean())
    floors = {"uniform": math.log(size), "unigram": unigram}
    floors["bigram"] = bigram_loss(np.asarray(train), np.asarray(valid), shares)
    if train.nbytes <= LZMA_LIMIT:
        floors["lzma"] = lzma_loss(np.asarray(train), np.asarray(valid))
    return floors


def bigram_loss(
    train: NDArray[np.generic], valid: NDArray[np.generic], unigram: NDArray[np.float64]
) -> float:
    """Return nats per token of a Witten-Bell bigram model (Witten & Bell 1991)."""
    size = len(unigram)
    pairs, counts = np.unique(
        train[:-1].astype(np.int64) * size + train[1:].astype(np.int64), return_counts=True
    )
    first = pairs // size
    total = np.bincount(first, weights=counts, minlength=size)
    kinds = np.bincount(first, minlength=size)
    asked = valid[:-1].astype(np.int64) * size + valid[1:].astype(np.int64)
    place = np.minimum(np.searchsorted(pairs, asked), len(pairs) - 1)
    seen = np.where(pairs[place] == asked, counts[place], 0)
    before, after = valid[:-1].astype(np.int64), valid[1:].astype(np.int64)
    share = (seen + kinds[before] * unigram[after]) / np.maximum(total + kinds, 1)[before]
    share = np.where(total[before] > 0, share, unigram[after])
    return float(-np.log(share).mean())


def lzma_loss(train: NDArray[np.generic], valid: NDArray[np.generic]) -> float:
    """Return nats per token that the held-out part adds to the compressed training part."""
    both = len(lzma.compress(train.tobytes() + valid.tobytes(), preset=6))
    return (both - len(lzma.compress(train.tobytes(), preset=6))) * 8 * math.log(2) / len(valid)


def summarize(stored: StoredModel, directory: Path, told: Told = untold) -> Summary:
    """Return the summary of a model; what needs its own text is left out where that is gone."""
    floors: dict[str, float] = {}
    dead = None
    record: dict[str, Any] = {}
    train_loss = valid_loss = None
    if (directory / TRAIN).is_file():
        record = read_train_record(directory)
        train_loss, valid_loss = recorded_losses(directory)
        dataset = own_dataset(stored)
        if dataset is not None:
            told("floors", 0, 1)
            floors = measure_floors(stored, dataset.train, dataset.valid)
            ids = dataset.valid if len(dataset.valid) > 1 else dataset.train
            dead = count_dead_units(stored, ids, told)
    parameters = count_parameters(stored.weights)
    return Summary(
        parameters=parameters,
        num_parameters=sum(parameters.values()),
        spectra=measure_spectra(stored, told),
        dead_units=dead,
        record=record,
        train_loss=train_loss,
        valid_loss=valid_loss,
        floors=floors,
    )


def recorded_losses(directory: Path) -> tuple[float | None, float | None]:
    """Return the last logged training loss and the last held-out loss."""
    lines = read_journal(directory / METRICS) if (directory / METRICS).is_file() else []
    train = [line["loss"] for line in lines if line.get("event") == "log"]
    valid = [line["valid_loss"] for line in lines if line.get("event") == "eval"]
    return (train[-1] if train else None), (valid[-1] if valid else None)


def verdict(summary: Summary) -> str:
    """Return what the numbers say, in one sentence, with its caveat."""
    if summary.valid_loss is None:
        return "Its held-out loss is not known: nothing can be said about how good it is."
    floor = min(summary.floors.items(), key=lambda item: item[1], default=None)
    dead = sum((summary.dead_units or {}).values())
    health = f"{dead} dead units" if dead else "no dead unit"
    if floor is None:
        return f"Held-out loss {summary.valid_loss:.4f} nats per token, {health}."
    gain = floor[1] - summary.valid_loss
    better = f"{abs(gain):.3f} nats per token {'better' if gain > 0 else 'WORSE'}"
    gap = ""
    if summary.train_loss is not None:
        difference = summary.train_loss - summary.valid_loss
        gap = f"; the training loss, dropout included, is {difference:+.3f} from it"
    return (
        f"Held-out loss {summary.valid_loss:.4f} nats per token, {better} than the best floor "
        f"({floor[0]}), {health}{gap}. Measured on this text alone."
    )
