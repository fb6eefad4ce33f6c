"""The log: a line is whole or it is not there."""

import errno
import json
import os

import pytest
from failing_os import FailingOs

from charrnn.errors import StoreError
from charrnn.store import Journal, read_journal


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_each_line_is_one_write_in_the_order_of_its_keys(tmp_path):
    journal = Journal(tmp_path / "m")
    with FailingOs()() as system:
        journal.append({"step": 3, "event": "log"})
        journal.append({"text": "a\n\u2028é"})
        journal.sync()
    journal.close()
    assert system.names() == ["write", "write", "fsync"]
    lines = (tmp_path / "m").read_bytes().splitlines()
    assert lines == [b'{"step": 3, "event": "log"}', b'{"text": "a\\n\\u2028\\u00e9"}']
    assert read_journal(tmp_path / "m") == [json.loads(line) for line in lines]


def test_a_line_that_could_not_be_written_leaves_no_half(tmp_path):
    journal = Journal(tmp_path / "m")
    journal.append({"step": 1})
    before = (tmp_path / "m").read_bytes()
    real = os.write
    with FailingOs(2, errno.ENOSPC)():
        failing = os.write
        os.write = lambda fd, data: failing(fd, bytes(data)[:5])
        with pytest.raises(StoreError, match=r"^cannot write .*m: No space left on device$"):
            journal.append({"step": 2})
    assert os.write is real
    assert (tmp_path / "m").read_bytes() == before
    journal.append({"step": 3})
    assert read_journal(tmp_path / "m") == [{"step": 1}, {"step": 3}]


def test_a_short_write_of_a_line_is_carried_on(tmp_path):
    journal = Journal(tmp_path / "m")
    with FailingOs(1, short=True)():
        journal.append({"step": 12345})
    assert read_journal(tmp_path / "m") == [{"step": 12345}]


def test_a_log_whose_fsync_failed_is_never_called_durable_again(tmp_path):
    journal = Journal(tmp_path / "m")
    with FailingOs(1)() as system:
        with pytest.raises(StoreError, match="Input/output error"):
            journal.sync()
        with pytest.raises(StoreError, match="an earlier write was lost"):
            journal.sync()
    assert system.names() == ["fsync"]


def test_a_number_that_is_not_finite_never_reaches_the_log(tmp_path):
    journal = Journal(tmp_path / "m")
    with pytest.raises(ValueError, match="JSON"):
        journal.append({"loss": float("nan")})
    assert (tmp_path / "m").read_bytes() == b""


def test_trim_keeps_whole_lines_that_are_wanted_in_a_new_file(tmp_path):
    path = tmp_path / "m"
    good = b'{"step": 1}\n{"text": "a\\u2028b", "step": 2}\n'
    path.write_bytes(
        good + b'{"step": 3}\nnot json\n\0\0\0\n[1]\n{"step": 2, "x": NaN}\n{"step": 1}'
    )
    inode = path.stat().st_ino
    assert [r["step"] for r in read_journal(path)] == [1, 2, 3]
    Journal.trim(path, lambda record: record["step"] <= 2)
    assert path.read_bytes() == good
    assert path.stat().st_ino != inode
    Journal.trim(tmp_path / "missing", lambda record: True)
    assert names(tmp_path) == ["m"]
    assert read_journal(tmp_path / "missing") == []
