"""How much is dropped, the more the more often a network reads what it may learn.

Found by experiment (tests/bench/LOG.md). Of a network that reads words most weights are those of
the symbols: dropping what is read, and more decay, does for it what dropping recurrent weights does
for one that reads characters.
"""

import math
from typing import NamedTuple

from charrnn.config import TrainConfig
from charrnn.costs import Facts, num_weights, window_tokens


class Shares(NamedTuple):
    """What is dropped."""

    dropout: float
    weight_drop: float
    input_dropout: float


# Passes under which, with up to 256 units and with more
CHARACTERS = [
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
HARMLESS_STRAIN = 4.0  # the same for words
# Passes times weights for each nat of the text, under which
WORDS = [
    (2, Shares(0.0, 0.0, 0.0)),
    (5, Shares(0.3, 0.0, 0.0)),
    (12, Shares(0.3, 0.0, 0.2)),
    (60, Shares(0.3, 0.0, 0.4)),
    (math.inf, Shares(0.4, 0.0, 0.5)),
]
DECAY_PASSES = 1.5  # in which a weight without gradient falls to 1/e, at the mean rate
MEAN_RATE = 0.5  # of the highest one, over a cosine
LEAST_DECAY, MOST_DECAY = 0.1, 0.5


def choose_decay(config: TrainConfig, facts: Facts, rate: float) -> float:
    """Return the decay a step at a rate of 1, for a run whose highest rate is `rate`.

    What a weight learnt of words should last as many passes over any text (Wang & Aitchison 2025):
    so a small text asks for more decay a step, and of a large one a rare word is met before it is
    forgotten. Characters of a small text are learnt worse with more.
    """
    if not facts.has_words:
        return LEAST_DECAY
    steps = facts.num_tokens / window_tokens(config) * DECAY_PASSES
    decay = 1 / (MEAN_RATE * rate * steps)
    return float(f"{min(MOST_DECAY, max(LEAST_DECAY, decay)):.2g}")


def choose_shares(config: TrainConfig, facts: Facts, passes: float) -> dict[str, float]:
    """Return what is dropped, by the names of the options.

    A text of which nothing is held out may be meant to be learnt by heart.
    """
    weights = num_weights(config, facts)
    if facts.has_words:
        strain = passes * weights / facts.nats
        strain = strain if facts.held_out else min(strain, HARMLESS_STRAIN)
        shares = next(row[1] for row in WORDS if strain < row[0])
    else:
        if weights < facts.num_tokens or not facts.held_out:
            passes = min(passes, HARMLESS_PASSES)
        _, small, large = next(row for row in CHARACTERS if passes < row[0])
        shares = small if (config.hidden_size or 0) <= 256 else large
    if not config.embedding_size:
        shares = shares._replace(input_dropout=0.0)  # one-hot: a symbol would be gone
    return shares._asdict()
