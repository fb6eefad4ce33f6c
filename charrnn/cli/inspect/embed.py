"""`charrnn inspect embed`: the neighbours of symbols among the weights."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Json, Model, view
from charrnn.cli.options import as_typed

NEIGHBOURS = 6


@view("embed")
def embed(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            parser=as_typed,
            metavar="SYMBOL",
            show_default=False,
            help="Words or characters [default: the first of the vocabulary].",
        ),
    ] = None,
    model: Model = None,
    neighbours: Annotated[
        int, typer.Option("-k", "--neighbours", min=1, max=100, help="How many of each.")
    ] = NEIGHBOURS,
    as_json: Json = False,
) -> None:
    """Which symbols does it take for alike, coming in and going out?"""
    from charrnn.strictjson import dumps
    from charrnn.views.embed import UNITS, measure_embedding, to_result
    from charrnn.views.envelope import envelope, open_model

    stored = open_model(model)
    found = measure_embedding(stored, words or [], neighbours)
    if as_json:
        settings = {"symbols": words, "neighbours": neighbours}
        whole = envelope("embed", stored, None, settings, UNITS, to_result(found))
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.embed import show_embedding

    show_embedding(found)
