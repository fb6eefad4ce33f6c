"""Named arrays <-> the bytes of a safetensors file that knows its own checksum.

The header is sorted JSON of our own, without times, so that equal tensors give equal bytes.
It reads and writes no files.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from charrnn import strictjson
from charrnn.errors import ModelError
from charrnn.seal import ZEROS, check_seal, seal

Tensors = dict[str, NDArray[Any]]

MAX_HEADER_SIZE = 10**6  # bytes; 200,000 tensors would take seconds to parse
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_MAX_AXES, _MAX_NUMBERS = 8, 2**59
_METADATA = "__metadata__"
_ENTRY = {"dtype": str, "shape": list, "data_offsets": list}


def encode_tensors(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file of `tensors`, with `metadata` and its own sha256 in the header.

    The widest numbers come first, then by name, so that each array is aligned. Raises ModelError
    for a number that is not finite, for a dtype not in DTYPES and for a header over 1 MB.
    """
    arrays = {name: _portable(name, array) for name, array in tensors.items()}
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header: dict[str, Any] = {_METADATA: {**metadata, "sha256": ZEROS}}
    offset = 0
    for name in names:
        array, end = arrays[name], offset + arrays[name].nbytes
        shape = list(array.shape)
        header[name] = {"data_offsets": [offset, end], "dtype": _NAMES[array.dtype], "shape": shape}
        offset = end
    text = strictjson.dumps(header, indent=None)
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_SIZE:
        raise ModelError(f"a header of {len(text)} bytes: needs at most {MAX_HEADER_SIZE}")
    blocks = [arrays[name].reshape(-1).view(np.uint8).data for name in names]
    return seal([len(text).to_bytes(8, "little") + text, *blocks])


def decode_tensors(data: bytes, name: str) -> tuple[Tensors, dict[str, str]]:
    """Return the tensors (copies) and the metadata of the safetensors file `data`.

    Raises ModelError, starting with `name`, when the header is not exactly right, the checksum is
    another one or a number is not finite.
    """
    header, size = read_header(data, name)
    check_seal(data, name, size=size)
    if _data_size(header, name) != len(data) - size:
        raise ModelError(f"{name}: damaged: the tensors do not fill the file exactly")
    try:
        parts = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ModelError(f"{name}: not a safetensors file: {error}") from None
    tensors: Tensors = {}
    for key, part in parts:
        array = np.frombuffer(part["data"], dtype=DTYPES[part["dtype"]]).reshape(part["shape"])
        _check_finite(key, array, f"{name}: ")
        tensors[key] = array
    metadata: dict[str, str] = header[_METADATA]
    return tensors, metadata


def read_header(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    """Return the header of the safetensors file that begins with `data`, and where it ends.

    Each tensor has a dtype, a shape and data_offsets of the right types; whether they fit together
    is for `decode_tensors`. Raises ModelError.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or length > MAX_HEADER_SIZE or 8 + length > len(data):
        raise ModelError(f"{name}: not a safetensors file, or cut short")
    header = strictjson.loads(data[8 : 8 + length], name)
    if not isinstance(header, dict) or not isinstance(header.get(_METADATA), dict):
        raise ModelError(f"{name}: needs {_METADATA} in its header")
    for key, entry in header.items():
        if key == _METADATA:
            strictjson.check_object(entry, f"{name}: metadata", dict.fromkeys(entry, str))
        else:
            _check_entry(entry, f"{name}: tensor {strictjson.shown(key)}")
    return header, 8 + length


def _check_entry(entry: Any, name: str) -> None:
    strictjson.check_object(entry, name, _ENTRY)
    if entry["dtype"] not in DTYPES:
        kind = strictjson.shown(entry["dtype"])
        raise ModelError(f"{name}: dtype {kind}: needs one of {', '.join(DTYPES)}")
    if len(entry["shape"]) > _MAX_AXES or len(entry["data_offsets"]) != 2:
        raise ModelError(f"{name}: needs at most {_MAX_AXES} axes and two offsets")
    if not all(type(n) is int and n >= 0 for n in entry["shape"] + entry["data_offsets"]):
        raise ModelError(f"{name}: needs integers from 0 as sizes")
    if math.prod(max(1, n) for n in entry["shape"]) >= _MAX_NUMBERS:
        raise ModelError(f"{name}: the shape is too large")


def _data_size(header: Mapping[str, Any], name: str) -> int:
    """Return how many bytes follow the header; each tensor begins where another one ends."""
    entries = [entry for key, entry in header.items() if key != _METADATA]
    offset = 0
    for entry in sorted(entries, key=lambda entry: tuple(entry["data_offsets"])):
        size = math.prod(entry["shape"]) * DTYPES[entry["dtype"]].itemsize
        if entry["data_offsets"] != [offset, offset + size]:
            raise ModelError(f"{name}: damaged: the tensors overlap or leave holes")
        offset += size
    return offset


def _portable(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return `array` little-endian."""
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _NAMES:
        raise ModelError(f"tensor {name} is {array.dtype}: needs one of {', '.join(DTYPES)}")
    _check_finite(name, array, "")
    return np.asarray(array, dtype=dtype)


def _check_finite(key: str, array: NDArray[Any], prefix: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelError(
            f"{prefix}tensor {strictjson.shown(key)} holds a number that is not finite"
        )
