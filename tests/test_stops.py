"""Stop strings are found across borders, and nothing that may belong to one slips through."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.errors import ConfigError
from charrnn.stops import StopFilter


def run(pieces, stops):
    """Return what was let through by each piece, the rest, and whether a stop came."""
    stop_filter, parts = StopFilter(stops), []
    for piece in pieces:
        parts.append(stop_filter.feed(piece))
        if stop_filter.found:
            return parts, "", True
    return parts, stop_filter.flush(), False


def naive(text, stops):
    """Return the text before the stop that is complete first, of those the longest; else None."""
    ends = [(text.find(s) + len(s), -len(s)) for s in stops if s in text]
    return text[: sum(min(ends))] if ends else None


def test_a_stop_is_found_across_the_borders_of_tokens():
    parts, _, found = run(["Once", " up", "on a t", "ime"], ["pon a ti"])
    assert parts == ["Once", " u", "", ""]
    assert found


def test_what_could_be_the_beginning_of_a_stop_is_held_back_and_let_go():
    parts, rest, found = run("ababaca", ["ababb"])
    assert parts == ["", "", "", "", "ab", "abac", ""]
    assert (rest, found) == ("a", False)


def test_after_a_false_start_the_stop_within_it_is_found():
    parts, _, found = run("aabaabaac", ["aabaac"])
    assert "".join(parts) == "aab"
    assert found


def test_without_stops_everything_passes():
    assert run(["a", "", "b"], []) == (["a", "", "b"], "", False)


def test_an_empty_stop_is_an_error():
    with pytest.raises(ConfigError, match="empty"):
        StopFilter(["a", ""])


TEXT = st.text("ab", max_size=14)


@given(st.lists(TEXT, max_size=6), st.lists(st.text("ab", min_size=1, max_size=5), max_size=3))
@example(["ab", "ba"], ["abb", "bb", "b"])
def test_however_the_text_is_cut_it_ends_before_its_first_stop(pieces, stops):
    text = "".join(pieces)
    parts, rest, found = run(pieces, stops)
    wanted = naive(text, stops)
    assert found == (wanted is not None)
    assert "".join(parts) + rest == (text if wanted is None else wanted)
    letters, _, _ = run(text, stops)
    assert "".join(letters) == "".join(parts)


@given(st.text("ab", max_size=20), st.lists(st.text("ab", min_size=1, max_size=5), min_size=1))
def test_as_much_is_let_through_as_can_be(text, stops):
    stop_filter, printed = StopFilter(stops), ""
    for i, char in enumerate(text):
        printed += stop_filter.feed(char)
        if stop_filter.found:
            break
        read = text[: i + 1]
        beginnings = [stop[:n] for stop in stops for n in range(1, len(stop))]
        held = max((len(b) for b in beginnings if read.endswith(b)), default=0)
        assert printed == read[: len(read) - held]
