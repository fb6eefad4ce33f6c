"""One sample while it is drawn: token by token to text, and when it ends.

Does not choose tokens, and knows nothing of the network.
"""

import codecs
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from charrnn.config import SampleConfig
from charrnn.stops import StopFilter
from charrnn.tokenizer import Tokenizer

FinishReason = Literal["length", "stop", "end"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of sample `index`, to be put right behind its last piece."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """Sample `index` is complete: what it was drawn from, and how it ended."""

    index: int
    seed: int
    prompt: str
    text: str  # without the prompt; empty where it was not to be kept
    finish_reason: FinishReason
    tokens: int  # how many were drawn, </s> and those of a stop included
    logprob: float  # sum of ln p of them, at temperature 1, nothing filtered


@dataclass(frozen=True)
class Assignment:
    """What all samples of one call have in common."""

    tokenizer: Tokenizer
    config: SampleConfig
    seed: int
    prompt: str = ""
    stops: tuple[str, ...] = ()
    keep_text: bool = True

    @cached_property
    def counted(self) -> list[bool]:
        """By id, whether min_length counts it: at word level blanks do not count."""
        blanks = self.tokenizer.level == "word"
        return [not (blanks and piece.isspace()) for piece in self.tokenizer.pieces]


class Draft:
    """A sample that grows; `finish_reason` is None until it is complete."""

    def __init__(self, assignment: Assignment, index: int) -> None:
        self.index, self.assignment = index, assignment
        self.finish_reason: FinishReason | None = None
        self.too_short = assignment.config.min_length > 0  # for </s> and stops
        self._num_tokens, self._num_counted, self._logprob = 0, 0, 0.0
        self._length, self._end_id = assignment.config.length, assignment.tokenizer.eos_id
        self._stops, self._has_stops = StopFilter(assignment.stops), bool(assignment.stops)
        self._spell, self._flush = _speller(assignment.tokenizer)
        self._ready: list[str] = []
        self._taken: list[str] = []
        if _needs_blank(assignment):
            self._ready.append(" ")

    @property
    def is_watched(self) -> bool:
        """Whether the draft must see each token before the next is drawn."""
        return self.too_short or self._has_stops

    @property
    def num_left(self) -> float:
        """How many tokens may come: infinity without a length."""
        return self._length - self._num_tokens if self._length else math.inf

    def add(self, token: int, logprob: float) -> None:
        """Append `token`, whose ln p was `logprob`; the draft may be complete then."""
        self._num_tokens += 1
        self._logprob += logprob
        if token == self._end_id:
            self._finish("end")
            return
        text = self._spell(token)
        if self.too_short:
            self._num_counted += self.assignment.counted[token]
            self.too_short = self._num_counted < self.assignment.config.min_length
        else:
            text = self._stops.feed(text)
        self._ready.append(text)
        if self._stops.found:
            self.finish_reason = "stop"
        elif self._num_tokens == self._length:
            self._finish("length")

    def extend(self, tokens: Sequence[int], logprobs: Sequence[float]) -> None:
        """Append `tokens`, as `add` does each; at least one, and only the last may complete it.

        While the draft is watched they must come one by one.
        """
        if len(tokens) > 1:
            assert not self.is_watched
            self._num_tokens += len(tokens) - 1
            for logprob in logprobs[:-1]:
                self._logprob += logprob
            self._ready.append("".join(map(self._spell, tokens[:-1])))
        self.add(tokens[-1], logprobs[-1])

    def extend_to_end(self, tokens: list[int], logprobs: list[float]) -> None:
        """Append `tokens` as far as the draft goes: what comes after its end is left."""
        if self.finish_reason is not None or not tokens:
            return
        if self.is_watched:
            for token, logprob in zip(tokens, logprobs, strict=True):
                if self.finish_reason is None:
                    self.add(token, logprob)
            return
        size = int(min(len(tokens), self.num_left))
        if self._end_id in tokens[:size]:
            size = tokens.index(self._end_id) + 1
        self.extend(tokens[:size], logprobs[:size])

    def take(self) -> str:
        """Return the text that can be printed and was not taken before."""
        text = "".join(self._ready)
        self._ready.clear()
        if self.assignment.keep_text:
            self._taken.append(text)
        return text

    def report(self) -> Done:
        """Return what there is to say of a complete draft."""
        assert self.finish_reason is not None
        return Done(
            index=self.index,
            seed=self.assignment.seed,
            prompt=self.assignment.prompt,
            text="".join(self._taken),
            finish_reason=self.finish_reason,
            tokens=self._num_tokens,
            logprob=self._logprob,
        )

    def _finish(self, reason: FinishReason) -> None:
        """Let go of what was held back: half a character, or the beginning of a stop."""
        self._ready.append(self._stops.feed(self._flush()))
        self._ready.append(self._stops.flush())
        self.finish_reason = "stop" if self._stops.found else reason


def _needs_blank(assignment: Assignment) -> bool:
    """Return whether a blank must part the prompt from the text: pretokenized words bring none."""
    prompt = assignment.prompt
    return assignment.tokenizer.pretokenized and bool(prompt) and not prompt[-1].isspace()


def _speller(tokenizer: Tokenizer) -> tuple[Callable[[int], str], Callable[[], str]]:
    """Return token -> text, and the text of what is left at the end.

    Bytes are held back until they make a character; those that cannot become U+FFFD.
    """
    if tokenizer.level != "byte":
        return tokenizer.pieces.__getitem__, str
    pieces, decoder = tokenizer.piece_bytes, codecs.getincrementaldecoder("utf-8")("replace")
    return lambda token: decoder.decode(pieces[token]), lambda: decoder.decode(b"", final=True)
