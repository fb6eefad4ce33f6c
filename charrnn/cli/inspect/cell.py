"""`charrnn inspect cell`: what one unit does."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Json, Model, Text, view


@view("cell")
def cell(
    unit: Annotated[
        str, typer.Argument(metavar="UNIT", show_default=False, help="Such as c:0:17 or h:1:3.")
    ],
    text: Text = None,
    model: Model = None,
    everything: Annotated[bool, typer.Option("--all", help="Paint the whole text.")] = False,
    as_json: Json = False,
) -> None:
    """What does a unit do? The text painted with it, and where it is high and low."""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views.activations import parse_unit
    from charrnn.views.cell import Cell, measure_cell, to_result
    from charrnn.views.envelope import envelope, open_model, open_text

    stored = open_model(model)
    parse_unit(unit, stored.config)
    inspected = open_text(stored, text or [])
    with waiting() as update:
        steps = measure_cell(stored, inspected, unit)
        while True:
            try:
                update("reading", next(steps), len(inspected.ids))
            except StopIteration as stop:
                found: Cell = stop.value
                break
    if as_json:
        units = {"autocorrelation_time": "tokens", "time_constant": "tokens", "logit": "nats"}
        settings = {"unit": unit}
        whole = envelope(
            "cell", stored, inspected, settings, units, to_result(found), found.warnings
        )
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.cell import show_cell

    show_cell(found, everything=everything)
