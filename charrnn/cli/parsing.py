"""What the user typed -> values, strictly: no nan, no inf, no 1_000, nothing out of its range.

Every refusal is a ConfigError in one line: the option, the value, and what is needed.
"""

import re

from charrnn.config import Range
from charrnn.errors import ConfigError

INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)  # more digits are a slip of the hand
DECIMAL = re.compile(r"[+-]?([0-9]{1,19}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
UNITS = {"s": 1, "m": 60, "h": 3600}
SHOWN = 60  # characters of a wrong value


def parse_number(text: str, allowed: Range, option: str) -> int | float:
    """Return the number that `text` spells; integers where `allowed` is a range of integers."""
    number: int | float | None = None
    if allowed.integer and INTEGER.fullmatch(text):
        number = int(text)
    elif not allowed.integer and DECIMAL.fullmatch(text):
        number = float(text) + 0.0  # no minus zero
    if number is None or number not in allowed:
        raise ConfigError(f"{option} is {shown(text)}: needs {allowed}")
    return number


def parse_duration(text: str, allowed: Range, option: str) -> float:
    """Return the seconds that "90s", "3m" or "1.5h" are."""
    number, unit = text[:-1], UNITS.get(text[-1:])
    seconds = float(number) * unit + 0.0 if unit and DECIMAL.fullmatch(number) else None
    if seconds is None or seconds not in allowed:
        needed = f"a number with s, m or h, such as 90s, 3m or 1.5h; in seconds {allowed}"
        raise ConfigError(f"{option} is {shown(text)}: needs {needed}")
    return seconds


def parse_choice(text: str, choices: tuple[str, ...], option: str) -> str:
    """Return `text` if it is one of `choices`."""
    if text not in choices:
        raise ConfigError(f"{option} is {shown(text)}: needs one of {', '.join(choices)}")
    return text


def shown(text: str) -> str:
    """Return a wrong value in quotes, cut where it is long."""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
