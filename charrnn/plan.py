"""What the user left open: sizes and rates chosen from the corpus, the device and the budget.

The table was found by experiment on 2 CPU cores (tests/bench/LOG.md). Chooses only; builds nothing.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from charrnn.config import DEFAULT_MAX_TIME, TrainConfig

LAYER_BATCH = 32  # streams, at char level
WINDOW = 64  # tokens per window
MANY_TOKENS = 2_000_000  # from here on more units pay sooner
STREAM_WINDOWS = 4  # windows that a stream should at least hold
GATES = {"lstm": 4, "peephole": 4, "gru": 3, "rnn": 1}
PRODUCTS_PER_SECOND = {"cpu": 7e10, "cuda": 5e12}  # multiplications of a forward pass: roughly
SECONDS_PER_WEIGHT = {"cpu": 2.5e-9, "cuda": 1e-11}  # of a step, beside the products
PEAK_RATE = 0.015  # of an LSTM with 256 units
RATE_FACTORS = {"lstm": 1.0, "peephole": 1.0, "gru": 0.5, "rnn": 0.2}
SAMPLED_VOCABULARY = 4_000  # symbols: from here on training on a CPU samples the softmax
SOFTMAX_SAMPLES = 1024
# Passes under which, with up to 256 units and with more: dropout, weight drop, input dropout
REGULARISERS = [
    (2, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    (8, (0.1, 0.0, 0.0), (0.3, 0.0, 0.0)),
    (16, (0.2, 0.1, 0.0), (0.3, 0.1, 0.0)),
    (40, (0.2, 0.2, 0.0), (0.3, 0.2, 0.0)),
    (100, (0.5, 0.3, 0.0), (0.6, 0.5, 0.2)),
    (math.inf, (0.5, 0.5, 0.0), (0.6, 0.5, 0.2)),
]
WARMUP_STEPS, WARMUP_SHARE = 50, 0.1  # of the run, the smaller of both
HARMLESS_PASSES = 7.0  # as which more of them count where nothing can be learnt by heart
EVALUATIONS = 20  # over a run counted in steps
LOGS = 100
LONGEST = {"log": 10.0, "eval": 600.0, "sample": 600.0}  # seconds expected between two of a kind
SAMPLES = 8
FEW_STEPS = 10  # between two evaluations or samples of a short run


@dataclass(frozen=True)
class Facts:
    """What the choice depends on."""

    num_tokens: int  # of the training part
    vocab_size: int
    device: str  # "cpu" or "cuda"
    num_documents: int | None = None  # None: one endless stream
    held_out: bool = True  # whether a part of the text tells when learning by heart begins

    @property
    def mean_document(self) -> float:
        """Tokens in a document, on average."""
        return self.num_tokens / max(1, self.num_documents or 1)


@dataclass(frozen=True)
class Plan:
    """A configuration without gaps, why it is so, and what the user should be told."""

    config: TrainConfig
    reason: str
    notes: tuple[str, ...] = ()


def make_plan(config: TrainConfig, facts: Facts) -> Plan:
    """Return `config` with every open size, rate and budget filled in; what is set stays."""
    if config.epochs is None and config.max_steps is None and config.max_time is None:
        config = replace(config, max_time=DEFAULT_MAX_TIME)
    config, notes = choose_shape(choose_network(config, facts), facts)
    config = choose_softmax(config, facts)
    passes = expected_passes(config, facts)
    config = choose_optimization(config, facts, passes)
    config = choose_intervals(config, facts)
    return Plan(config, explain(config, facts, passes), notes)


def explain(config: TrainConfig, facts: Facts, passes: float) -> str:
    """Return the choice and its reason in one line."""
    budget = f"{config.max_time} s"
    if not config.max_time:
        budget = f"{config.epochs} epochs" if config.epochs else f"{config.max_steps} steps"
    sampled = f", {config.softmax_samples} softmax samples" if config.softmax_samples else ""
    drops = {"weight drop": config.weight_drop, "input dropout": config.input_dropout}
    more = "".join(f", {name} {share:g}" for name, share in drops.items() if share)
    return (
        f"{config.num_layers} x {config.hidden_size} {config.cell}, {inputs_of(config)}, "
        f"batch {config.batch_size}, "
        f"window {config.seq_length}, rate {config.learning_rate:g}, "
        f"dropout {config.dropout:g}{more}{sampled}: "
        f"for {facts.num_tokens:,} tokens and {budget} on {facts.device} (about {passes:.3g} "
        f"{'pass' if passes == 1 else 'passes'})"
    )


def inputs_of(config: TrainConfig) -> str:
    """Return how the network reads a symbol, in words."""
    if not config.embedding_size:
        return "one-hot input"
    return f"embedding {config.embedding_size}{' (tied)' if config.tie_weights else ''}"


def choose_network(config: TrainConfig, facts: Facts) -> TrainConfig:
    """Fill in the sizes of the network."""
    seconds = config.max_time or 60.0
    if facts.device == "cuda":
        seconds *= 30
    medium = 400 if facts.num_tokens >= MANY_TOKENS else 1500
    sizes = [(25, 192), (100, 256), (150, 384), (medium, 512), (6000, 768), (math.inf, 1024)]
    hidden = next(size for limit, size in sizes if seconds <= limit)
    if facts.num_tokens < 50_000:
        hidden = min(hidden, 256 if facts.num_tokens > 10_000 else 128)
    if facts.vocab_size > 1000:
        hidden = min(hidden, 512)
    hidden = config.hidden_size or hidden
    tie = config.tie_weights
    if tie is None:
        tie = facts.vocab_size > 1000 and config.embedding_size in (None, hidden)
    embedding = config.embedding_size
    if embedding is None:
        embedding = hidden if tie else min(hidden, 128)
    layers = config.num_layers or 1
    return replace(
        config, hidden_size=hidden, embedding_size=embedding, num_layers=layers, tie_weights=tie
    )


def choose_shape(config: TrainConfig, facts: Facts) -> tuple[TrainConfig, tuple[str, ...]]:
    """Fill in batch and window, and shrink them, with a note, to what the text can hold."""
    window, batch = config.seq_length or WINDOW, config.batch_size or LAYER_BATCH
    usual = (batch, window)
    if facts.num_documents:
        if config.batch_size is None and facts.mean_document < window:
            batch = round(LAYER_BATCH * WINDOW / facts.mean_document)
            usual = (batch, window)
        batch = min(batch, facts.num_documents)
        window = min(window, facts.num_tokens - 1)
    else:
        if config.batch_size is None:
            batch = max(1, min(batch, facts.num_tokens // (STREAM_WINDOWS * window)))
        batch = min(batch, facts.num_tokens - 1)
        window = min(window, (facts.num_tokens - 1) // batch)
    notes: tuple[str, ...] = ()
    if (batch, window) != usual:
        few = f"{facts.num_tokens:,} tokens"
        if batch == facts.num_documents:
            few = f"{batch:,} {'document' if batch == 1 else 'documents'}"
        notes = (
            f"{few} are few: batch {batch} and window {window} "
            f"instead of {usual[0]} and {usual[1]}",
        )
    return replace(config, batch_size=batch, seq_length=window), notes


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
    products = (recurrent_weights(config, facts) + hidden * scored) * window_tokens(config)
    return (
        products / PRODUCTS_PER_SECOND[device]
        + num_weights(config, facts) * SECONDS_PER_WEIGHT[device]
    )


def recurrent_weights(config: TrainConfig, facts: Facts) -> int:
    """Return how many numbers the matrices of the layers have."""
    hidden, layers = config.hidden_size or 1, config.num_layers or 1
    inputs = config.embedding_size or facts.vocab_size
    return GATES[config.cell] * hidden * (inputs + hidden + (layers - 1) * 2 * hidden)


def num_weights(config: TrainConfig, facts: Facts) -> int:
    """Return about how many numbers are trained."""
    return recurrent_weights(config, facts) + (config.hidden_size or 1) * facts.vocab_size


def window_tokens(config: TrainConfig) -> int:
    """Return how many targets one optimizer step has."""
    return (config.batch_size or 1) * (config.seq_length or 1)


def fill(config: TrainConfig, chosen: dict[str, Any]) -> TrainConfig:
    """Return `config` with those of the `chosen` options that are still open."""
    return replace(config, **{k: v for k, v in chosen.items() if getattr(config, k) is None})


def choose_softmax(config: TrainConfig, facts: Facts) -> TrainConfig:
    """Fill in how many symbols a training step compares with: 0 is all of them."""
    large = facts.vocab_size > SAMPLED_VOCABULARY and facts.device == "cpu"
    return fill(config, {"softmax_samples": SOFTMAX_SAMPLES if large else 0})


def choose_optimization(config: TrainConfig, facts: Facts, passes: float) -> TrainConfig:
    """Fill in the rate and the regularisers, from the size and the number of passes."""
    hidden = config.hidden_size or 256
    rate = PEAK_RATE * RATE_FACTORS[config.cell] * (256 / hidden) ** 0.6
    chosen = {
        "learning_rate": float(f"{rate:.2g}"),
        "weight_decay": 0.1,
        "warmup_steps": min(WARMUP_STEPS, int(WARMUP_SHARE * expected_steps(config, facts))),
        **choose_dropout(config, facts, passes),
    }
    return fill(config, chosen)


def choose_dropout(config: TrainConfig, facts: Facts, passes: float) -> dict[str, float]:
    """Return what is dropped: more, the more often a network that could learn it by heart reads.

    A text of which nothing is held out may be meant to be learnt by heart.
    """
    if num_weights(config, facts) < facts.num_tokens or not facts.held_out:
        passes = min(passes, HARMLESS_PASSES)
    _, small, large = next(row for row in REGULARISERS if passes < row[0])
    shares = small if (config.hidden_size or 0) <= 256 else large
    chosen = dict(zip(("dropout", "weight_drop", "input_dropout"), shares, strict=True))
    if not config.embedding_size:
        chosen["input_dropout"] = 0.0  # one-hot: a symbol would be gone
    return chosen


def choose_intervals(config: TrainConfig, facts: Facts) -> TrainConfig:
    """Fill in the intervals of a run counted in steps; by the clock they stay open."""
    if config.max_time:
        return config
    steps = max(1, round(expected_steps(config, facts)))
    few, seconds = min(steps, FEW_STEPS), seconds_of_step(config, facts)
    shares = {
        "eval": max(-(-steps // EVALUATIONS), few),
        "log": -(-steps // LOGS),
        "sample": max(-(-steps // SAMPLES), few),
    }
    longest = {kind: max(1, round(limit / seconds)) for kind, limit in LONGEST.items()}
    return fill(config, {f"{kind}_every": min(shares[kind], longest[kind]) for kind in shares})
