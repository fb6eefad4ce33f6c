"""Text -> words: where one ends and the next begins. Joined, the pieces are the text again.

The classes are spelled out, not taken from an engine's idea of Unicode, so that other readers of
tokenizer.json find the same borders: a newline, a run of blanks, a mark of punctuation, or a word,
which is anything else, with apostrophes inside. Long runs are cut, so that memory stays bounded.
"""

import re
from collections.abc import Sequence

BLANKS = r" \t\r\x0b\x0c\x1c-\x1f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
MARKS = (
    r"!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf"
    r"\u2010-\u2027\u2030-\u205e"
    r"\u20a0-\u20bf\u2190-\u2bff\u3001-\u3003\u3008-\u3020\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40"
)
WORD = rf"[^\n{BLANKS}{MARKS}]"
PATTERN = rf"\n|[{BLANKS}]{{1,256}}|{WORD}{{1,256}}(?:['\u2019]{WORD}{{1,64}}){{0,4}}|[{MARKS}]"
GAPS = rf"[{BLANKS}]+"  # between the tokens of a pretokenized text
LONGEST = 1 << 16  # characters of a pretokenized token; what is longer is cut
_PIECES = re.compile(PATTERN)
_TOKENS = re.compile(rf"\n|[^\n{BLANKS}]{{1,{LONGEST}}}")
_BETWEEN = re.compile(rf"[\n{BLANKS}]")
_HELD_BACK = 2  # pieces at a chunk's end that the next chunk may change


def split_words(text: str) -> list[str]:
    """Return the pieces of `text`: "".join(split_words(text)) == text."""
    return _PIECES.findall(text)


def split_tokens(text: str) -> list[str]:
    """Return what stands between blanks, and each newline: the convention of PTB and WikiText."""
    tokens: list[str] = []
    for line in text.split("\n"):
        tokens += line.split()  # at just the BLANKS, and twice as fast as the expression
        tokens.append("\n")
    tokens.pop()
    return tokens if max(map(len, tokens), default=0) <= LONGEST else _TOKENS.findall(text)


class WordSplitter:
    """Splits a text that comes in chunks as if it came whole, in bounded memory."""

    def __init__(self, pretokenized: bool) -> None:
        self.pretokenized = pretokenized
        self.split = split_tokens if pretokenized else split_words
        self.rest = ""  # the end of the open part, that the next chunk may change

    def feed(self, parts: Sequence[str]) -> tuple[list[str], list[int]]:
        """Return the next pieces, and how many of them are of each part.

        There is a border between each two parts; the first goes on with what was held back, and the
        end of the last is held back.
        """
        pieces: list[str] = []
        lengths: list[int] = []
        *closed, last = self.rest + parts[0], *parts[1:]
        for part in closed:
            found = self.split(part)
            pieces += found
            lengths.append(len(found))
        found, self.rest = self._split_open(last)
        pieces += found
        lengths.append(len(found))
        return pieces, lengths

    def _split_open(self, text: str) -> tuple[list[str], str]:
        pieces = self.split(text)
        if not self.pretokenized:
            return pieces[:-_HELD_BACK], "".join(pieces[-_HELD_BACK:])
        if not pieces or _BETWEEN.match(text[-1]):
            return pieces, ""
        return pieces[:-1], pieces[-1]
