"""A report -> one HTML file: everything in it, nothing fetched, and only our own script may run.

The page's policy (Content-Security-Policy) allows one style sheet and one script, by their hashes;
all text that is not ours is escaped by the templates.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from charrnn import __version__
from charrnn.display.foreign import one_line
from charrnn.display.report import (
    parts_gates,
    parts_judged,
    parts_memory,
    parts_model,
    parts_symbols,
    parts_text,
    parts_units,
)
from charrnn.display.report.blocks import Part
from charrnn.display.report.paint import STEPS
from charrnn.views.gates import KEEPS
from charrnn.views.report import Report, Section
from charrnn.views.report_request import LISTS, cut_note

PACKAGE = "charrnn.display.report"
TITLES = {
    "summary": "What is this model, and is it healthy?",
    "curve": "Is it still learning?",
    "surprisal": "Where is it surprised, and what did it expect?",
    "cells": "Which units track something, and is it real?",
    "cell": "What does one unit do?",
    "copying": "Is a sample plagiarism?",
    "memory": "How far back does it look?",
    "compare": "Does it know more than counting does?",
    "probe": "Does the state know a label that nobody taught it?",
    "saliency": "Which inputs mattered for one prediction?",
    "gates": "Are its gates used, or stuck?",
    "ablate": "Which units matter?",
    "errors": "What would fix its errors?",
    "calibration": "Can its confidence be believed?",
    "embed": "Which symbols does it take for alike?",
}


def render(report: Report, numbers: str) -> bytes:
    """Return the page; `numbers` is the name of the JSON file beside it."""
    style, script = asset("report.css") + scale_rules(), asset("report.js")
    parts = [part_of(report, section) for section in report.sections]
    page = environment().get_template("report.html.j2")
    config = report.stored.config
    text = page.render(
        name=one_line(report.name),
        kind=f"{config.num_layers} × {config.hidden_size} {config.cell_type}",
        level=report.stored.tokenizer.level,
        path=one_line(str(report.stored.path)),
        sha256=report.stored.sha256 or "",
        text=report.text,
        whole=report.whole,
        budget=report.budget,
        numbers=one_line(numbers),
        version=__version__,
        parts=parts,
        style=Markup(style),
        script=Markup(script),
        policy=policy(style, script),
    )
    return text.encode("utf-8")


def policy(style: str, script: str) -> str:
    """Return what the page may do: nothing, but for this style and this script."""
    hashes = [
        base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")
        for source in (style, script)
    ]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def environment() -> Environment:
    """Return the templates, which escape every value that is not Markup."""
    made = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["visible"] = one_line
    return made


def asset(name: str) -> str:
    """Return a file of the package."""
    return files(PACKAGE).joinpath(name).read_text(encoding="utf-8")


def scale_rules() -> str:
    """Return the colours of the painted classes: blue, white, orange, in equal steps."""
    rules = []
    for step in range(STEPS + 1):
        share = abs(2 * step / STEPS - 1)
        end = "cold" if 2 * step < STEPS else "warm"
        colour = f"color-mix(in srgb, var(--{end}) {100 * share:.0f}%, var(--paper))"
        rules.append(f".q{step}{{background:{colour}}}\n")
    return "".join(rules)


def part_of(report: Report, section: Section) -> Part:
    """Return a section as the page shows it; one that could not be made says why."""
    title = TITLES[section.view]
    if section.made is None:
        return Part(section.view, "", None, "", missing=section.missing, title=title)
    part = PARTS[section.view](report, section.made.found)
    known = section.made.envelope["warnings"]
    said = "" if report.text is None else cut_note(len(report.text.ids), report.whole)
    # the page says at its head how much was read; lists are a matter of the JSON file
    warnings = [one for one in known if one != said and not one.startswith(LISTS)]
    return replace(part, title=title, warnings=tuple(warnings))


def text_part(make: Callable[..., Part]) -> Callable[[Report, Any], Part]:
    """Return a maker of a section that needs the model and the text."""

    def made(report: Report, found: Any) -> Part:
        return make(report.stored, report.text, found)

    return made


PARTS: dict[str, Callable[[Report, Any], Part]] = {
    "summary": lambda report, found: parts_model.summary_part(report.stored, found),
    "curve": lambda _, found: parts_model.curve_part(found),
    "surprisal": text_part(parts_text.surprisal_part),
    "cells": lambda report, found: parts_units.cells_part(report.stored.tokenizer, found),
    "cell": lambda _, found: parts_units.cell_part(found),
    "copying": lambda _, found: parts_memory.copying_part(found),
    "memory": lambda _, found: parts_memory.memory_part(found),
    "compare": lambda report, found: parts_text.compare_part(report.stored, found),
    "probe": lambda _, found: parts_symbols.probe_part(found),
    "saliency": text_part(parts_text.saliency_part),
    "gates": lambda report, found: parts_gates.gates_part(
        found, KEEPS[report.stored.config.cell_type]
    ),
    "ablate": lambda _, found: parts_judged.ablate_part(found),
    "errors": lambda _, found: parts_judged.errors_part(found),
    "calibration": lambda _, found: parts_judged.calibration_part(found),
    "embed": lambda _, found: parts_symbols.embed_part(found),
}
