"""What a reader knows after each character of a text: in quotes, brackets, comments, strings.

One pass, character by character; the state after x_t depends on nothing after it. Spans that never
close end by themselves after a while, so that one stray quote does not turn all the rest over. A
NUL starts everything anew: it stands between documents.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

QUOTE_REACH = 2000  # characters after which an open double quote is taken for a stray one
SINGLE_REACH, ANGLE_REACH = 300, 300
PAIRS = {")": "(", "]": "[", "}": "{"}
STATES = (
    "in_double_quotes",
    "in_single_quotes",
    "in_parens",
    "in_brackets",
    "in_braces",
    "in_angles",
    "in_comment",
    "in_string",
    "in_if",
    "bracket_depth",
)


@dataclass
class Scanner:
    """The state after the characters that were read."""

    depth: dict[str, int] = field(default_factory=lambda: {"(": 0, "[": 0, "{": 0})
    last: str = ""  # the character before this one
    word: str = ""  # the word before this character, if only blanks stand between
    double: int = 0  # characters since an open quote, itself included; 0 = none is open
    single: int = 0
    pending: int = 0  # a quote mark behind a letter has closed, unless a letter follows
    angle: int = 0
    if_depth: int = 0  # of round brackets since `if (`
    comment: str = ""  # what ends it
    string: str = ""  # what ends it
    escaped: bool = False
    run: int = 0  # equal quote marks in a row

    def read(self, char: str) -> tuple[float, ...]:
        """Take one character and return the values of STATES after it."""
        self._quotes(char)
        self._brackets(char)
        self._code(char)
        blank = char in " \t"
        if not blank:
            joined = self.last.isalnum() and char.isalnum()
            self.word = (self.word + char if joined else char)[-3:]
        self.last = char
        d = self.depth
        flags = (self.double, self.single, d["("], d["["], d["{"], self.angle)
        more = (self.comment, self.string, self.if_depth)
        return (*(float(bool(f)) for f in (*flags, *more)), float(d["("] + d["["]))

    def _quotes(self, char: str) -> None:
        self.double = self.double + 1 if 0 < self.double < QUOTE_REACH else 0
        self.single = self.single + 1 if 0 < self.single < SINGLE_REACH else 0
        if char in '"“”':
            opens = char == "“" or (char == '"' and not self.double)
            self.double = 1 if opens else 0
        if self.pending and char.isalnum():
            self.single = self.pending + 2  # it was an apostrophe
        self.pending = 0
        if char == "‘" or (char == "'" and not self.single and not self.last.isalnum()):
            self.single = 1
        elif char in "'’" and self.single:
            self.pending, self.single = self.single, 0
        elif char == "\n" and self.last == "\n":
            self.single = 0

    def _brackets(self, char: str) -> None:
        if char in self.depth:
            if char == "(" and (self.if_depth or self.word == "if"):
                self.if_depth += 1
            self.depth[char] += 1
        elif char in PAIRS:
            opener = PAIRS[char]
            self.depth[opener] = max(0, self.depth[opener] - 1)
            if char == ")" and self.if_depth:
                self.if_depth -= 1
        self.angle = self.angle + 1 if 0 < self.angle < ANGLE_REACH else 0
        if char == "<":
            self.angle = 1
        elif char == ">" or (char.isspace() and self.last == "<"):
            self.angle = 0

    def _code(self, char: str) -> None:
        pair = self.last + char
        if self.comment:
            if self.comment in (char, pair):
                self.comment = ""
        elif self.string:
            self._in_string(char)
        elif char in "\"'" and not (char == "'" and self.last.isalnum()):
            self.run = self.run + 1 if self.last == char else 1
            self.string = char * 3 if self.run == 3 else char
            self.escaped, self.run = False, 0 if self.run == 3 else self.run
        elif char == "#" or pair == "//":
            self.comment = "\n" if self.last != ":" else ""
        elif pair == "/*":
            self.comment = "*/"

    def _in_string(self, char: str) -> None:
        if self.escaped:
            self.escaped = False
        elif char == "\\":
            self.escaped = True
        elif char == self.string[0]:
            self.run = self.run + 1 if self.last == char else 1
            if self.run >= len(self.string):
                long = len(self.string) == 3
                self.string = ""
                self.run = 0 if long or self.run > 2 else self.run
        elif char == "\n" and len(self.string) == 1:
            self.string = ""


def scan(text: str) -> dict[str, NDArray[np.float32]]:
    """Return each of STATES after each character of `text`, (N,): 0 or 1, or a depth."""
    scanner = Scanner()
    values = np.zeros((len(text), len(STATES)), np.float32)
    for index, char in enumerate(text):
        if char == "\0":
            scanner = Scanner()
        else:
            values[index] = scanner.read(char)
    return dict(zip(STATES, values.T, strict=True))
