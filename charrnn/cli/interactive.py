"""`charrnn sample -i`: a prompt is read, the model goes on from it, and so on.

An empty line or the end of the input ends it. Each answer ends with a newline. Ctrl-C stops the
text that is being written; at the prompt it ends the process.
"""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from charrnn.cli.process import KilledError
from charrnn.display.output import Messages
from charrnn.display.paint import is_terminal
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.cli.sample import Events, Writer

PROMPT = "> "


def answer_lines(draw: "Callable[[str, int], Events]", write: "Writer", seed: int) -> None:
    """Answer each line of standard input; the seed of line i, from 0, is `seed` + i."""
    messages = Messages(sys.stderr)
    with terminated_tidily():
        for number, line in enumerate(read_lines()):
            try:
                write(draw(line, seed + number), line)
            except KeyboardInterrupt:
                sys.stdout.write("\n")
                sys.stdout.flush()
            except CharRNNError as error:
                messages.line(f"charrnn: error: {error}")


def read_lines() -> Iterator[str]:
    """Yield lines, without their newline, up to an empty one or the end of the input."""
    while True:
        try:
            line = read_line()
        except EOFError:
            return
        if not line:
            return
        yield line


def read_line() -> str:
    """Return the next line, edited with readline on a terminal. Raises EOFError at the end."""
    if is_terminal(sys.stdin) and is_terminal(sys.stdout):
        return edit_line()
    if is_terminal(sys.stdin):
        Messages(sys.stderr).write(PROMPT)
    line = sys.stdin.readline()
    if not line:
        if is_terminal(sys.stdin):
            Messages(sys.stderr).write("\n")  # the shell's prompt gets a line of its own
        raise EOFError
    return line.removesuffix("\n")


def edit_line() -> str:
    """Return the next line of the terminal, edited with readline. Raises EOFError at the end."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  input() uses it

    try:
        return input(PROMPT)
    except EOFError:
        sys.stdout.write("\n")
        sys.stdout.flush()
        raise


@contextlib.contextmanager
def terminated_tidily() -> Iterator[None]:
    """Turn SIGTERM into KilledError, so that readline puts the terminal back as it was."""

    def end(signum: int, frame: FrameType | None) -> None:
        raise KilledError(signum)

    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
