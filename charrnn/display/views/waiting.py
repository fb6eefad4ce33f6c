"""How far a long view is: a bar with the time that is left, on a terminal at stderr only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from charrnn.display.foreign import one_line


class Update(Protocol):
    """What is told: what is being done, and how much of how much is done."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


@contextmanager
def waiting() -> Iterator[Update]:
    """Give a function that moves the bar; the bar is gone at the end."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    disabled = not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=disabled) as progress:
        task = progress.add_task("", total=None)

        def update(what: str, done: int, total: int) -> None:
            progress.update(task, description=one_line(what), completed=done, total=total)

        yield update
