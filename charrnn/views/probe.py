"""probe: does the state know a label that nobody trained it on? (Radford et al. 2017)

Each text is read by the network, and a sparse logistic regression guesses the label from the state
after it. Beside its accuracy on texts that were not used stand those of guessing the majority, of
counting words, of the same network untrained, and of labels that were shuffled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.modeldir import StoredModel
from charrnn.views.intervals import Interval
from charrnn.views.labelled import (
    Encoder,
    Kind,
    Labelled,
    positive_label,
    read_labelled,
    split,
    text_states,
)
from charrnn.views.logistic import Linear, accuracy, best_threshold, choose, fit, naive_bayes
from charrnn.views.memory import Progress, load_network
from charrnn.views.states import run_states

SHARES = (0.8, 0.1, 0.1)  # of one file into train, dev and test
WEAK = 1e4  # C of the regressions on few units: hardly a penalty
NUM_PAINTED = 4
KINDS: dict[str, Kind] = {"c": "c", "h": "h", "mean": "mean"}
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Painted:
    """A test text and the value of the top unit after each of its tokens."""

    label: str
    tokens: list[str]
    values: list[float]  # standard deviations


@dataclass(frozen=True)
class Probe:
    """Accuracies on the test texts, each with its Wilson interval."""

    accuracy: Interval
    majority: Interval
    words: Interval  # naive Bayes of words and pairs of words
    untrained: Interval
    shuffled: Interval
    strength: float  # C
    num_used: int  # units whose weight is not zero
    unit: str  # with the largest weight
    threshold: Interval  # of that unit alone
    few: dict[int, Interval]  # of the k units with the largest weights
    positive: str  # the label that is guessed
    sizes: tuple[int, int, int]
    painted: list[Painted]


@dataclass(frozen=True)
class Parts:
    """Train, dev and test, with the features or flags of each."""

    train: NDArray[Any]
    dev: NDArray[Any]
    test: NDArray[Any]


def load_parts(train: str, dev: str | None, test: str | None, seed: int) -> list[Labelled]:
    """Return train, dev and test; what is not given is taken from the training file at random."""
    whole = read_labelled(train)
    given = [None if path is None else read_labelled(path) for path in (dev, test)]
    shares = [SHARES[0], *(s for s, g in zip(SHARES[1:], given, strict=True) if g is None)]
    parts = iter(split(whole, [share / sum(shares) for share in shares], seed))
    first = next(parts)
    return [first, *(next(parts) if part is None else part for part in given)]


def measure_probe(
    stored: StoredModel, parts: Sequence[Labelled], kind: Kind = "c", seed: int = 0
) -> Iterator[Progress | Probe]:
    """Yield how far it is, then the result. Raises CorpusError for other than two labels."""
    label = positive_label(parts)
    flags = Parts(*(part.positive(label) for part in parts))
    texts = [text for part in parts for text in part.texts]
    encoder, features = Encoder(stored), []
    for untrained in (False, True):
        network = load_network(stored, untrained=untrained)
        size = stored.config.num_layers * stored.config.hidden_size
        rows = np.zeros((len(texts), size))
        for index, row in text_states(network, encoder, texts, kind):
            rows[index] = row
            if not index % 64:
                yield Progress("reading", untrained * len(texts) + index, 2 * len(texts))
        cuts = np.cumsum([len(part.texts) for part in parts])[:-1]
        features.append(Parts(*np.split(rows, cuts)))
    yield judge(stored, parts, features, flags, kind, label, seed)


def judge(
    stored: StoredModel,
    parts: Sequence[Labelled],
    features: Sequence[Parts],
    flags: Parts,
    kind: Kind,
    label: str,
    seed: int,
) -> Probe:
    """Return the accuracies of the features of the network, and of the untrained one's."""
    own, plain = features
    chosen, strength = choose(own.train, flags.train, own.dev, flags.dev)
    other, _ = choose(plain.train, flags.train, plain.dev, flags.dev)
    rng = np.random.default_rng(seed)
    mixed = fit(own.train, rng.permutation(flags.train), strength)
    order = np.argsort(-np.abs(chosen.weights), kind="stable")
    top = int(order[0])
    cut, above = best_threshold(own.train[:, top], flags.train)
    single = (own.test[:, top] > cut) == above
    most = np.full(len(flags.test), flags.train.mean() >= 0.5)
    guesses = naive_bayes(parts[0].texts, flags.train, parts[2].texts)
    layer, unit = divmod(top, stored.config.hidden_size)
    name = "h" if kind == "h" or stored.config.cell_type in ("gru", "rnn") else "c"
    return Probe(
        accuracy(chosen(own.test), flags.test),
        accuracy(most, flags.test),
        accuracy(guesses, flags.test),
        accuracy(other(plain.test), flags.test),
        accuracy(mixed(own.test), flags.test),
        strength,
        int((chosen.weights != 0).sum()),
        f"{name}:{layer}:{unit}",
        accuracy(single, flags.test),
        few_units(own, flags, order),
        label,
        (len(flags.train), len(flags.dev), len(flags.test)),
        paint(stored, parts[2], name, top, chosen),
    )


def few_units(features: Parts, flags: Parts, order: NDArray[np.int64]) -> dict[int, Interval]:
    """Return the test accuracy of the 1, 2, 4 .. units with the largest weights."""
    found, count = {}, 1
    while count <= min(64, len(order)):
        kept = order[:count]
        model = fit(features.train[:, kept], flags.train, WEAK)
        found[count] = accuracy(model(features.test[:, kept]), flags.test)
        count *= 2
    return found


def paint(stored: StoredModel, part: Labelled, name: str, top: int, model: Linear) -> list[Painted]:
    """Return some texts, of the labels in turn, with the running value of one unit.

    In standard deviations from the mean of what the unit is after a text.
    """
    layer, unit = divmod(top, stored.config.hidden_size)
    network, encoder = load_network(stored), Encoder(stored)
    labels = sorted(set(part.labels))
    places = [[i for i, own in enumerate(part.labels) if own == label] for label in labels]
    chosen = [i for pair in zip(*places, strict=False) for i in pair][:NUM_PAINTED]
    found = []
    for index in chosen:
        ids = encoder(part.texts[index])
        sections = run_states(network, ids, encoder.start)
        values = np.concatenate([s.layers[layer][name][:, unit] for s in sections])[1:]
        scaled = (values.astype(np.float64) - model.center[top]) / model.scale[top]
        tokens = [stored.tokenizer.pieces[int(i)] for i in ids[1:]]
        found.append(Painted(part.labels[index], tokens, scaled.tolist()))
    return found


def sentence(found: Probe) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    own = found.accuracy
    text = f"The label is read from the state with {own.mean:.1%} accuracy"
    span = f"95% interval {own.low:.1%} to {own.high:.1%}"
    if own.low > max(found.untrained.high, found.majority.high):
        judged = "more than training on nothing gives"
    else:
        judged = "not surely more than an untrained network or the majority gives"
    beside = f"untrained {found.untrained.mean:.1%}, majority {found.majority.mean:.1%}"
    words = f"{beside}, counted words {found.words.mean:.1%}"
    caveat = "What a probe can read, the network need not use."
    return f"{text} ({span}), {judged} ({words}). {caveat}"


def to_result(found: Probe) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    result = asdict(found)
    for name in ("accuracy", "majority", "words", "untrained", "shuffled", "threshold"):
        result[name] = getattr(found, name)._asdict()
    result["few"] = {str(count): interval._asdict() for count, interval in found.few.items()}
    return {**result, "sentence": sentence(found)}
