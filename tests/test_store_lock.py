"""The lock: one writer, and never one too few."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from failing_os import FailingOs, count

from charrnn.errors import BusyError, StoreError
from charrnn.store import RunLock, write_file

CODES = [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS]


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def descriptors():
    return len(list(Path("/dev/fd").iterdir()))


def test_a_second_taker_is_told_who_holds_the_lock(tmp_path):
    lock = RunLock.acquire(tmp_path)
    with pytest.raises(BusyError, match=f"being written by process {os.getpid()}:"):
        RunLock.acquire(tmp_path)
    lock.release()
    assert names(tmp_path) == []
    RunLock.acquire(tmp_path).release()


def test_directories_made_for_a_lock_go_with_it_when_it_is_discarded(tmp_path):
    lock = RunLock.acquire(tmp_path / "runs" / "a" / "b")
    lock.discard()
    assert names(tmp_path) == []
    (tmp_path / "runs").mkdir()
    lock = RunLock.acquire(tmp_path / "runs" / "a")
    write_file(tmp_path / "runs" / "a" / "train.json", b"")
    lock.discard()
    assert names(tmp_path / "runs" / "a") == ["train.json"]
    RunLock.acquire(tmp_path / "runs").discard()
    assert names(tmp_path / "runs") == ["a"]


def test_a_lock_that_was_removed_with_its_directory_is_noticed(tmp_path):
    lock = RunLock.acquire(tmp_path / "run")
    lock.check()
    (tmp_path / "run" / ".lock").unlink()
    with pytest.raises(StoreError, match="run was removed or replaced while it was in use"):
        lock.check()
    other = RunLock.acquire(tmp_path / "run")
    lock.release()
    other.check()
    other.release()
    with pytest.raises(StoreError, match="removed or replaced"):
        other.check()


@pytest.mark.slow
def test_a_holder_that_has_not_written_who_it_is_yet_is_not_taken_for_the_one_before(tmp_path):
    lock = RunLock.acquire(tmp_path)
    for stale in (b"999999999\n", b"", b"x\n"):
        (tmp_path / ".lock").write_bytes(stale)
        with pytest.raises(BusyError, match="being written by another process:"):
            RunLock.acquire(tmp_path)
    lock.release()


def test_what_a_killed_holder_left_is_no_hindrance(tmp_path):
    (tmp_path / ".lock").write_bytes(b"999999999\n")
    lock = RunLock.acquire(tmp_path)
    assert (tmp_path / ".lock").read_bytes() == b"%d\n" % os.getpid()
    lock.release()


def test_a_taker_that_meets_a_lock_file_on_its_way_out_tries_again(tmp_path, monkeypatch):
    first = RunLock.acquire(tmp_path / "run")
    real, opened = os.open, []

    def slow_open(path, *args, **kwargs):
        descriptor = real(path, *args, **kwargs)
        if Path(path).name == ".lock" and not opened:
            opened.append(descriptor)
            first.discard()  # the file, and its directory, go between open and flock
        return descriptor

    monkeypatch.setattr(os, "open", slow_open)
    second = RunLock.acquire(tmp_path / "run")
    second.check()
    second.discard()
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", CODES)
def test_a_directory_that_cannot_be_written_cannot_be_locked_and_nothing_is_left(tmp_path, code):
    before = descriptors()
    total = count(lambda: RunLock.acquire(tmp_path / "a" / "b").discard())
    for at in range(1, total + 1):
        with FailingOs(at, code)():
            try:
                lock = RunLock.acquire(tmp_path / "a" / "b")
            except StoreError as error:
                problem, lock = str(error), None
        if lock is None:
            assert problem.endswith(os.strerror(code))
            assert names(tmp_path) == []
        else:
            lock.discard()
    RunLock.acquire(tmp_path / "a").discard()
    assert descriptors() == before


RACER = """
import sys, time
from pathlib import Path
from charrnn.errors import BusyError
from charrnn.store import RunLock
directory, go = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
while not go.exists():
    pass
try:
    lock = RunLock.acquire(directory)
    print("won", flush=True)
    sys.stdin.read()
except BusyError as error:
    print(error)
"""


@pytest.mark.slow
def test_of_many_takers_exactly_one_wins_and_the_others_name_it(tmp_path):
    for attempt in range(3):
        go, directory = tmp_path / f"go{attempt}", tmp_path / f"run{attempt}"
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, str(directory), str(go)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(6)
        ]
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        go.touch()
        said = {racer: racer.stdout.readline() for racer in racers}
        winners = [racer for racer, line in said.items() if line == "won\n"]
        assert len(winners) == 1
        for racer in racers:
            if racer is not winners[0]:
                assert f"process {winners[0].pid}:" in said[racer]
        winners[0].kill()
        for racer in racers:
            racer.communicate()
        began = time.monotonic()
        RunLock.acquire(directory).release()
        assert time.monotonic() - began < 1
