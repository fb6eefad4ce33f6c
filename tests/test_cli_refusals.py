"""What `charrnn train` cannot use is said on one line, with an exit code, and nothing is made."""

import gzip

import pytest
from commands import refusal
from model_directories import make_model

from charrnn.store import RunLock

TEXTS = {
    "empty.txt": b"",
    "one.txt": b"a",
    "packed.txt": gzip.compress(b"text " * 99),
    "picture.txt": b"\x89PNG\r\n\x1a\n\0\0",
    "random.txt": bytes(range(256)),
    "latin.txt": "caf\u00e9 au lait".encode("latin-1"),
    "torn.gz": gzip.compress(b"text " * 99)[:-9],
    "good.txt": b"a text that could be read, and read again. " * 9,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with TEXTS, an empty folder, a folder of somebody's, and a model."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "200")  # which the command would set for good
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    work = tmp_path / "work"
    for name in ("none", "theirs"):
        (work / name).mkdir(parents=True)
    (work / "theirs" / "thesis.tex").write_text("mine")
    for name, content in TEXTS.items():
        (work / name).write_bytes(content)
    make_model(work / "model")
    monkeypatch.chdir(work)
    return work


def content_of(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "TEXT is missing: needs at least one file"),
        ([""], "the name of a text is empty"),
        (["missing.txt"], "cannot read missing.txt: No such file or directory"),
        (["missing/*.txt"], "no file matches missing/*.txt"),
        (["none"], "directory none has no *.txt"),
        (["empty.txt"], "empty.txt: no text in it; needs at least 2 tokens"),
        (["one.txt"], "one.txt: 1 token in it; needs at least 2 tokens"),
        (["packed.txt"], "packed.txt is gzip data: give its name the ending .gz"),
        (["picture.txt"], "picture.txt is a PNG picture: needs text"),
        (["random.txt"], "random.txt is not utf-8: byte 128 (0x80) is invalid"),
        (["latin.txt"], "latin.txt is not utf-8: byte 3 (0xe9) is invalid"),
        (["good.txt", "latin.txt"], "latin.txt is not utf-8"),
        (["latin.txt", "--encoding", "klingon"], "encoding"),
        (["torn.gz"], "torn.gz is damaged"),
        (["/dev/null"], "/dev/null is a device"),
        (["good.txt", "--valid", "missing.txt"], "cannot read missing.txt"),
        (["good.txt", "-o", "theirs"], "theirs holds files that are not a charrnn run"),
        (["good.txt", "-o", "theirs", "--force"], "theirs holds files that are not a charrnn run"),
        (["good.txt", "-o", "theirs", "--resume"], "theirs holds files that are not a charrnn run"),
        (["good.txt", "-o", "model"], "model holds a run: --resume goes on with it, --force"),
        (["good.txt", "-o", "good.txt"], "output good.txt is not a directory"),
        (["--resume"], "no unfinished run under runs/"),
        (["good.txt", "--device", "tpu"], "device is 'tpu': needs auto, cpu, cuda or cuda:N"),
        (["good.txt", "--init-from", "model", "--cell", "gru"], "--init-from keeps the model's"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_and_nothing_is_made(folder, arguments, message):
    before = content_of(folder.parent)
    code, line = refusal("train", *arguments)
    assert code == 2
    assert message in line
    assert "\n" not in line
    assert content_of(folder.parent) == before


@pytest.mark.parametrize("name", ["none", "theirs", "missing", "good.txt"])
def test_what_is_no_model_is_named_by_every_command(folder, name):
    before = content_of(folder.parent)
    for arguments in (
        ["train", "good.txt", "--init-from", name],
        ["sample", "-m", name],
        ["inspect", "summary", "-m", name],
        ["inspect", "surprisal", "good.txt", "-m", name],
    ):
        code, line = refusal(*arguments)
        assert (code, "\n" in line) == (1, False), arguments
        assert name in line
    assert content_of(folder.parent) == before


def test_a_directory_that_is_trained_in_is_refused_at_once(folder):
    lock = RunLock.acquire(folder / "runs" / "good")
    before = content_of(folder.parent)
    code, line = refusal("train", "good.txt")
    assert (code, "\n" in line) == (1, False)
    assert "process" in line
    assert content_of(folder.parent) == before
    lock.release()
