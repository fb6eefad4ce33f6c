"""`charrnn inspect gates`: how often the gates are shut or wide open."""

import sys

from charrnn.cli.inspect import Json, Model, Text, view


@view("gates")
def gates(text: Text = None, model: Model = None, as_json: Json = False) -> None:
    """Used or stuck? How often gates are shut or open, and how long units keep."""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views.envelope import envelope, open_model, open_text
    from charrnn.views.gates import KEEPS, UNITS, Gates, measure_gates, to_result
    from charrnn.views.memory import Progress

    stored = open_model(model)
    inspected = open_text(stored, text or [])
    found: Gates | None = None
    with waiting() as update:
        for report in measure_gates(stored, inspected):
            if isinstance(report, Progress):
                update(report.what, report.done, report.total)
            else:
                found = report
    assert found is not None
    keeps = KEEPS[stored.config.cell_type]
    if as_json:
        result = to_result(found, keeps)
        whole = envelope("gates", stored, inspected, {}, UNITS, result, found.warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.gates import show_gates

    show_gates(found, keeps)
