"""`charrnn inspect summary`: what a model is, whether it is healthy, how good beside floors."""

import sys

from charrnn.cli.inspect import Json, Model, view


@view("summary")
def summary(model: Model = None, as_json: Json = False) -> None:
    """What is this model, is it healthy, and how good is it beside simple floors?"""
    from charrnn.display.views.waiting import waiting
    from charrnn.modeldir import run_directory
    from charrnn.strictjson import dumps
    from charrnn.views.envelope import envelope, open_model
    from charrnn.views.summary import UNITS, summarize, to_result

    stored = open_model(model)
    with waiting() as told:
        found = summarize(stored, run_directory(stored), told)
    if as_json:
        whole = envelope("summary", stored, None, {}, UNITS, to_result(found), found.warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.summary import show_summary

    show_summary(stored, found)
