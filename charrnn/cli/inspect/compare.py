"""`charrnn inspect compare`: a model against another one, or against n-grams, on the same text."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Corpus, Json, Model, view
from charrnn.cli.options import as_typed
from charrnn.errors import ConfigError

MAX_ORDER = 10


@view("compare")
def compare(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            parser=as_typed,
            metavar="[A] [B] [TEXT]",
            show_default=False,
            help="Two models, or one to compare with n-grams; the text [default: A's own "
            "validation part].",
        ),
    ] = None,
    model: Model = None,
    corpus: Corpus = None,
    order: Annotated[
        int | None,
        typer.Option(min=1, max=20, help=f"Longest n-gram [default: {MAX_ORDER}]."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Paint the whole text.")] = False,
    as_json: Json = False,
) -> None:
    """Which of two models predicts better, where, and by how much? Or: what beats counting?"""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views import compare as numbers
    from charrnn.views.envelope import envelope, open_model, open_text

    first, second, texts = numbers.split_arguments(arguments or [], model)
    if second is not None and (corpus or order):
        name = "--corpus" if corpus else "--order"
        raise ConfigError(f"{name} is of n-grams: two models are compared without any")
    order = order or MAX_ORDER
    stored = open_model(first)
    other = None if second is None else open_model(second)
    text = open_text(stored, texts)
    with waiting() as told:
        if other is not None:
            found = numbers.compare_models(stored, other, text, told=told)
        else:
            found = numbers.compare_ngram(stored, text, corpus or [], order, told=told)
    pieces = [stored.tokenizer.pieces[int(i)] for i in found.ids]
    if as_json:
        units = {"bits_a": "bits per token", "saved": "bits per token", "difference": "bits"}
        settings = {"b": second, "corpus": corpus, "order": order if other is None else None}
        result = {**numbers.to_result(found), "tokens": pieces}
        whole = envelope("compare", stored, text, settings, units, result, found.warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.compare import show_compare

    show_compare(found, [piece or "⟨s⟩" for piece in pieces], everything=everything)
