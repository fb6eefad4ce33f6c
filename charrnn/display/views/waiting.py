"""How far a long view is: on a terminal at stderr a bar with the time that is left.

Elsewhere nothing, but for a view that takes long one plain line that says what it does.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from charrnn.display.foreign import one_line
from charrnn.display.output import Messages
from charrnn.display.paint import is_terminal

LONG_SECONDS = 10.0  # without a terminal a view is silent so long


class Update(Protocol):
    """What is told: what is being done, and how much of how much is done."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


@contextmanager
def waiting() -> Iterator[Update]:
    """Give a function that moves the bar; the bar is gone at the end."""
    if not is_terminal(sys.stderr):
        yield one_plain_line(Messages(sys.stderr))
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def update(what: str, done: int, total: int) -> None:
            progress.update(task, description=one_line(what), completed=done, total=total)

        yield update


def one_plain_line(messages: Messages, clock: Callable[[], float] = time.monotonic) -> Update:
    """Return a function that writes one line, as soon as the view has taken long."""
    begin, said = clock(), False

    def update(what: str, done: int, total: int) -> None:
        nonlocal said
        seconds = clock() - begin
        if said or seconds < LONG_SECONDS:
            return
        said = True
        share = f", {done / total:.0%} of it done" if total else ""
        messages.line(f"charrnn: after {seconds:.0f} s still at work: {one_line(what)}{share}")

    return update
