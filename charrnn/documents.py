"""Text chunks -> documents: where one ends and the next begins.

Documents are given as a flow of lists of parts: within a list there is a border between each two
parts, the first goes on with the document that the list before left open, the last stays open. So
none of them has to fit into memory, and a million short ones cost no more than their text. An empty
document is none.
"""

import re
from collections.abc import Iterable, Iterator

from charrnn.config import Document

CLOSED = ["", ""]  # parts that end the open document
GAP = re.compile(r"\n{2,}")


def split_documents(chunks: Iterable[str], document: Document) -> Iterator[list[str]]:
    """Yield the parts of a text; one document for file and stream, or many; the last is closed.

    line: without the newlines ("\\n" alone ends a line). paragraph: what stands between runs of two
    or more newlines; a newline inside stays, those at both ends of the text do not.
    """
    if document == "line":
        yield from (chunk.split("\n") for chunk in chunks)
    elif document == "paragraph":
        yield from split_paragraphs(chunks)
    else:
        yield from ([chunk] for chunk in chunks)
    yield CLOSED


def split_paragraphs(chunks: Iterable[str]) -> Iterator[list[str]]:
    """Yield the paragraphs; newlines at a chunk's end wait for the next, which decides on them."""
    newlines, begun = 0, False
    for chunk in chunks:
        body = chunk.lstrip("\n")
        newlines += len(chunk) - len(body)
        if not body:
            continue
        kept = body.rstrip("\n")
        parts = GAP.split(kept)
        if newlines >= 2 or not begun:
            yield ["", *parts]
        else:
            yield ["\n" * newlines + parts[0], *parts[1:]]
        newlines, begun = len(body) - len(kept), True
