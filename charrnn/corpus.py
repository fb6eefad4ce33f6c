"""TEXT arguments -> the names of the texts: files, globs, directories and standard input.

What cannot be a text is refused here, before anything is read. Does not open a file.
"""

import glob
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shlex import quote

from charrnn.errors import CorpusError

MOST_FILES = 10_000  # of a directory without *.txt, that are looked at to say what it holds
TOLD_ENDINGS = 3
STDIN = "-"  # the TEXT argument that means standard input


@dataclass(frozen=True)
class SourceRecord:
    """Which bytes a text came from."""

    path: str  # absolute, or -
    num_bytes: int  # as stored: before decompression
    sha256: str  # of these bytes


def find_sources(arguments: Sequence[str]) -> list[str]:
    """Return the files that TEXT arguments mean, in order; `-` stays.

    A directory means its *.txt, sorted, the hidden ones left out; a name that is no file but a
    pattern means the files it matches, sorted. Raises CorpusError for what is missing, holds no
    text or is a device.
    """
    found = [name for argument in arguments for name in expand(argument)]
    if found.count(STDIN) > 1:
        raise CorpusError("standard input (-) is given twice: it can be read once")
    for name in found:
        check_source(name)
    return found


def expand(argument: str) -> list[str]:
    """Return the names that one TEXT argument means."""
    if not argument:
        raise CorpusError("the name of a text is empty: needs a file, a directory or -")
    mode = None if argument == STDIN else file_mode(argument)
    if mode is not None and stat.S_ISDIR(mode):
        return texts_of(argument)
    if mode is None and argument != STDIN and any(mark in argument for mark in "*?["):
        matches = glob.glob(argument, recursive=True)  # noqa: PTH207
        matches = sorted(m for m in matches if stat.S_ISREG(file_mode(m) or 0))
        if not matches:
            raise CorpusError(f"no file matches {shown(argument)}: needs at least one")
        return matches
    return [argument]


def texts_of(directory: str) -> list[str]:
    """Return the *.txt of a directory, sorted."""
    try:
        names = [path.name for path in Path(directory).iterdir()]
    except OSError as error:
        raise CorpusError(f"cannot read {shown(directory)}: {reason(error)}") from error
    paths = [str(Path(directory) / n) for n in names if n.endswith(".txt") and n[0] != "."]
    texts = sorted(path for path in paths if not stat.S_ISDIR(file_mode(path) or 0))
    if not texts:
        raise CorpusError(f"directory {shown(directory)} has no *.txt{other_files(directory)}")
    return texts


def other_files(directory: str) -> str:
    """Return what a directory without *.txt holds instead, and how to name that."""
    within = Path(glob.escape(directory))
    for place, pattern in (("", "*"), (" in its folders", "**/*")):
        found = glob.iglob(str(within / pattern), recursive=True)  # noqa: PTH207
        files = (name for name in found if stat.S_ISREG(file_mode(name) or 0))
        endings = Counter(Path(name).suffix for name in islice(files, MOST_FILES))
        if endings:
            usual = sorted(endings, key=lambda ending: (-endings[ending], ending))[:TOLD_ENDINGS]
            told = [f"{endings[e]:,} {f'*{e}' if e else 'without an ending'}" for e in usual]
            name = quote(str(within / f"{pattern}{usual[0]}"))
            command = shown(f"charrnn train {name}")
            return f", but{place} {' and '.join(told)}: needs their names: {command}"
    return ": needs at least one"


def file_mode(name: str) -> int | None:
    """Return the kind of the file that `name` leads to; None where that cannot be told."""
    try:
        return Path(name).stat().st_mode
    except (OSError, ValueError):
        return None


def check_source(name: str) -> None:
    """Raise CorpusError where `name` is not a file or FIFO."""
    if name == STDIN:
        return
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot read {shown(name)}: {reason(error)}") from error
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise CorpusError(f"{shown(name)} is a device: needs a file, a FIFO or -")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise CorpusError(f"{shown(name)} is not a file: needs a file, a FIFO or -")


def shown(name: str) -> str:
    """Return the name of a source for a message, on one line."""
    if name == STDIN:
        return "standard input"
    return name if name.isprintable() else repr(name)


def reason(error: Exception) -> str:
    """Return what an exception says, without its number and path."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
