"""The bytes of one source -> its text, chunk by chunk, and which bytes they were.

Nothing is normalised: newlines, byte order marks and every control character are kept. Memory does
not grow with the source, nor with its longest line. Does not know what a token or a document is.

What is read as BYTES is not decoded: valid UTF-8 looks as usual, each other byte is the surrogate
that Python keeps such bytes as (PEP 383), so that the bytes can be had back (tokenizer.utf8).
"""

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import os
import re
import select
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from charrnn.config import Level
from charrnn.corpus import STDIN, SourceRecord, check_source, reason, shown
from charrnn.errors import ConfigError, CorpusError

CHUNK_BYTES = 1 << 20
BYTES = "bytes"  # the encoding of what may be any bytes
OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
MAGIC = {
    rb"\x1f\x8b": "gzip data: give its name the ending .gz",
    rb"\x89PNG": "a PNG picture: needs text",
    rb"\xff\xd8\xff": "a JPEG picture: needs text",
    rb"\x28\xb5\x2f\xfd": "zstd data: unpack it first",
    rb"\xfd7zXZ\x00": "xz data: give its name the ending .xz",
    rb"BZh[1-9]1AY&SY": "bzip2 data: give its name the ending .bz2",
    rb"PK\x03\x04": "a zip archive: unpack it first",
    rb"%PDF-": "a PDF: needs text",
    rb"\x7fELF": "a program: needs text",
    rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff": "UTF-32 text: needs --encoding utf-32",
    rb"\xff\xfe|\xfe\xff": "UTF-16 text: needs --encoding utf-16",
}
UNMARKED = {  # what 16 bytes of Latin text look like, without a byte order mark
    rb"(?:[^\0]\0){8}": "UTF-16 text: needs --encoding utf-16-le",
    rb"(?:\0[^\0]){8}": "UTF-16 text: needs --encoding utf-16-be",
}
SURROGATE = re.compile("[\ud800-\udfff]")


class CountingReader(io.RawIOBase):
    """A binary stream that counts and hashes what is read through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.digest, self.num_bytes = stream, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill some of `buffer`; a pipe that has nothing yet is waited for."""
        size: int | None = self.stream.readinto(buffer)  # type: ignore[attr-defined]
        while size is None:
            select.select([self.stream], [], [])
            size = self.stream.readinto(buffer)  # type: ignore[attr-defined]
        self.digest.update(memoryview(buffer)[:size])
        self.num_bytes += size
        return size


@dataclass
class TextReader:
    """One source, read once: iterate over its text, then take its record."""

    source: str
    encoding: str = "utf-8"
    record: SourceRecord | None = field(default=None, init=False)  # after the last chunk

    def __iter__(self) -> Iterator[str]:
        """Yield the text in chunks, none of them empty.

        Raises CorpusError with the offset of the first byte that is not of the encoding, or where
        the source cannot be read; ConfigError for an unknown encoding.
        """
        decoder = make_decoder(self.encoding)
        try:
            with open_source(self.source) as raw:
                counting = CountingReader(raw)
                stored = io.BufferedReader(counting, CHUNK_BYTES)
                unpacked = OPENERS[packing(self.source)](stored) if packing(self.source) else stored
                yield from self._decode(unpacked, decoder)
                while stored.read(CHUNK_BYTES):
                    pass  # what stands behind the packed data is hashed too
        except (OSError, *DAMAGED) as error:
            raise CorpusError(self._failure(error)) from error
        path = STDIN if self.source == STDIN else str(Path(self.source).absolute())
        self.record = SourceRecord(path, counting.num_bytes, counting.digest.hexdigest())

    def _decode(self, stream: Any, decoder: codecs.IncrementalDecoder) -> Iterator[str]:
        start, fed = b"", 0
        codec = BYTES if self.encoding == BYTES else codecs.lookup(self.encoding).name
        trusted = codec in (BYTES, "utf-8", "ascii", "iso8859-1")
        while True:
            data: bytes = stream.read(CHUNK_BYTES)
            start = start or data[:16]
            if not fed and codec == "utf-8":
                self._refuse_unmarked(start)
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError as error:
                offset = fed - len(pending) + getattr(error, "start", 0)
                raise CorpusError(self._complaint(start, offset, error)) from error
            if not trusted and SURROGATE.search(text):
                raise CorpusError(
                    f"{shown(self.source)} is not {self.encoding}: near byte {fed} a lone "
                    "surrogate is no character; needs --encoding"
                )
            fed += len(data)
            if text:
                yield text
            if not data:
                return

    def _refuse_unmarked(self, start: bytes) -> None:
        """Raise CorpusError for UTF-16 that would pass as UTF-8 with a NUL behind each letter."""
        for pattern, meaning in UNMARKED.items():
            if re.match(pattern, start):
                raise CorpusError(f"{shown(self.source)} is {meaning}")

    def _complaint(self, start: bytes, offset: int, error: UnicodeError) -> str:
        name = shown(self.source)
        family = codecs.lookup(self.encoding).name[:6]
        for magic, meaning in MAGIC.items():
            if re.match(magic, start) and family not in meaning:
                return f"{name} is {meaning}"
        if not isinstance(error, UnicodeDecodeError):
            return f"{name} is not {self.encoding}: {error}; needs another --encoding"
        byte = error.object[error.start]
        where = "unpacked byte" if packing(self.source) else "byte"
        problem = f"{where} {offset} (0x{byte:02x}) is invalid"
        return f"{name} is not {self.encoding}: {problem}; needs another --encoding"

    def _failure(self, error: Exception) -> str:
        packed = packing(self.source)
        if packed and getattr(error, "errno", None) is None:
            return f"{shown(self.source)} is damaged: {reason(error)}; needs a whole {packed} file"
        return f"cannot read {shown(self.source)}: {reason(error)}"


def packing(source: str) -> str:
    """Return the ending of a source that is unpacked while it is read, or the empty string."""
    suffix = Path(source).suffix.lower()
    return suffix if suffix in OPENERS else ""


def open_source(source: str) -> BinaryIO:
    """Return the bytes of a source as they are stored, unbuffered.

    Raises CorpusError for a device, or OSError.
    """
    if source != STDIN:
        check_source(source)
        return Path(source).open("rb", buffering=0)
    if sys.stdin is None:
        raise CorpusError("standard input is closed: needs a text")
    descriptor = sys.stdin.fileno()
    if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
        raise CorpusError("standard input is a device: needs a file or a pipe")
    return open(descriptor, "rb", buffering=0, closefd=False)


def default_encoding(level: Level) -> str:
    """Return how a text is read where no encoding is named: at byte level it may be any bytes."""
    return BYTES if level == "byte" else "utf-8"


def make_decoder(encoding: str) -> codecs.IncrementalDecoder:
    """Return a strict decoder; raise ConfigError for what is not the name of a text encoding."""
    if encoding == BYTES:
        return codecs.lookup("utf-8").incrementaldecoder("surrogateescape")
    try:
        codec = codecs.lookup(encoding)
        if getattr(codec, "_is_text_encoding", True) and codec.incrementaldecoder is not None:
            return codec.incrementaldecoder("strict")
    except (LookupError, ValueError):
        pass
    raise ConfigError(f"encoding {encoding!r} is not known: needs a name like utf-8 or latin-1")
