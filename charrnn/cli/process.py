"""The process around a command: descriptors, encodings, one-line errors, and how it ends.

Exit codes: 0 done, or nobody reads the output any more; 1 it failed while running; 2 wrong usage or
input. A signal kills the process for real, with the default handler.
"""

import contextlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn

from charrnn.cli.streams import ReaderGoneError, open_streams
from charrnn.display.foreign import one_line
from charrnn.display.output import Messages, drop_pending
from charrnn.errors import CharRNNError, FailureError

DEBUG = "CHARRNN_DEBUG"  # set: show tracebacks
OUT_OF_MEMORY = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "bad_alloc",
    "alloc_failed",  # cuBLAS and cuDNN
    "allocation_failed",
    "could not create a primitive",  # oneDNN, which says no more
    "could not execute a primitive",
)


class KilledError(BaseException):
    """A signal that must end the process, once everything is tidied up."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def run_process(command: Callable[[], int]) -> int:
    """Return the exit code of `command`, whatever happens in it; or die by a signal."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        open_streams()
        if not sys.warnoptions and not os.environ.get(DEBUG):
            warnings.simplefilter("ignore")
        code = command()
        sys.stdout.flush()
    except ReaderGoneError:
        drop_pending(sys.stdout)
        code = 0
    except KeyboardInterrupt:
        die(signal.SIGINT)
    except KilledError as error:
        die(error.signum)
    except Exception as error:
        code = report_error(error)
    return code


def report_error(error: Exception) -> int:
    """Say in one line on stderr what went wrong; return the exit code."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    with contextlib.suppress(Exception):
        sys.stdout.flush()  # what was written before is not lost
    drop_pending(sys.stdout)
    message, code = explain(error)
    Messages(sys.stderr).line(f"charrnn: error: {one_line(' '.join(message.split()))}")
    return code


def explain(error: Exception) -> tuple[str, int]:
    """Return what to say about `error`, and the exit code."""
    if isinstance(error, CharRNNError):
        return str(error), error.exit_code
    if hasattr(error, "format_message"):  # of Typer, which has changed the home of its errors
        return str(error.format_message()), int(getattr(error, "exit_code", 2))
    if is_out_of_memory(error):
        return "out of memory: needs a smaller text, model or batch", 1
    if isinstance(error, OSError) and error.strerror:
        place = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return f"{place}{error.strerror}", 1
    name = type(error).__name__
    return f"{name}: {error} (set {DEBUG}=1 for the traceback)", 1


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that memory ran out; torch says it in words only."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY)


@contextlib.contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Turn memory that runs out into a FailureError that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        if not is_out_of_memory(error):
            raise
        raise FailureError(f"out of memory: {advice}") from error


def die(signum: int) -> NoReturn:
    """End the process by `signum`, so that its parent can see that it was a signal."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signum])
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)
