"""Text -> words: where one ends and the next begins. Joined, the pieces are the text again.

The classes are spelled out, not taken from an engine's idea of Unicode, so that other readers of
tokenizer.json find the same borders: a newline, a run of blanks, a mark of punctuation, or a word,
which is anything else, with apostrophes inside. Long runs are cut, so that memory stays bounded.
"""

import re
from collections.abc import Iterable, Iterator

BLANKS = r" \t\r\x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
MARKS = (
    r"!-/:-@\[-`{-~\xa1-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\u2010-\u2027\u2030-\u205e"
    r"\u20a0-\u20bf\u2190-\u2bff\u3001-\u3003\u3008-\u3020\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40"
)
WORD = rf"[^\n{BLANKS}{MARKS}]"
PATTERN = rf"\n|[{BLANKS}]{{1,256}}|{WORD}{{1,256}}(?:['\u2019]{WORD}{{1,64}}){{0,4}}|[{MARKS}]"
GAPS = rf"[{BLANKS}]+"  # between the tokens of a pretokenized text
_PIECES = re.compile(PATTERN)
_TOKENS = re.compile(rf"\n|[^\n{BLANKS}]+")
_HELD_BACK = 2  # pieces at a chunk's end that the next chunk may change
_LONGEST = 1 << 20  # characters of a pretokenized token that are waited for


def split_words(text: str) -> list[str]:
    """Return the pieces of `text`: "".join(split_words(text)) == text."""
    return _PIECES.findall(text)


def split_tokens(text: str) -> list[str]:
    """Return what stands between blanks, and each newline: the convention of PTB and WikiText."""
    return _TOKENS.findall(text)


def iter_words(chunks: Iterable[str], pretokenized: bool) -> Iterator[list[str]]:
    """Yield the pieces of a text that comes in chunks, in lists, as if it came whole."""
    rest = ""
    for chunk in chunks:
        text = rest + chunk
        if pretokenized:
            border = max(text.rfind(" "), text.rfind("\n")) + 1
            if not border and len(text) > _LONGEST:
                border = len(text)
            pieces, rest = split_tokens(text[:border]), text[border:]
        else:
            pieces = split_words(text)
            held = pieces[-_HELD_BACK:]
            pieces, rest = pieces[:-_HELD_BACK], "".join(held)
        if pieces:
            yield pieces
    if rest:
        yield split_tokens(rest) if pretokenized else split_words(rest)
