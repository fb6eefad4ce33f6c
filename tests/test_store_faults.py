"""Each file call of a write fails in its turn: what is left is old or new, and tidy."""

import errno
import os
import subprocess
import sys

import pytest
from failing_os import FailingOs, count

from charrnn.errors import StoreError
from charrnn.store import clean_temporaries, read_file, write_file, write_files

CODES = [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS]


def names(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("for_good", [False, True])
def test_whatever_call_fails_the_old_or_the_new_file_is_there(tmp_path, code, for_good):
    path = tmp_path / "x"
    write_file(path, b"old")
    for at in range(1, 1 + count(lambda: write_file(path, b"old"))):
        system = FailingOs(at, code, for_good)
        with system(), pytest.raises(StoreError, match=f"^cannot write .*x: {os.strerror(code)}$"):
            write_file(path, b"new")
        renamed = "replace" in system.names()[: at - 1]
        assert path.read_bytes() == (b"new" if renamed else b"old")
        if not for_good:
            assert names(tmp_path) == ["x"]
        clean_temporaries(tmp_path)
        assert names(tmp_path) == ["x"]
        write_file(path, b"old")


@pytest.mark.parametrize("for_good", [False, True])
def test_whatever_call_fails_each_of_several_files_is_old_or_new(tmp_path, for_good):
    old, new = {"a": b"1", "b": b"22"}, {"a": b"333", "b": b"4444"}
    write_files(tmp_path, old)
    with FailingOs()() as system:
        write_files(tmp_path, new)
    for at in range(1, 1 + len(system.calls)):
        write_files(tmp_path, old)
        with FailingOs(at, errno.ENOSPC, for_good)():
            try:
                write_files(tmp_path, new)
            except StoreError as error:
                problem = str(error)
            else:
                problem = "No space left on device"  # a failed close of a file that was only read
        assert problem.endswith("No space left on device")
        for name in old:
            assert (tmp_path / name).read_bytes() in (old[name], new[name])
        clean_temporaries(tmp_path)
        assert names(tmp_path) == ["a", "b"]


def test_a_file_system_that_cannot_fsync_directories_is_written_nevertheless(tmp_path):
    with FailingOs(7, errno.EINVAL)() as system:
        write_file(tmp_path / "x", b"new")
    assert system.names()[6] == "fsync"
    assert read_file(tmp_path / "x") == b"new"


def test_a_failed_fsync_is_not_tried_again_on_the_same_file(tmp_path):
    system = FailingOs(3, for_good=False)
    with system(), pytest.raises(StoreError):
        write_file(tmp_path / "x", b"new")
    assert system.names().count("fsync") == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("for_good", [False, True])
def test_short_writes_are_carried_on(tmp_path, for_good):
    data = bytes(range(256)) * 3
    with FailingOs(2, short=True, for_good=for_good)():
        write_file(tmp_path / "x", [data, data])
    assert read_file(tmp_path / "x") == data + data


@pytest.mark.slow
@pytest.mark.parametrize("call", ["open", "write", "fsync", "close", "replace"])
def test_a_kill_before_any_call_leaves_the_old_or_the_new_file(tmp_path, call):
    path = tmp_path / "x"
    write_file(path, b"old")
    program = f"""
import os, signal
from pathlib import Path
from charrnn.store import write_file
os.{call} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
write_file(Path({str(path)!r}), b"new")
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -9
    assert path.read_bytes() == b"old"
    clean_temporaries(tmp_path)
    assert names(tmp_path) == ["x"]


def test_an_exception_of_the_caller_leaves_the_old_file_and_nothing_else(tmp_path):
    def blocks():
        yield b"ne"
        raise KeyboardInterrupt

    write_file(tmp_path / "x", b"old")
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "x", blocks())
    assert names(tmp_path) == ["x"]
    assert read_file(tmp_path / "x") == b"old"


def test_a_limit_on_file_sizes_is_a_plain_error(tmp_path):
    program = f"""
import resource
from pathlib import Path
from charrnn.errors import StoreError
from charrnn.store import ArraySpool, Journal, write_file
journal = Journal(Path({str(tmp_path / "m")!r}))
journal.append({{"step": 1}})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for write in (
    lambda: write_file(Path({str(tmp_path / "x")!r}), bytes(2000)),
    lambda: journal.append({{"text": "x" * 2000}}),
):
    try:
        write()
    except StoreError as error:
        print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert [line.rpartition(": ")[2] for line in ran.stdout.splitlines()] == ["File too large"] * 2
    assert names(tmp_path) == ["m"]
    assert (tmp_path / "m").read_bytes() == b'{"step": 1}\n'
