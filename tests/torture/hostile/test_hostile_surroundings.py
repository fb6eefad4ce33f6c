"""What is around a command: variables, names of files, other runs, and what is no number."""

import inspect
import os
import resource
from typing import get_args

import pytest
from commands import charrnn, complaint, environment, refusal, shell
from model_directories import make_model
from test_cli_parsing import NONSENSE
from training_runs import TEXT

from charrnn.cli import run_command
from charrnn.cli.inspect import app as views
from charrnn.modeldir import read_model
from charrnn.store import RunLock

SURROUNDINGS = [
    {"LC_ALL": "C", "TERM": "dumb", "COLUMNS": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "", "COLUMNS": "1"},
    {"PYTHONIOENCODING": "ascii", "LANG": "x", "COLUMNS": "abc"},
]


@pytest.mark.slow
def test_the_same_bytes_come_out_whatever_the_surroundings(tmp_path):
    """Beside the variables there is no home, and the working directory is gone."""
    make_model(tmp_path / "m")
    script = (
        f"charrnn sample -m {tmp_path}/m --seed 3 -l 60 -p he && "
        f"charrnn inspect embed -m {tmp_path}/m --json"
    )
    expected = shell(script)
    assert (expected.returncode, expected.stderr) == (0, b"")
    assert {"é", "\U0001f600"} <= set(expected.stdout.decode())
    gone = f"mkdir {tmp_path}/d; cd {tmp_path}/d; rmdir {tmp_path}/d; unset HOME; "
    for variables in SURROUNDINGS:
        found = shell(gone + script, env=environment(**variables))
        assert (found.returncode, found.stderr) == (0, b""), variables
        assert found.stdout == expected.stdout, variables


NUMBERS = [
    ("ablate", "--units"), ("ablate", "--seed"), ("compare", "--order"),
    ("copying", "--num-samples"), ("copying", "--length"), ("copying", "--seed"),
    ("embed", "--neighbours"), ("memory", "--targets"), ("memory", "--lags"), ("probe", "--seed"),
    ("saliency", "--at"), ("saliency", "--back"), ("saliency", "--seed"), ("surprisal", "--top-k"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("view", "flag"), NUMBERS)
def test_each_number_of_a_view_refuses_nonsense_with_its_name_and_range(view, flag):
    for value in NONSENSE:
        if (flag, value) == ("--at", "-1"):  # counted from the end
            continue
        code, message = refusal("inspect", view, flag, value)
        assert code == 2, value
        assert message.startswith(f"{flag} is "), (value, message)
        assert "needs an integer from" in message


def test_no_number_of_a_view_is_forgotten():
    found = {
        (command.name, "--" + name.replace("_", "-"))
        for command in views.registered_commands
        for name, parameter in inspect.signature(command.callback).parameters.items()
        if int in (args := get_args(parameter.annotation)) or int in get_args(args[0])
    }
    assert found == set(NUMBERS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT[:600])
    return tmp_path


TINY = ["--max-steps", "1", "--hidden-size", "4", "--threads", "1", "-q"]
PLACES = ["a/b/c", "new\nline\x1b[2J", "\udcff\udcfe", "-dir", "[/x]", "é" * 100, "two words/"]


@pytest.mark.parametrize("place", PLACES)
def test_a_run_can_be_written_wherever_a_directory_can_be(folder, place, capsys):
    assert run_command(["train", "text.txt", "-o", place, *TINY]) == 0
    assert read_model(folder / place).step == 1
    assert run_command(["sample", "-m", place, "-l", "7", "--seed", "1", "-v"]) == 0
    said = capsys.readouterr()
    assert len(said.out) == 7
    assert said.err.splitlines()[-1].startswith("model ")
    assert all(line.isprintable() for line in said.err.split("\n"))


@pytest.mark.parametrize("place", ["text.txt", "text.txt/below", "link"])
def test_an_output_that_is_no_directory_is_refused_and_stays(folder, place):
    (folder / "link").symlink_to("text.txt")
    code, message = refusal("train", "text.txt", "-o", place, *TINY)
    assert code in (1, 2)
    assert place in message
    assert (folder / "text.txt").read_text() == TEXT[:600]
    assert sorted(path.name for path in folder.iterdir()) == ["link", "text.txt"]


def test_a_device_that_is_not_there_ends_each_command_with_1(folder):
    make_model(folder / "m")
    for command in (["train", "text.txt", "-o", "run"], ["sample", "-m", "m"]):
        code, message = refusal(*command, "--device", "cuda:99")
        assert code == 1
        assert "cuda:99 is not there" in message
    assert not (folder / "run").exists()


def contents(directory):
    return {p: p.read_bytes() for p in directory.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--resume", "--force"])
def test_a_second_start_ends_in_a_second_names_the_first_and_touches_nothing(run_copy, way):
    """Not even what the first one is writing."""
    directory, corpus = run_copy
    (directory / ".model.safetensors.17-0123abcd.tmp").write_bytes(b"half")
    (directory / "checkpoints" / ".step-00000016.safetensors.17-89ef0123.tmp").touch()
    lock, before = RunLock.acquire(directory), contents(directory)
    try:
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = charrnn("train", corpus, way, "--max-steps", "99", "-o", directory)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        after = contents(directory)
        lock.release()
    assert process.returncode == 1
    assert complaint(process).startswith(f"{directory} is being written by process {os.getpid()}:")
    assert ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime < 1
    assert after == before
