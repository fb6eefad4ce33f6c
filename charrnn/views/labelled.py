"""Texts with labels: `label<TAB>text` lines, and the state that a network has after each text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from charrnn.corpus import find_sources
from charrnn.errors import CorpusError
from charrnn.modeldir import StoredModel
from charrnn.reading import TextReader
from charrnn.sampler import opening
from charrnn.views.states import run_states

if TYPE_CHECKING:
    from charrnn.model import LanguageModel

Kind = Literal["c", "h", "mean"]
MIN_TEXTS = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Texts of two classes."""

    texts: list[str]
    labels: list[str]

    def positive(self, label: str) -> NDArray[np.bool_]:
        """Return which texts have `label`."""
        return np.array([own == label for own in self.labels])

    def part(self, places: NDArray[np.int64]) -> "Labelled":
        """Return some of the texts."""
        return Labelled([self.texts[i] for i in places], [self.labels[i] for i in places])


def read_labelled(path: str) -> Labelled:
    """Return the texts of a file. Raises CorpusError with the line that is not as it must be."""
    (source,) = find_sources([path])
    lines = "".join(TextReader(source)).split("\n")
    texts, labels = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        label, tab, text = line.rstrip("\r").partition("\t")
        if not tab:
            raise CorpusError(f"{path}, line {number}: no tab; needs label<TAB>text")
        labels.append(label)
        texts.append(text)
    if len(texts) < MIN_TEXTS:
        raise CorpusError(f"{path}: {len(texts)} labelled texts; needs at least {MIN_TEXTS}")
    return Labelled(texts, labels)


def positive_label(parts: Sequence[Labelled]) -> str:
    """Return the later of the two labels. Raises CorpusError where there are not two."""
    labels = sorted({label for part in parts for label in part.labels})
    if len(labels) != 2 or len(set(parts[0].labels)) != 2:
        shown = ", ".join(repr(label) for label in labels[:4])
        raise CorpusError(f"{len(labels)} labels ({shown}): needs two, both in the training file")
    return labels[1]


def split(whole: Labelled, shares: Sequence[float], seed: int) -> list[Labelled]:
    """Return parts of random texts, of about these shares."""
    order = np.random.default_rng(seed).permutation(len(whole.texts))
    cuts = np.round(np.cumsum(shares)[:-1] * len(order)).astype(int)
    return [whole.part(places) for places in np.split(order, cuts)]


class Encoder:
    """Texts -> documents of ids, each behind the token that a text begins with."""

    def __init__(self, stored: StoredModel) -> None:
        self.tokenizer = stored.tokenizer
        self.start = opening(stored.tokenizer, "", "skip", stored.start_id)[0][0]

    def __call__(self, text: str) -> NDArray[np.int64]:
        """Return the ids of one text; what is unknown, and the first token itself, is left out."""
        ids = self.tokenizer.encode(text, "skip").astype(np.int64)
        return np.append(self.start, ids[ids != self.start])


def text_states(
    network: "LanguageModel", encoder: Encoder, texts: Sequence[str], kind: Kind
) -> Iterator[tuple[int, Floats]]:
    """Yield (text, its features (L * H,)): c or h after its last token, or the mean of c.

    Where there is no c, it is h.
    """
    documents = [encoder(text) for text in texts]
    ends = np.cumsum([len(document) for document in documents])
    name = "h" if kind == "h" or network.recurrent.num_states == 1 else "c"
    text, sums = 0, np.zeros((network.config.num_layers, network.config.hidden_size))
    for section in run_states(network, np.concatenate(documents), encoder.start):
        at = section.start
        while at < section.stop:
            stop = min(int(ends[text]), section.stop)
            rows = slice(at - section.start, stop - section.start)
            if kind == "mean":
                sums += [signals[name][rows].sum(0, dtype=np.float64) for signals in section.layers]
            if stop == ends[text]:
                last = [signals[name][stop - 1 - section.start] for signals in section.layers]
                found = sums / len(documents[text]) if kind == "mean" else np.array(last)
                yield text, found.astype(np.float64).ravel()
                text, sums = text + 1, np.zeros_like(sums)
            at = stop
