"""Foreign text on a terminal: everything that could be obeyed is shown instead."""

import subprocess
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.display.foreign import clip, one_line, shell_quote, visible

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ANYTHING = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("\x9b6n", "\\x9b6n"),
        ("a\rb", "a\\rb"),
        ("\0\x08\x0b\x0c\x7f", "\\x00\\x08\\x0b\\x0c\\x7f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        ("[/nope] [link=x] :smile: \\x1b", "[/nope] [link=x] :smile: \\x1b"),
        ("日本語 é\u0301 👩\u200d🚀", "日本語 é\u0301 👩\u200d🚀"),
    ],
)
def test_what_a_terminal_obeys_becomes_an_escape(text, shown):
    assert visible(text) == shown


def test_newline_and_tab_stay_and_are_escaped_on_one_line():
    assert visible("a\n\tb") == "a\n\tb"
    assert one_line("a\n\tb\r") == "a\\n\\tb\\r"


@given(ANYTHING)
@example(BIDI)
def test_visible_text_holds_nothing_that_acts(text):
    for character in visible(text):
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Zl")
        assert character not in BIDI
    assert one_line(text).isprintable() or "\n" not in one_line(text)
    visible(text).encode("utf-8")


@given(st.lists(ANYTHING))
def test_cutting_a_text_into_pieces_changes_nothing(pieces):
    assert "".join(map(visible, pieces)) == visible("".join(pieces))


def test_clipped_text_has_the_size_asked_for_and_says_so():
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 6) == "abcde…"


@pytest.mark.parametrize("name", ["runs/a", "-x", "a b", "it's", "$HOME", "a\nb", "\x1b[0m'", "é"])
def test_the_shell_reads_a_quoted_word_as_it_was(name):
    quoted = shell_quote(name)
    assert one_line(quoted) == quoted
    command = ["bash", "-c", f"printf %s {quoted}"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == name.encode()


def test_the_shell_gets_back_bytes_that_are_no_utf8():
    command = ["bash", "-c", f"printf %s {shell_quote(chr(0xDCFF))}"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"\xff"
