"""Every option, its default, its unit and its range. No other module holds a default.

`None` as a default means: chosen from the corpus, the device and the budget (see plan.py).
"""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from charrnn.errors import ConfigError

Level = Literal["char", "byte", "word"]
Document = Literal["stream", "file", "line", "paragraph"]
CellType = Literal["lstm", "gru", "rnn", "peephole"]
Nonlinearity = Literal["tanh", "relu"]
Optimizer = Literal["auto", "soap", "adamw"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
OnUnknown = Literal["error", "skip"]

FORMAT_VERSION = 1  # of the model directory
COUNT_MAX = 10**15  # largest number of steps, tokens or samples


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; `above` leaves `low` out, `below` leaves `high` out."""

    low: float
    high: float
    integer: bool = True
    above: bool = False
    below: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.integer else (int, float)):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        over = value > self.low if self.above else value >= self.low
        under = value < self.high if self.below else value <= self.high
        return over and under

    def __str__(self) -> str:
        kind = "an integer" if self.integer else "a number"
        low = f"above {self.low:g}" if self.above else f"from {self.low:g}"
        high = f"below {self.high:g}" if self.below else f"to {self.high:g}"
        return f"{kind} {low} {high}"


def option(
    default: Any, help: str, range: Range | None = None, choices: Any = None, kind: type = bool
) -> Any:
    """Return a dataclass field that knows its help text and what values it takes.

    Those of a `range`, some `choices` (a Literal), or else all of one `kind`.
    """
    metadata = {
        "help": help,
        "range": range,
        "choices": getattr(choices, "__args__", None),
        "kind": kind,
    }
    return field(default=default, metadata=metadata)


def check_fields(config: Any) -> None:
    """Raise ConfigError for the first field of the dataclass `config` that is out of its range."""
    for item in fields(config):
        value = getattr(config, item.name)
        allowed, choices = item.metadata.get("range"), item.metadata.get("choices")
        if value is None:
            if item.default is not None:
                raise ConfigError(f"{item.name} is missing")
        elif allowed is not None and value not in allowed:
            raise ConfigError(f"{item.name} is {value!r}: needs {allowed}")
        elif choices is not None and value not in choices:
            raise ConfigError(f"{item.name} is {value!r}: needs one of {', '.join(choices)}")
        elif not (allowed or choices) and type(value) is not item.metadata["kind"]:
            raise ConfigError(f"{item.name} is {value!r}: needs a {item.metadata['kind'].__name__}")


SIZE = Range(1, 65536)
PROBABILITY = Range(0, 1, integer=False, below=True)
EVERY = Range(0, COUNT_MAX)
BUDGETS = ("epochs", "max_steps", "max_time")  # only one may be given


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and kinds of a network, and what it was trained to read; saved as config.json."""

    vocab_size: int = option(0, "Symbols the network knows (V).", Range(1, 10**7))
    cell_type: CellType = option("lstm", "The recurrence.", None, CellType)
    nonlinearity: Nonlinearity = option("tanh", "Of --cell rnn.", None, Nonlinearity)
    embedding_size: int = option(128, "Input vector size (E); 0 = one-hot.", Range(0, 65536))
    hidden_size: int = option(256, "Units in a layer (H).", SIZE)
    num_layers: int = option(1, "Recurrent layers (L).", Range(1, 64))
    tie_weights: bool = option(False, "Output matrix = embedding (needs E = H).")
    document: Document | None = option(  # None: not said, as in models of earlier versions
        None, "What starts from an empty state.", None, Document
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.tie_weights and self.embedding_size != self.hidden_size:
            sizes = f"embedding {self.embedding_size}, hidden {self.hidden_size}"
            raise ConfigError(f"tied weights need embedding size = hidden size, got {sizes}")


@dataclass(frozen=True)
class TrainConfig:
    """What a user may say about a training run: text, network, optimization, bookkeeping."""

    # the text
    level: Level = option("char", "What a token is.", None, Level)
    pretokenized: bool = option(
        False, "Word level: a token is what stands between blanks; newline = <eos>."
    )
    vocab_size: int = option(
        8000, "Word level: keep the N most frequent words of the training part; 0 = all.", EVERY
    )
    min_count: int = option(1, "Word level: drop words seen fewer times.", Range(1, COUNT_MAX))
    document: Document = option("stream", "What starts from an empty state.", None, Document)
    valid_frac: float = option(
        0.1, "Last part of the text held out; 0 = none.", Range(0, 0.9, integer=False)
    )
    # the network
    cell: CellType = option("lstm", "The recurrence.", None, CellType)
    nonlinearity: Nonlinearity = option("tanh", "Of --cell rnn.", None, Nonlinearity)
    hidden_size: int | None = option(None, "Units in a layer (H).", SIZE)
    num_layers: int | None = option(None, "Recurrent layers (L).", Range(1, 64))
    embedding_size: int | None = option(
        None, "Input vector size (E); 0 = one-hot.", Range(0, 65536)
    )
    tie_weights: bool | None = option(None, "Output matrix = embedding (Press & Wolf 2017).")
    # regularisation
    dropout: float | None = option(
        None, "Zeroed share of each layer's output (Zaremba et al. 2014).", PROBABILITY
    )
    input_dropout: float | None = option(
        None, "Zeroed share of the embedding's output (Zaremba et al. 2014).", PROBABILITY
    )
    weight_drop: float | None = option(
        None, "Zeroed share of the recurrent weights (Merity et al. 2018).", PROBABILITY
    )
    weight_decay: float | None = option(
        None,
        "Decay of matrices, per step, times the rate (Loshchilov & Hutter 2019); 0.1, and of words "
        "the more, the smaller the text: up to 1 (Wang & Aitchison 2025).",
        Range(0, 100, integer=False),
    )
    # optimization
    optimizer: Optimizer = option(
        "auto",
        "SOAP (Vyas et al. 2025) for the layers' matrices, or AdamW; auto: soap on a CPU.",
        None,
        Optimizer,
    )
    softmax_samples: int | None = option(
        None,
        "Symbols that stand for all in a training step's softmax; 0 = all (Jean et al. 2015). "
        "On a CPU only the rows of symbols that a step needs are updated then, by RMSprop.",
        Range(0, 10**7),
    )
    seq_length: int | None = option(None, "Tokens per truncated back-propagation window (T).", SIZE)
    batch_size: int | None = option(None, "Parallel streams (B).", SIZE)
    learning_rate: float | None = option(
        None, "Peak rate.", Range(0, 100, integer=False, above=True)
    )
    warmup_steps: int | None = option(None, "Steps of linear warm-up.", Range(0, COUNT_MAX))
    grad_clip: float = option(1.0, "Largest gradient norm; 0 = off.", Range(0, 1e9, integer=False))
    epochs: int | None = option(None, "Budget: passes over the text.", Range(1, COUNT_MAX))
    max_steps: int | None = option(None, "Budget: optimizer steps.", Range(1, COUNT_MAX))
    max_time: float | None = option(
        None,
        "Budget: time of training, such as 90s, 3m or 1.5h.",
        Range(0, 3.2e8, integer=False, above=True),
    )
    patience: int | None = option(
        None, "Stop after N evaluations without a better one.", Range(1, COUNT_MAX)
    )
    # bookkeeping, in optimizer steps; None = by time
    eval_every: int | None = option(None, "Steps between evaluations; 0 = at the end.", EVERY)
    save_every: int | None = option(None, "Steps between checkpoints; 0 = at the end.", EVERY)
    sample_every: int | None = option(None, "Steps between samples; 0 = at the end.", EVERY)
    log_every: int | None = option(
        None,
        "Steps between records of the loss in metrics.jsonl, and log lines; 0 = at the end.",
        EVERY,
    )
    # the machine
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", kind=str)
    precision: Precision = option("auto", "Of matrix products.", None, Precision)
    threads: int | None = option(None, "CPU threads.", Range(1, 1024))
    seed: int = option(0, "Of weights, dropout and order.", Range(0, 2**63 - 1))
    deterministic: bool = option(False, "Only deterministic kernels (CUDA).")

    def __post_init__(self) -> None:
        check_fields(self)
        budgets = [n for n in BUDGETS if getattr(self, n) is not None]
        if len(budgets) > 1:
            names = " and ".join("--" + name.replace("_", "-") for name in budgets)
            raise ConfigError(f"{names} contradict each other: give one budget")
        if self.pretokenized and self.level != "word":
            raise ConfigError(f"--pretokenized needs --level word, got {self.level}")


SOAP_COLUMNS = 2048  # of a matrix that SOAP turns: it costs as the square of them
DEFAULT_MAX_TIME = 300.0  # seconds, the budget when none is given


@dataclass(frozen=True)
class SampleConfig:
    """How the next token is drawn from the logits; saved as generation_config.json."""

    temperature: float = option(
        1.0, "Below 1 safer, above 1 wilder, 0 = argmax.", Range(0, 1.7e308, integer=False)
    )
    top_k: int = option(0, "Keep the K likeliest tokens; 0 = all.", EVERY)
    top_p: float = option(
        1.0,
        "Keep the smallest set that reaches P (Holtzman et al. 2020).",
        Range(0, 1, integer=False, above=True),
    )
    min_p: float = option(
        0.0, "Drop tokens under P times the likeliest.", Range(0, 1, integer=False)
    )
    repetition_penalty: float = option(
        1.0,
        "Divide logits of the last 64 tokens (Keskar et al. 2019).",
        Range(0, 1e6, integer=False, above=True),
    )
    length: int = option(1000, "New tokens; 0 = without end.", EVERY)
    min_length: int = option(0, "Tokens before </s> or a stop may come.", EVERY)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.length and self.min_length > self.length:
            raise ConfigError(f"min_length is {self.min_length}: needs at most {self.length}")


REPETITION_WINDOW = 64  # tokens the repetition penalty looks back
TRAINING_SAMPLE = SampleConfig(temperature=0.8, length=240)  # drawn while training
RESET_SHARE = 0.01  # of the streams start from an empty state at each window of training
