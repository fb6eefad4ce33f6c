"""copying: is a sample plagiarism? Its longest verbatim match, and how much of it matches.

The control is text of the same author that the network never saw: passages of the held-out part, as
long as the samples. Whoever writes like the corpus repeats some of it; only what goes beyond that
is copied. Where the corpus holds the held-out part, that is cut out of it first.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from charrnn.config import Level
from charrnn.corpus import STDIN, find_sources
from charrnn.dataset import Dataset
from charrnn.errors import ConfigError, CorpusError
from charrnn.modeldir import StoredModel, read_train_record, run_directory
from charrnn.tokenizer import readable
from charrnn.views.envelope import own_dataset, read_own_text
from charrnn.views.intervals import Interval, mean_interval
from charrnn.views.matches import Found, find_matches
from charrnn.views.telling import Told, untold

LEAST = (20, 50, 100)  # characters of a match that counts
SHOWN = 300  # characters of the longest match that are kept
ANCHOR = 2000  # characters by which the held-out part is found in the corpus


@dataclass(frozen=True)
class Passage:
    """One text and what of it stands in the corpus."""

    length: int  # characters
    longest: int  # characters of the longest verbatim match
    start: int  # of the match in the text
    offset: int  # of the match in the corpus, in characters
    line: int  # of the corpus, from 1
    match: str  # its first 300 characters
    covered: dict[int, float]  # share in matches of at least 20, 50, 100 characters


@dataclass(frozen=True)
class Group:
    """Several texts and their means."""

    passages: list[Passage]
    longest: Interval
    covered: dict[int, Interval]


@dataclass(frozen=True)
class Copying:
    """The samples beside the control."""

    samples: Group
    control: Group | None
    excess: dict[int, Interval] | None  # covered share of the samples minus the control's
    corpus_chars: int
    warnings: list[str]


def own_sources(stored: StoredModel) -> tuple[list[str], str]:
    """Return the files that the model was made from, which are as they were, and their encoding.

    Raises ConfigError where they are not there any more, or not as they were.
    """
    try:
        read_own_text(stored)
    except ConfigError as error:
        wanted = str(error).replace("VIEW TEXT", "copying CORPUS")
        raise ConfigError(wanted) from error
    record = read_train_record(run_directory(stored))
    return [str(source["path"]) for source in record["corpus"]], str(record["encoding"])


def read_corpus(
    arguments: Sequence[str], level: Level = "char", encoding: str | None = None
) -> str:
    """Return the text of a corpus for a model of this level, in its usual encoding or another.

    At byte level what is no UTF-8 is U+FFFD, as in its samples. Raises CorpusError where there is
    no text.
    """
    from charrnn.reading import TextReader, default_encoding

    encoding = default_encoding(level) if encoding is None else encoding
    readers = [TextReader(source, encoding) for source in find_sources(arguments)]
    text = "".join("".join(reader) for reader in readers)
    text = readable(text)
    if not text:
        raise CorpusError(f"{', '.join(arguments)}: no text in it")
    return text


def parse_samples(text: str) -> list[str]:
    """Return the samples in `text`: JSON lines of `sample --json`, NUL-ended ones, or one."""
    lines = [line for line in text.split("\n") if line.strip()]
    try:
        records = [json.loads(line) for line in lines]
        found = [str(record["text"]) for record in records]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = text.split("\0")
    found = [sample for sample in found if sample]
    if not found:
        raise CorpusError("the samples are empty: needs at least one character")
    return found


def read_samples(source: str) -> list[str]:
    """Return the samples in a file or on standard input (`-`)."""
    return parse_samples(read_corpus([source]))


def draw_samples(
    stored: StoredModel, num_samples: int, length: int, seed: int, told: Told = untold
) -> list[str]:
    """Return new samples of the model, drawn at temperature 1 with nothing filtered."""
    from charrnn.config import SampleConfig
    from charrnn.draft import Done
    from charrnn.sampler import sample

    config = replace(SampleConfig(), length=length)
    events = sample(stored, config, seed=seed, num_samples=num_samples)
    texts, size = [], 0  # of the sample that is told, in characters, about as many as tokens
    for event in events:
        if isinstance(event, Done):
            texts.append(event.text)
            size = 0
        else:
            size = min(size + len(event.text), length)
            told("sampling", event.index * length + size, num_samples * length)
    return [text for text in texts if text]


def held_out_passages(
    dataset: Dataset | None, lengths: Sequence[int], seed: int
) -> tuple[list[str], str]:
    """Return passages of the held-out part as long as `lengths`, if it has them, and all of it."""
    if dataset is None or not len(dataset.valid):
        return [], ""
    text = dataset.tokenizer.decode(np.asarray(dataset.valid).tolist())
    if len(text) < max(lengths):
        return [], text
    rng = np.random.default_rng(seed)
    starts = [int(rng.integers(max(1, len(text) - length + 1))) for length in lengths]
    passages = [text[a : a + length] for a, length in zip(starts, lengths, strict=True)]
    return [passage for passage in passages if passage], text


def without(corpus: str, part: str) -> str:
    """Return `corpus` with the text `part` cut out where it stands in it."""
    at = corpus.find(part[:ANCHOR]) if part else -1
    if at < 0 or not corpus.startswith(part, at):
        return corpus
    return corpus[:at] + corpus[at + len(part) :]


def measure_copying(
    stored: StoredModel, corpus: str, samples: Sequence[str], seed: int = 0
) -> Copying:
    """Return how much of `samples`, and of held-out text, stands verbatim in `corpus`."""
    dataset = own_dataset(stored)
    passages, held_out = held_out_passages(dataset, [len(text) for text in samples], seed)
    whole, corpus = corpus, without(corpus, held_out)
    found = find_matches(corpus, [*samples, *passages], LEAST)
    count = len(samples)
    group = describe(found, corpus, samples, 0)
    control = describe(found, corpus, passages, count) if passages else None
    warnings = []
    if control is None:
        size = f"has {len(held_out):,} characters, less than a sample"
        known = size if held_out else "is not there"
        warnings.append(f"the model's held-out text {known}: there is no control")
    elif all(p.longest == p.length for p in control.passages):
        warnings.append("the control stands in the corpus: give the text without its held-out part")
    elif len(whole) != len(corpus):
        warnings.append("the held-out part was cut out of the corpus: it is the control")
    return Copying(group, control, excess(group, control), len(corpus), warnings)


def describe(found: Found, corpus: str, texts: Sequence[str], first: int) -> Group:
    """Return what was found about `texts`, which are number `first` and on."""
    passages = []
    for index, text in enumerate(texts, first):
        match = found.longest[index]
        piece = text[match.start : match.start + min(match.length, SHOWN)]
        line = corpus.count("\n", 0, match.offset) + 1
        covered = {least: float(found.covered[least][index].mean()) for least in LEAST}
        passages.append(
            Passage(len(text), match.length, match.start, match.offset, line, piece, covered)
        )
    longest = mean_interval(np.array([float(p.longest) for p in passages]))
    shares = {least: np.array([p.covered[least] for p in passages]) for least in LEAST}
    return Group(passages, longest, {least: mean_interval(v) for least, v in shares.items()})


def excess(samples: Group, control: Group | None) -> dict[int, Interval] | None:
    """Return by how much more of the samples is covered than of the control."""
    if control is None:
        return None
    result, count = {}, min(len(samples.passages), len(control.passages))
    for least in LEAST:
        ours = [p.covered[least] for p in samples.passages[:count]]
        theirs = [p.covered[least] for p in control.passages[:count]]
        result[least] = mean_interval(np.array(ours) - np.array(theirs))
    return result


def sentence(found: Copying) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    longest = max(passage.longest for passage in found.samples.passages)
    share = found.samples.covered[LEAST[1]].mean
    text = f"The longest verbatim match is {longest:,} characters, and {share:.1%} of the samples"
    text += f" stands in matches of {LEAST[1]} or more"
    if found.control is None or found.excess is None:
        return text + ": whether that is much, nothing here can tell, for want of held-out text."
    control, gap = found.control.covered[LEAST[1]].mean, found.excess[LEAST[1]]
    if gap.low > 0:
        judged = "more than its author repeats himself: the model copies"
    else:
        judged = "not surely more than its author repeats himself"
    caveat = "Matches are verbatim: a copy with one letter changed counts as two shorter ones."
    return f"{text} (held-out text: {control:.1%}), {judged}. {caveat}"


def to_result(found: Copying) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""

    def group(value: Group) -> dict[str, Any]:
        covered = {str(least): interval._asdict() for least, interval in value.covered.items()}
        passages = [asdict(passage) for passage in value.passages]
        return {"longest": value.longest._asdict(), "covered": covered, "passages": passages}

    gaps = found.excess
    return {
        "samples": group(found.samples),
        "control": None if found.control is None else group(found.control),
        "excess": None if gaps is None else {str(k): gap._asdict() for k, gap in gaps.items()},
        "corpus_chars": found.corpus_chars,
        "sentence": sentence(found),
    }


def check_samples_and_corpus(corpus: str, samples: str | None) -> None:
    """Raise ConfigError where both are standard input."""
    if corpus == STDIN and samples == STDIN:
        raise ConfigError("standard input (-) is both CORPUS and --samples: it can be read once")
