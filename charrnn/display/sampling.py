"""Drawn text -> standard output: raw to a pipe, made visible on a terminal, as it comes."""

import time
from collections.abc import Callable
from typing import TextIO

from charrnn.display.foreign import visible
from charrnn.display.paint import is_terminal

FLUSH_SECONDS = 0.05  # between two flushes to a pipe; a terminal gets each piece at once


class TextWriter:
    """Writes samples one after another to `stream`.

    `end` is what each of them ends with: "\\0", "\\n" (added only where it is missing), or "" for
    one exact sample. On a terminal a missing newline is always added.
    """

    def __init__(
        self, stream: TextIO, end: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stream, self.end, self.clock = stream, end, clock
        self.terminal = is_terminal(stream)
        self.last = ""  # character of the sample that is being written
        self.flush_at = 0.0

    def write(self, text: str) -> None:
        """Write a piece of the present sample; the first piece is seen at once."""
        if not text:
            return
        self.stream.write(visible(text) if self.terminal else text)
        self.last = text[-1]
        if self.terminal:
            self.stream.flush()
        elif (now := self.clock()) >= self.flush_at:
            self.stream.flush()
            self.flush_at = now + FLUSH_SECONDS

    def finish(self) -> None:
        """End the present sample."""
        if self.end == "\0":
            self.stream.write(visible("\0") if self.terminal else "\0")
        elif self.last != "\n" and (self.end or self.terminal):
            self.stream.write("\n")
        self.last = ""
        self.stream.flush()
