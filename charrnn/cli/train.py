"""`charrnn train`: options -> a request -> reports, which are shown, and ends as they say."""

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from charrnn.cli.options import add_options, as_typed
from charrnn.cli.process import die, memory_advice
from charrnn.cli.signals import Stop, stopped_by_signals
from charrnn.cli.streams import ReaderGoneError, require_stdout
from charrnn.cli.threads import prepare_torch
from charrnn.cli.trainoptions import ITEMS, PANELS, SHORT, make_request, merge_file
from charrnn.display.output import drop_pending

if TYPE_CHECKING:
    from charrnn.reports import Report
    from charrnn.request import RunRequest

LOWER = "lower --batch-size, --seq-length or --hidden-size"


@add_options(ITEMS, PANELS, SHORT)
def train(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            parser=as_typed,
            metavar="TEXT",
            show_default=False,
            help="Files, globs, directories (their *.txt), .gz .bz2 .xz, or - for standard input.",
        ),
    ] = None,
    **options: Any,
) -> None:
    """Train a model of TEXT."""
    options = merge_file(options)
    request = make_request(text or [], options)
    prepare_torch(request.config.threads)
    with memory_advice(LOWER):
        run(request, options)


def run(request: "RunRequest", options: dict[str, Any]) -> None:
    """Carry out `request` and show what happens; a signal that stopped it ends the process."""
    from charrnn.display.training import choose_display
    from charrnn.reports import StepReport
    from charrnn.run import run_training

    as_json = options.get("json", False)
    if as_json:
        require_stdout()
    display = choose_display(
        sys.stderr,
        options.get("color", "auto"),
        quiet=options.get("quiet", False),
        verbose=options.get("verbose", False),
        shared=as_json and sys.stdout.isatty(),
        every_log="log_every" in options,
    )
    stop = Stop()
    with (
        stopped_by_signals(stop, display.resumed),
        closing(cast(Any, run_training(request, stop))) as reports,
    ):
        for report in reports:
            stop.graceful = stop.graceful or isinstance(report, StepReport)
            as_json = as_json and write_json(report)
            display.show(report)
    if stop.requested is not None:
        die(stop.requested)


def write_json(report: "Report") -> bool:
    """Write `report` as a JSON line, if it has one; return whether anybody reads them.

    A run goes on without readers: its result is the model.
    """
    from charrnn.cli.events import json_event
    from charrnn.strictjson import dumps

    event = json_event(report)
    if event is None:
        return True
    line = dumps(event, indent=None, sort_keys=False).decode("ascii")
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except ReaderGoneError:
        drop_pending(sys.stdout)
        return False
    return True
