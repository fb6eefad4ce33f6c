"""Small runs in this process: asked for, stopped somewhere, and compared."""

import hashlib
import json
from pathlib import Path

from charrnn.config import TrainConfig
from charrnn.reports import EndReport, StepReport
from charrnn.request import RunRequest
from charrnn.run import run_training

TEXT = "".join(f"{i} times {i % 7} is {i * (i % 7)}.\n" for i in range(160))  # about 3 kB
SMALL = {"hidden_size": 24, "embedding_size": 9, "batch_size": 4, "seq_length": 16, "dropout": 0.3}
STEPS = {"max_steps": 40, "save_every": 5, "eval_every": 10, "log_every": 4, "sample_every": 20}


def ask(corpus, **changes):
    """A request, and the options in `changes` that are of its configuration."""
    own = {k: changes.pop(k) for k in list(changes) if k in RunRequest.__dataclass_fields__}
    options = {**SMALL, **STEPS, "threads": 1, "precision": "fp32", **changes}
    given = frozenset(k for k, v in options.items() if v is not None)
    config = TrainConfig(**options)
    output = own.pop("output", corpus.parent / "run")
    return RunRequest((str(corpus),), output, config, given=given, **own)


def finish(request):
    reports = list(run_training(request))
    assert isinstance(reports[-1], EndReport)
    return reports


def only(reports, kind):
    return [report for report in reports if isinstance(report, kind)]


def fingerprint(directory):
    """What must be equal in two equal runs: the files' hashes, and the log without its times."""
    files = sorted(
        p for p in Path(directory).rglob("*.safetensors") if "checkpoints" not in p.parts
    )
    lines = [
        json.loads(line) for line in (Path(directory) / "metrics.jsonl").read_text().splitlines()
    ]
    for line in lines:
        line.pop("elapsed_seconds", None), line.pop("tokens_per_second", None)
    return [hashlib.sha256(p.read_bytes()).hexdigest() for p in files], lines


class StopAfter:
    """Says stop as soon as `step` steps are done."""

    def __init__(self, step):
        self.step, self.now = step, 0

    def __call__(self):
        return self.now >= self.step


def run_until(request, step):
    """Run, ask to stop after `step`, and return the reports."""
    stop, reports = StopAfter(step), []
    for report in run_training(request, stop):
        reports.append(report)
        if isinstance(report, StepReport):
            stop.now = report.step
    return reports
