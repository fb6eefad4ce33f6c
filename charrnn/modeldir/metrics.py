"""metrics.jsonl: which lines of a run's log are what the format says; the others are as if torn."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from charrnn.config import COUNT_MAX
from charrnn.store import Journal, read_journal

Record = dict[str, Any]

_LARGEST = 1e300  # of a number, so that a few can be added
_COUNTS = ("step", "tokens", "best_step")
_NUMBERS = (
    "epoch",
    "elapsed_seconds",
    "loss",
    "learning_rate",
    "grad_norm",
    "tokens_per_second",
    "valid_loss",
    "valid_bits_per_char",
)
_NULLS = ("valid_loss", "valid_bits_per_char")  # where nothing is held out
_NEEDED = {
    "log": ("loss", "learning_rate", "grad_norm", "elapsed_seconds"),
    "eval": ("valid_loss",),
    "sample": ("text",),
}


def read_metrics(path: Path) -> list[Record]:
    """Return the records of the log at `path` that are of the format; [] if it is missing.

    Works beside a running training. Raises StoreError.
    """
    return [record for record in read_journal(path) if is_sound(record)]


def trim_metrics(path: Path, step: int, again: Collection[str] = ()) -> None:
    """Drop what was recorded after `step`, and lines that are not of the format.

    Of `step` itself the kinds in `again` go too: "eval", "sample", or "final" for an evaluation of
    the run's result.
    """

    def keep(record: Record) -> bool:
        if not is_sound(record) or record["step"] > step:
            return False
        kind = "final" if record.get("final") is True else record["event"]
        return record["step"] < step or kind not in again

    Journal.trim(path, keep)


def is_sound(record: Record) -> bool:
    """Return whether `record` has what its event needs, and no number where there is none."""
    event = record.get("event")
    needed = _NEEDED.get(event, ()) if isinstance(event, str) else ()
    return (
        isinstance(event, str)
        and "step" in record
        and all(key in record for key in needed)
        and all(_is_count(record[key]) for key in _COUNTS if key in record)
        and all(
            _is_number(record[key]) or (record[key] is None and key in _NULLS)
            for key in _NUMBERS
            if key in record
        )
        and isinstance(record.get("text", ""), str)
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= COUNT_MAX


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST
