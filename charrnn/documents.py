"""Text chunks -> documents: where one ends and the next begins.

Documents are given as a flow of pieces of text with BORDER between them, so that none of them has
to fit into memory. An empty document is none.
"""

import re
from collections.abc import Iterable, Iterator

from charrnn.config import Document

BORDER = None  # the end of a document
GAP = re.compile(r"\n{2,}")


def split_documents(chunks: Iterable[str], document: Document) -> Iterator[str | None]:
    """Yield pieces of text and BORDERs: one document, for file and stream; or many.

    line: without the newlines ("\\n" alone ends a line). paragraph: what stands between runs of two
    or more newlines; a newline inside stays.
    """
    if document in ("file", "stream"):
        yield from chunks
    elif document == "line":
        for chunk in chunks:
            yield from interleave(chunk.split("\n"))
    else:
        yield from split_paragraphs(chunks)
    yield BORDER


def interleave(parts: list[str]) -> Iterator[str | None]:
    """Yield `parts` with a BORDER between each two."""
    for index, part in enumerate(parts):
        if index:
            yield BORDER
        if part:
            yield part


def split_paragraphs(chunks: Iterable[str]) -> Iterator[str | None]:
    """Yield the paragraphs; newlines at a chunk's end wait for the next, which decides on them."""
    newlines, begun = 0, False
    for chunk in chunks:
        body = chunk.lstrip("\n")
        newlines += len(chunk) - len(body)
        if not body:
            continue
        if newlines >= 2 or not begun:
            yield BORDER
        elif newlines:
            yield "\n"
        kept = body.rstrip("\n")
        yield from interleave(GAP.split(kept))
        newlines, begun = len(body) - len(kept), True
