"""Where documents end: the same however the text arrives."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.documents import split_documents

CHUNKS = st.lists(st.text("ab\n\r", min_size=1, max_size=6), max_size=8)


def documents(chunks, document):
    """The documents that are not empty, put together from their parts."""
    found = [""]
    for parts in split_documents(chunks, document):
        found[-1] += parts[0]
        found += parts[1:]
    assert found[-1] == ""  # the last one is closed
    return [text for text in found if text]


@given(CHUNKS)
def test_lines_end_at_newlines_only(chunks):
    text = "".join(chunks)
    assert documents(chunks, "line") == [line for line in text.split("\n") if line]


@given(CHUNKS)
def test_paragraphs_end_at_two_newlines_or_more(chunks):
    text = "".join(chunks).strip("\n")
    assert documents(chunks, "paragraph") == [part for part in re.split("\n\n+", text) if part]


@given(CHUNKS, st.sampled_from(["file", "stream"]))
def test_a_file_is_one_document_and_nothing_is_lost(chunks, document):
    assert "".join(documents(chunks, document)) == "".join(chunks)
    assert len(documents(chunks, document)) <= 1


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("line", ["a\r", "b\x0bc\x0c", "d\u2028e\u0085f"]),
        ("paragraph", ["a\r", "b\x0bc\x0c\nd\u2028e\u0085f"]),
        ("file", ["\na\r\n\n\nb\x0bc\x0c\nd\u2028e\u0085f\n"]),
    ],
)
def test_only_newlines_are_borders(document, expected):
    text = "\na\r\n\n\nb\x0bc\x0c\nd\u2028e\u0085f\n"
    assert documents([text], document) == expected
    assert documents(text, document) == expected
