"""Files are there whole, as they were or as they shall be; links and devices are left alone."""

import os
import stat
import time
from pathlib import Path

import pytest
from failing_os import FailingOs, count

from charrnn.errors import StoreError
from charrnn.store import (
    Journal,
    RunLock,
    clean_abandoned,
    clean_temporaries,
    make_directory,
    read_file,
    remove_file,
    write_file,
    write_files,
)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def descriptors():
    return len(list(Path("/dev/fd").iterdir()))


def test_a_file_is_replaced_by_its_new_content(tmp_path):
    path = tmp_path / "x"
    for data in (b"old", b"", [b"a", memoryview(b"bc"), bytearray(b"d")]):
        write_file(path, data)
        assert read_file(path) == (data if isinstance(data, bytes) else b"abcd")
        assert names(tmp_path) == ["x"]


def test_the_order_is_write_fsync_close_rename_fsync_of_the_directory(tmp_path):
    with FailingOs()() as system:
        write_file(tmp_path / "x", b"new")
    calls = ["open", "write", "fsync", "close", "replace", "open", "fsync", "close"]
    assert system.names() == calls
    assert system.calls[5][1] == tmp_path


def test_several_files_are_all_durable_before_the_first_is_renamed_in_the_order_given(tmp_path):
    with FailingOs()() as system:
        write_files(tmp_path, {"b": b"1", "a": b"2", "c": b"3"})
    steps = [name for name in system.names() if name in ("fsync", "replace")]
    assert steps == ["fsync"] * 3 + ["replace"] * 3 + ["fsync"]
    assert [call[2].name for call in system.calls if call[0] == "replace"] == ["b", "a", "c"]
    assert {name: read_file(tmp_path / name) for name in "abc"} == {"a": b"2", "b": b"1", "c": b"3"}


def test_files_that_have_their_content_already_are_left_alone(tmp_path):
    write_files(tmp_path, {"a": b"1", "b": b"2"})
    before = (tmp_path / "a").stat()
    write_files(tmp_path, {"a": b"1", "b": b"3"})
    assert (tmp_path / "a").stat().st_ino == before.st_ino
    assert read_file(tmp_path / "b") == b"3"
    assert count(lambda: write_files(tmp_path, {"a": b"1"})) <= 1  # opened to be read


def test_permissions_are_kept_and_new_files_follow_mode_and_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "x", b"1")
        write_file(tmp_path / "y", b"1", mode=0o600)
        (tmp_path / "x").chmod(0o604)
        write_file(tmp_path / "x", b"2")
        write_files(tmp_path, {"x": b"3"})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o604
    assert stat.S_IMODE((tmp_path / "y").stat().st_mode) == 0o600


def test_a_link_stays_and_its_target_is_replaced_unless_that_is_forbidden(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "target").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("folder/target")
    write_file(link, b"new")
    assert link.is_symlink()
    assert (folder / "target").read_bytes() == b"new"
    for write in (
        lambda: write_file(link, b"newer", follow=False),
        lambda: write_files(tmp_path, {"link": b"newer"}),
        lambda: read_file(link, follow=False),
        lambda: Journal(link),
    ):
        with pytest.raises(StoreError, match="link"):
            write()
    assert (folder / "target").read_bytes() == b"new"
    assert names(folder) == ["target"]


def test_what_is_no_regular_file_is_neither_read_nor_replaced(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/zero")
    kinds = {"fifo": "a FIFO", "folder": "a directory", "link": "a device"}
    for name, kind in kinds.items():
        for use in (lambda p: write_file(p, b"x"), read_file):
            with pytest.raises(StoreError, match=f"({name}|/dev/zero) is {kind}"):
                use(tmp_path / name)
    assert names(tmp_path) == sorted(kinds)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    write_file(tmp_path / "x", b"12345")
    assert read_file(tmp_path / "x", limit=5) == b"12345"
    with pytest.raises(StoreError, match="x has 5 bytes: needs at most 4"):
        read_file(tmp_path / "x", limit=4)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    began = time.monotonic()
    with pytest.raises(StoreError, match="needs at most 100"):
        read_file(tmp_path / "sparse", limit=100)
    assert time.monotonic() - began < 1


def test_a_missing_file_or_directory_is_said_on_one_line(tmp_path):
    with pytest.raises(StoreError, match=r"^cannot read .*/x: No such file or directory$"):
        read_file(tmp_path / "x")
    with pytest.raises(StoreError, match=r"^cannot write .*/gone/x: No such file or directory$"):
        write_file(tmp_path / "gone" / "x", b"")
    assert names(tmp_path) == []


def test_names_of_any_bytes_and_length_can_be_written_and_their_litter_is_known(tmp_path):
    for name in ("a" * 255, "\udcff\udcfe", "line\nbreak", "-x", "é" * 127):
        write_file(tmp_path / name, b"x")
        with FailingOs(5, for_good=True)(), pytest.raises(StoreError):
            write_file(tmp_path / name, b"y")
        assert len(names(tmp_path)) == 2
        clean_temporaries(tmp_path)
        assert names(tmp_path) == [name]
        remove_file(tmp_path / name)


def test_only_our_own_temporaries_are_cleaned(tmp_path):
    kept = [".x.tmp", "x.123-0123abcd.tmp", ".x.12-0123abcd.tmp~", ".x.ab-0123abcd.tmp", ".lock"]
    for name in [*kept, ".x.12-0123abcd.tmp", ".model.safetensors.7-00000000.tmp"]:
        (tmp_path / name).touch()
    (tmp_path / ".y.12-0123abcd.tmp").symlink_to("x")
    (tmp_path / ".z.12-0123abcd.tmp").mkdir()
    clean_temporaries(tmp_path)
    assert names(tmp_path) == sorted([*kept, ".y.12-0123abcd.tmp", ".z.12-0123abcd.tmp"])
    clean_temporaries(tmp_path / "missing")


def test_directories_are_made_with_their_parents_or_not_at_all(tmp_path):
    make_directory(tmp_path / "a" / "b")
    assert count(lambda: make_directory(tmp_path / "a" / "b")) == 0
    assert names(tmp_path / "a") == ["b"]
    with pytest.raises(StoreError, match=r"cannot create directory .*No such file"):
        make_directory(tmp_path / "c" / "d", parents=False)
    write_file(tmp_path / "file", b"")
    with pytest.raises(StoreError, match="file"):
        make_directory(tmp_path / "file")
    with pytest.raises(StoreError, match=r"Not a directory|is not a directory"):
        make_directory(tmp_path / "file" / "d")
    assert names(tmp_path) == ["a", "file"]


def test_removing_a_file_twice_is_no_mistake(tmp_path):
    write_file(tmp_path / "x", b"")
    remove_file(tmp_path / "x")
    remove_file(tmp_path / "x")
    assert names(tmp_path) == []


def test_many_writes_leave_no_descriptor_and_no_file(tmp_path):
    before = descriptors()
    for number in range(50):
        write_file(tmp_path / "x", b"%d" % number)
        read_file(tmp_path / "x")
        RunLock.acquire(tmp_path).release()
        with FailingOs(1 + number % 5)(), pytest.raises(StoreError):
            write_file(tmp_path / "x", b"y")
    assert descriptors() == before
    assert names(tmp_path) == ["x"]


def test_what_killed_writers_of_one_file_left_goes_and_nothing_else(tmp_path):
    gone, here = 999_999_999, os.getpid()  # no system has so many processes
    name = "p" * 240
    own = f".{'p' * 200}.{gone}-0123abcd.tmp"
    others = (f".{'p' * 200}.{here}-0123abcd.tmp", f".q.{gone}-0123abcd.tmp", "p.tmp")
    for file in (own, *others):
        (tmp_path / file).touch()
    clean_abandoned(tmp_path / name)
    assert names(tmp_path) == sorted(others)
    clean_abandoned(tmp_path / "missing" / "q")
    (tmp_path / "link").symlink_to(tmp_path / "q")
    clean_abandoned(tmp_path / "link")
    assert names(tmp_path) == sorted([others[0], "link", "p.tmp"])
