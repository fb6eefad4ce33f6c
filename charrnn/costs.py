"""What a run will cost: its passes, steps and seconds, and the weights of its network, roughly.

From a configuration, sizes filled in, and what is known of the text and the machine.
"""

import math
from dataclasses import dataclass

from charrnn.config import DEFAULT_MAX_TIME, SOAP_COLUMNS, TrainConfig

GATES = {"lstm": 4, "peephole": 4, "gru": 3, "rnn": 1}
PRODUCTS_PER_SECOND = {"cpu": 7e10, "cuda": 5e12}  # multiplications of a forward pass: roughly
MANY_SYMBOLS = 1000  # more are words, or characters that mean as much
SECONDS_PER_WEIGHT = {"cpu": 2.5e-9, "cuda": 1e-11}  # of a step, beside the products


@dataclass(frozen=True)
class Facts:
    """What the choice depends on."""

    num_tokens: int  # of the training part
    vocab_size: int
    device: str  # "cpu" or "cuda"
    num_documents: int | None = None  # None: one endless stream
    held_out: bool = True  # whether a part of the text tells when learning by heart begins
    entropy: float | None = None  # nats of a token whose chances are the symbols' shares

    @property
    def has_words(self) -> bool:
        """Whether most of the weights are those of symbols."""
        return self.vocab_size > MANY_SYMBOLS

    @property
    def nats(self) -> float:
        """What the text says, by the shares of its symbols; of unknown ones all alike."""
        entropy = math.log(self.vocab_size) if self.entropy is None else self.entropy
        return self.num_tokens * entropy

    @property
    def mean_document(self) -> float:
        """Tokens in a document, on average."""
        return self.num_tokens / max(1, self.num_documents or 1)


def expected_passes(config: TrainConfig, facts: Facts) -> float:
    """Return about how often the training text will be read."""
    if config.epochs:
        return config.epochs
    return expected_steps(config, facts) * window_tokens(config) / facts.num_tokens


def expected_steps(config: TrainConfig, facts: Facts) -> float:
    """Return about how many optimizer steps the budget is."""
    if config.epochs:
        return config.epochs * facts.num_tokens / window_tokens(config)
    if config.max_steps:
        return config.max_steps
    return (config.max_time or DEFAULT_MAX_TIME) / seconds_of_step(config, facts)


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
    return recurrent_weights(config, facts) + (config.hidden_size or 1) * facts.vocab_size


def window_tokens(config: TrainConfig) -> int:
    """Return how many targets one optimizer step has."""
    return (config.batch_size or 1) * (config.seq_length or 1)
