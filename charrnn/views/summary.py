"""summary: what is this model, is it healthy, and how good is it beside simple floors?"""

import lzma
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.encoding import Ids
from charrnn.modeldir import StoredModel, read_metrics, read_train_record
from charrnn.modeldir.files import METRICS, TRAIN
from charrnn.tensors import Tensors
from charrnn.views.compare import model_nats
from charrnn.views.envelope import own_dataset
from charrnn.views.intervals import BLOCK, Interval, mean_interval
from charrnn.views.memory import load_network
from charrnn.views.ngram import MAX_ORDER, ngram_nats
from charrnn.views.states import run_states
from charrnn.views.telling import Told, untold

PROBE_TOKENS = 2_000  # of the text, on which units are watched
DEAD_STD = 1e-3  # of a unit's h over time
LZMA_LIMIT = 8_000_000  # bytes of training text that are compressed for the floor
NGRAM_LIMIT = 3_000_000  # tokens of training text that are counted for the floor: the last
VALID_LIMIT = 100_000  # held-out tokens that are read for the interval
UNITS = {
    "train_loss": "nats per token, as last logged, dropout on",
    "valid_loss": "nats per token",
    "valid": "nats per token",
    "floors": "nats per token",
    "spectra": "factors, exact",
    "parameters": "numbers, exact",
    "dead_units": "units, exact on the tokens that were read",
}
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
    valid: Interval | None  # the held-out loss as another text like it might give it, nats
    floors: dict[str, float]  # nats per token
    ngram: int | None  # the n of the best n-gram among the floors
    warnings: list[str]


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
    network, sections = load_network(stored), []
    ids = ids[:PROBE_TOKENS]
    for section in run_states(network, ids, stored.tokenizer.bos_id):
        sections.append([layer["h"] for layer in section.layers])
        told("dead units", section.stop, len(ids))
    layers = [np.concatenate(parts) for parts in zip(*sections, strict=True)]  # (n, H) each
    return {str(i): int((layer.std(0) < DEAD_STD).sum()) for i, layer in enumerate(layers)}


def measure_floors(
    stored: StoredModel, train: Ids, valid: Ids, told: Told = untold
) -> tuple[dict[str, float], int | None]:
    """Return losses that need no network, in nats per token of the held-out part, and the n.

    That is the n of the best n-gram of 1 to 10.
    """
    size = stored.config.vocab_size
    counts = np.bincount(np.asarray(train), minlength=size).astype(np.float64) + 1
    shares = counts / counts.sum()
    if len(valid) < 2:
        return {"uniform": math.log(size)}, None
    real = np.asarray(valid) != (-1 if stored.tokenizer.bos_id is None else stored.tokenizer.bos_id)
    unigram = float(-np.log(shares[np.asarray(valid)[real]]).mean())
    floors = {"uniform": math.log(size), "unigram": unigram}
    floors["bigram"] = bigram_loss(np.asarray(train), np.asarray(valid), shares)
    order, nats = ngram_nats(train[-NGRAM_LIMIT:], valid[:VALID_LIMIT], size, MAX_ORDER, told)
    floors["ngram"] = float(nats[real[:VALID_LIMIT]].mean())
    if train.nbytes <= LZMA_LIMIT:
        floors["lzma"] = lzma_loss(np.asarray(train), np.asarray(valid))
    return floors, order


def measure_valid(
    stored: StoredModel, valid: Ids, bos_id: int | None, told: Told = untold
) -> Interval:
    """Return the loss of the first 100,000 held-out tokens with its interval, nats per token."""
    nats = model_nats(stored, valid[:VALID_LIMIT], bos_id, told)
    known = np.isfinite(nats)
    return mean_interval(nats[known], np.flatnonzero(known) // BLOCK)


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
    dead = order = valid = None
    record: dict[str, Any] = {}
    train_loss = valid_loss = None
    warnings = []
    if (directory / TRAIN).is_file():
        record = read_train_record(directory)
        train_loss, valid_loss = recorded_losses(directory)
        dataset = own_dataset(stored)
        if dataset is None:
            warnings.append("its own text is not there: no floors, no interval, no dead units")
        else:
            floors, order = measure_floors(stored, dataset.train, dataset.valid, told)
            ids = dataset.valid if len(dataset.valid) > 1 else dataset.train
            dead = count_dead_units(stored, ids, told)
            if len(dataset.valid) > 1:
                stream = record["options"].get("document", "stream") == "stream"
                bos_id = None if stream else stored.tokenizer.bos_id
                valid = measure_valid(stored, dataset.valid, bos_id, told)
            warnings += cut_notes(len(dataset.train), len(dataset.valid))
    parameters = count_parameters(stored.weights)
    return Summary(
        parameters=parameters,
        num_parameters=sum(parameters.values()),
        spectra=measure_spectra(stored, told),
        dead_units=dead,
        record=record,
        train_loss=train_loss,
        valid_loss=valid_loss if valid is None else valid.mean,
        valid=valid,
        floors=floors,
        ngram=order,
        warnings=warnings,
    )


def cut_notes(num_train: int, num_valid: int) -> list[str]:
    """Return what of a large text was not read."""
    notes = []
    if num_valid > VALID_LIMIT:
        notes.append(
            f"held-out loss and n-grams are of the first {VALID_LIMIT:,} of {num_valid:,} tokens"
        )
    if num_train > NGRAM_LIMIT:
        notes.append(f"n-grams are counted on the last {NGRAM_LIMIT:,} of {num_train:,} tokens")
    return notes


def to_result(found: Summary) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    valid = None if found.valid is None else found.valid._asdict()
    result = {**asdict(found), "valid": valid, "sentence": sentence(found)}
    del result["warnings"]  # the envelope has them
    return result


def recorded_losses(directory: Path) -> tuple[float | None, float | None]:
    """Return the last logged training loss and the last held-out loss."""
    lines = read_metrics(directory / METRICS) if (directory / METRICS).is_file() else []
    train = [line["loss"] for line in lines if line.get("event") == "log"]
    valid = [line["valid_loss"] for line in lines if line.get("event") == "eval"]
    return (train[-1] if train else None), (valid[-1] if valid else None)


def sentence(summary: Summary) -> str:
    """Return what the numbers say, in one sentence, with its caveat."""
    if summary.valid_loss is None:
        return "Its held-out loss is not known: nothing can be said about how good it is."
    text = f"Held-out loss {summary.valid_loss:.4f}"
    if summary.valid is not None and summary.valid.low == summary.valid.low:
        text += f" [{summary.valid.low:.4f}, {summary.valid.high:.4f}]"
    text += " nats per token"
    floor = min(summary.floors.items(), key=lambda item: item[1], default=None)
    if floor is not None:
        name = f"{summary.ngram}-gram" if floor[0] == "ngram" else floor[0]
        gain = floor[1] - summary.valid_loss
        text += (
            f", {abs(gain):.3f} {'better' if gain > 0 else 'WORSE'} than the best floor ({name})"
        )
    if summary.dead_units is not None:
        dead = sum(summary.dead_units.values())
        over = f" in {PROBE_TOKENS:,} tokens"
        text += f", {dead} dead unit{'s' if dead > 1 else ''}{over}" if dead else ", no dead unit"
    if summary.train_loss is not None:
        difference = summary.train_loss - summary.valid_loss
        text += f"; the training loss, dropout included, is {difference:+.3f} from it"
    return f"{text}. Measured on this text alone."


def options_of(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the options of a run by name, as one types them; those that were not given not."""
    known = record.get("options", {}).items()
    return [(name.replace("_", "-"), str(value)) for name, value in known if value is not None]
