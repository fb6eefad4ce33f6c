"""--config FILE.toml: any option of a command from a file, as strictly read as typed ones."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn.cli.options import DURATIONS, Item, flag_of, is_list, is_switch, parser_of
from charrnn.cli.parsing import shown
from charrnn.errors import ConfigError

LIMIT = 2**20  # bytes of a file of options


def read_options(path: Path, known: Mapping[str, Item]) -> dict[str, Any]:
    """Return the options that the file sets, by name (seq_length for seq-length).

    Raises ConfigError with the key for one that is not known and for a value that does not fit.
    """
    options: dict[str, Any] = {}
    for key, value in read_toml(path).items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", perhaps {flag_of(near[0])[2:]}" if near else ""
            raise ConfigError(f"--config {path}: {shown(key)} is no option of this command{hint}")
        if name in options:
            raise ConfigError(f"--config {path}: {shown(key)} is there twice")
        try:
            options[name] = read_value(known[name], value)
        except ConfigError as error:
            raise ConfigError(f"--config {path}: {error}") from None
    return options


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in the file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
        if len(data) > LIMIT:
            raise ConfigError(f"--config {path}: needs at most {LIMIT} bytes")
        return tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"--config {path}: not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:  # of a number with thousands of digits, too
        raise ConfigError(f"--config {path}: not TOML: {error}") from None


def read_value(item: Item, value: Any) -> Any:
    """Return the value of one option: numbers are written as numbers, the rest as strings."""
    number = item.metadata.get("range") is not None and item.name not in DURATIONS
    if is_switch(item):
        fits, needed = isinstance(value, bool), "true or false"
    elif is_list(item):
        value = [value] if isinstance(value, str) else value
        fits = isinstance(value, list) and all(is_word(part) for part in value)
        needed = "a string or a list of strings, without NUL"
    elif number:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        needed = str(item.metadata["range"])
    else:
        fits, needed = is_word(value), "a string, without NUL"
        if item.name in DURATIONS:
            needed = 'a time in quotes, such as "90s" or "3m"'
    if not fits:
        raise ConfigError(f"{flag_of(item.name)} is {shown(spelled(value))}: needs {needed}")
    return parser_of(item)(spelled(value) if number else value)


def is_word(value: Any) -> bool:
    """Return whether a value could have been typed: no argument of a command holds a NUL."""
    return isinstance(value, str) and "\0" not in value


def spelled(value: Any) -> str:
    """Return a value as text; Python spells neither very long integers nor very deep tables."""
    try:
        return str(value)
    except (ValueError, RecursionError):
        return "too long to be shown"
