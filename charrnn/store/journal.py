"""A log of JSON lines: each is written at once, and a torn one is never built upon."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn import strictjson
from charrnn.errors import ModelError, StoreError
from charrnn.store.files import check_regular, read_file, store_errors, write_all, write_file

Record = dict[str, Any]

LIMIT = 2**31  # bytes of a log


class Journal:
    """Appends to the log at `path`, which it creates."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._failed = False
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with store_errors("write", path):
            self._descriptor = os.open(path, flags | os.O_NONBLOCK, 0o644)
            try:
                check_regular(path, os.fstat(self._descriptor))
            except BaseException:
                os.close(self._descriptor)
                raise

    def append(self, record: Record) -> None:
        """Add `record` as one line; on failure the log is as it was, and StoreError is raised."""
        line = strictjson.dumps(record, indent=None, sort_keys=False) + b"\n"
        with store_errors("write", self.path):
            size = os.fstat(self._descriptor).st_size
            try:
                write_all(self._descriptor, line)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, size)
                raise

    def sync(self) -> None:
        """Make all lines durable; once this has failed, it fails for good."""
        if self._failed:
            raise StoreError(f"cannot write {self.path}: an earlier write was lost")
        with store_errors("write", self.path):
            try:
                os.fsync(self._descriptor)
            except OSError:
                self._failed = True
                raise

    def close(self) -> None:
        """Close the log; nothing can be added any more."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with store_errors("write", self.path):
                os.close(descriptor)

    @staticmethod
    def trim(path: Path, keep: Callable[[Record], bool]) -> None:
        """Rewrite the log whole with the lines that `keep` wants, without torn or damaged ones."""
        if not os.path.lexists(path):
            return
        lines = read_file(path, limit=LIMIT, follow=False).split(b"\n")[:-1]
        kept = [line + b"\n" for line in lines if (r := _record(line)) is not None and keep(r)]
        write_file(path, b"".join(kept))


def read_journal(path: Path) -> list[Record]:
    """Return the records of the log at `path`, without torn or damaged lines; [] if it is missing.

    Works beside a running training. Raises StoreError.
    """
    if not os.path.lexists(path):
        return []
    lines = read_file(path, limit=LIMIT, follow=False).split(b"\n")[:-1]
    return [record for line in lines if (record := _record(line)) is not None]


def _record(line: bytes) -> Record | None:
    try:
        value = strictjson.loads(line, "")
    except ModelError:
        return None
    return value if isinstance(value, dict) else None
