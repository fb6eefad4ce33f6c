"""`charrnn inspect summary`: what a model is, whether it is healthy, how good beside floors."""

import sys
from dataclasses import asdict

from charrnn.cli.inspect import Json, Model, view


@view("summary")
def summary(model: Model = None, as_json: Json = False) -> None:
    """What is this model, is it healthy, and how good is it beside simple floors?"""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views.envelope import envelope, open_model, run_directory
    from charrnn.views.summary import summarize

    stored = open_model(model)
    with waiting() as told:
        found = summarize(stored, run_directory(stored), told)
    if as_json:
        units = {"train_loss": "nats per token", "valid_loss": "nats per token", "floors": "nats"}
        whole = envelope("summary", stored, None, {}, units, asdict(found))
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.summary import show_summary

    show_summary(stored, found)
