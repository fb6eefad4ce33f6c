"""Samples on standard output: exact bytes for programs, visible text for people."""

import io

import pytest

from charrnn.display.sampling import FLUSH_SECONDS, TextWriter


class Stream(io.StringIO):
    """Remembers what was flushed."""

    def __init__(self, terminal=False):
        super().__init__()
        self.terminal, self.flushed = terminal, []

    def isatty(self):
        return self.terminal

    def flush(self):
        self.flushed.append(self.getvalue())


def written(samples, end="", terminal=False):
    stream = Stream(terminal)
    writer = TextWriter(stream, end)
    for pieces in samples:
        for piece in pieces:
            writer.write(piece)
        writer.finish()
    return stream.getvalue()


@pytest.mark.parametrize("text", ["abc", "abc\n", "", "\x1b[31m\r\n\t\0é"])
def test_one_sample_is_written_to_a_pipe_exactly(text):
    assert written([list(text)]) == text


def test_several_samples_end_with_a_newline_that_is_added_only_where_it_is_missing():
    assert written([["a"], ["b\n"], []], end="\n") == "a\nb\n\n"


def test_nul_ends_each_sample_whatever_it_ends_with():
    assert written([["a\n"], ["b"]], end="\0") == "a\n\0b\0"


def test_a_terminal_gets_no_control_characters_and_a_last_newline():
    assert written([["\x1b", "[31m", "x"]], terminal=True) == "\\x1b[31mx\n"
    assert written([["x\n"]], terminal=True) == "x\n"
    assert written([["x"]], end="\0", terminal=True) == "x\\x00"


def test_a_terminal_gets_each_piece_at_once():
    stream = Stream(terminal=True)
    writer = TextWriter(stream)
    writer.write("a")
    writer.write("b")
    assert stream.flushed == ["a", "ab"]


def test_a_pipe_gets_the_first_piece_at_once_and_the_rest_in_chunks_of_time():
    now = [100.0]
    stream = Stream()
    writer = TextWriter(stream, clock=lambda: now[0])
    for piece in "abc":
        writer.write(piece)
    assert stream.flushed == ["a"]
    now[0] += FLUSH_SECONDS
    writer.write("d")
    assert stream.flushed == ["a", "abcd"]
    writer.write("e")
    writer.finish()
    assert stream.flushed[-1] == "abcde"
