"""Standard input, output and error as a command needs them: open, UTF-8, and with clear failures.

A descriptor that the parent closed is opened on /dev/null, so that no file of ours gets its number;
standard output is then opened for reading, so that writing results fails.
"""

import errno
import fcntl
import io
import os
import sys
from typing import TYPE_CHECKING, BinaryIO

from charrnn.errors import FailureError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class ReaderGoneError(Exception):
    """Nobody reads standard output any more: there is no reason to go on, and none to complain."""


class StandardOutput(io.FileIO):
    """Descriptor 1, with errors that say what failed."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write `data`. Raises ReaderGoneError for a closed pipe, else FailureError."""
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            raise ReaderGoneError from None
        except OSError as error:
            closed = error.errno == errno.EBADF
            reason = "it is closed" if closed else error.strerror
            raise FailureError(f"cannot write to standard output: {reason}") from error


def open_streams() -> None:
    """Make sys.stdin, sys.stdout and sys.stderr usable, whatever the parent process left open."""
    for descriptor, mode in ((0, "r"), (1, "r"), (2, "w")):
        fill(descriptor, mode)
    source = io.BufferedReader(io.FileIO(0, "r", closefd=False))
    sys.stdin = text_stream(source, "surrogateescape")
    sys.stdout = text_stream(io.BufferedWriter(StandardOutput(1, "w", closefd=False)))
    sys.stderr = text_stream(io.BufferedWriter(io.FileIO(2, "w", closefd=False)))
    sys.stderr.reconfigure(line_buffering=True)


def text_stream(buffer: BinaryIO, errors: str = "backslashreplace") -> io.TextIOWrapper:
    """Return `buffer` as UTF-8 text whose newlines stay as they are."""
    return io.TextIOWrapper(buffer, encoding="utf-8", errors=errors, newline="\n")


def fill(descriptor: int, mode: str) -> None:
    """Open /dev/null as `descriptor` if that is closed."""
    try:
        os.fstat(descriptor)
    except OSError:
        with io.FileIO(os.devnull, mode) as nothing:
            copy = os.dup(nothing.fileno())  # `nothing` may have got this very number
        os.dup2(copy, descriptor)
        os.close(copy)


def require_stdout() -> None:
    """Raise FailureError where standard output is closed, before work is done in vain."""
    if fcntl.fcntl(1, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise FailureError("cannot write to standard output: it is closed")
