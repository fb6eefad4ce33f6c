"""What the user left open: sizes and rates chosen from the corpus, the device and the budget.

Found by experiment on 2 CPU cores (tests/bench/LOG.md). Chooses only; builds nothing.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from charrnn.config import DEFAULT_MAX_TIME, SOAP_COLUMNS, TrainConfig
from charrnn.costs import (
    Facts,
    expected_passes,
    expected_steps,
    num_weights,
    seconds_of_step,
    window_tokens,
)
from charrnn.regularisers import MIN_DECAY, choose_decay, choose_dropouts

LAYER_BATCH = 32  # streams, at char level
WINDOW = 64  # tokens per window
MANY_TOKENS = 2_000_000  # from here on more units pay sooner
FEW_TOKENS = 250_000  # up to here later
WORD_UNITS = (512, 384, 256, 192, 128)  # of networks that read words
WORD_WEIGHTS = 2.0  # for each nat of the text: with more they learn it by heart
STREAM_WINDOWS = 4  # windows that a stream should at least hold
PEAK_RATE = 0.015  # of an LSTM with 256 units
RATE_FACTORS = {"lstm": 1.0, "peephole": 1.0, "gru": 0.5, "rnn": 0.2}
SAMPLED_VOCABULARY = 4_000  # symbols: from here on training on a CPU samples the softmax
SOFTMAX_SAMPLES = 1024
WARMUP_STEPS, WARMUP_SHARE = 50, 0.1  # of the run, the smaller of both
EVALUATIONS = 20  # over a run counted in steps
LOGS = 100
LONGEST = {"log": 10.0, "eval": 600.0, "sample": 600.0}  # seconds expected between two of a kind
SAMPLES = 8
FEW_STEPS = 10  # between two evaluations or samples of a short run


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
    config = choose_optimizer(choose_softmax(config, facts), facts)
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
    if facts.has_words or config.weight_decay != MIN_DECAY:
        more += f", weight decay {config.weight_decay:g}"
    return (
        f"{config.num_layers} x {config.hidden_size} {config.cell}, {inputs_of(config)}, "
        f"batch {config.batch_size}, "
        f"window {config.seq_length}, {config.optimizer}, rate {config.learning_rate:g}, "
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
    hidden = config.hidden_size or choose_units(config, facts)
    tie = config.tie_weights
    if tie is None:
        tie = facts.has_words and config.embedding_size in (None, hidden)
    embedding = config.embedding_size
    if embedding is None:
        embedding = hidden if tie else min(hidden, 128)
    layers = config.num_layers or 1
    return replace(
        config, hidden_size=hidden, embedding_size=embedding, num_layers=layers, tie_weights=tie
    )


def choose_units(config: TrainConfig, facts: Facts) -> int:
    """Return how many units a layer has: more for more time, and for more text."""
    seconds = config.max_time or 60.0
    if facts.device == "cuda":
        seconds *= 30
    medium = 400 if facts.num_tokens >= MANY_TOKENS else 1500
    small = 400 if facts.num_tokens <= FEW_TOKENS else 150
    sizes = [(25, 192), (100, 256), (small, 384), (medium, 512), (6000, 768), (math.inf, 1024)]
    hidden = next(size for limit, size in sizes if seconds <= limit)
    if facts.num_tokens <= FEW_TOKENS:
        hidden = min(hidden, 512)  # more learn it by heart
    if facts.num_tokens < 50_000:
        hidden = min(hidden, 256 if facts.num_tokens > 10_000 else 128)
    return min(hidden, find_word_units(config, facts)) if facts.has_words else hidden


def find_word_units(config: TrainConfig, facts: Facts) -> int:
    """Return the largest of WORD_UNITS with at most WORD_WEIGHTS weights for a nat of the text.

    The smallest where all have more; the largest where nothing is held out.
    """
    for units in WORD_UNITS if facts.held_out else WORD_UNITS[:1]:
        embedding = units if config.embedding_size is None else config.embedding_size
        sized = replace(config, hidden_size=units, embedding_size=embedding)
        if num_weights(sized, facts) <= WORD_WEIGHTS * facts.unigram_nats:
            return units
    return units


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
        "warmup_steps": min(WARMUP_STEPS, int(WARMUP_SHARE * expected_steps(config, facts))),
        "weight_decay": choose_decay(config, facts, config.learning_rate or rate),
        **choose_dropouts(config, facts, passes),
    }
    return fill(config, chosen)


def choose_optimizer(config: TrainConfig, facts: Facts) -> TrainConfig:
    """Fill in the optimizer: SOAP on a CPU, where it was found to pay.

    A window of fewer tokens than units says nothing of most directions.
    """
    if config.optimizer != "auto":
        return config
    fits = (config.hidden_size or 1) <= min(SOAP_COLUMNS, window_tokens(config))
    return replace(config, optimizer="soap" if fits and facts.device == "cpu" else "adamw")


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
