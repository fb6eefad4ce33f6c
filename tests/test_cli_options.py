"""What the command line and --config amount to: a request, and what the user said himself."""

from dataclasses import fields
from pathlib import Path

import pytest
from commands import refusal

import charrnn.run
from charrnn.cli import run_command
from charrnn.cli.sampleoptions import PANELS as SAMPLE_PANELS
from charrnn.cli.sampleoptions import sampling_config
from charrnn.cli.trainoptions import ITEMS, PANELS
from charrnn.config import SampleConfig, TrainConfig
from charrnn.request import RunRequest


@pytest.fixture
def request_of(monkeypatch, tmp_path):
    """A function: arguments of train -> the request that the run gets."""
    requests = []

    def fake(request, stop):
        requests.append(request)
        yield from ()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(charrnn.run, "run_training", fake)
    monkeypatch.setenv("GOMP_SPINCOUNT", "200")  # which the command would set for good

    def request_of(*arguments):
        assert run_command(["train", *arguments]) == 0
        return requests[-1]

    return request_of


def test_every_field_of_the_configurations_is_an_option():
    train = " ".join(PANELS.values()).split()
    assert sorted(train) == sorted(ITEMS)
    assert {item.name for item in fields(TrainConfig)} <= set(train)
    sample = " ".join(SAMPLE_PANELS.values()).split()
    assert {item.name for item in fields(SampleConfig)} <= set(sample)
    assert len(set(sample)) == len(sample)


def test_without_options_the_request_is_the_default(request_of):
    assert request_of("a.txt") == RunRequest(texts=("a.txt",))
    assert request_of() == RunRequest()


def test_options_become_the_request(request_of):
    network = ["--hidden-size", "48", "--max-time", "90s", "--level", "word", "--tie-weights"]
    request = request_of("a", "-", "-o", "-dir", "--valid", "v", "--valid", "w", *network)
    assert request.texts == ("a", "-")
    assert (request.output, request.valid) == (Path("-dir"), ("v", "w"))
    expected = TrainConfig(hidden_size=48, max_time=90.0, level="word", tie_weights=True)
    assert request.config == expected
    assert request.given == {"hidden_size", "max_time", "level", "tie_weights"}


def test_a_default_that_the_user_says_himself_is_given(request_of):
    request = request_of("--level", "char", "--no-tie-weights", "--resume")
    assert request.config == TrainConfig(tie_weights=False)
    assert request.given == {"level", "tie_weights"}
    assert (request.resume, request.force) == (True, False)


def test_names_that_are_no_utf8_stay_as_they_are(request_of):
    assert request_of("a\udcff.txt", "-o", "\udcfe").texts == ("a\udcff.txt",)


def test_a_file_sets_any_option_and_the_command_line_beats_it(request_of, tmp_path):
    (tmp_path / "c.toml").write_text(
        'hidden-size = 48\nnum_layers = 3\ndropout = 0.25\nmax-time = "2m"\nlevel = "byte"\n'
        'resume = true\nvalid = ["v", "w"]\noutput = "there"\nencoding = "latin-1"\ngrad-clip = 2\n'
    )
    request = request_of("a", "--config", "c.toml", "--num-layers", "4", "--valid", "x")
    assert request.config == TrainConfig(
        hidden_size=48, num_layers=4, dropout=0.25, max_time=120.0, level="byte", grad_clip=2.0
    )
    assert request.given == {
        "hidden_size",
        "num_layers",
        "dropout",
        "max_time",
        "level",
        "grad_clip",
    }
    assert (request.resume, request.output, request.encoding) == (True, Path("there"), "latin-1")
    assert request.valid == ("x",)
    assert not request_of("a", "--config", "c.toml", "--no-resume").resume


def test_a_budget_typed_beats_another_budget_in_the_file(request_of, tmp_path):
    (tmp_path / "c.toml").write_text("epochs = 3\n")
    assert request_of("--config", "c.toml", "--max-steps", "7").given == {"max_steps"}
    assert request_of("--config", "c.toml").given == {"epochs"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("hiden-size = 1", "'hiden-size' is no option of this command, perhaps hidden-size"),
        ("config = 'x'", "'config' is no option of this command"),
        ("[train]\nseed = 1", "'train' is no option of this command"),
        ("hidden-size = '48'", "--hidden-size is '48': needs an integer from 1 to 65536"),
        ("hidden-size = 4.5", "--hidden-size is '4.5': needs an integer from 1 to 65536"),
        ("hidden-size = true", "--hidden-size is 'True': needs an integer from 1 to 65536"),
        ("dropout = nan", "--dropout is 'nan': needs a number from 0 below 1"),
        ("max-time = 60", "--max-time is '60': needs a time in quotes, such as"),
        ("max-time = '60'", "--max-time is '60': needs a number with s, m or h"),
        ("level = 'chars'", "--level is 'chars': needs one of char, byte, word"),
        ("level = 1", "--level is '1': needs a string"),
        ("resume = 1", "--resume is '1': needs true or false"),
        ("valid = [1]", "--valid is '[1]': needs a string or a list of strings"),
        ("seed = 1\nseed = 2", "not TOML"),
        ("valid-frac = 0\nvalid_frac = 0", "'valid_frac' is there twice"),
        ("seed = ", "not TOML"),
        (b"\xff", "not UTF-8 at byte 0"),
    ],
)
def test_a_file_is_read_as_strictly_as_the_command_line(tmp_path, content, complaint):
    path = tmp_path / "c.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, message = refusal("train", "x", "--config", path)
    assert code == 2
    assert message.startswith(f"--config {path}: {complaint}")


def test_a_missing_file_is_named(tmp_path):
    code, message = refusal("train", "x", "--config", tmp_path / "none.toml")
    assert (code, message) == (2, f"--config {tmp_path}/none.toml: No such file or directory")


def test_budgets_contradict_each_other():
    code, message = refusal("train", "x", "--epochs", "2", "--max-time", "3s")
    assert code == 2
    assert message == "--epochs and --max-time contradict each other: give one budget"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nope"], ["nope"]),
        (["train", "--nope"], ["--nope"]),
        (["train", "--seed"], ["--seed", "requires an argument"]),
        (["sample", "extra"], ["extra"]),
        (["inspect", "nope"], ["nope"]),
        (["sample", "--argmax", "--top-k", "3"], ["--argmax and --top-k contradict"]),
        (["sample", "--argmax", "-t", "0"], ["--argmax and --temperature contradict"]),
        (["sample", "-p", "a", "--prompt-file", "b"], ["--prompt and --prompt-file contradict"]),
        (["sample", "-i", "-p", "x"], ["--interactive and --prompt contradict"]),
        (["sample", "--json", "-0"], ["--json and --null contradict"]),
        (
            ["inspect", "copying", "t", "--samples", "s", "-n", "3"],
            ["--samples and --num-samples contradict"],
        ),
        (["inspect", "copying", "t", "--samples", "s", "-l", "3"], ["--length contradict"]),
        (["sample", "--prompt-file", "/nope/x"], ["--prompt-file /nope/x: No such file"]),
    ],
)
def test_wrong_usage_is_one_line_with_what_is_wrong(arguments, parts):
    code, message = refusal(*arguments)
    assert code == 2
    assert all(part in message for part in parts)


def test_flags_beat_the_models_defaults_which_beat_ours():
    generation = SampleConfig(temperature=0.7, top_k=5, length=30)
    asked = sampling_config(generation, {"top_k": 9, "model": "m", "seed": 3})
    assert asked == SampleConfig(temperature=0.7, top_k=9, length=30)


def test_argmax_sets_aside_every_filter_of_the_model():
    generation = SampleConfig(temperature=0.7, top_k=5, min_p=0.1, length=30)
    assert sampling_config(generation, {"argmax": True}) == SampleConfig(temperature=0, length=30)
