"""What TEXT arguments mean, and what is refused before anything is read."""

import os
import socket

import pytest

from charrnn.corpus import find_sources
from charrnn.errors import CorpusError

NOBODY = 65534


def make(directory, *names):
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("text")
    return str(directory)


def complaint(*arguments):
    """What is said about arguments that are refused: one line, whatever the names."""
    with pytest.raises(CorpusError) as caught:
        find_sources(arguments)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert message.isprintable()
    return message


def test_files_stay_in_the_order_given_and_may_come_twice(tmp_path):
    make(tmp_path, "b.txt", "a.tex")
    names = [str(tmp_path / "b.txt"), str(tmp_path / "a.tex"), "-", str(tmp_path / "b.txt")]
    assert find_sources(names) == names


def test_a_directory_means_its_visible_txt_files_sorted(tmp_path):
    make(tmp_path, "b.txt", "a.txt", "B.txt", "c.md", "._a.txt", ".txt", "sub/d.txt")
    (tmp_path / "e.txt").mkdir()
    expected = [str(tmp_path / name) for name in ("B.txt", "a.txt", "b.txt")]
    assert find_sources([str(tmp_path)]) == expected
    assert find_sources([f"{tmp_path}/"]) == expected


def test_a_directory_without_texts_is_refused(tmp_path):
    assert complaint(make(tmp_path, ".hidden")).endswith("has no *.txt: needs at least one")


def test_a_directory_without_texts_says_what_it_holds_and_how_to_name_it(tmp_path):
    folder = tmp_path / "[my] code"
    make(folder, "a.py", "b.py", "c.md", "Makefile", "sub/d.rs", ".x.c")
    assert complaint(str(folder)).removeprefix(f"directory {folder} ") == (
        f"has no *.txt, but 2 *.py and 1 without an ending and 1 *.md: "
        f"needs their names: charrnn train '{tmp_path}/[[]my] code/*.py'"
    )
    assert len(find_sources([f"{tmp_path}/[[]my] code/*.py"])) == 2
    make(tmp_path / "src", "a/d.rs", "a/b/e.rs", "a/b/.f.rs")
    assert complaint(str(tmp_path / "src")).endswith(
        f"but in its folders 2 *.rs: needs their names: charrnn train '{tmp_path}/src/**/*.rs'"
    )


def test_a_pattern_means_the_files_it_matches_sorted(tmp_path):
    make(tmp_path, "b.txt", "a.txt", "x/c.txt", "d.md")
    (tmp_path / "z.txt").mkdir()
    found = [os.path.relpath(n, tmp_path) for n in find_sources([f"{tmp_path}/*.txt"])]
    assert found == ["a.txt", "b.txt"]
    found = [os.path.relpath(n, tmp_path) for n in find_sources([f"{tmp_path}/**/*.txt"])]
    assert found == ["a.txt", "b.txt", "x/c.txt"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    make(tmp_path, "[ab].txt", "a.txt")
    assert find_sources([str(tmp_path / "[ab].txt")]) == [str(tmp_path / "[ab].txt")]


def test_a_pattern_without_a_match_is_refused(tmp_path):
    assert "no file matches" in complaint(f"{tmp_path}/*.txt")
    assert "no file matches" in complaint("a\0*")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "the name of a text is empty"),
        ("missing.txt", "cannot read missing.txt: No such file or directory"),
        ("a\0b", r"cannot read 'a\x00b': embedded null byte"),
        ("x" * 5000, "File name too long"),
        ("new\nline\x1b[2J", r"'new\nline\x1b[2J'"),
        ("right\u202eleft", r"'right\u202eleft'"),
        ("no\udcffutf8", r"'no\udcffutf8'"),
        ("file/below", "cannot read file/below: Not a directory"),
        ("loop", "cannot read loop: Too many levels of symbolic links"),
        ("broken", "cannot read broken: No such file or directory"),
        ("/dev/zero", "/dev/zero is a device: needs a file, a FIFO or -"),
        ("/dev/null", "/dev/null is a device"),
        ("device", "device is a device"),
        ("socket", "socket is not a file: needs a file, a FIFO or -"),
    ],
)
def test_what_cannot_be_a_text_is_named(tmp_path, monkeypatch, name, problem):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, "file")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert problem in complaint(name)


def test_standard_input_can_be_named_once():
    assert find_sources(["-"]) == ["-"]
    assert "given twice" in complaint("-", "-")


def test_a_fifo_is_a_text(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert find_sources([str(tmp_path / "fifo")]) == [str(tmp_path / "fifo")]


@pytest.fixture
def anybody():
    """Be a user who may not read everything, also where the tests are root's."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(before)


def test_an_unreadable_directory_or_file_is_named(tmp_path, request):
    locked = tmp_path / "locked"
    make(locked, "a.txt")
    (locked / "a.txt").chmod(0)
    locked.chmod(0)
    try:
        request.getfixturevalue("anybody")
        assert complaint(str(locked)).endswith("Permission denied")
        assert complaint(str(locked / "a.txt")).endswith("Permission denied")
    finally:
        os.seteuid(os.getuid())
        locked.chmod(0o700)
