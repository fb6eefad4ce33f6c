"""One writer to a run directory: an flock on `.lock`, which dies with its process."""

import contextlib
import fcntl
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from charrnn.errors import BusyError, StoreError
from charrnn.store.files import check_regular, is_alive, make_directory, store_errors, write_all

LOCK_NAME = ".lock"
_ATTEMPTS = 100
_PID_WAIT = 0.2  # seconds in which the winner will have written who it is


@dataclass
class RunLock:
    """Held from `acquire` until `release` or `discard`, or until the process ends."""

    directory: Path
    created: tuple[Path, ...]  # directories that were made for it, outermost first
    descriptor: int

    @classmethod
    def acquire(cls, directory: Path) -> "RunLock":
        """Return the lock of `directory`, which is created with its parents if it is missing.

        Raises BusyError, which names the process that holds it, and StoreError.
        """
        created: list[Path] = []
        try:
            for _ in range(_ATTEMPTS):
                created += [path for path in _missing(directory) if path not in created]
                make_directory(directory)
                descriptor = _take(directory)
                if descriptor is not None:
                    return cls(directory, tuple(created), descriptor)
        except BaseException:
            _remove_empty(created)
            raise
        raise StoreError(f"cannot lock {directory}: it is removed again and again")

    def check(self) -> None:
        """Raise StoreError when the directory or its lock was removed under our feet."""
        if self.descriptor < 0 or not _is_current(self.descriptor, self.directory):
            raise StoreError(f"{self.directory} was removed or replaced while it was in use")

    def release(self) -> None:
        """Let others write; the lock file goes."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            if _is_current(descriptor, self.directory):
                with contextlib.suppress(OSError):
                    (self.directory / LOCK_NAME).unlink()
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def discard(self) -> None:
        """Release, and remove the directories made for the lock as far as they are empty."""
        self.release()
        _remove_empty(self.created)


def _remove_empty(directories: Sequence[Path]) -> None:
    """Remove the directories, the innermost first, as far as they are empty."""
    for path in sorted(directories, key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()


def _missing(directory: Path) -> list[Path]:
    """Return `directory` and its parents as far as they do not exist, outermost first."""
    paths = [directory, *directory.parents]
    return [path for path in reversed(paths) if not os.path.lexists(path)]


def _take(directory: Path) -> int | None:
    """Return a locked descriptor, None where the directory or the file was removed meanwhile."""
    path = directory / LOCK_NAME
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with store_errors("write", path):
        try:
            descriptor = os.open(path, flags, 0o644)
        except FileNotFoundError:
            return None
        try:
            check_regular(path, os.fstat(descriptor))
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_current(descriptor, directory):
                os.ftruncate(descriptor, 0)
                write_all(descriptor, f"{os.getpid()}\n".encode())
                kept, descriptor = descriptor, -1
                return kept
            return None
        except BlockingIOError:
            holder = _holder(descriptor)
            raise BusyError(
                f"{directory} is being written by {holder}: wait for it, or give another --output"
            ) from None
        except OSError:  # no locks on this file system, or locked and not written
            if _is_current(descriptor, directory):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _is_current(descriptor: int, directory: Path) -> bool:
    """Return whether the lock file's name still leads to the file that is locked."""
    try:
        return os.path.samestat(os.lstat(directory / LOCK_NAME), os.fstat(descriptor))
    except OSError:
        return False


def _holder(descriptor: int) -> str:
    """Return who holds the lock; what a killed process left there is outwaited."""
    text, deadline = b"", time.monotonic() + _PID_WAIT
    while time.monotonic() < deadline:
        text = os.pread(descriptor, 32, 0).strip()
        if text.isdigit() and is_alive(int(text)):
            return f"process {int(text)}"
        time.sleep(0.005)
    return "another process"
