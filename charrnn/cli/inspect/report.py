"""`charrnn inspect report`: every view in one HTML page, and their numbers in one JSON file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli.inspect import Corpus, Json, Model, Text, view
from charrnn.cli.options import as_typed

BUDGET = ("fast", "normal", "deep")


@view("report")
def report(
    text: Text = None,
    model: Model = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            parser=as_typed,
            metavar="FILE",
            show_default=False,
            help="The page; the numbers go beside it [default: report-NAME.html].",
        ),
    ] = None,
    corpus: Corpus = None,
    probe: Annotated[
        str | None,
        typer.Option(
            parser=as_typed,
            metavar="TSV",
            show_default=False,
            help="label<TAB>text lines, for the view probe.",
        ),
    ] = None,
    budget: Annotated[str, typer.Option(help="How much is looked at: fast|normal|deep.")] = (
        BUDGET[1]
    ),
    as_json: Json = False,
) -> None:
    """All views on one page that needs no network: what did it learn, and can I believe that?"""
    from charrnn.cli.parsing import parse_choice
    from charrnn.display.report import render
    from charrnn.display.views.waiting import waiting
    from charrnn.store import clean_abandoned, write_file
    from charrnn.strictjson import dumps
    from charrnn.views import report as numbers
    from charrnn.views.envelope import open_model

    amount = numbers.BUDGETS[parse_choice(budget, BUDGET, "--budget")]
    stored = open_model(model)
    page = Path(output or f"report-{numbers.model_name(stored)}.html")
    numbers.check_place(page)
    request = numbers.make_request(stored, text or [], amount, corpus or [], probe)
    with waiting() as update:
        steps = numbers.measure_report(request, budget)
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                found: numbers.Report = stop.value
                break
            update(step.what, step.done, step.total)
    beside = numbers.json_path(page)
    whole = dumps(numbers.to_json(found, request), indent=None)
    for path in (beside, page):
        clean_abandoned(path)
    write_file(beside, whole + b"\n")
    write_file(page, render(found, beside.name))
    if as_json:
        sys.stdout.write(whole.decode("ascii") + "\n")
        return
    from charrnn.display.foreign import one_line

    sys.stdout.write(one_line(str(page)) + "\n")
