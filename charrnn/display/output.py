"""Streams that other programs read: muted once nobody does, and never a cause to stop."""

import contextlib
import io
import os
from typing import TextIO


class Messages:
    """Writes lines for people to `stream`; once that fails, for good, it says nothing more."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.muted = False

    def write(self, text: str) -> None:
        """Write `text` and flush it."""
        if self.muted:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # a closed file is a ValueError
            self.muted = True
            drop_pending(self.stream)

    def line(self, text: str) -> None:
        """Write `text` as one line."""
        self.write(text + "\n")


def drop_pending(stream: TextIO) -> None:
    """Point the descriptor of `stream` at nothing, so that what is still buffered cannot fail."""
    with contextlib.suppress(OSError, ValueError), io.FileIO(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())
