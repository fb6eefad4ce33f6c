"""A few lines at the bottom of a terminal that are painted over and over.

The cursor is never hidden and no mode is changed, so that a process which dies at any moment, even
killed, leaves the terminal as it was. Rich draws the lines; this only puts them in place.
"""

from rich.console import Console, RenderableType

from charrnn.display.output import Messages

CLEAR_DOWN = "\x1b[J"


class Region:
    """Paints on `messages`, a terminal whose size and colours `console` knows."""

    def __init__(self, messages: Messages, console: Console) -> None:
        self.messages, self.console = messages, console
        self.height = 0  # lines on the screen that the next frame replaces

    def paint(self, frame: RenderableType) -> None:
        """Replace the region by `frame`, cut to the height of the terminal."""
        lines = self._rows(frame)[: max(1, self.console.height - 1)]
        self.messages.write(self._home() + "".join(f"{line}\n" for line in lines))
        self.height = len(lines)

    def print_above(self, text: str) -> None:
        """Write a line that stays, where the region was; the region is painted anew later."""
        self.messages.write(f"{self._home()}{text}\n")
        self.height = 0

    def forget(self) -> None:
        """Leave what is on the screen; the next frame goes below it."""
        self.height = 0

    def _home(self) -> str:
        """Return the codes that bring the cursor to the region's start and clear it."""
        return f"\x1b[{self.height}A\r{CLEAR_DOWN}" if self.height else ""

    def _rows(self, frame: RenderableType) -> list[str]:
        with self.console.capture() as captured:
            self.console.print(frame)
        return captured.get().rstrip("\n").split("\n")
