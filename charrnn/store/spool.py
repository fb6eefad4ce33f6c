"""Arrays larger than memory: private files to fill, and a cache of finished ones."""

import contextlib
import mmap
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from charrnn.errors import StoreError
from charrnn.store.files import (
    create_temporary,
    is_temporary,
    make_directory,
    store_errors,
    write_all,
    write_file,
)

CACHE_LIMIT = 4 * 2**30  # bytes
_CHUNK_BYTES = 1 << 20
_DAY = 86400.0  # seconds after which a temporary file in the cache is nobody's


class ArraySpool:
    """An array that grows on disk, in a file without a name: it goes with the process."""

    def __init__(self, dtype: DTypeLike, directory: Path | None = None) -> None:
        self.dtype = np.dtype(dtype)
        with store_errors("write", Path("a temporary file")):
            self.directory = Path(directory or tempfile.gettempdir())
        self._num_bytes = 0
        with store_errors("write a temporary file in", self.directory):
            self._descriptor = _open_nameless(self.directory)

    def __len__(self) -> int:
        return self._num_bytes // self.dtype.itemsize

    def append(self, values: NDArray[Any]) -> None:
        """Add `values`, cast to the spool's dtype."""
        block = np.ascontiguousarray(values, dtype=self.dtype).reshape(-1)
        with store_errors("write a temporary file in", self.directory):
            write_all(self._descriptor, block.view(np.uint8).data)
        self._num_bytes += block.nbytes

    def apply(self, function: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        """Replace the values in place, a chunk at a time, by what `function` makes of them."""
        offset = 0
        for chunk in self.chunks():
            block = np.ascontiguousarray(function(chunk), dtype=self.dtype)
            view = block.view(np.uint8).data
            with store_errors("write a temporary file in", self.directory):
                while view:
                    written = os.pwrite(self._descriptor, view, offset)
                    view, offset = view[written:], offset + written

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield the values in order, about 1 MB at a time."""
        size = _CHUNK_BYTES // self.dtype.itemsize * self.dtype.itemsize
        for offset in range(0, self._num_bytes, size):
            with store_errors("read a temporary file in", self.directory):
                yield np.frombuffer(
                    self._read(offset, min(size, self._num_bytes - offset)), self.dtype
                )

    def view(self) -> NDArray[Any]:
        """Return all values, read-only, as a window on the file: it takes no memory."""
        if not len(self):
            return np.empty(0, self.dtype)
        with store_errors("map a temporary file in", self.directory):
            window = mmap.mmap(self._descriptor, self._num_bytes, access=mmap.ACCESS_READ)
        return np.frombuffer(window, self.dtype)

    def publish(self, path: Path) -> None:
        """Copy the values into the file `path`, mode 0600, whole or not at all."""
        write_file(path, (chunk.view(np.uint8).data for chunk in self.chunks()), mode=0o600)

    def close(self) -> None:
        """Give the file up; what `view` returned stays valid."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self.close()

    def _read(self, offset: int, size: int) -> bytes:
        parts = []
        while size:
            part = os.pread(self._descriptor, size, offset)
            if not part:
                raise StoreError(f"a temporary file in {self.directory} was cut short")
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return b"".join(parts)


def _open_nameless(directory: Path) -> int:
    """Return a descriptor of a new file in `directory`, mode 0600, that goes with the process.

    Where the file system or the system has no files without a name, it has one for a moment.
    """
    nameless = getattr(os, "O_TMPFILE", 0)
    if nameless:
        with contextlib.suppress(OSError):
            return os.open(directory, os.O_RDWR | nameless | os.O_CLOEXEC, 0o600)
    name, descriptor = create_temporary(directory / "spool", 0o600)
    try:
        name.unlink()
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def cache_directory() -> Path | None:
    """Return the directory of the cache, mode 0700, or None where there can be none.

    $XDG_CACHE_HOME/charrnn if that is an absolute path, else ~/.cache/charrnn.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        parent = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
        directory = parent / "charrnn"
        make_directory(directory, mode=0o700)
        status = os.lstat(directory)
    except (OSError, RuntimeError, StoreError):
        return None
    usable = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return directory if usable and os.access(directory, os.R_OK | os.W_OK | os.X_OK) else None


def prune_cache(directory: Path, limit_bytes: int = CACHE_LIMIT) -> None:
    """Remove files of the cache, the oldest first, until the rest fits `limit_bytes`; never fails.

    A file that another process has open stays readable to it.
    """
    files, now = [], time.time()
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode):
                    continue
                if not is_temporary(entry.name):
                    files.append((status.st_mtime_ns, entry.path, status.st_size))
                elif status.st_mtime < now - _DAY:
                    Path(entry).unlink()
    total = sum(size for _, _, size in files)
    for _, path, size in sorted(files):
        if total <= limit_bytes:
            return
        with contextlib.suppress(OSError):
            Path(path).unlink()
            total -= size
