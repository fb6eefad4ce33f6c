"""Stop strings in text that comes piece by piece: nothing is let through that may belong to one.

The text ends before the stop that is complete first; of several that end together, before the
longest. So the result does not depend on how the text is cut into pieces.
"""

from collections.abc import Sequence

from charrnn.errors import ConfigError


class StopFilter:
    """Lets text through up to a stop string; `found` tells that it has come."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Take the stop strings; raise ConfigError for an empty one."""
        if not all(stops):
            raise ConfigError("a stop string is empty: needs at least one character")
        self.found = False
        self._matchers = [_Matcher(stop) for stop in stops]
        self._held = ""  # the beginning of a stop, perhaps

    def feed(self, text: str) -> str:
        """Return what of the text so far can be printed now."""
        if not self._matchers:
            return text
        held = self._held + text
        end = len(held) - len(text)
        for char in text:
            end += 1
            stop = max(matcher.feed(char) for matcher in self._matchers)
            if stop:
                self.found = True
                self._held = ""
                return held[: end - stop]
        safe = len(held) - max(matcher.matched for matcher in self._matchers)
        self._held = held[safe:]
        return held[:safe]

    def flush(self) -> str:
        """Return what was held back: the text has ended without a stop."""
        held, self._held = self._held, ""
        return held


class _Matcher:
    """Finds one string in a stream of characters: Knuth, Morris and Pratt (1977)."""

    def __init__(self, pattern: str) -> None:
        self.matched = 0  # length of the longest beginning of the pattern that the text ends with
        self._pattern = pattern
        self._borders = [0]  # by prefix: length of its longest beginning that is also its end
        for char in pattern[1:]:
            self._borders.append(self._extend(self._borders[-1], char))

    def feed(self, char: str) -> int:
        """Take a character and return the pattern's length where that completes it, else 0."""
        self.matched = self._extend(self.matched, char)
        return self.matched if self.matched == len(self._pattern) else 0

    def _extend(self, length: int, char: str) -> int:
        while length and self._pattern[length] != char:
            length = self._borders[length - 1]
        return length + (self._pattern[length] == char)
