"""Logits and one uniform number -> the next token, by inverse cdf in float64, and its probability.

Sample i draws from a generator of its own, made from (seed, i). Shapes: B samples, V symbols.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from charrnn.config import REPETITION_WINDOW, SampleConfig
from charrnn.filters import TEMPERATURE_MIN, Logits, Weights, check_finite, filter_logits
from charrnn.tokenizer import Tokenizer

Ids = npt.NDArray[np.intp]
Draw = Callable[[Logits, float], tuple[int, float]]
DrawMany = Callable[[Logits, Sequence[float]], tuple[list[int], list[float]] | None]

FAINT = 1e-200  # share of what is not banned, under which rounding would be felt
BLOCK = 256  # uniform numbers that are made at once; they do not depend on it


def uniforms(seed: int, index: int) -> Iterator[float]:
    """Yield numbers of [0, 1) without end, the same for the same `seed` and `index` everywhere.

    Philox with (seed, index) as its key: Salmon et al. (2011), Parallel random numbers.
    """
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))
    while True:
        yield from generator.random(BLOCK).tolist()


def draw(weights: Weights, numbers: Sequence[float]) -> Ids:
    """Return a token (B,) for each row of log weights (B, V) and each of B uniform numbers."""
    sums = np.cumsum(np.exp(weights), axis=1)
    targets = sums[:, -1] * np.asarray(numbers)
    tokens: Ids = np.count_nonzero(sums <= targets[:, None], axis=1)
    return tokens


def log_probabilities(logits: Logits, tokens: Ids) -> Weights:
    """Return ln p (B,) of `tokens` (B,) at temperature 1, nothing filtered."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    found: Weights = shifted[np.arange(len(tokens)), tokens]
    found -= np.log(np.exp(shifted).sum(axis=1))
    return found


def banned_ids(tokenizer: Tokenizer) -> list[int]:
    """Return the ids that stand for no text and are never drawn: of <unk> and <s>."""
    return [i for i in (tokenizer.unk_id, tokenizer.bos_id) if i is not None]


class Chooser:
    """Chooses the next tokens of B samples, and remembers those that the penalty looks back on."""

    def __init__(
        self, config: SampleConfig, tokenizer: Tokenizer, history: Sequence[int] = ()
    ) -> None:
        """`history` is what all samples begin with, as the penalty sees it."""
        self._config, self._end_id = config, tokenizer.eos_id
        self._history = history[-REPETITION_WINDOW:]
        banned = banned_ids(tokenizer)
        self._banned = np.zeros(len(tokenizer), np.bool_)
        self._banned[banned] = True
        filtered = config.top_k or config.top_p < 1 or config.min_p
        self._quick: Draw | None = None
        self._quick_many: DrawMany | None = None
        if config.repetition_penalty == 1 and not filtered:
            self._quick = quick_draw(config.temperature, len(tokenizer), banned)
            if config.temperature:
                self._quick_many = quick_draws(config.temperature, banned)
        self.start(1)

    def start(self, batch_size: int) -> None:
        """Begin `batch_size` samples."""
        self._recent: Ids = np.full((batch_size, REPETITION_WINDOW), len(self._banned), np.intp)
        self._recent[:, REPETITION_WINDOW - len(self._history) :] = self._history

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these of the samples."""
        self._recent = self._recent[rows]

    def choose(
        self, logits: Logits, numbers: Sequence[float], too_short: Sequence[bool]
    ) -> tuple[list[int], list[float]]:
        """Return the next token of each sample and its ln p, from logits (B, V)."""
        if len(numbers) > 1:
            found = None
            if self._quick_many is not None and not self._bans_end(any(too_short)):
                found = self._quick_many(logits, numbers)
            return found or self._choose_filtered(logits, numbers, too_short)
        token, logprob = self.choose_one(logits, numbers[0], too_short[0])
        return [token], [logprob]

    def choose_one(self, logits: Logits, number: float, too_short: bool) -> tuple[int, float]:
        """Return what `choose` does, for one sample and from logits (1, V): without lists."""
        if self._quick is not None and not self._bans_end(too_short):
            return self._quick(logits[0], number)
        (token,), (logprob,) = self._choose_filtered(logits, [number], [too_short])
        return token, logprob

    def _choose_filtered(
        self, logits: Logits, numbers: Sequence[float], too_short: Sequence[bool]
    ) -> tuple[list[int], list[float]]:
        banned = self._banned
        if self._bans_end(any(too_short)):
            banned = np.tile(banned, (len(numbers), 1))
            banned[too_short, self._end_id] = True
        seen = self._seen() if self._config.repetition_penalty != 1 else None
        tokens = draw(filter_logits(logits, self._config, banned, seen), numbers)
        if seen is not None:
            self._recent = np.concatenate([self._recent[:, 1:], tokens[:, None]], axis=1)
        return tokens.tolist(), log_probabilities(logits, tokens).tolist()

    def _bans_end(self, too_short: bool) -> bool:
        """Return whether </s> is not to be drawn by a sample that is `too_short`."""
        return too_short and self._end_id is not None

    def _seen(self) -> npt.NDArray[np.bool_]:
        """Return (B, V), true where a token is among the recent ones."""
        seen = np.zeros((len(self._recent), len(self._banned) + 1), np.bool_)
        np.put_along_axis(seen, self._recent, True, axis=1)
        return seen[:, :-1]


def quick_draw(temperature: float, vocab_size: int, banned: Sequence[int]) -> Draw:
    """Return a function for one sample: logits (V,), uniform number -> token, ln p of it.

    The numbers of `filter_logits`, `draw` and `log_probabilities` in a handful of calls, where a
    temperature and `banned` ids are all that is asked for.
    """
    shifted, shares, sums = np.empty(vocab_size), np.empty(vocab_size), np.empty(vocab_size)
    greedy, plain = temperature == 0, temperature == 1 and not banned
    temperature, hidden = max(temperature, TEMPERATURE_MIN), np.array(banned, np.intp)
    add, copy, divide, exp = np.add, np.copyto, np.divide, np.exp
    finite, log = math.isfinite, math.log

    def draw_one(logits: Logits, number: float) -> tuple[int, float]:
        largest = logits.item(logits.argmax())
        if not finite(largest):
            check_finite(largest)
        copy(shifted, logits)
        add(shifted, -largest, shifted)
        exp(shifted, shares)
        if plain:
            add.accumulate(shares, 0, None, sums)
            whole = total = sums.item(-1)
        elif greedy:
            whole = add.reduce(shares)
            copy(shares, logits)  # the differences from a banned one may be too small
            shares[hidden] = -math.inf
            token = int(shares.argmax())
            return token, shifted.item(token) - log(whole)
        else:
            whole = add.reduce(shares)
            divide(shifted, temperature, shares)
            exp(shares, shares)
            shares[hidden] = 0
            add.accumulate(shares, 0, None, sums)
            total = sums.item(-1)
            if total < FAINT:
                return _draw_faint(logits, number, temperature, hidden)
        token = int(sums.searchsorted(total * number, "right"))
        return token, shifted.item(token) - log(whole)

    return draw_one


def quick_draws(temperature: float, banned: Sequence[int]) -> DrawMany:
    """Return what `quick_draw` does, for a batch: logits (B, V), B numbers -> tokens, ln p of them.

    `temperature` is not 0. The function returns None where a row is left next to nothing.
    """
    plain, hidden = temperature == 1 and not banned, np.array(banned, np.intp)
    temperature = max(temperature, TEMPERATURE_MIN)

    def draw_many(logits: Logits, numbers: Sequence[float]) -> tuple[list[int], list[float]] | None:
        largest = logits.max(axis=1, keepdims=True)
        check_finite(largest)
        shifted = np.subtract(logits, largest, dtype=np.float64)
        shares = np.exp(shifted)
        wholes = shares.sum(axis=1)
        if not plain:
            np.divide(shifted, temperature, shares)
            np.exp(shares, shares)
            shares[:, hidden] = 0
        sums = shares.cumsum(axis=1)
        if sums[:, -1].min() < FAINT:
            return None
        targets = sums[:, -1] * numbers
        tokens = np.count_nonzero(sums <= targets[:, None], axis=1)
        logprobs = shifted[np.arange(len(tokens)), tokens] - np.log(wholes)
        return tokens.tolist(), logprobs.tolist()

    return draw_many


def _draw_faint(
    logits: Logits, number: float, temperature: float, banned: Ids
) -> tuple[int, float]:
    """Return what `quick_draw` does, where nearly all the weight is on banned tokens."""
    mask = np.zeros(len(logits), np.bool_)
    mask[banned] = True
    weights = filter_logits(logits[None], SampleConfig(temperature=temperature), mask)
    token = draw(weights, [number])
    return int(token[0]), float(log_probabilities(logits[None], token)[0])
