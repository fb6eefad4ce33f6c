"""Signals during training: before the first step they end it, after it they ask it to stop."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from charrnn.cli.process import KilledError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether a signal has asked the run to stop; call it to know."""

    def __init__(self) -> None:
        self.requested: int | None = None  # number of the first signal
        self.graceful = False  # whether there is something worth saving

    def __call__(self) -> bool:
        """Return whether the run shall finish its step, save and end."""
        return self.requested is not None

    def take(self, signum: int, frame: FrameType | None = None) -> None:
        """Ask the run to stop; the next signal of any kind ends the process at once.

        Raises KilledError where there is nothing to save yet.
        """
        for number in STOPPING:
            if signal.getsignal(number) == self.take:
                signal.signal(number, signal.SIG_DFL)
        self.requested = signum
        if not self.graceful:
            raise KilledError(signum)


@contextlib.contextmanager
def stopped_by_signals(stop: Stop, resumed: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP set `stop`, unless they are ignored (nohup); SIGCONT calls
    `resumed`. Afterwards all is as it was, but a signal that came stays deadly."""

    def go_on(signum: int, frame: FrameType | None) -> None:
        resumed()

    before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGCONT)}
    for number in STOPPING:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, stop.take)
    signal.signal(signal.SIGCONT, go_on)
    try:
        yield
    finally:
        if stop.requested is None:
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        else:
            signal.signal(signal.SIGCONT, before[signal.SIGCONT] or signal.SIG_DFL)
