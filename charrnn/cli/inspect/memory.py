"""`charrnn inspect memory`: how far back a network looks."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Json, Model, Text, view
from charrnn.cli.options import as_typed

NUM_TARGETS, NUM_LAGS = 1024, 100
OLDER = ("zeroed", "swapped")


@view("memory")
def memory(
    text: Text = None,
    model: Model = None,
    versus: Annotated[
        list[str] | None,
        typer.Option(
            parser=as_typed,
            metavar="MODEL",
            show_default=False,
            help="Another model for the plot of gradients; repeatable.",
        ),
    ] = None,
    older: Annotated[str, typer.Option(help="What older context becomes: zeroed|swapped.")] = (
        OLDER[0]
    ),
    targets: Annotated[int, typer.Option(min=2, help="Tokens that are predicted.")] = NUM_TARGETS,
    lags: Annotated[int, typer.Option(min=2, max=2000, help="Lags of the gradient.")] = NUM_LAGS,
    as_json: Json = False,
) -> None:
    """How far back does it look? In bits, in closed brackets, and by the gradient."""
    from charrnn.cli.parsing import parse_choice
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views import memory as numbers
    from charrnn.views.envelope import envelope, open_model, open_text

    how = numbers.OLDER[parse_choice(older, OLDER, "--older")]
    stored = open_model(model)
    others = [open_model(name) for name in versus or []]
    inspected = open_text(stored, text or [])
    found: numbers.Memory | None = None
    with waiting() as update:
        for report in numbers.measure_memory(
            stored, inspected, others, older=how, num_targets=targets, num_lags=lags
        ):
            if isinstance(report, numbers.Progress):
                update(report.what, report.done, report.total)
            else:
                found = report
    assert found is not None
    if as_json:
        units = {
            "delta": "bits per token",
            "horizon": "tokens",
            "gradients": "nats per unit of the state",
            "slope": "ln per token",
            "closers": "probability",
        }
        settings = {"versus": versus or [], "older": older, "targets": targets, "lags": lags}
        result = numbers.to_result(found)
        whole = envelope("memory", stored, inspected, settings, units, result, found.warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.memory import show_memory

    show_memory(found)
