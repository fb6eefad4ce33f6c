"""Which display a training run gets: live on a terminal, plain lines elsewhere, or hardly any."""

import os
from typing import Protocol, TextIO

from charrnn.display.output import Messages
from charrnn.display.paint import Color, Paint, has_color, is_terminal
from charrnn.display.plain import PlainLog, QuietLog
from charrnn.reports import Report


class Display(Protocol):
    """Shows reports to people; it never raises for a stream that nobody reads any more."""

    messages: Messages

    def show(self, report: Report) -> None:
        """Show `report`."""

    def resumed(self) -> None:
        """Take notice that the process was stopped and goes on, and the screen has changed."""


def choose_display(
    stream: TextIO,
    color: Color = "auto",
    *,
    quiet: bool,
    verbose: bool,
    shared: bool,
    every_log: bool = False,
) -> Display:
    """Return a display that writes to `stream`; `shared`: others write to the same terminal.

    `every_log`: plain lines leave out no log report.
    """
    messages, colored = Messages(stream), has_color(color, stream)
    paint = Paint(colored)
    if quiet:
        return QuietLog(messages, paint)
    if shared or not is_terminal(stream) or os.environ.get("TERM") in ("dumb", "", None):
        return PlainLog(messages, paint, verbose, every_log)
    from charrnn.display.live import LiveDisplay, make_console

    return LiveDisplay(messages, paint, make_console(stream, colored), verbose)
