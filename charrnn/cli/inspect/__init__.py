"""`charrnn inspect`: one file of this package for each view, and what all of them have in common.

A view is a module whose function is declared with `@view("name")`; its file's name goes into VIEWS.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, TypeVar

import typer

from charrnn.cli.commandclass import PlainCommand, PlainGroup
from charrnn.cli.options import as_typed
from charrnn.cli.threads import prepare_torch

View = TypeVar("View", bound=Callable[..., None])

VIEWS: tuple[str, ...] = (
    "summary",
    "curve",
    "surprisal",
    "cells",
    "cell",
    "copying",
    "compare",
    "memory",
    "probe",
    "saliency",
    "gates",
    "ablate",
    "errors",
    "calibration",
    "embed",
    "report",
)  # modules of this package, in the order in which --help lists them

Model = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        parser=as_typed,
        metavar="DIR",
        show_default=False,
        help="Model directory or checkpoint [default: $CHARRNN_MODEL, or the newest in runs/].",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write the numbers as one JSON object.")]
Text = Annotated[
    list[str] | None,
    typer.Argument(
        parser=as_typed,
        metavar="TEXT",
        show_default=False,
        help="Files or - [default: the validation part of the model's own text].",
    ),
]
Corpus = Annotated[
    list[str] | None,
    typer.Option(
        parser=as_typed,
        metavar="FILE",
        show_default=False,
        help="What it was trained on, to count in [default: the model's own text].",
    ),
]

app = typer.Typer(cls=PlainGroup, rich_markup_mode=None, help="Look inside a trained model.")


@app.callback(invoke_without_command=True)
def list_views(context: typer.Context) -> None:
    """Look inside a trained model."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
    prepare_torch()


def view(name: str) -> Callable[[View], View]:
    """Return a decorator that makes a function the command of the view `name`."""
    return app.command(name, cls=PlainCommand)


def load_views() -> None:
    """Import the views, so that each declares its command."""
    for name in VIEWS:
        import_module(f"charrnn.cli.inspect.{name}")
