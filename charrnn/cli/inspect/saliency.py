"""`charrnn inspect saliency`: which inputs mattered for one prediction."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Json, Model, Text, view

BACK = 100


@view("saliency")
def saliency(
    text: Text = None,
    model: Model = None,
    at: Annotated[
        int | None,
        typer.Option(
            show_default=False,
            help="The token whose prediction is looked at, from 0; negative: from the end "
            "[default: the last].",
        ),
    ] = None,
    back: Annotated[int, typer.Option(min=1, max=5000, help="Tokens before it.")] = BACK,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the redraws.")] = 0,
    as_json: Json = False,
) -> None:
    """Which inputs mattered for this prediction?"""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views.envelope import envelope, open_model, open_text
    from charrnn.views.saliency import measure_saliency, to_result

    stored = open_model(model)
    inspected = open_text(stored, text or [])
    with waiting() as told:
        found = measure_saliency(stored, inspected, at, back, seed, told=told)
    symbols = stored.tokenizer.pieces
    pieces = [symbols[int(i)] or "⟨s⟩" for i in inspected.ids[found.first : found.target]]
    target = symbols[int(inspected.ids[found.target])] or "⟨/s⟩"
    if as_json:
        nats = ("log_p", "baseline", "grad_input", "integrated", "swap", "control")
        units = {**dict.fromkeys(nats, "nats"), "grad": "nats per unit of the input"}
        settings = {"at": at, "back": back, "seed": seed}
        result = to_result(found, pieces, target)
        whole = envelope("saliency", stored, inspected, settings, units, result)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.saliency import show_saliency

    show_saliency(found, pieces, target)
