"""Reports of a training run -> the lines of `train --json`.

Those of metrics.jsonl, and two more around them: `start` says what will be done, `end` what came
out of it and where it is.
"""

import math
from dataclasses import asdict
from typing import Any

from charrnn.reports import EndReport, Report, StartReport


def json_event(report: Report) -> dict[str, Any] | None:
    """Return the line for `report`, None where it has none; losses in nats per token."""
    if isinstance(report, StartReport):
        return start_event(report)
    if isinstance(report, EndReport):
        return end_event(report)
    return report.record() if hasattr(report, "record") else None


def start_event(report: StartReport) -> dict[str, Any]:
    """Return what a run begins with: its directory, sizes, options and warnings."""
    return {
        "event": "start",
        "directory": str(report.directory),
        "resumed_from": report.resumed_from,
        "reason": report.reason,
        "num_parameters": report.num_parameters,
        "num_train_tokens": report.num_train_tokens,
        "num_valid_tokens": report.num_valid_tokens,
        "device": report.device,
        "model": asdict(report.model),
        "options": asdict(report.config),
        "notes": list(report.notes),
    }


def end_event(report: EndReport) -> dict[str, Any]:
    """Return the result of a run; `stopped` is budget, patience or signal."""
    record = {"event": "end", **asdict(report), "directory": str(report.directory)}
    if report.best_bits_per_char is not None and not math.isfinite(report.best_bits_per_char):
        record["best_bits_per_char"] = None  # of words that are all <unk>
    return record
