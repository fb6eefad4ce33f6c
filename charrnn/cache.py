"""Collected texts kept on disk, so that a large one starts within seconds the next time.

Keyed by the content of the sources and by how they are split, whatever their names, and kept in
files of the user alone. Only what is slower to make than to find again is kept: words, and what
must be unpacked or recoded; characters and bytes are encoded about as fast as a file is copied.
A file that is damaged is not used: it is written anew.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from charrnn import strictjson
from charrnn.config import Document, Level
from charrnn.corpus import STDIN, SourceRecord
from charrnn.errors import ModelError, StoreError
from charrnn.reading import BYTES, packing
from charrnn.splitting import LONGEST, PATTERN
from charrnn.store import ArraySpool, cache_directory, prune_cache, read_file, write_file

FORMAT = 1  # of the cache: files of another one are not found
SMALLEST = 4 << 20  # bytes; smaller texts are encoded anew
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Scheme:
    """What the provisional ids of a text depend on, but for the text."""

    level: Level
    pretokenized: bool
    document: Document
    encoding: str


@dataclass(frozen=True)
class CollectedText:
    """A text as provisional ids, on disk, and the symbol of each; "" is one that never comes."""

    spool: ArraySpool
    symbols: list[str]
    records: tuple[SourceRecord, ...]


@dataclass(frozen=True)
class Slot:
    """The place in the cache for one content, whether there is something or not."""

    directory: Path
    key: str
    records: tuple[SourceRecord, ...]  # of the sources as they are now

    def load(self) -> CollectedText | None:
        """Return what was kept, in a private file, or None where nothing sound is there."""
        with suppress(StoreError, ModelError, OSError, KeyError, TypeError, ValueError):
            head, _, body = read_file(self._path("json"), follow=False).partition(b"\n")
            if hashlib.sha256(body).hexdigest().encode() != head:
                return None
            facts = strictjson.loads(body, "the cache")
            spool = ArraySpool(np.dtype(facts["dtype"]), self.directory)
            if copy_file(self._path("ids"), spool) == facts["sha256"]:
                return CollectedText(spool, facts["symbols"], self.records)
        return None

    def keep(self, text: CollectedText) -> None:
        """Write `text` down, unless its sources have changed or there is no room for it."""
        contents = [(record.num_bytes, record.sha256) for record in text.records]
        if contents != [(record.num_bytes, record.sha256) for record in self.records]:
            return
        digest = hashlib.sha256()
        for chunk in text.spool.chunks():
            digest.update(chunk.data)
        facts = {
            "dtype": text.spool.dtype.str,
            "sha256": digest.hexdigest(),
            "symbols": text.symbols,
        }
        with suppress(StoreError):
            body = strictjson.dumps(facts, indent=None)
            head = hashlib.sha256(body).hexdigest().encode() + b"\n"
            text.spool.publish(self._path("ids"))
            write_file(self._path("json"), [head, body], mode=0o600)
            prune_cache(self.directory)

    def _path(self, suffix: str) -> Path:
        return self.directory / f"{self.key}.{suffix}"


def find_slot(sources: Sequence[str], scheme: Scheme) -> Slot | None:
    """Return the place for these sources, or None where keeping them is impossible or pays not."""
    if not worth_keeping(sources, scheme):
        return None
    directory = cache_directory()
    if directory is None:
        return None
    try:
        records = tuple(hash_file(source) for source in sources)
    except OSError:
        return None
    contents = [(record.sha256, packing(record.path)) for record in records]
    facts = [FORMAT, sys.byteorder, PATTERN, LONGEST, asdict(scheme), contents]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return Slot(directory, key, records)


def worth_keeping(sources: Sequence[str], scheme: Scheme) -> bool:
    """Return whether the sources are large files that are slow to encode."""
    slow = scheme.level == "word" or scheme.encoding.lower() not in ("utf-8", "utf8", BYTES)
    return (slow or any(packing(source) for source in sources)) and are_large(sources)


def are_large(sources: Sequence[str]) -> bool:
    """Return whether the sources are regular files, and large together."""
    paths = [Path(source) for source in sources]
    return (
        STDIN not in sources
        and all(path.is_file() for path in paths)
        and sum(path.stat().st_size for path in paths) >= SMALLEST
    )


def spool_directory(sources: Sequence[str]) -> Path | None:
    """Return where to put the ids of sources; None: where temporary files are, often in memory."""
    return cache_directory() if are_large(sources) else None


def hash_file(source: str) -> SourceRecord:
    """Return the record of a file."""
    with Path(source).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return SourceRecord(str(Path(source).absolute()), file.tell(), digest.hexdigest())


def copy_file(path: Path, spool: ArraySpool) -> str:
    """Append the values that the file `path` holds to `spool`; return its sha256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            spool.append(np.frombuffer(block, dtype=spool.dtype))
    return digest.hexdigest()
