"""Safetensors files of our own: the same bytes each time, and no damage unseen."""

import hashlib
import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from charrnn.errors import ModelError
from charrnn.tensors import DTYPES, MAX_HEADER_SIZE, decode_tensors, encode_tensors

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name != "__metadata__"
)
ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: hnp.arrays(
        DTYPES[name],
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False} if name[0] == "F" else None,
    )
)
TENSORS = st.dictionaries(NAMES, ARRAYS, max_size=5)


@pytest.fixture
def tensors():
    generator = np.random.default_rng(3)
    return {
        "output.weight": generator.normal(size=(7, 3)).astype(np.float32),
        "cursor": np.array(2**40 + 5),
        "dropout": generator.integers(0, 256, 11, dtype=np.uint8),
        "half": np.array([0.5, -2], np.float16),
    }


def resealed(data):
    """Return `data` with the checksum that it should have, as a forger would."""
    length = int.from_bytes(data[:8], "little")
    start = data.index(b'"sha256": "', 0, 8 + length) + len(b'"sha256": "')
    blank = data[:start] + b"0" * 64 + data[start + 64 :]
    return data[:start] + hashlib.sha256(blank).hexdigest().encode() + data[start + 64 :]


def forged(header, body=b"", length=None):
    """Return a file with the header given and a right checksum."""
    if isinstance(header, dict):
        header = {"__metadata__": {"sha256": "0" * 64}} | header
        header = json.dumps(header).encode()
    return resealed(struct.pack("<Q", len(header) if length is None else length) + header + body)


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def equal(a, b):
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and np.array_equal(a[k], b[k])
        for k in a
    )


@pytest.mark.slow
@given(TENSORS, st.dictionaries(NAMES.filter(lambda n: n != "sha256"), st.text(max_size=5)))
@settings(max_examples=60)
def test_what_is_encoded_is_decoded_and_the_library_reads_the_same(tensors, metadata):
    metadata = {k: v.encode(errors="ignore").decode() for k, v in metadata.items()}
    data = encode_tensors(tensors, metadata)
    decoded, back = decode_tensors(data, "f")
    assert equal(decoded, tensors)
    assert {**metadata, "sha256": back["sha256"]} == back
    assert equal(safetensors.numpy.load(data), tensors)


def test_equal_tensors_give_equal_bytes_whatever_their_order_and_layout(tensors):
    metadata = {"b": "1", "a": "2"}
    data = encode_tensors(tensors, metadata)
    shuffled = {name: np.array(tensors[name], order="F") for name in reversed(tensors)}
    shuffled["cursor"] = shuffled["cursor"].astype(">i8")
    assert encode_tensors(shuffled, {"a": "2", "b": "1"}) == data


def test_every_array_is_aligned_and_so_is_the_data(tensors):
    data = encode_tensors(tensors, {})
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    for name, array in tensors.items():
        assert header[name]["data_offsets"][0] % array.itemsize == 0


def test_sha256_is_of_the_whole_file_with_its_digits_as_zeros(tensors):
    data = encode_tensors(tensors, {})
    claim = decode_tensors(data, "f")[1]["sha256"]
    assert hashlib.sha256(data.replace(claim.encode(), b"0" * 64)).hexdigest() == claim


def test_every_flip_of_a_bit_of_every_byte_is_found(tensors):
    data = encode_tensors(tensors, {"config_sha256": "a" * 64, "x": '"sha256": "' + "b" * 64})
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ModelError, match=r"^dir/f: "):
            decode_tensors(bytes(damaged), "dir/f")


def test_every_cut_and_every_added_byte_is_found(tensors):
    data = encode_tensors(tensors, {})
    for size in range(len(data)):
        with pytest.raises(ModelError, match=r"^f: "):
            decode_tensors(data[:size], "f")
    with pytest.raises(ModelError, match=r"^f: damaged"):
        decode_tensors(data + b"\0", "f")
    with pytest.raises(ModelError, match=r"^f: damaged"):
        decode_tensors(data[:-50] + b"\0" * 50, "f")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_number_that_is_not_finite_is_neither_written_nor_read(value, dtype):
    array = np.array([1, value], dtype)
    with pytest.raises(ModelError, match="tensor 'w' holds a number that is not finite"):
        encode_tensors({"w": array}, {})
    name = f"F{8 * array.itemsize}"
    data = forged({"w": entry(0, array.nbytes, [2], name)}, array.tobytes())
    with pytest.raises(ModelError, match=r"^f: tensor 'w' holds a number that is not finite"):
        decode_tensors(data, "f")


def test_an_array_that_the_format_does_not_know_is_refused():
    for array in (np.array(["x"]), np.array([1j]), np.array([object()]), np.array([True])):
        with pytest.raises(ModelError, match=r"tensor w is .*: needs one of F64"):
            encode_tensors({"w": array}, {})


HOSTILE = {
    "n is 2^63": forged(b'{"__metadata__":{"sha256": "' + b"0" * 64 + b'"}}', length=2**63),
    "n is 100 MB": forged({}, b"\0" * 100, length=10**8),
    "n is longer than the file": forged({}, length=200),
    "no metadata": resealed(
        struct.pack("<Q", 82) + json.dumps({"sha256": "0" * 64, "x": 1}).encode()
    ),
    "no checksum": struct.pack("<Q", 20) + b'{"__metadata__": {} }',
    "overlap": forged({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, b"\0" * 12),
    "same bytes twice": forged({"a": entry(0, 8, [2]), "b": entry(0, 8, [2])}, b"\0" * 8),
    "hole": forged({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, b"\0" * 12),
    "data before": forged({"a": entry(4, 8, [1])}, b"\0" * 8),
    "data after": forged({"a": entry(0, 4, [1])}, b"\0" * 8),
    "data missing": forged({"a": entry(0, 8, [2])}, b"\0" * 4),
    "offsets backwards": forged({"a": entry(8, 0, [2])}, b"\0" * 8),
    "shape larger than its bytes": forged({"a": entry(0, 4, [2])}, b"\0" * 4),
    "shape overflows": forged({"a": entry(0, 4, [2**62, 4])}, b"\0" * 4),
    "shape wraps to its size": forged({"a": entry(0, 4, [2**32 + 1, 2**32])}, b"\0" * 4),
    "shape is huge and empty": forged({"a": entry(0, 0, [2**63, 0])}),
    "shape is negative": forged({"a": entry(0, 4, [-1, -1])}, b"\0" * 4),
    "shape is a float": forged({"a": entry(0, 4, [1.0])}, b"\0" * 4),
    "shape is true": forged({"a": entry(0, 4, [True])}, b"\0" * 4),
    "shape is text": forged({"a": entry(0, 4, "1")}, b"\0" * 4),
    "shape of many axes": forged({"a": entry(0, 0, [0] * 9)}),
    "shape of 45,000 huge axes": forged({"a": entry(0, 0, [2**62] * 45_000)}),
    "offsets of three": forged(
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}}, b"\0" * 4
    ),
    "unknown dtype": forged({"a": entry(0, 4, [1], "BF32")}, b"\0" * 4),
    "boolean dtype": forged({"a": entry(0, 4, [4], "BOOL")}, b"\2" * 4),
    "dtype is a list": forged({"a": entry(0, 4, [1], ["F32"])}, b"\0" * 4),
    "key missing": forged({"a": {"dtype": "F32", "shape": [1]}}, b"\0" * 4),
    "key extra": forged({"a": {**entry(0, 4, [1]), "path": "/etc/passwd"}}, b"\0" * 4),
    "entry is null": forged({"a": None}),
    "metadata is a number": forged({"__metadata__": {"sha256": "0" * 64, "x": 3}}),
    "metadata is a list": forged({"__metadata__": [{"sha256": "0" * 64}]}),
    "header is a list": forged(b'[{"sha256": "' + b"0" * 64 + b'"}]'),
    "name twice": forged(
        b'{"__metadata__": {"sha256": "'
        + b"0" * 64
        + b'"}, "a": {"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
        + b', "a": {"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"\0",
    ),
    "two checksums": forged(
        {"__metadata__": {"sha256": "0" * 64}, "a": {"sha256": "0" * 64}},
    ),
    "a zip": b"PK\x03\x04" + b"\0" * 200,
    "a pickle": b"\x80\x04\x95" + b"\0" * 200,
    "empty": b"",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_with_a_right_checksum_is_refused(data):
    with pytest.raises(ModelError, match=r"^f: "):
        decode_tensors(data, "f")


def test_forging_itself_is_sound():
    decoded, _ = decode_tensors(forged({"a": entry(0, 4, [1])}, b"\0\0\x80\x3f"), "f")
    assert equal(decoded, {"a": np.ones(1, np.float32)})


@pytest.mark.slow
def test_a_header_over_the_limit_is_neither_written_nor_read():
    many = {f"tensor number {i}": np.zeros(1, np.uint8) for i in range(20_000)}
    with pytest.raises(ModelError, match=f"needs at most {MAX_HEADER_SIZE}"):
        encode_tensors(many, {})
    header = {name: entry(i, i + 1, [1], "U8") for i, name in enumerate(many)}
    with pytest.raises(ModelError, match=r"^f: not a safetensors file"):
        decode_tensors(forged(header, b"\0" * len(many)), "f")


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "__metadata__"]),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "U8", "I64", "X"]),
                "shape": st.lists(st.integers(-1, 9) | st.just(2**62), max_size=3),
                "data_offsets": st.lists(st.integers(0, 40), min_size=2, max_size=2),
            }
        ),
        max_size=2,
    ),
    st.integers(0, 40),
)
def test_what_is_accepted_the_library_accepts_too(header, size):
    data = forged(header, b"\0" * size) if "__metadata__" not in header else b""
    try:
        decoded, _ = decode_tensors(data, "f")
    except ModelError:
        return
    assert equal(safetensors.numpy.load(data), decoded)
