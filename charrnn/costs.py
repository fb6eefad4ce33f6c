"""What a run will cost: its passes, steps and seconds, and the weights of its network, roughly.

From a configuration, sizes filled in, and what is known of the text and the machine.
"""

import math
from dataclasses import dataclass

from charrnn.config import DEFAULT_MAX_TIME, SOAP_COLUMNS, TrainConfig

MANY_SYMBOLS = 1000  # at most, in a vocabulary of characters: more are taken for words
GATES = {"lstm": 4, "peephole": 4, "gru": 3, "rnn": 1}
PRODUCTS_PER_SECOND = {"cpu": 7e10, "cuda": 5e12}  # multiplications of a forward pass: roughly
SECONDS_PER_WEIGHT = {"cpu": 2.5e-9, "cuda": 1e-11}  # of a step, beside the products


@dataclass(frozen=True)
class Facts:
    """What the choice depends on."""

    num_tokens: int  # of the training part
    vocab_size: int
    device: str  # "cpu" or "cuda"
    num_documents: int | None = None  # None: one endless stream
    held_out: bool = True  # whether a part of the text tells when learning by heart begins
    unigram_entropy: float | None = None  # nats of a token, by the symbols' shares
    is_pretrained: bool = False  # whether the network begins as an earlier one

    @property
    def has_words(self) -> bool:
        """Whether the symbols are so many that they are words, or mean as much."""
        return self.vocab_size > MANY_SYMBOLS

    @property
    def unigram_nats(self) -> float:
        """Tokens times their unigram entropy, or, where that is not known, times ln V."""
        if self.unigram_entropy is None:
            return self.num_tokens * math.log(self.vocab_size)
        return self.num_tokens * self.unigram_entropy

    @property
    def mean_document(self) -> float:
        """Tokens in a document, on average."""
        return self.num_tokens / max(1, self.num_documents or 1)


def expected_passes(config: TrainConfig, facts: Facts) -> float:
    """Return about how often the training text will be read.

    By the clock padding counts in the time of a step and in its tokens alike.
    """
    if config.epochs:
        return config.epochs
    if config.max_steps:
        return config.max_steps / steps_per_pass(config, facts)
    return expected_steps(config, facts) * window_tokens(config) / facts.num_tokens


def expected_steps(config: TrainConfig, facts: Facts) -> float:
    """Return about how many optimizer steps the budget is."""
    if config.epochs:
        return config.epochs * steps_per_pass(config, facts)
    if config.max_steps:
        return config.max_steps
    return (config.max_time or DEFAULT_MAX_TIME) / seconds_of_step(config, facts)


def steps_per_pass(config: TrainConfig, facts: Facts) -> float:
    """Return about how many optimizer steps read the text once.

    In the window of a stream is one document, with padding behind it where it is short.
    """
    documents = (facts.num_documents or 0) / (config.batch_size or 1)
    return max(documents, facts.num_tokens / window_tokens(config))


def seconds_of_step(config: TrainConfig, facts: Facts) -> float:
    """Return about how many seconds a step takes on this kind of device, found by experiment."""
    hidden, device = config.hidden_size or 1, facts.device
    scored = min(facts.vocab_size, config.softmax_samples or facts.vocab_size)
    touched = min(facts.vocab_size, scored + window_tokens(config))  # of the rows of symbols
    products = (recurrent_weights(config, facts) + hidden * scored) * window_tokens(config)
    if config.optimizer == "soap":
        products += turning_products(config, facts)
    return (
        products / PRODUCTS_PER_SECOND[device]
        + (recurrent_weights(config, facts) + hidden * touched) * SECONDS_PER_WEIGHT[device]
    )


def recurrent_weights(config: TrainConfig, facts: Facts) -> int:
    """Return how many numbers the matrices of the layers have."""
    hidden, layers = config.hidden_size or 1, config.num_layers or 1
    inputs = config.embedding_size or facts.vocab_size
    return GATES[config.cell] * hidden * (inputs + hidden + (layers - 1) * 2 * hidden)


def turning_products(config: TrainConfig, facts: Facts) -> int:
    """Return as how many multiplications of a forward pass SOAP counts: a step has three of those.

    A matrix (R, K) needs R K K for G'G, as many for turning, and for turning back.
    """
    hidden, layers = config.hidden_size or 1, config.num_layers or 1
    inputs = config.embedding_size or facts.vocab_size
    columns = [inputs, hidden] + [hidden] * 2 * (layers - 1)
    return GATES[config.cell] * hidden * sum(k * k for k in columns if k <= SOAP_COLUMNS)


def num_weights(config: TrainConfig, facts: Facts) -> int:
    """Return about how many numbers are trained."""
    columns = config.hidden_size or 1
    if config.tie_weights is False:
        columns += config.embedding_size or 0
    return recurrent_weights(config, facts) + columns * facts.vocab_size


def window_tokens(config: TrainConfig) -> int:
    """Return how many targets, padding too, the window of one optimizer step has."""
    return (config.batch_size or 1) * (config.seq_length or 1)
