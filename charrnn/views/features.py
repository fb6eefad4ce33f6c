"""What can be said of each place of a text: states, positions, characters, and what comes next.

A feature at t is known from x_1 .. x_t; only those named next_* and the user's own regular
expressions look further. All are made of the characters of the text; a token has the value after
its last one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.encoding import Ids
from charrnn.errors import ConfigError
from charrnn.tokenizer import Tokenizer, code_points
from charrnn.views.scanning import STATES, scan

REAL = (
    "bracket_depth",
    "line_position",
    "word_position",
    "sentence_position",
    "indentation",
    "since_newline",
)
NAMES = (
    *STATES,
    *REAL[1:],
    "is_upper",
    "is_all_caps",
    "is_vowel",
    "is_digit",
    "speaker_line",
    "next_newline",
    "next_space",
    "next_closer",
)
CLOSERS = ')]}>"”’'
SPEAKER = re.compile(r"(?:\A|\n\n|\0)([A-Z][A-Za-z .'-]{0,40})")

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Feature:
    """A number for each token."""

    name: str
    values: Values  # (N,)
    binary: bool  # 0 or 1


def text_of(tokenizer: Tokenizer, ids: Ids) -> tuple[str, NDArray[np.int64]]:
    """Return the characters of the tokens and where the last one of each is, (N,).

    A NUL stands for a special symbol.
    """
    pieces = [piece or "\0" for piece in tokenizer.pieces]
    sizes = np.array([len(piece) for piece in pieces])
    tokens = np.asarray(ids)
    return "".join([pieces[i] for i in tokens.tolist()]), np.cumsum(sizes[tokens]) - 1


def make_features(
    tokenizer: Tokenizer, ids: Ids, own: Mapping[str, "re.Pattern[str]"] | None = None
) -> list[Feature]:
    """Return all features of a text in the order of NAMES, then the user's own."""
    text, ends = text_of(tokenizer, ids)
    values = {**scan(text), **positions(text), **characters(text)}
    found = [Feature(name, values[name][ends], name not in REAL) for name in NAMES]
    for name, pattern in (own or {}).items():
        found.append(Feature(name, matches(text, pattern)[ends], True))
    return found


def since(starts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many places back the last start is; the text itself is a start before place 0."""
    places = np.arange(len(starts))
    return places - np.maximum.accumulate(np.where(starts, places, -1))


def positions(text: str) -> dict[str, Values]:
    """Return where in its line, word and sentence each character is, and how far it is indented.

    line_position counts the characters of the line, 0 at its newline; since_newline is ln(1 + it).
    A sentence ends with the blank behind . ! or ?, or with an empty line.
    """
    code = code_points(text)
    newline = np.isin(code, code_points("\n\0"))
    letter = np.fromiter((char.isalnum() for char in text), bool, len(text))
    apostrophe = (code == ord("'")) & np.append(False, letter[:-1])
    line = since(newline)
    blank = np.isin(code, code_points(" \t\n\0"))
    closing = np.isin(code, code_points("\"')”’"))
    stop = np.isin(code, code_points(".!?"))
    ended = stop | (closing & np.append(False, stop[:-1]))
    before = np.append(False, ended[:-1])
    empty = newline & np.append(False, newline[:-1])
    indented = since(~np.isin(code, code_points(" \t")))  # blanks in a row up to here
    in_margin = indented == line
    margin = np.where(in_margin, line, 0)
    lines = np.cumsum(newline)
    widest = np.zeros(int(lines[-1]) + 1 if len(lines) else 1)
    np.maximum.at(widest, lines, margin)
    found = {
        "line_position": line,
        "since_newline": np.log1p(line),
        "word_position": since(~(letter | apostrophe)),
        "sentence_position": since((blank & before) | empty | (code == 0)),
        "indentation": np.where(in_margin, margin, widest[lines]),
    }
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def characters(text: str) -> dict[str, Values]:
    """Return the features of the characters themselves, of the one that follows, and of lines."""
    code = code_points(text)
    upper = np.fromiter((char.isupper() for char in text), bool, len(text))
    lower = np.fromiter((char.islower() for char in text), bool, len(text))
    word = since(~(upper | lower))
    following = np.append(code[1:], 0)
    speaker = np.zeros(len(text))
    for match in SPEAKER.finditer(text):
        speaker[match.start(1) : match.end(1)] = 1
    found = {
        "is_upper": upper,
        "is_all_caps": (word >= 2) & (since(~upper) == word),
        "is_vowel": np.isin(code, code_points("aeiouAEIOU")),
        "is_digit": np.isin(code, code_points("0123456789")),
        "speaker_line": speaker,
        "next_newline": following == ord("\n"),
        "next_space": following == ord(" "),
        "next_closer": np.isin(following, code_points(CLOSERS)),
    }
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def matches(text: str, pattern: "re.Pattern[str]") -> Values:
    """Return 1 for each character within a match of `pattern`."""
    values = np.zeros(len(text), np.float32)
    for match in pattern.finditer(text):
        values[match.start() : match.end()] = 1
    return values


def parse_own(definitions: Sequence[str]) -> dict[str, "re.Pattern[str]"]:
    """Return the patterns of NAME=REGEX by name; raise ConfigError for what is none."""
    found: dict[str, re.Pattern[str]] = {}
    for definition in definitions:
        name, equals, regex = definition.partition("=")
        if not equals or not name.isidentifier() or not regex:
            raise ConfigError(f"--feature is {definition!r}: needs NAME=REGEX")
        if name in NAMES or name in found:
            raise ConfigError(f"--feature {name} is there already: needs another name")
        try:
            found[name] = re.compile(regex, re.MULTILINE)
        except (re.error, OverflowError, RecursionError) as error:
            raise ConfigError(f"--feature {name}: {regex!r} is no expression: {error}") from None
    return found
