"""Sentences of the views, parted into what was found and what must be borne in mind."""

import re

MINUS = re.compile(r"(?<![\w'])-(?=\d)")


def finding_of(sentence: str, caveat: str) -> tuple[str, str]:
    """Return the finding and the caveat: the last sentence where there are two, else `caveat`."""
    sentence = MINUS.sub("−", sentence)
    head, dot, last = sentence.rpartition(". ")
    if not dot:
        return sentence, caveat
    return f"{head}.", last
