"""A file is there whole, as it was or as it shall be, wherever a crash falls.

A new content goes to a temporary file beside the old one, is fsynced, renamed over it, and the
directory is fsynced (Pillai et al. 2014, All file systems are not created equal). A failed fsync is
never tried again on the same file: the kernel has forgotten the lost pages by then.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from charrnn.errors import StoreError

Block = bytes | bytearray | memoryview
_TEMPORARY = re.compile(r"\.(.+)\.(\d{1,18})-[0-9a-f]{8}\.tmp", re.DOTALL)
_NAME_BYTES = 200  # of a temporary file's name, so that with its suffix it stays under 255
_COMPARED_BYTES = 1 << 26  # larger files are not read to see whether they must be written


def write_file(
    path: Path, data: Block | Iterable[Block], *, mode: int = 0o644, follow: bool = True
) -> None:
    """Replace the content of `path` by `data`, whole or not at all, and durably.

    A symbolic link stays one and its target is replaced, unless `follow` forbids that. An existing
    file keeps its permissions, a new one gets `mode` less the umask. Raises StoreError; then the
    old content is still there, or, where only the last fsync failed, the new one.
    """
    path = Path(path)
    blocks = [data] if isinstance(data, bytes | bytearray | memoryview) else data
    with store_errors("write", path):
        if not follow and path.is_symlink():
            raise StoreError(f"{path} is a symbolic link: needs a regular file")
        target = Path(os.path.realpath(path))
        temporary = _prepare(target, blocks, mode)
        with _removed_on_failure(temporary):
            temporary.replace(target)
        sync_directory(target.parent)


def write_files(directory: Path, files: Mapping[str, Block], *, mode: int = 0o644) -> None:
    """Replace several files of `directory` in the order given, each whole or not at all.

    All are on disk before the first is renamed, and those that have the right content already are
    left alone, so that hardly anything can come between. No symbolic link is followed.
    Raises StoreError.
    """
    directory = Path(directory)
    with contextlib.ExitStack() as stack:
        renames: list[tuple[Path, Path]] = []
        for name, data in files.items():
            path = directory / name
            if _holds(path, data):
                continue
            with store_errors("write", path):
                temporary = _prepare(path, [data], mode)
            stack.enter_context(_removed_on_failure(temporary))
            renames.append((temporary, path))
        for temporary, path in renames:
            with store_errors("write", path):
                temporary.replace(path)
        if renames:
            with store_errors("write", directory):
                sync_directory(directory)


def read_file(path: Path, *, limit: int | None = None, follow: bool = True) -> bytes:
    """Return the content of the regular file `path`.

    Raises StoreError where it cannot be read, is a device, a FIFO or a directory, is longer than
    `limit` bytes, or is a symbolic link that `follow` forbids.
    """
    path = Path(path)
    with store_errors("read", path):
        if not follow and path.is_symlink():
            raise StoreError(f"{path} is a symbolic link: needs a regular file")
        check_regular(path, path.stat())
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            check_regular(path, status)
            if limit is not None and status.st_size > limit:
                raise StoreError(f"{path} has {status.st_size} bytes: needs at most {limit}")
            try:
                return file.read(-1 if limit is None else status.st_size)
            except MemoryError:
                raise StoreError(f"{path} has {status.st_size} bytes: too many") from None


def make_directory(path: Path, *, mode: int = 0o777, parents: bool = True) -> None:
    """Create the directory `path`, durably, if it is not there; `parents` too unless forbidden."""
    path = Path(path)
    with store_errors("create directory", path):
        if path.is_dir():
            return
        if parents and path.parent != path:
            make_directory(path.parent, mode=mode)
        try:
            path.mkdir(mode)
        except FileExistsError:
            if not path.is_dir():
                raise StoreError(f"{path} is not a directory") from None
        else:
            sync_directory(path.parent)


def remove_file(path: Path) -> None:
    """Remove the file `path` if it is there."""
    with store_errors("remove", path), contextlib.suppress(FileNotFoundError):
        Path(path).unlink()


def clean_temporaries(directory: Path) -> None:
    """Remove what killed writers left in `directory`; the caller holds its lock."""
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if is_temporary(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    Path(entry).unlink()


def clean_abandoned(path: Path) -> None:
    """Remove what killed writers of the file `path` left, where no lock keeps others out.

    A writer is taken for killed where this machine has no process of its number.
    """
    target = Path(os.path.realpath(path))
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match is None or match[1] != _short_name(target) or is_alive(int(match[2])):
                continue
            if entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    Path(entry).unlink()


def is_alive(pid: int) -> bool:
    """Return whether this machine has a process with the number `pid`."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def is_temporary(name: str) -> bool:
    """Return whether a killed writer may have left a file called `name`."""
    return _TEMPORARY.fullmatch(name) is not None


def create_temporary(target: Path, mode: int) -> tuple[Path, int]:
    """Return a new empty file beside `target`, and a descriptor to read and write it."""
    name = _short_name(target)
    temporary = target.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return temporary, os.open(temporary, flags, mode)


def write_all(descriptor: int, block: Block) -> None:
    """Write all of `block`, in as many pieces as the system wants."""
    view = memoryview(block).cast("B")
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable, where the file system can do that for directories."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def store_errors(verb: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that says what could not be done to `path`, and why."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreError(f"cannot {verb} {path}: {reason}") from error


def check_regular(path: Path, status: os.stat_result) -> None:
    """Raise StoreError unless `status` is a regular file's."""
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise StoreError(f"{path} is {kinds.get(kind, 'a device')}: needs a regular file")


@contextlib.contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _short_name(target: Path) -> str:
    return os.fsdecode(os.fsencode(target.name)[:_NAME_BYTES])


def _holds(path: Path, data: Block) -> bool:
    """Return whether `path` is a file with just this content; raise StoreError for a link."""
    if not path.is_symlink() and (not path.exists() or len(data) > _COMPARED_BYTES):
        return False
    return read_file(path, follow=False) == data


def _prepare(target: Path, blocks: Iterable[Block], mode: int) -> Path:
    """Return a new file beside `target` that holds the blocks, durably; on failure it is gone."""
    temporary, descriptor = create_temporary(target, mode)
    with _removed_on_failure(temporary):
        try:
            with contextlib.suppress(FileNotFoundError):
                status = target.stat()
                check_regular(target, status)
                with contextlib.suppress(PermissionError):  # file systems without permissions
                    os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & 0o777)
            for block in blocks:
                write_all(descriptor, block)
            os.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
        os.close(descriptor)
    return temporary
