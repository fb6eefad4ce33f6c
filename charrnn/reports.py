"""What a training run says while it runs: one dataclass for each kind of news.

`record()` gives the line of metrics.jsonl, losses in nats per token; those without it are not kept.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from charrnn.config import ModelConfig, TrainConfig

Ending = Literal["budget", "patience", "signal"]


@dataclass(frozen=True)
class StartReport:
    """The run is about to make its first step."""

    directory: Path
    model: ModelConfig
    config: TrainConfig  # without gaps
    reason: str  # why these sizes, in one line
    num_parameters: int
    num_train_tokens: int
    num_valid_tokens: int
    device: str
    resumed_from: int | None  # the step of the checkpoint
    notes: tuple[str, ...]  # warnings


@dataclass(frozen=True)
class StepReport:
    """One optimizer step."""

    step: int  # 1 after the first
    epoch: float
    tokens: int  # targets so far
    elapsed_seconds: float
    loss: float  # of this window, before the update
    learning_rate: float
    grad_norm: float  # before clipping
    tokens_per_second: float
    progress: float  # share of the budget, 0 to 1


@dataclass(frozen=True)
class LogReport:
    """The steps since the last log: the mean loss, the rest as of the newest step."""

    step: int
    epoch: float
    tokens: int
    elapsed_seconds: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens_per_second: float

    def record(self) -> dict[str, Any]:
        return {"event": "log", **asdict(self)}


@dataclass(frozen=True)
class EvalReport:
    """The held-out loss; None where nothing is held out."""

    step: int
    epoch: float
    elapsed_seconds: float
    valid_loss: float | None
    valid_bits_per_char: float | None
    best: bool
    final: bool = False  # of the best weights so far: the run's result
    best_step: int = 0  # of the best weights, this evaluation's included

    def record(self) -> dict[str, Any]:
        return {"event": "eval", **asdict(self)}


@dataclass(frozen=True)
class SampleReport:
    """A text drawn from the network as it is now."""

    step: int
    text: str

    def record(self) -> dict[str, Any]:
        return {"event": "sample", **asdict(self)}


@dataclass(frozen=True)
class SaveReport:
    """A checkpoint was written."""

    step: int
    path: Path


@dataclass(frozen=True)
class NoteReport:
    """A warning that the user should see."""

    text: str


@dataclass(frozen=True)
class EndReport:
    """The run is over, or was asked to stop and is saved."""

    step: int
    directory: Path
    elapsed_seconds: float
    best_loss: float | None
    best_bits_per_char: float | None
    best_step: int
    stopped: Ending


Report = (
    StartReport
    | StepReport
    | LogReport
    | EvalReport
    | SampleReport
    | SaveReport
    | NoteReport
    | EndReport
)
