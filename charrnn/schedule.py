"""When to log, evaluate, sample and save: counted in steps, or by the clock."""

import math
from dataclasses import dataclass, field

from charrnn.config import TrainConfig

KINDS = ("log", "eval", "sample", "save")
FIRST_SECONDS = {"log": 2.0, "eval": 10.0, "sample": 15.0, "save": 60.0}
BUDGET_SHARES = {"log": 0.01, "eval": 0.05, "sample": 0.125, "save": 0.0}  # between two of a kind
EVAL_COST = 0.04  # the largest share of the time that evaluations in mid-training may take


@dataclass
class Schedule:
    """Says what is due; an option --KIND-every counts in steps, without it the clock decides."""

    config: TrainConfig  # without gaps
    next_seconds: dict[str, float] = field(default_factory=dict)

    def start(self, elapsed_seconds: float) -> None:
        """Set the first times, for a session that has run for `elapsed_seconds`."""
        first = dict(FIRST_SECONDS)
        first["eval"] = min(first["eval"], (self.config.max_time or math.inf) / 4)
        self.next_seconds = {kind: elapsed_seconds + first[kind] for kind in KINDS}

    def is_due(self, kind: str, step: int, elapsed_seconds: float) -> bool:
        """Return whether `kind` (log, eval, sample or save) is due after `step`."""
        every = getattr(self.config, f"{kind}_every")
        if every is not None:
            return bool(every) and step % every == 0
        return elapsed_seconds >= self.next_seconds[kind]

    def expect(self, eval_seconds: float) -> None:
        """Put off the first evaluation, by the clock, until it may cost `eval_seconds`."""
        self.next_seconds["eval"] = max(self.next_seconds["eval"], eval_seconds / EVAL_COST)

    def done(self, kind: str, elapsed_seconds: float, cost_seconds: float = 0.0) -> None:
        """Note that `kind` was done, and took `cost_seconds`."""
        pause = max(FIRST_SECONDS[kind], BUDGET_SHARES[kind] * (self.config.max_time or 0.0))
        if kind == "eval":
            pause = max(pause, cost_seconds / EVAL_COST)
        self.next_seconds[kind] = elapsed_seconds + pause
