"""`charrnn inspect errors`: what would fix the errors."""

import sys

from charrnn.cli.inspect import Corpus, Json, Model, Text, view


@view("errors")
def errors(
    text: Text = None,
    model: Model = None,
    corpus: Corpus = None,
    as_json: Json = False,
) -> None:
    """What would fix its errors: n-grams, memory, words, or nothing?"""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views.envelope import envelope, open_model, open_text
    from charrnn.views.errors import measure_errors, to_result

    stored = open_model(model)
    inspected = open_text(stored, text or [])
    with waiting() as told:
        found = measure_errors(stored, inspected, corpus or [], told=told)
    if as_json:
        units = {"share": "share of errors", "bits": "bits above one an error"}
        result = to_result(found)
        settings = {"corpus": corpus}
        whole = envelope("errors", stored, inspected, settings, units, result, found.warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.errors import show_errors

    show_errors(found)
