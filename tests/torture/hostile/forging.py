"""What somebody hostile writes: values, edits of JSON and of bytes, and what must come of them."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn import strictjson
from charrnn.errors import CharRNNError
from charrnn.seal import ZEROS, seal

AMOUNT = pytest.mark.parametrize(
    "amount", [1, pytest.param(100, marks=pytest.mark.torture)], ids=["sample", "sweep"]
)
NASTY_TEXTS = [
    "", "\0", "\x1b]52;c;YQ==\x07", "\x9b6n", "[/x]", "../../x", "/dev/zero", "-", "torch.load",
    "\u202e", "\u2028", "x" * 5000, "*" * 50, "cpu", "nan", "1", "utf-16", "\U0010ffff",
]  # fmt: skip
NASTY_NUMBERS = [
    0, -1, 1, 2, 3, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64, 10**18, 10**400, 0.0, -0.0, 0.5,
    1e-320, 1e308, -1e308,
]  # fmt: skip
NASTY_BYTES = [
    b"", b"\0", b"\xff", b"NaN", b"1e999", b"-Infinity", b"true", b"null", b"{", b"}", b"[", b'"',
    b"\\ud800", b'"a":1,"a":2', b"[" * 2000, b"9" * 5000, b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\n",
    b"\t", b"\x1b[2J", b"1_000", b"0x7f", b"'", b"=", b"[[a]]\n",
]  # fmt: skip

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
    | st.sampled_from(NASTY_TEXTS)
    | st.sampled_from(NASTY_NUMBERS)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def fuzz(check, examples, *strategies):
    """Call `check` with `examples` draws; the small ones are the same each time."""
    options = settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples < 1000,
        suppress_health_check=list(HealthCheck),
    )
    options(given(*strategies)(check))()


def outcome(read, name=None):
    """Return what `read()` gives, or None where it refuses in one good line; else fail."""
    try:
        return read()
    except CharRNNError as error:
        text = str(error)
    assert text.strip()
    assert len(text) < 7000, text[:3000]  # a path of 5,000 characters is said whole
    assert name is None or name in text, text
    return None


def places(value):
    """Return each (container, key) within a JSON value."""
    found, todo = [], [value]
    while todo:
        node = todo.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in items:
            found.append((node, key))
            if isinstance(child, dict | list):
                todo.append(child)
    return found


def edit(value, data, most=3):
    """Change a JSON value in place, somewhere, as `data` draws: other values, keys more or less."""
    for _ in range(data.draw(st.integers(1, most))):
        here = places(value)
        if not here:
            return
        parent, key = here[data.draw(st.integers(0, len(here) - 1))]
        kind = data.draw(st.sampled_from(["change", "change", "change", "remove", "add", "copy"]))
        if kind == "remove":
            del parent[key]
        elif kind == "add" and isinstance(parent, dict):
            parent[data.draw(st.text(max_size=5) | st.sampled_from(NASTY_TEXTS))] = data.draw(JSON)
        elif kind == "copy" and isinstance(parent, list):
            parent.append(parent[key])
        else:
            parent[key] = data.draw(JSON)


@st.composite
def edited(draw, original):
    """Draw bytes that are `original` with pieces flipped, cut, doubled or put in."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["flip", "put", "over", "cut", "end", "copy"]))
        if kind == "flip" and place < len(data):
            data[place] ^= draw(st.integers(1, 255))
        elif kind in ("put", "over"):
            piece = draw(st.sampled_from(NASTY_BYTES) | st.binary(max_size=8))
            data[place : place + len(piece) * (kind == "over")] = piece
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 40))]
        elif kind == "copy":
            end = place + draw(st.integers(1, 40))
            data[place:place] = data[place:end]
        else:
            del data[place:]
    return bytes(data)


def resealed(data, key="sha256"):
    """Return `data` with the checksum it should carry, where it has a place for one."""
    found = list(re.finditer(rb'"%s": "([0-9a-f]{64})"' % key.encode(), data))
    if len(found) != 1:
        return data
    start, end = found[0].span(1)
    return seal([data[:start] + ZEROS.encode() + data[end:]], key)


def as_json(value):
    """Return JSON as charrnn writes it, but with whatever Python can spell."""
    return json.dumps(value, indent=2).encode("utf-8", "surrogatepass")


def sealed_record(value):
    """Return a train.json with a right seal, whatever else is in it."""
    return seal([strictjson.dumps({**value, "record_sha256": ZEROS})], "record_sha256")


def flips(data, rng, count):
    """Yield `count` copies of `data` with one bit of a random byte turned; None: all bytes."""
    chosen = range(len(data)) if count is None else (rng.randrange(len(data)) for _ in range(count))
    for place in chosen:
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        yield place, bytes(changed)
