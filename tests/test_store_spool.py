"""Arrays on disk: nameless ones to fill, and the cache of full ones."""

import errno
import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from failing_os import CALLS, FailingOs
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import StoreError
from charrnn.store import (
    ArraySpool,
    cache_directory,
    clean_temporaries,
    prune_cache,
    write_file,
)

CODES = [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS]


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def descriptors():
    return len(list(Path("/dev/fd").iterdir()))


CHUNKS = st.lists(st.lists(st.integers(0, 65535), max_size=50), max_size=6)


@given(CHUNKS, st.sampled_from(["u2", "i4", "i8"]))
@settings(max_examples=40)
def test_a_spool_is_what_was_appended(chunks, dtype):
    spool = ArraySpool(dtype)
    for chunk in chunks:
        spool.append(np.array(chunk, dtype=np.int64))
    values = [value for chunk in chunks for value in chunk]
    assert len(spool) == len(values)
    view = spool.view()
    assert view.dtype == np.dtype(dtype)
    assert view.tolist() == values
    assert not values or not view.flags.writeable
    assert [value for chunk in spool.chunks() for value in chunk.tolist()] == values
    spool.apply(lambda chunk: 65535 - chunk)
    assert spool.view().tolist() == [65535 - value for value in values]
    spool.close()
    spool.close()


@pytest.mark.parametrize("has_nameless", [True, False])
def test_a_spool_has_no_name_and_what_it_showed_outlives_it(tmp_path, monkeypatch, has_nameless):
    if not has_nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    before = descriptors()
    spool = ArraySpool(np.uint8, tmp_path)
    spool.append(np.arange(100))
    assert names(tmp_path) == []
    view = spool.view()
    spool.close()
    assert view.tolist() == list(range(100))
    del view, spool
    spool = ArraySpool(np.uint8, tmp_path)
    del spool
    assert descriptors() == before


@pytest.fixture
def nameless_files(tmp_path):
    """Skip where `tmp_path` has no files without a name."""
    try:
        os.close(os.open(tmp_path, os.O_RDWR | os.O_TMPFILE))
    except (AttributeError, OSError):
        pytest.skip("this file system has no nameless files")


@pytest.mark.usefixtures("nameless_files")
def test_a_spool_needs_no_removal_of_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "unlink", pytest.fail)
    ArraySpool(np.uint8, tmp_path).append(np.arange(3))
    assert names(tmp_path) == []


def test_a_name_that_cannot_be_removed_is_an_error_and_keeps_no_descriptor(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(Path, "unlink", refuse)
    before = descriptors()
    with pytest.raises(StoreError, match=r"^cannot write a temporary file in .*: Operation not"):
        ArraySpool(np.uint8, tmp_path)
    assert descriptors() == before


def test_chunks_of_a_large_spool_join_to_the_whole(tmp_path):
    values = np.arange(700_001, dtype=np.uint32)
    spool = ArraySpool("<u4", tmp_path)
    spool.append(values)
    parts = list(spool.chunks())
    assert len(parts) == 3
    assert np.array_equal(np.concatenate(parts), values)
    spool.apply(lambda chunk: chunk[::-1] if len(chunk) == 1 else chunk + 1)
    assert np.array_equal(spool.view(), values + 1)


def test_a_published_spool_is_a_private_file_of_its_values(tmp_path):
    values = np.arange(70000).astype(np.uint16)
    spool = ArraySpool(np.uint16, tmp_path)
    spool.publish(tmp_path / "empty")
    spool.append(values)
    spool.publish(tmp_path / "c")
    assert names(tmp_path) == ["c", "empty"]
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o600
    assert (tmp_path / "c").read_bytes() == values.tobytes()
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("code", CODES)
def test_a_full_disk_under_a_spool_is_a_plain_error(tmp_path, code):
    spool = ArraySpool(np.uint8, tmp_path)
    reason = f"^cannot write a temporary file in .*: {os.strerror(code)}$"
    for action, call in (
        (lambda: spool.append(np.ones(3)), "write"),
        (lambda: spool.apply(lambda chunk: chunk + 1), "pwrite"),
    ):
        spool.append(np.ones(2))
        with FailingOs(1, code)() as system, pytest.raises(StoreError, match=reason):
            action()
        assert system.names() == [call]


@pytest.mark.parametrize("code", CODES)
def test_a_directory_that_takes_no_file_is_a_plain_error(tmp_path, monkeypatch, code):
    reason = f"^cannot write a temporary file in .*: {os.strerror(code)}$"
    with FailingOs(1, code, for_good=True)(), pytest.raises(StoreError, match=reason):
        ArraySpool(np.uint8, tmp_path)
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    for at, call in enumerate(["open", "unlink"], start=1):
        with FailingOs(at, code)() as system, pytest.raises(StoreError, match=reason):
            ArraySpool(np.uint8, tmp_path)
        assert system.names()[:at][-1] == call
        clean_temporaries(tmp_path)
        assert names(tmp_path) == []


@pytest.mark.usefixtures("nameless_files")
def test_where_no_nameless_file_can_be_a_spool_loses_its_name(tmp_path):
    with FailingOs(1, errno.EOPNOTSUPP)() as system:
        spool = ArraySpool(np.uint8, tmp_path)
    assert system.names()[:3] == ["open", "open", "unlink"]
    assert names(tmp_path) == []
    spool.append(np.arange(3))
    assert spool.view().tolist() == [0, 1, 2]


def test_short_writes_into_a_spool_are_carried_on():
    spool = ArraySpool(np.uint16)
    with FailingOs(1, short=True, for_good=True)():
        spool.append(np.arange(1000))
        spool.apply(lambda chunk: chunk + 1)
    assert spool.view().tolist() == list(range(1, 1001))


def test_the_cache_is_ours_alone_and_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "charrnn"
    assert stat.S_IMODE((tmp_path / "xdg" / "charrnn").stat().st_mode) == 0o700
    for relative in ("", "not/absolute"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert cache_directory() == tmp_path / "home" / ".cache" / "charrnn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        assert cache_directory() is None
    (tmp_path / "xdg" / "charrnn").rmdir()
    (tmp_path / "xdg" / "charrnn").symlink_to(tmp_path / "home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() is None
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_directory() is None
    with FailingOs(1, errno.EROFS, for_good=True)():
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "read-only"))
        assert cache_directory() is None


def test_the_oldest_files_leave_the_cache_first(tmp_path):
    for name in "hcaegbfd":
        write_file(tmp_path / name, bytes(100))
        os.utime(tmp_path / name, (1000 + ord(name), 1000 + ord(name)))
    for name, then in ((".x.1-00000000.tmp", 1000), (".y.1-00000000.tmp", time.time())):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (then, then))
    (tmp_path / "folder").mkdir()
    prune_cache(tmp_path, 450)
    assert names(tmp_path) == [".y.1-00000000.tmp", "e", "f", "folder", "g", "h"]
    prune_cache(tmp_path, 199)
    assert names(tmp_path) == [".y.1-00000000.tmp", "folder", "h"]
    prune_cache(tmp_path, 0)
    assert names(tmp_path) == [".y.1-00000000.tmp", "folder"]
    prune_cache(tmp_path / "missing")


def test_every_call_that_the_tests_fail_exists():
    assert all(callable(getattr(os, name)) for name in CALLS)
