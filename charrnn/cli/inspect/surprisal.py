"""`charrnn inspect surprisal`: the surprise of each symbol of a text, and the text's loss."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.inspect import Json, Model, Text, view
from charrnn.cli.options import number_parser
from charrnn.config import Range

if TYPE_CHECKING:
    from charrnn.evaluate import Evaluation
    from charrnn.modeldir import StoredModel
    from charrnn.views.envelope import Inspected
    from charrnn.views.surprisal import Surprisal

TOP_K = number_parser("--top-k", Range(0, 9))
PARTS = ("char", "word", "line")


@view("surprisal")
def surprisal(
    text: Text = None,
    model: Model = None,
    top_k: Annotated[
        int, typer.Option(parser=TOP_K, metavar="N", help="Guesses for the next symbol, up to 9.")
    ] = 0,
    by: Annotated[str, typer.Option(help="Paint each char, word or line.")] = "char",
    exact: Annotated[bool, typer.Option("--exact", help="One single pass, slower.")] = False,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Score it also by weights that follow the text.")
    ] = False,
    encoding: Annotated[
        str | None,
        typer.Option(help="Of the text [default: that of the model's own].", metavar="NAME"),
    ] = None,
    totals: Annotated[
        bool, typer.Option("--totals", help="The totals alone, no symbol's numbers.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Paint the whole text.")] = False,
    as_json: Json = False,
) -> None:
    """Where is the model surprised, and what did it expect? Scores any text."""
    from charrnn.display.views.waiting import waiting
    from charrnn.errors import ConfigError
    from charrnn.strictjson import dumps
    from charrnn.views.adapted import measure_adapted
    from charrnn.views.envelope import envelope, open_model, open_text
    from charrnn.views.surprisal import UNITS, measure_surprisal, warnings_of

    if by not in PARTS:
        raise ConfigError(f"--by is {by!r}: needs one of {', '.join(PARTS)}")
    stored = open_model(model)
    inspected = open_text(stored, text or [], encoding)
    with waiting() as told:
        found = measure_surprisal(stored, inspected, top_k=top_k, exact=exact, told=told)
        adapted = measure_adapted(stored, inspected, told=told) if adapt else None
    warnings = warnings_of(stored, found.totals)
    if as_json:
        result = to_json(stored, inspected, found, adapted, limit=0 if totals else None)
        settings = {"top_k": top_k, "exact": exact, "adapt": adapt, "totals": totals}
        whole = envelope("surprisal", stored, inspected, settings, UNITS, result, warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    options = {"unit": by, "everything": everything, "totals": totals}
    show(stored, inspected, found, adapted, warnings, options)


def to_json(
    stored: "StoredModel",
    inspected: "Inspected",
    found: "Surprisal",
    adapted: "Evaluation | None",
    limit: int | None,
) -> dict[str, Any]:
    """Return what --json writes, of the first `limit` tokens only."""
    from charrnn.views import adapted as dynamic
    from charrnn.views.skipped import skipped_rows
    from charrnn.views.surprisal import to_result

    symbols = stored.tokenizer.pieces
    result = to_result(found, [symbols[int(i)] for i in inspected.ids[:limit]], limit)
    if adapted is not None:
        result["adapted"] = dynamic.to_result(adapted, found.totals.loss)
    return {**result, "skipped": skipped_rows(inspected.skipped)}


def show(
    stored: "StoredModel",
    inspected: "Inspected",
    found: "Surprisal",
    adapted: "Evaluation | None",
    warnings: list[str],
    options: dict[str, Any],
) -> None:
    """Draw the view, as the `options` of its drawing say."""
    from charrnn.display.views.surprisal import show_surprisal
    from charrnn.views import adapted as dynamic
    from charrnn.views.skipped import with_skipped

    symbols = stored.tokenizer.pieces
    pieces = [symbols[int(i)] or "⟨s⟩" for i in inspected.ids]
    found, pieces, skipped = with_skipped(found, pieces, inspected.skipped)
    said = None if adapted is None else dynamic.sentence(adapted, found.totals.loss)
    show_surprisal(found, pieces, symbols, warnings, adapted=said, skipped=skipped, **options)
