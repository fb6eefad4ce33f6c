"""Reports of a training run -> the numbers that a display shows at any moment.

It draws nothing and knows no terminal.
"""

import math
from dataclasses import dataclass, field

from charrnn.reports import (
    EvalReport,
    LogReport,
    NoteReport,
    Report,
    SampleReport,
    StartReport,
    StepReport,
)

SMOOTHING = 0.98  # of the training loss, per step


@dataclass
class Progress:
    """What is known of a run; `update` takes each report."""

    start: StartReport | None = None
    step: StepReport | None = None
    log: LogReport | None = None
    eval: EvalReport | None = None
    sample: SampleReport | None = None
    notes: list[str] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of the training part, one a log line
    _origin: tuple[float, float] | None = None  # share and seconds when this sitting began
    _average: tuple[float, float] = (0.0, 0.0)  # decayed sum of losses, of weights

    def update(self, report: Report) -> None:
        """Take notice of `report`."""
        match report:
            case StartReport():
                self.start = report
                self.notes += report.notes
            case StepReport():
                self._take_step(report)
            case LogReport():
                self.log = report
                self.losses.append(report.loss)
            case EvalReport():
                self.eval = report
            case SampleReport():
                self.sample = report
            case NoteReport():
                self.notes.append(report.text)

    def _take_step(self, report: StepReport) -> None:
        self.step = report
        if self._origin is None:
            self._origin = (report.progress, report.elapsed_seconds)
        total, weight = self._average
        self._average = (SMOOTHING * total + report.loss, SMOOTHING * weight + 1)

    @property
    def share(self) -> float:
        """Share of the budget that is used up, 0 to 1."""
        return min(1.0, max(0.0, self.step.progress)) if self.step is not None else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to the end of the budget at the pace of this sitting; None if not known yet."""
        if self.step is None or self._origin is None:
            return None
        share, seconds = self._origin
        done = self.step.progress - share
        if done <= 0:
            return None
        return (1 - self.share) * (self.step.elapsed_seconds - seconds) / done

    @property
    def train_loss(self) -> float | None:
        """The training loss in nats per token, a decaying average over the last steps."""
        total, weight = self._average
        return total / weight if weight else None

    @property
    def words(self) -> bool:
        """Whether tokens are words."""
        return self.start is not None and self.start.config.level == "word"

    @property
    def bits_per_nat(self) -> float | None:
        """Bits per character for each nat per token; None where tokens are no characters.

        Taken from the last evaluation; before it, known of endless streams of characters only.
        """
        if self.eval is not None and self.eval.valid_loss and self.eval.valid_bits_per_char:
            return self.eval.valid_bits_per_char / self.eval.valid_loss
        if self.start is None:
            return None
        config = self.start.config
        plain = config.level == "char" and config.document == "stream"
        return 1 / math.log(2) if plain else None

    def bits(self, nats: float | None) -> float | None:
        """Return the bits per character of a loss in nats per token, where that is known."""
        ratio = self.bits_per_nat
        return None if nats is None or ratio is None else nats * ratio
