"""curve: is it still learning? The losses, rates and gradient norms that a run recorded."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charrnn.errors import ConfigError
from charrnn.modeldir import read_metrics, read_train_record
from charrnn.modeldir.files import METRICS

TAIL = 0.2  # of the run, in which "still learning" is decided
UNITS = {
    "loss": "nats per token, exact: as recorded",
    "valid_loss": "nats per token, exact: as recorded",
    "best_loss": "nats per token, exact: as recorded (summary gives its interval)",
    "gain": "nats per token, exact: on the same held-out tokens",
    "clipped": "share of the logged steps, exact",
    "elapsed_seconds": "s",
}
GAIN = 0.005  # nats per token in that tail that count as learning


@dataclass(frozen=True)
class Curve:
    """What metrics.jsonl holds, in the order of the steps."""

    log: list[dict[str, Any]]  # step, loss, learning_rate, grad_norm, elapsed_seconds ..
    evaluations: list[dict[str, Any]]  # step, valid_loss ..
    samples: list[dict[str, Any]]  # step, text
    best_step: int | None
    best_loss: float | None
    clipped: float | None  # share of logged steps whose gradient was clipped
    gain: float | None  # what the last fifth of the run took off the held-out loss, nats


def read_curve(directory: Path) -> Curve:
    """Return the curve of the run in `directory`; raise ConfigError where nothing is recorded."""
    path = directory / METRICS
    if not path.is_file():
        raise ConfigError(f"{path} is not there: needs the directory of a run")
    lines = read_metrics(path)
    log = [line for line in lines if line.get("event") == "log"]
    evaluations = evaluations_of(lines)
    if not log and not evaluations:
        raise ConfigError(f"{path} has no losses: needs a run that made some steps")
    best = min(evaluations, key=lambda line: float(line["valid_loss"]), default=None)
    clip = read_train_record(directory)["options"].get("grad_clip") or 0.0
    norms = [float(line["grad_norm"]) for line in log]
    return Curve(
        log=log,
        evaluations=evaluations,
        samples=[line for line in lines if line.get("event") == "sample"],
        best_step=None if best is None else int(best["step"]),
        best_loss=None if best is None else float(best["valid_loss"]),
        clipped=sum(n > clip for n in norms) / len(norms) if clip and norms else None,
        gain=late_gain(evaluations),
    )


def evaluations_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the evaluations on the way; that of the best weights too where it was the last one."""
    measured = [
        line for line in lines if line.get("event") == "eval" and line.get("valid_loss") is not None
    ]
    steps = {line["step"] for line in measured if not line.get("final")}
    return [
        line
        for line in measured
        if not line.get("final")
        or (line["step"] not in steps and line.get("best_step", line["step"]) == line["step"])
    ]


def late_gain(evaluations: list[dict[str, Any]]) -> float | None:
    """Return by how much the held-out loss fell in the last fifth of the steps; None if unknown."""
    if len(evaluations) < 3:
        return None
    border = float(evaluations[-1]["step"]) * (1 - TAIL)
    before = [line for line in evaluations if line["step"] <= border]
    if not before:
        return None
    best = min(float(line["valid_loss"]) for line in evaluations)
    return min(float(line["valid_loss"]) for line in before) - best


def to_result(found: Curve) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    return {**asdict(found), "sentence": sentence(found)}


def sentence(curve: Curve) -> str:
    """Return what the curve says, in one sentence, and its caveat."""
    return f"{verdict(curve)} Recorded numbers of one run: another seed would differ a little."


def verdict(curve: Curve) -> str:
    """Return what the curve says, in one sentence."""
    if curve.best_loss is None:
        return "Nothing was held out: only the training loss is known, which says little."
    last = curve.evaluations[-1]
    step, rise = int(last["step"]), float(last["valid_loss"]) - curve.best_loss
    if curve.best_step is not None and curve.best_step < step * (1 - TAIL) and rise > GAIN:
        return (
            f"The held-out loss was lowest at step {curve.best_step:,} of {step:,} and has risen "
            f"by {rise:.3f} nats since: it overfits; more dropout or a smaller network may help."
        )
    if curve.gain is None:
        return "Too few evaluations to say whether it is still learning."
    if curve.gain > GAIN:
        return (
            f"Still learning: the last fifth took {curve.gain:.3f} nats off the held-out loss, "
            "though a falling rate always helps at the end; a larger budget is worth a try."
        )
    return "It has levelled off: a larger budget alone will change little."
