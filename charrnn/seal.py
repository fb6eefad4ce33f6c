"""Bytes that carry their own sha256: the digest of all of them with its 64 digits as zeros.

It finds the damage of a disk or a cable; it is no signature.
"""

import hashlib
import re
from collections.abc import Sequence

from charrnn.errors import ModelError

ZEROS = "0" * 64  # stands where the digits will
Block = bytes | memoryview


def seal(blocks: Sequence[Block], key: str = "sha256") -> bytes:
    """Return the blocks as one, the zeros that `key` has in the first replaced by the digest.

    The first block is JSON with a space after each colon, perhaps after some other bytes.
    """
    start, end = _digits(bytes(blocks[0]), key, "data to be sealed")
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    view = memoryview(blocks[0])
    return b"".join([view[:start], digest.hexdigest().encode(), view[end:], *blocks[1:]])


def check_seal(data: bytes, name: str, key: str = "sha256", size: int | None = None) -> str:
    """Return the digest that `data` carries in its first `size` bytes.

    Raises ModelError, starting with `name`, when there is none or it is not the data's own.
    """
    view = memoryview(data)
    start, end = _digits(bytes(view[:size]), key, name)
    digest = hashlib.sha256(view[:start])
    digest.update(ZEROS.encode())
    digest.update(view[end:])
    if digest.hexdigest().encode() != view[start:end]:
        raise ModelError(f"{name}: damaged: its sha256 is not the one it was written with")
    return digest.hexdigest()


def _digits(text: bytes, key: str, name: str) -> tuple[int, int]:
    """Return where the digits of `key` are; within a JSON string its quotes would be escaped."""
    found = list(re.finditer(rb'"%s": "([0-9a-f]{64})"' % key.encode(), text))
    if len(found) != 1:
        raise ModelError(f"{name}: needs one {key}, has {len(found)}")
    return found[0].span(1)
