r"""Text of unknown origin -> text that a terminal only shows, and never obeys.

Control characters (ESC and C1 among them), bidi controls, line separators and lone surrogates
become escapes such as `\x1b`. It works character by character, so that a sequence which arrives in
pieces is caught too. Nothing is hidden: every character leaves a trace.
"""

import re

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_LINES = "\u2028\u2029"
_LONE = "\ud800-\udfff"
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}{_LINES}{_LONE}]")
_BREAKS = re.compile(r"[\n\t]")


def escape(character: str) -> str:
    r"""Return a visible escape: "\r", "\x1b", "\u202e" or "\U000e0001"."""
    return character.encode("unicode_escape").decode("ascii")


def visible(text: str) -> str:
    """Return `text` with every character that a terminal could obey as an escape.

    Newline and tab stay. The result has no other control character, whatever `text` is.
    """
    return _UNSAFE.sub(lambda match: escape(match[0]), text)


def one_line(text: str) -> str:
    """Return `text` as `visible` does, newline and tab escaped too."""
    return _BREAKS.sub(lambda match: escape(match[0]), visible(text))


def clip(text: str, size: int) -> str:
    """Return at most `size` characters of `text`, the last an ellipsis where some are left out."""
    return text if len(text) <= size else text[: max(0, size - 1)] + "…"


def shell_quote(text: str) -> str:
    r"""Return `text` as one word of a POSIX-like shell, in printable ASCII or letters.

    Control characters and bytes that are no UTF-8 are written as bash, zsh and ksh read them:
    $'\x1b'.
    """
    if text and re.fullmatch(r"[\w@%+=:,./-]+", text) and not _UNSAFE.search(text):
        return text
    if one_line(text) == text:
        return "'" + text.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(_ansi_c(character) for character in text) + "'"


def _ansi_c(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    if one_line(character) == character:
        return character
    data = character.encode("utf-8", "surrogateescape" if _is_byte(character) else "replace")
    return "".join(f"\\x{byte:02x}" for byte in data)


def _is_byte(character: str) -> bool:
    """Return whether `character` stands for a byte of a file name that is not UTF-8."""
    return "\udc80" <= character <= "\udcff"
