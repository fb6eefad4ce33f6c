"""Any file of a run that is gone, spoiled, foreign or no file: one line that names it, or it works.

Each command is given each file in each of these ways; nothing outside the run is opened, waited for
or changed, nothing foreign is run, and a resume that ends well leaves a model that opens.
"""

import os
import pickle
import shutil
import zipfile

import pytest
from training_runs import fingerprint

from charrnn.cli import run_command
from charrnn.cli.process import explain
from charrnn.modeldir import read_model
from charrnn.store import LOCK_NAME, is_temporary

OLDER, NEWEST = (f"checkpoints/step-{step:08d}.safetensors" for step in (8, 12))
MODEL = ("config.json", "tokenizer.json", "model.safetensors")
FILES = (
    *MODEL, "generation_config.json", "train.json", "metrics.jsonl", "README.md", OLDER, NEWEST,
)  # fmt: skip
COMMANDS = {
    "sample": ["sample", "-l", "5", "--seed", "1", "-m"],
    "look": ["inspect", "summary", "-m"],
    "resume": ["train", "--resume", "--max-steps", "14", "-q", "-o"],
    "resume finished": ["train", "--resume", "-q", "-o"],
}


class Payload:
    """What leaves a file behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def as_archive(path, fired):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(fired)))


def as_link(path, fired):
    shutil.copy(path, fired.with_name("outside"))
    path.unlink()
    path.symlink_to(fired.with_name("outside"))


def anew(make):
    """Return a way that puts something else where the file was."""

    def way(path, fired):
        path.unlink()
        make(path)

    return way


WAYS = {
    "missing": lambda path, fired: path.unlink(),
    "empty": lambda path, fired: path.write_bytes(b""),
    "cut": lambda path, fired: path.write_bytes(path.read_bytes()[:-9]),
    "longer": lambda path, fired: path.write_bytes(path.read_bytes() + b"\0"),
    "pickle": lambda path, fired: path.write_bytes(pickle.dumps(Payload(fired))),
    "archive": as_archive,
    "link": as_link,
    "endless link": anew(lambda path: path.symlink_to("/dev/zero")),
    "fifo": anew(os.mkfifo),
    "directory": anew(lambda path: path.mkdir()),
}


def ended(*arguments):
    """Return the exit code of a command in this process, and the line with which it failed."""
    try:
        return run_command([str(argument) for argument in arguments]), ""
    except Exception as error:
        message, code = explain(error)
        return code, message


def check(command, directory, name, fired):
    """Run a command on a run whose file `name` was spoiled; it must work, or name that file."""
    outside = fired.with_name("outside")
    before = outside.read_bytes() if outside.exists() else None
    code, message = ended(*COMMANDS[command], directory)
    assert not fired.exists()
    assert before is None or outside.read_bytes() == before
    assert "CHARRNN_DEBUG" not in message
    if code:
        assert code in (1, 2)
        asked = (
            "TEXT is missing" if name == "train.json" else "holds files that are not a charrnn run"
        )
        assert name.split("/")[-1] in message or asked in message, message
    elif command.startswith("resume"):
        if name != "generation_config.json":  # which is the user's
            read_model(directory)
        names = [path.name for path in directory.rglob("*")]
        assert not [name for name in names if is_temporary(name) or name == LOCK_NAME]
    return code


LONG = {  # in the long part: much like the other ways
    "resume": ("empty", "longer", "pickle", "endless link", "directory"),
    "resume finished": tuple(way for way in WAYS if way not in ("missing", "link")),
}
PAIRS = [
    pytest.param(command, way, marks=[pytest.mark.torture] * (way in LONG.get(command, ())))
    for command in COMMANDS
    for way in WAYS
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "way"), PAIRS)
def test_a_spoiled_file_of_a_run_is_named_or_does_no_harm(
    command, way, small_run, tmp_path, capsys
):
    original, _ = small_run
    codes = {}
    for name in FILES:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(original, tmp_path / "run")
        WAYS[way](tmp_path / "run" / name, tmp_path / "fired")
        codes[name] = check(command, tmp_path / "run", name, tmp_path / "fired")
    capsys.readouterr()
    if command in ("sample", "look"):
        assert {codes[name] for name in MODEL} == {1}
        assert codes["generation_config.json"] == (way != "missing")
        assert codes[NEWEST] == codes[OLDER] == codes["README.md"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("way", ["missing", "cut"])
def test_a_finished_run_whose_result_was_lost_writes_it_again(way, small_run, tmp_path, capsys):
    original, _ = small_run
    shutil.copytree(original, tmp_path / "run")
    WAYS[way](tmp_path / "run" / "model.safetensors", tmp_path / "fired")
    assert ended(*COMMANDS["resume finished"], tmp_path / "run") == (0, "")
    assert "model.safetensors" in capsys.readouterr().err
    assert fingerprint(tmp_path / "run") == fingerprint(original)
    assert ended(*COMMANDS["resume finished"], tmp_path / "run") == (0, "")
    assert capsys.readouterr().err == ""
