"""Run directories: which is meant, whose it is, what train.json says."""

import errno
import json
import os
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_directories import make_model

from charrnn.config import TrainConfig
from charrnn.errors import ConfigError, FailureError, ModelError, StoreError
from charrnn.modeldir import (
    clear_run,
    find_model,
    is_charrnn_run,
    read_model,
    read_train_record,
    write_checkpoint,
    write_train_record,
)
from charrnn.seal import ZEROS, seal
from charrnn.strictjson import dumps

RECORD = {
    "format_version": 1,
    "options": asdict(TrainConfig(hidden_size=33, dropout=0.25, max_steps=70, device="cpu")),
    "texts": ["/a/b.txt", "-"],
    "valid": [],
    "encoding": "latin-1",
    "init_from": None,
    "corpus": [{"path": "/a/b.txt", "num_bytes": 12, "sha256": "ab" * 32}],
    "valid_corpus": [],
    "threads": 2,
    "versions": {"torch": "2.6.0"},
}


@pytest.fixture
def run(tmp_path):
    """A whole run directory."""
    directory = tmp_path / "runs" / "one"
    directory.parent.mkdir()
    make_model(directory)
    write_train_record(directory, RECORD)
    write_checkpoint(directory, 5, {}, {})
    for name in ("README.md", "metrics.jsonl"):
        (directory / name).write_bytes(b"{}\n")
    return directory


def test_the_record_of_a_run_is_read_as_it_was_written(run):
    assert read_train_record(run) == RECORD


@pytest.mark.parametrize(("name", "then"), [("dropout", None), ("optimizer", "adamw")])
def test_an_option_that_an_earlier_charrnn_did_not_know_is_what_it_did(run, name, then):
    record = {**RECORD, "options": {k: v for k, v in RECORD["options"].items() if k != name}}
    sealed = {**record, "model_type": "charrnn", "record_sha256": ZEROS}
    (run / "train.json").write_bytes(seal([dumps(sealed)], "record_sha256"))
    assert read_train_record(run)["options"] == {**RECORD["options"], name: then}


@pytest.mark.slow
def test_every_flip_in_the_record_is_found(run):
    path = run / "train.json"
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        with pytest.raises(ModelError, match=r"^/.*/train\.json: "):
            read_train_record(run)
    for wrong in (b"", data[:-1], data + b"\n"):
        path.write_bytes(wrong)
        with pytest.raises(ModelError, match=r"^/.*/train\.json: "):
            read_train_record(run)
    path.unlink()
    with pytest.raises(ModelError, match=r"has no train\.json"):
        read_train_record(run)


BAD_RECORDS = [
    {"format_version": 2},
    {"options": {**RECORD["options"], "hidden_size": 0}},
    {"options": {**RECORD["options"], "pretokenized": 1}},
    {"options": {**RECORD["options"], "device": ["cpu"]}},
    {"options": {**RECORD["options"], "hook": "os.system"}},
    {"options": {"hidden_size": 3}},
    {"options": None},
    {"texts": "a.txt"},
    {"texts": [1]},
    {"encoding": 8},
    {"corpus": [{"path": "x"}]},
    {"corpus": [["x"]]},
    {"valid_corpus": {}},
    {"init_from": 1},
]


@pytest.mark.parametrize("change", BAD_RECORDS, ids=str)
def test_a_record_that_could_not_be_read_is_not_written(run, change):
    before = (run / "train.json").read_bytes()
    with pytest.raises(ModelError, match=r"train\.json: "):
        write_train_record(run, {**RECORD, **change})
    with pytest.raises(ModelError, match=r"train\.json: "):
        write_train_record(run, {k: v for k, v in RECORD.items() if k not in change})
    assert (run / "train.json").read_bytes() == before


@pytest.mark.slow
@given(
    st.sampled_from(sorted(RECORD)), st.recursive(st.none() | st.integers() | st.text(), st.lists)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_record_with_a_right_seal_is_refused_or_read_back(run, key, value):
    try:
        write_train_record(run, {**RECORD, key: value})
    except ModelError:
        return
    assert read_train_record(run) == {**RECORD, key: value}


def test_a_record_is_not_written_through_a_link(run, tmp_path):
    (run / "train.json").rename(tmp_path / "outside")
    before = (tmp_path / "outside").read_bytes()
    (run / "train.json").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match="is a symbolic link"):
        write_train_record(run, RECORD)
    with pytest.raises(ModelError, match="is a symbolic link"):
        read_train_record(run)
    assert (tmp_path / "outside").read_bytes() == before


def test_a_model_is_what_was_said_else_the_environments_else_the_newest(tmp_path):
    runs = tmp_path / "runs"
    assert find_model("x/y", {"CHARRNN_MODEL": "z"}, runs).parts == ("x", "y")
    assert find_model(None, {"CHARRNN_MODEL": "z"}, runs).parts == ("z",)
    for environment in ({}, {"CHARRNN_MODEL": ""}):
        with pytest.raises(ConfigError, match=r"no model under .*runs/: train one first"):
            find_model(None, environment, runs)
    with pytest.raises(ConfigError, match="empty"):
        find_model("", {}, runs)
    for age, name in enumerate(["b", "c", "a"]):
        (runs / name).mkdir(parents=True)
        (runs / name / "model.safetensors").touch()
        os.utime(runs / name / "model.safetensors", (100 - age, 100 - age))
    (runs / "unfinished").mkdir()
    (runs / "file").touch()
    assert find_model(None, {}, runs) == runs / "b"
    os.utime(runs / "a" / "model.safetensors", (200, 200))
    assert find_model(None, {}, runs) == runs / "a"


def test_a_whole_run_is_ours_with_what_a_kill_leaves_behind(run):
    assert is_charrnn_run(run)
    (run / ".lock").touch()
    (run / ".model.safetensors.12-0123abcd.tmp").touch()
    (run / "checkpoints" / ".step-00000009.safetensors.12-0123abcd.tmp").touch()
    assert is_charrnn_run(run)
    (run / "config.json").write_bytes(b"damaged")
    assert is_charrnn_run(run)
    (run / "train.json").unlink()
    assert not is_charrnn_run(run)


@pytest.mark.parametrize("place", ["notes.txt", "checkpoints/mine", "data/x", ".git/config"])
def test_a_directory_that_holds_anything_else_is_not_ours(run, place):
    (run / place).parent.mkdir(exist_ok=True)
    (run / place).touch()
    assert not is_charrnn_run(run)


@pytest.mark.parametrize("call", ["open", "scandir"])
def test_a_read_that_fails_is_no_answer(run, monkeypatch, call):
    def fail(path, *rest, **options):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(FailureError, match="Input/output error"):
        is_charrnn_run(run)


def test_a_large_file_of_somebody_elses_is_not_ours(run):
    (run / "train.json").unlink()
    (run / "config.json").write_bytes(b"x" * 2**22)
    assert not is_charrnn_run(run)


@pytest.mark.parametrize("name", ["README.md", "checkpoints", "model.safetensors"])
def test_a_directory_with_a_link_is_not_ours(run, name):
    (run / name).rename(run.parent / "outside")
    (run / name).symlink_to(run.parent / "outside")
    assert not is_charrnn_run(run)


def test_somebody_elses_model_is_not_ours(tmp_path):
    for name in ("README.md", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    assert not is_charrnn_run(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    assert not is_charrnn_run(tmp_path)
    assert not is_charrnn_run(tmp_path / "missing")
    assert not is_charrnn_run(tmp_path / "README.md")


def test_a_cleared_run_keeps_the_model_and_nothing_that_would_mix_with_a_new_run(run):
    (run / ".x.12-0123abcd.tmp").touch()
    clear_run(run)
    assert sorted(path.name for path in run.rglob("*")) == [
        "README.md",
        "checkpoints",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert read_model(run).step == 40
    assert is_charrnn_run(run)
    clear_run(run)
