"""`charrnn inspect calibration`: whether the network's confidence can be believed."""

import sys

from charrnn.cli.inspect import Json, Model, Text, view


@view("calibration")
def calibration(text: Text = None, model: Model = None, as_json: Json = False) -> None:
    """When it says 70%, is it right in 70 of 100 cases?"""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views.calibration import measure_calibration, to_result
    from charrnn.views.envelope import envelope, open_model, open_text

    stored = open_model(model)
    inspected = open_text(stored, text or [])
    with waiting() as told:
        found = measure_calibration(stored, inspected, told=told)
    if as_json:
        units = {"ece": "probability", "accuracy": "probability", "saved": "bits per token"}
        result = to_result(found)
        whole = envelope("calibration", stored, inspected, {}, units, result, found.warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.calibration import show_calibration

    show_calibration(found)
