"""What the sections of a report are made from, and how much of it a budget allows."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from charrnn.errors import ConfigError, CorpusError
from charrnn.modeldir import StoredModel
from charrnn.views import cells
from charrnn.views.copying import read_corpus
from charrnn.views.envelope import Inspected, envelope, own_dataset
from charrnn.views.memory import Progress
from charrnn.views.surprisal import Surprisal

Result = TypeVar("Result")
Steps = Generator[Progress, None, Result]
LISTS = "the lists hold"


@dataclass(frozen=True)
class Budget:
    """How much is looked at."""

    tokens: int  # of the text
    targets: int  # of memory
    units: int  # that are ablated exactly
    back: int  # tokens before the prediction of saliency
    samples: int  # of copying
    length: int  # tokens in each of them
    corpus: int  # tokens of the training text that samples are looked up in
    causal: bool  # whether cells are held still
    cells: cells.Budget


BUDGETS = {
    "fast": Budget(20_000, 256, 20, 60, 8, 500, 5_000_000, False, cells.BUDGETS["fast"]),
    "normal": Budget(120_000, 1024, 50, 100, 20, 1000, 20_000_000, True, cells.BUDGETS["normal"]),
    "deep": Budget(1_000_000, 4096, 100, 200, 50, 2000, 100_000_000, True, cells.BUDGETS["deep"]),
}


@dataclass(frozen=True)
class Request:
    """One model, one text, and what else was given."""

    stored: StoredModel
    text: Inspected | None
    why: str  # there is no text
    whole: int  # tokens of the text before it was cut to the budget
    corpus: tuple[str, ...]
    probe: str | None  # label<TAB>text lines
    budget: Budget

    def need_text(self) -> Inspected:
        """Return the text; raise ConfigError where there is none."""
        if self.text is None:
            raise ConfigError(self.why)
        return self.text

    def first(self, num: int) -> list[str]:
        """Return the note that a view's lists by token are cut, where they are."""
        size = len(self.need_text().ids)
        if size <= num:
            return []
        return [f"{LISTS} the first {num:,} of {size:,} tokens: the view itself gives all"]

    def seal(
        self,
        view: str,
        result: dict[str, Any],
        units: dict[str, str],
        settings: dict[str, Any],
        warnings: list[str] | None = None,
        *,
        reads: bool = True,
    ) -> dict[str, Any]:
        """Return the envelope of a view; `reads` says that it looked at the text."""
        text = self.text if reads else None
        notes = list(warnings or [])
        if text is not None and len(text.ids) < self.whole:
            notes.append(cut_note(len(text.ids), self.whole))
        return envelope(view, self.stored, text, settings, units, result, notes)


def cut_note(num_tokens: int, whole: int) -> str:
    """Return what every view of a text that was cut to the budget warns of."""
    return f"the first {num_tokens:,} of {whole:,} tokens were looked at"


@dataclass(frozen=True)
class Made:
    """What a view found, as an object and as JSON holds it."""

    found: Any
    envelope: dict[str, Any]


@dataclass(frozen=True)
class Scored:
    """The surprisal of a text, and of its beginning with the guesses."""

    whole: Surprisal
    painted: Surprisal


def drain(steps: Iterator[Progress | Result]) -> Steps[Result]:
    """Yield the progress of a view that gives its result last; return the result."""
    found: Result | None = None
    for report in steps:
        if isinstance(report, Progress):
            yield report
        else:
            found = report
    assert found is not None
    return found


def corpus_text(request: Request) -> tuple[str, list[str]]:
    """Return the text that samples are looked up in, and what to know of it.

    Raises ConfigError where none is given and the model's own is not there.
    """
    if request.corpus:
        return read_corpus(request.corpus, request.stored.tokenizer.level), []
    dataset = own_dataset(request.stored)
    if dataset is None:
        raise ConfigError("the model's training text is not there: give it with --corpus FILE")
    size, limit = len(dataset.train), request.budget.corpus
    text = dataset.tokenizer.decode(np.asarray(dataset.train[:limit]).tolist())
    if not text:
        raise CorpusError("the model's training text is empty")
    notes = [f"of {size:,} training tokens the first {limit:,} were searched"]
    return text, notes if size > limit else []
