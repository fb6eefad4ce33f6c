"""Files, globs, directories and standard input -> text, chunk by chunk.

Nothing is normalised: newlines, byte order marks and every control character are kept. Memory does
not grow with the file, nor with its longest line. Does not know what a token or a document is.
"""

import bz2
import codecs
import glob
import gzip
import hashlib
import io
import lzma
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from charrnn.errors import ConfigError, CorpusError

STDIN = "-"  # the TEXT argument that means standard input
CHUNK_BYTES = 1 << 20
OPENERS = {".gz": gzip.GzipFile, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}
MAGIC = {
    b"\x1f\x8b": "gzip data: give its name the ending .gz",
    b"\x89PNG": "a PNG picture: needs text",
    b"\xff\xd8\xff": "a JPEG picture: needs text",
    b"\x28\xb5\x2f\xfd": "zstd data: unpack it first",
    b"\xfd7zXZ\x00": "xz data: give its name the ending .xz",
    b"BZh": "bzip2 data: give its name the ending .bz2",
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"%PDF": "a PDF: needs text",
    b"\x7fELF": "a program: needs text",
    b"\xff\xfe": "UTF-16 text: needs --encoding utf-16",
    b"\xfe\xff": "UTF-16 text: needs --encoding utf-16",
}


@dataclass(frozen=True)
class SourceRecord:
    """Which bytes a text came from."""

    path: str  # absolute, or -
    num_bytes: int  # as stored: before decompression
    sha256: str  # of these bytes


def find_sources(arguments: Sequence[str]) -> list[str]:
    """Return the files that TEXT arguments mean, in order; `-` stays.

    A directory means its *.txt, sorted; a name that is no file but a pattern means what it matches,
    sorted. Raises CorpusError for what is missing, holds no text or is a device.
    """
    found: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if argument == STDIN:
            found.append(argument)
        elif path.is_dir():
            texts = sorted(str(p) for p in path.glob("*.txt") if not p.is_dir())
            if not texts:
                raise CorpusError(f"directory {argument} has no *.txt: needs at least one")
            found += texts
        elif not path.exists() and any(c in argument for c in "*?["):
            matches = sorted(p for p in glob.glob(argument, recursive=True) if Path(p).is_file())  # noqa: PTH207
            if not matches:
                raise CorpusError(f"no file matches {argument}")
            found += matches
        else:
            found.append(argument)
    if found.count(STDIN) > 1:
        raise CorpusError("standard input (-) is given twice: it can be read once")
    for name in found:
        check_source(name)
    return found


def check_source(name: str) -> None:
    """Raise CorpusError where `name` is not a file or FIFO that can be read."""
    if name == STDIN:
        return
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot read {name}: {reason(error)}") from error
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise CorpusError(f"{name} is a device: needs a file, a FIFO or -")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise CorpusError(f"{name} is not a file: needs a file, a FIFO or -")


def reason(error: Exception) -> str:
    """Return what an exception says, without its number and path."""
    return str(getattr(error, "strerror", None) or error)


class CountingReader(io.RawIOBase):
    """A binary stream that counts and hashes what is read through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.digest, self.num_bytes = stream, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self.stream.read(len(view))
        view[: len(data)] = data
        self.digest.update(data)
        self.num_bytes += len(data)
        return len(data)


@dataclass
class TextReader:
    """One source, read once: iterate over its text, then take its record."""

    source: str
    encoding: str = "utf-8"
    record: SourceRecord | None = field(default=None, init=False)  # after the last chunk

    def __iter__(self) -> Iterator[str]:
        """Yield the text in chunks, none of them empty.

        Raises CorpusError with the offset of the first byte that is not of the encoding, or where
        the source cannot be read.
        """
        decoder = make_decoder(self.encoding)
        try:
            with self._open() as raw:
                counting = CountingReader(raw)
                suffix = Path(self.source).suffix.lower()
                stream: io.RawIOBase | io.BufferedIOBase = counting
                if suffix in OPENERS and self.source != STDIN:
                    stream = OPENERS[suffix](io.BufferedReader(counting, CHUNK_BYTES))
                yield from self._decode(stream, decoder)
                while counting.read(CHUNK_BYTES):
                    pass
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise CorpusError(f"cannot read {self.source}: {reason(error)}") from error
        path = STDIN if self.source == STDIN else str(Path(self.source).absolute())
        self.record = SourceRecord(path, counting.num_bytes, counting.digest.hexdigest())

    def _open(self) -> BinaryIO:
        if self.source == STDIN:
            if sys.stdin is None:
                raise CorpusError("standard input is closed: needs a text")
            return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
        return Path(self.source).open("rb", buffering=0)

    def _decode(self, stream: io.RawIOBase | io.BufferedIOBase, decoder: codecs.IncrementalDecoder) -> Iterator[str]:
        start, fed = b"", 0
        while True:
            data = stream.read(CHUNK_BYTES) or b""
            start = start or data[:16]
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError as error:
                offset = fed - len(pending) + getattr(error, "start", 0)
                raise CorpusError(self._complaint(start, offset)) from error
            fed += len(data)
            if text:
                yield text
            if not data:
                return

    def _complaint(self, start: bytes, offset: int) -> str:
        name = "standard input" if self.source == STDIN else self.source
        for magic, meaning in MAGIC.items():
            if start.startswith(magic):
                return f"{name} is {meaning}"
        unpacked = Path(name).suffix.lower() in OPENERS
        where = "unpacked byte" if unpacked else "byte"
        return f"{name} is not {self.encoding}: {where} {offset} is invalid; needs --encoding"


def make_decoder(encoding: str) -> codecs.IncrementalDecoder:
    """Return a strict decoder; raise ConfigError for what is not the name of a text encoding."""
    try:
        codec = codecs.lookup(encoding)
        if getattr(codec, "_is_text_encoding", True) and codec.incrementaldecoder is not None:
            return codec.incrementaldecoder("strict")
    except (LookupError, ValueError):
        pass
    raise ConfigError(f"encoding {encoding!r} is not known: needs a name like utf-8 or latin-1")
