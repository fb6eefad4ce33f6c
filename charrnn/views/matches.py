"""The longest pieces of short texts that stand verbatim in a long one, exactly.

Windows of 1, 2, 4, 8 .. characters are named by whole numbers: equal windows, equal names (Karp,
Miller & Rosenberg 1972). Only windows that occur in the short texts get a name, so that few places
of the long text are left after some rounds. A window of any length between two powers of two is the
pair of the names of its head and its tail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint32]  # code points
Ints = NDArray[np.int64]
BORDER = 0xFFFFFFFF  # stands between the short texts; no code point, so that nothing matches it
MAX_TABLE = 1 << 24  # pairs that are looked up in a table; more of them by bisection


@dataclass(frozen=True)
class Match:
    """The longest piece of a text that stands in the corpus, the first of them."""

    length: int  # code points
    start: int  # in the text
    offset: int  # in the corpus


@dataclass
class Found:
    """What the corpus says about each short text."""

    longest: list[Match]
    covered: dict[int, list[NDArray[np.bool_]]] = field(default_factory=dict)  # by least length


def code_points(text: str) -> Codes:
    """Return the code points of `text`, (N,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


class PairNames:
    """Numbers the pairs of names that occur in the short texts; every other pair is -1."""

    def __init__(self, first: Ints, second: Ints) -> None:
        self.base = int(max(first.max(initial=0), second.max(initial=0))) + 1
        real = (first >= 0) & (second >= 0)
        self.keys = np.unique(first[real] * self.base + second[real])
        self.table = np.full(0, -1, np.int64)
        if self.base**2 <= MAX_TABLE:
            self.table = np.full(self.base**2, -1, np.int64)
            self.table[self.keys] = np.arange(len(self.keys))

    def __call__(self, first: Ints, second: Ints) -> Ints:
        """Return the name of each pair."""
        real = (first >= 0) & (second >= 0) & (first < self.base) & (second < self.base)
        names = np.full(len(first), -1, np.int64)
        keys = first[real] * self.base + second[real]
        if len(self.table):
            names[real] = self.table[keys]
        elif len(self.keys):
            at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            names[real] = np.where(self.keys[at] == keys, at, -1)
        return names


class Windows:
    """The names of all windows of one length, a power of two, in the corpus and the short texts."""

    def __init__(self, corpus: Codes, texts: Codes) -> None:
        known = np.unique(texts[texts != BORDER])
        table = np.full(int(max(known.max(initial=0), corpus.max(initial=0))) + 1, -1, np.int32)
        table[known] = np.arange(len(known), dtype=np.int32)
        self.size = 1
        self.corpus = table[corpus]  # (N,) -1 where the window is in no short text
        self.texts = np.where(texts == BORDER, -1, table[np.where(texts == BORDER, 0, texts)])
        self.texts = self.texts.astype(np.int64)
        self.live = np.flatnonzero(self.corpus >= 0)  # places of the corpus that have a name

    def pairs(self, length: int, within: Ints | None = None) -> tuple[Ints, Ints, Ints]:
        """Return the names of windows of `length`, size <= length <= 2 size: texts', corpus's.

        The last are the places of the corpus; only places `within` are looked at.
        """
        step = length - self.size
        tails = shifted(self.texts, step)
        namer = PairNames(self.texts, tails)
        live = self.live if within is None else within
        live = live[live + length <= len(self.corpus)]
        heads = self.corpus[live].astype(np.int64)
        names = namer(heads, self.corpus[live + step].astype(np.int64))
        return namer(self.texts, tails), names[names >= 0], live[names >= 0]

    def double(self) -> None:
        """Go on to windows twice as long."""
        texts, names, live = self.pairs(2 * self.size)
        self.corpus[self.live] = -1
        self.corpus[live] = names
        self.texts, self.live = texts, live
        self.size *= 2


def shifted(values: Ints, step: int) -> Ints:
    """Return values[i + step] at i, -1 behind the end."""
    result = np.full(len(values), -1, np.int64)
    result[: len(values) - step] = values[step:]
    return result


def find_matches(corpus: str, texts: Sequence[str], least: Sequence[int]) -> Found:
    """Return for each of `texts` its longest match, and what matches of `least` lengths cover.

    Exact. Takes about a second for a corpus of five million characters and twenty short texts.
    """
    parts = [code_points(text) for text in texts]
    joined = np.concatenate([np.append(part, np.uint32(BORDER)) for part in parts])
    ends = np.cumsum([len(part) + 1 for part in parts])
    spans = [
        slice(int(end) - len(part) - 1, int(end)) for end, part in zip(ends, parts, strict=True)
    ]
    windows = Windows(code_points(corpus), joined)
    found = Found([Match(0, 0, 0)] * len(texts))
    for length in least:
        found.covered[length] = [np.zeros(len(part), bool) for part in parts]
    open_texts = list(range(len(texts)))
    while open_texts and len(windows.live):
        for length in least:
            if windows.size <= length < 2 * windows.size:
                cover(windows, length, spans, found)
        longer = windows.pairs(2 * windows.size)
        present = np.zeros(int(longer[0].max(initial=0)) + 2, bool)
        present[longer[1]] = True
        present[-1] = False  # the name -1
        going_on = [i for i in open_texts if present[longer[0][spans[i]]].any()]
        for i in sorted(set(open_texts) - set(going_on)):
            found.longest[i] = longest_match(windows, spans[i])
        open_texts = going_on
        if open_texts:
            windows.double()
    return found


def cover(windows: Windows, length: int, spans: Sequence[slice], found: Found) -> None:
    """Mark in `found` the characters that stand in a match of at least `length`."""
    texts, names, _ = windows.pairs(length)
    hits = np.isin(texts, names) & (texts >= 0)
    for covered, span in zip(found.covered[length], spans, strict=True):
        edges = np.zeros(len(covered) + 1, np.int64)
        starts = np.flatnonzero(hits[span])
        edges[starts] += 1
        np.add.at(edges, starts + length, -1)
        covered |= np.cumsum(edges[:-1]) > 0


def longest_match(windows: Windows, span: slice) -> Match:
    """Return the longest match of one text whose windows of twice the size do not match."""
    texts = windows.texts[span]
    names = np.zeros(int(windows.texts.max(initial=0)) + 1, bool)
    names[texts[texts >= 0]] = True
    within = windows.live[names[windows.corpus[windows.live]]]
    low, high = windows.size, min(2 * windows.size, len(texts))  # low matches, high does not
    best = Match(0, 0, 0)
    if not len(within):
        return best
    while True:
        length = low if best.length == 0 else (low + high) // 2
        found = windows.pairs(length, within)
        starts = np.flatnonzero(np.isin(found[0][span], found[1]) & (found[0][span] >= 0))
        if len(starts):
            name = found[0][span][starts[0]]
            offset = int(found[2][found[1] == name].min())
            best, low, within = Match(length, int(starts[0]), offset), length, found[2]
        else:
            high = length
        if high - low <= 1 or not best.length:
            return best
