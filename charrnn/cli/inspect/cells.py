"""`charrnn inspect cells`: which units track something, and whether it is real."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Json, Model, Text, view
from charrnn.cli.options import as_typed

BUDGET = ("fast", "normal", "deep")


@view("cells")
def cells(
    text: Text = None,
    model: Model = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            parser=as_typed,
            metavar="NAME=REGEX",
            show_default=False,
            help="One more feature: on within what matches; repeatable.",
        ),
    ] = None,
    causal: Annotated[
        bool, typer.Option("--causal", help="Hold the units still and count the bits; slower.")
    ] = False,
    budget: Annotated[str, typer.Option(help="How much text: fast|normal|deep.")] = BUDGET[1],
    as_json: Json = False,
) -> None:
    """Which units track something, and is it real? Quotes, brackets, lines, words, names."""
    from charrnn.cli.parsing import parse_choice
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views import cells as numbers
    from charrnn.views.envelope import envelope, open_model, open_text
    from charrnn.views.features import parse_own

    amount = numbers.BUDGETS[parse_choice(budget, BUDGET, "--budget")]
    own = parse_own(feature or [])
    stored = open_model(model)
    inspected = open_text(stored, text or [])
    with waiting() as update:
        steps = numbers.measure_cells(stored, inspected, own, budget=amount, causal=causal)
        while True:
            try:
                report = next(steps)
            except StopIteration as stop:
                found: numbers.Cells = stop.value
                break
            update(report.what, report.done, report.total)
    if as_json:
        from charrnn.views.cells_result import to_result

        settings = {"budget": budget, "causal": causal, "feature": feature or []}
        units = {"delta_bits": "bits per token", "auc": "probability", "p": "after Holm"}
        result = to_result(found, stored.tokenizer)
        whole = envelope("cells", stored, inspected, settings, units, result, found.warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.cells import show_cells

    show_cells(found, stored.tokenizer)
