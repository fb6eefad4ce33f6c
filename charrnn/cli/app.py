"""All commands. Nothing here imports what a command needs: each does that when it runs."""

import sys
from typing import Annotated

import typer

from charrnn import __version__
from charrnn.cli import inspect, sample, sampleoptions, train, trainoptions
from charrnn.cli.commandclass import PlainGroup, command_class

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(
    name="charrnn",
    cls=PlainGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)
app.command("train", cls=command_class(trainoptions.ITEMS))(train.train)
app.command("sample", cls=command_class(sampleoptions.ITEMS))(sample.sample)
inspect.load_views()
app.add_typer(inspect.app, name="inspect")


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        sys.stdout.write(f"charrnn {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "-V", "--version", is_eager=True, callback=show_version, help="Show the version."
        ),
    ] = False,
) -> None:
    """Point it at a text and have a recurrent language model of it, which writes and scores."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
