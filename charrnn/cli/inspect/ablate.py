"""`charrnn inspect ablate`: what a text costs more without each unit."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Json, Model, Text, view

NUM_UNITS = 50


@view("ablate")
def ablate(
    text: Text = None,
    model: Model = None,
    units: Annotated[int, typer.Option(min=1, help="Units to ablate exactly.")] = NUM_UNITS,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the targets and the control.")] = 0,
    as_json: Json = False,
) -> None:
    """Which units matter? Each is held at its mean, and the loss in bits is measured."""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views.ablate import Ablation, measure_ablation, to_result
    from charrnn.views.envelope import envelope, open_model, open_text
    from charrnn.views.memory import Progress

    stored = open_model(model)
    inspected = open_text(stored, text or [])
    found: Ablation | None = None
    with waiting() as update:
        for report in measure_ablation(stored, inspected, units, seed):
            if isinstance(report, Progress):
                update(report.what, report.done, report.total)
            else:
                found = report
    assert found is not None
    if as_json:
        names = dict.fromkeys(("estimate", "delta", "chance", "all_units"), "bits per token")
        settings = {"units": units, "seed": seed}
        whole = envelope("ablate", stored, inspected, settings, names, to_result(found))
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.ablate import show_ablation

    show_ablation(found)
