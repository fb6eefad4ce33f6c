"""What a user asks `train` to do."""

from dataclasses import dataclass
from pathlib import Path

from charrnn.config import TrainConfig

STDIN = "-"  # the TEXT argument that means standard input


@dataclass(frozen=True)
class RunRequest:
    """What the user asked `train` to do."""

    texts: tuple[str, ...] = ()
    output: Path | None = None  # None: runs/<stem of the first text>
    config: TrainConfig = TrainConfig()
    valid: tuple[str, ...] = ()  # held-out files, instead of the last part of the texts
    encoding: str | None = None  # None: UTF-8, and at byte level whatever the bytes are
    resume: bool = False
    force: bool = False
    init_from: str | None = None
    given: frozenset[str] = frozenset()  # names of the TrainConfig fields that the user set
