"""Dropout and weight decay: the more, the more often a network reads what it could learn by heart.

Found by experiment (tests/bench/LOG.md). Of a network that reads words most weights are those of
the symbols: dropping what is read, and more decay, does for it what dropping recurrent weights does
for one that reads characters.
"""

import math
from typing import NamedTuple

from charrnn.config import TrainConfig
from charrnn.costs import Facts, num_weights, steps_per_pass


class Shares(NamedTuple):
    """What is dropped, by the names of the options."""

    dropout: float
    weight_drop: float
    input_dropout: float


# Passes under which, with up to 256 units and with more
CHARACTER_DROPOUTS = [
    (2, Shares(0.0, 0.0, 0.0), Shares(0.0, 0.0, 0.0)),
    (8, Shares(0.1, 0.0, 0.0), Shares(0.3, 0.0, 0.0)),
    (16, Shares(0.2, 0.1, 0.0), Shares(0.3, 0.1, 0.0)),
    (40, Shares(0.2, 0.2, 0.0), Shares(0.3, 0.2, 0.0)),
    (100, Shares(0.5, 0.3, 0.0), Shares(0.5, 0.5, 0.1)),
    (200, Shares(0.5, 0.5, 0.0), Shares(0.5, 0.5, 0.1)),
    (400, Shares(0.5, 0.5, 0.0), Shares(0.6, 0.5, 0.2)),
    (math.inf, Shares(0.5, 0.5, 0.0), Shares(0.65, 0.6, 0.25)),
]
HARMLESS_PASSES = 7.0  # as which more of them count where nothing can be learnt by heart
# Passes times weights for each nat of the text, under which
WORD_DROPOUTS = [
    (2, Shares(0.0, 0.0, 0.0)),
    (10, Shares(0.3, 0.0, 0.0)),
    (60, Shares(0.3, 0.0, 0.4)),
    (math.inf, Shares(0.4, 0.0, 0.5)),
]
HARMLESS_PER_NAT = 4.0  # as which more counts where nothing is held out
DECAY_PASSES = 1.5  # in which a weight without gradient falls to 1/e, at the mean rate
MEAN_RATE = 0.5  # of the highest one, over a cosine
MIN_DECAY, MAX_DECAY = 0.1, 1.0


def choose_decay(config: TrainConfig, facts: Facts, rate: float) -> float:
    """Return the weight decay, which each step multiplies by its rate; the highest is `rate`.

    What weights learnt of words should last as many passes over any text (Wang & Aitchison 2025):
    so a small text asks for more decay a step, and of a large one a rare word is met again before
    it is forgotten. Characters of a small text are learnt worse with more, and what an earlier
    model knows, or is meant to be learnt by heart, should stay.
    """
    if not facts.has_words or not facts.held_out or facts.is_pretrained:
        return MIN_DECAY
    decay = 1 / (MEAN_RATE * rate * DECAY_PASSES * steps_per_pass(config, facts))
    return float(f"{min(MAX_DECAY, max(MIN_DECAY, decay)):.2g}")


def choose_dropouts(config: TrainConfig, facts: Facts, passes: float) -> dict[str, float]:
    """Return the probabilities of dropout, by the names of the options.

    A text of which nothing is held out may be meant to be learnt by heart.
    """
    find = find_word_dropouts if facts.has_words else find_character_dropouts
    shares = find(config, facts, passes)
    if not config.embedding_size:
        shares = shares._replace(input_dropout=0.0)  # one-hot: a symbol would be gone
    return shares._asdict()


def find_character_dropouts(config: TrainConfig, facts: Facts, passes: float) -> Shares:
    """Return what is dropped of characters: that follows the passes."""
    if num_weights(config, facts) < facts.num_tokens or not facts.held_out:
        passes = min(passes, HARMLESS_PASSES)
    _, small, large = next(row for row in CHARACTER_DROPOUTS if passes < row[0])
    return small if (config.hidden_size or 0) <= 256 else large


def find_word_dropouts(config: TrainConfig, facts: Facts, passes: float) -> Shares:
    """Return what is dropped of words: that follows the passes and the size, beside the text."""
    per_nat = passes * num_weights(config, facts) / max(1.0, facts.unigram_nats)
    per_nat = per_nat if facts.held_out else min(per_nat, HARMLESS_PER_NAT)
    return next(shares for limit, shares in WORD_DROPOUTS if per_nat < limit)
