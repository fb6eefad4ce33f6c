"""`charrnn inspect curve`: how the losses went, and what the network wrote on the way."""

import sys

from charrnn.cli.inspect import Json, Model, view


@view("curve")
def curve(model: Model = None, as_json: Json = False) -> None:
    """Is it still learning? Losses, rates, gradients and samples, first to last."""
    from charrnn.modeldir import run_directory
    from charrnn.strictjson import dumps
    from charrnn.views.curve import UNITS, read_curve, to_result
    from charrnn.views.envelope import envelope, open_model

    stored = open_model(model)
    found = read_curve(run_directory(stored))
    if as_json:
        whole = envelope("curve", stored, None, {}, UNITS, to_result(found))
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.curve import show_curve

    show_curve(found)
