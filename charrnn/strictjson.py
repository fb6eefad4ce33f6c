"""JSON without surprises: what is read is finite, flat enough, unambiguous and proper Unicode.

Python's json takes NaN, 1e999, a key twice, lone surrogates and any depth; this does not.
It does not know what any file means: its callers check keys and ranges.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from charrnn.errors import ModelError

MAX_DEPTH = 64  # containers within containers
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SHOWN = 60  # characters of a wrong value in a message


def loads(data: bytes, name: str) -> Any:
    """Return the value that the UTF-8 bytes `data` spell.

    Raises ModelError, starting with `name`, for anything that is not strict JSON (RFC 8259 with
    each key once), for a number that is not finite, and beyond 64 levels.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_float=_finite,
            parse_constant=_refuse,
            object_pairs_hook=_unique,
        )
        if _SURROGATE.search(data):  # pairs are joined by now, so that only lone ones fail
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ModelError(f"{name}: a lone surrogate is no character") from None
    except UnicodeDecodeError as error:
        raise ModelError(f"{name}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at character {error.pos}"
        raise ModelError(f"{name}: not JSON: {problem}") from None
    except ValueError as error:
        raise ModelError(f"{name}: {error}") from None
    except RecursionError:
        raise ModelError(f"{name}: nested deeper than {MAX_DEPTH} levels") from None
    _check_depth(value, name)
    return value


def dumps(value: Any, *, indent: int | None = 2, sort_keys: bool = True) -> bytes:
    """Return `value` as ASCII JSON: equal values give equal bytes.

    Indented JSON ends with a newline, JSON on one line (`indent` None) does not. Raises ValueError
    for NaN and infinity.
    """
    text = json.dumps(value, indent=indent, sort_keys=sort_keys, allow_nan=False)
    return text.encode("ascii") + (b"" if indent is None else b"\n")


def check_object(
    value: Any,
    name: str,
    required: Mapping[str, type | tuple[type, ...]],
    optional: Mapping[str, type | tuple[type, ...]] | None = None,
) -> dict[str, Any]:
    """Return `value` if it is an object with just these keys, each of its type.

    True is no integer here; a float may be spelled as an integer. Raises ModelError.
    """
    optional = optional or {}
    if not isinstance(value, dict):
        raise ModelError(f"{name}: needs an object, got {shown(value)}")
    for key in value:
        if key not in required and key not in optional:
            raise ModelError(f"{name}: unknown key {shown(key)}")
    for key in required:
        if key not in value:
            raise ModelError(f"{name}: {key} is missing")
    for key, item in value.items():
        kinds = required[key] if key in required else optional[key]
        if not _is_a(item, kinds if isinstance(kinds, tuple) else (kinds,)):
            named = key if key.isidentifier() and len(key) < _SHOWN else shown(key)
            raise ModelError(f"{name}: {named} has the wrong type: {shown(item)}")
    return value


def shown(value: Any) -> str:
    """Return `value` for a message: escaped, and cut when long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "a huge integer"
    if isinstance(value, str):
        return ascii(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")
    return ascii(value)


def _is_a(item: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(item, bool):
        return bool in kinds
    if isinstance(item, int) and float in kinds:
        return True
    return isinstance(item, kinds)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:_SHOWN]} is no finite number")
    return number


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no finite number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {shown(key)} is there twice")
            seen.add(key)
    return value


def _check_depth(value: Any, name: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ModelError(f"{name}: nested deeper than {MAX_DEPTH} levels")
