"""report: every view of one model over one text, for a page and a JSON file beside it.

A view that cannot be made (no text, no training text, words as tokens) says why in one sentence;
the others go on. All look at the same beginning of the text, as long as the budget allows.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.errors import CharRNNError, ConfigError
from charrnn.modeldir import StoredModel, run_directory
from charrnn.views.envelope import Inspected, envelope, open_text
from charrnn.views.memory import Progress
from charrnn.views.report_makers import MAKERS
from charrnn.views.report_request import BUDGETS, Budget, Made, Request, Steps

SECONDS = {
    "surprisal": 2,
    "cells": 24,
    "cell": 2,
    "copying": 3,
    "memory": 6,
    "compare": 4,
    "probe": 10,
    "saliency": 2,
    "gates": 2,
    "ablate": 6,
    "errors": 4,
    "calibration": 2,
}  # about, of the small budget: only for the bar; of the others one
PHASES = {"cells": 16, "cell": 2}  # parts whose progress begins anew; of the others one
SCALE = 1000  # steps of the bar


@dataclass(frozen=True)
class Section:
    """One view: what it found, or why it could not be made."""

    view: str
    made: Made | None
    missing: str | None  # one sentence


@dataclass(frozen=True)
class Report:
    """All views of a model, in the order of the page."""

    stored: StoredModel
    name: str
    text: Inspected | None
    whole: int  # tokens of the text before it was cut to the budget
    budget: str
    sections: list[Section]


def make_request(
    stored: StoredModel,
    texts: Sequence[str],
    budget: Budget,
    corpus: Sequence[str] = (),
    probe: str | None = None,
) -> Request:
    """Return what the views are asked: a text that is given must be there, the model's own may not.

    Raises ConfigError or CorpusError for a given text that cannot be read.
    """
    text, why, whole = None, "", 0
    try:
        text = open_text(stored, texts)
    except CharRNNError as error:
        if texts:
            raise
        why = str(error).replace("inspect VIEW", "inspect report")
    if text is not None:
        whole = len(text.ids)
        text = replace(text, ids=text.ids[: budget.tokens])
    return Request(stored, text, why, whole, tuple(corpus), probe, budget)


def measure_report(request: Request, budget: str) -> Generator[Progress, None, Report]:
    """Yield how far it is, in parts of the whole; return all views."""
    views = [view for view in MAKERS if view != "probe" or request.probe is not None]
    total = sum(SECONDS.get(view, 1) for view in views)
    before, made = 0, dict[str, Made]()
    sections = []
    for view in views:
        seconds = SECONDS.get(view, 1)
        steps = along(MAKERS[view](request, made), PHASES.get(view, 1))
        try:
            while True:
                what, share = next(steps)
                done = round(SCALE * (before + seconds * share) / total)
                yield Progress(f"{view}: {what}" if what else view, done, SCALE)
        except StopIteration as stop:
            made[view] = stop.value
            sections.append(Section(view, stop.value, None))
        except CharRNNError as error:
            sections.append(Section(view, None, str(error)))
        before += seconds
        yield Progress(view, round(SCALE * before / total), SCALE)
    name = model_name(request.stored)
    return Report(request.stored, name, request.text, request.whole, budget, sections)


def along(steps: Steps[Made], phases: int) -> Generator[tuple[str, float], None, Made]:
    """Yield what is done and the share of a view that is behind it, which never falls."""
    phase, known, share = -1, None, 0.0
    while True:
        try:
            report = next(steps)
        except StopIteration as stop:
            made: Made = stop.value
            return made
        phase, known = phase + (report.what != known), report.what
        part = report.done / max(1, report.total)
        share = max(share, min(1.0, (part + phase) / phases if phases > 1 else part))
        yield report.what, share


def model_name(stored: StoredModel) -> str:
    """Return the name of the model's directory; of a checkpoint, its step too."""
    name = run_directory(stored).resolve().name or "model"
    return f"{name}-{stored.path.stem}" if stored.path.is_file() else name


def check_place(page: Path) -> None:
    """Raise ConfigError where a page cannot be written: before all the work, not after it."""
    if page.is_dir():
        raise ConfigError(f"{page} is a directory: needs a file")
    if not page.parent.is_dir():
        raise ConfigError(f"{page.parent} is not there: needs a directory")


def json_path(page: Path) -> Path:
    """Return where the numbers go: beside the page."""
    beside = page.with_suffix(".json")
    return beside if beside != page else page.with_name(page.name + ".json")


def to_json(report: Report, request: Request) -> dict[str, Any]:
    """Return the envelope of envelopes; a view that could not be made has null and the reason."""
    views = [
        {"view": s.view, "envelope": None if s.made is None else s.made.envelope, "why": s.missing}
        for s in report.sections
    ]
    settings = {
        "budget": report.budget,
        "corpus": list(request.corpus),
        "probe": request.probe,
        "tokens": request.budget.tokens,
    }
    return envelope("report", report.stored, report.text, settings, {}, {"views": views})


__all__ = [
    "BUDGETS",
    "Made",
    "Report",
    "Request",
    "Section",
    "along",
    "check_place",
    "json_path",
    "make_request",
    "measure_report",
    "model_name",
    "to_json",
]
