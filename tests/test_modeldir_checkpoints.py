"""Checkpoints: the newest two, the newest whole one."""

import errno
import os
import shutil

import numpy as np
import pytest
from failing_os import FailingOs
from model_directories import make_model, make_weights

from charrnn.errors import ModelError, StoreError
from charrnn.modeldir import (
    list_checkpoints,
    read_model,
    read_newest_checkpoint,
    write_checkpoint,
)


def state(config, seed):
    """What a checkpoint may hold: weights, moments, random state, cursor."""
    weights = make_weights(config, seed)
    return {
        **{f"model.{name}": array for name, array in weights.items()},
        **{f"optimizer.exp_avg.{name}": array / 2 for name, array in weights.items()},
        "optimizer.step.output.bias": np.array(3.0, np.float32),
        "random.dropout": np.arange(seed, seed + 99).astype(np.uint8),
        "cursor.position": np.array([seed, 2**40], np.int64),
    }


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.fixture
def run(tmp_path):
    """A model directory, and a function that saves a checkpoint in it."""
    config, _ = make_model(tmp_path / "r")

    def save(step):
        return write_checkpoint(tmp_path / "r", step, state(config, step), {"session": f"[{step}]"})

    save.directory, save.config = tmp_path / "r", config
    return save


def steps(directory):
    return [int(path.stem.split("-")[1]) for path in list_checkpoints(directory)]


def test_there_is_none_before_the_first(run):
    assert list_checkpoints(run.directory) == []
    assert read_newest_checkpoint(run.directory) is None


def test_a_checkpoint_is_read_as_it_was_written(run):
    path = run(1000)
    assert path == run.directory / "checkpoints" / "step-00001000.safetensors"
    found = read_newest_checkpoint(run.directory)
    assert found.path == path
    assert same(found.tensors, state(run.config, 1000))
    assert found.metadata["session"] == "[1000]"
    assert found.metadata["step"] == "1000"
    assert found.warnings == []


def test_the_newest_two_by_step_are_kept_whatever_the_clock_says(run):
    for step in (5, 10, 90, 99_999_999, 100_000_000):
        os.utime(run(step), (10**9 - step, 10**9 - step))
    assert steps(run.directory) == [100_000_000, 99_999_999]
    assert read_newest_checkpoint(run.directory).metadata["step"] == "100000000"


def test_steps_that_a_resumed_run_left_behind_go_with_its_first_save(run):
    run(10)
    run(20)
    newest = run(30)
    newest.write_bytes(newest.read_bytes()[:-1])
    assert read_newest_checkpoint(run.directory).metadata["step"] == "20"
    run(25)
    assert steps(run.directory) == [25, 20]
    run(25)
    assert steps(run.directory) == [25, 20]


@pytest.mark.parametrize("damage", ["cut", "zero tail", "empty", "flip", "renamed", "link"])
def test_the_newest_that_verifies_is_taken_and_the_damaged_one_named(run, damage):
    run(10)
    path = run(20)
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-5])
    elif damage == "zero tail":
        path.write_bytes(data[:-99] + bytes(99))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flip":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "renamed":
        path.rename(path.with_name("step-00000021.safetensors"))
    else:
        path.rename(run.directory / "elsewhere")
        path.symlink_to(run.directory / "elsewhere")
    found = read_newest_checkpoint(run.directory)
    assert found.metadata["step"] == "10"
    assert len(found.warnings) == 1
    assert "step-0000002" in found.warnings[0]


def test_when_none_is_whole_that_is_an_error_and_no_fresh_start(run):
    for step in (10, 20):
        run(step).write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match=r"^no checkpoint is whole: .*-00000020.*-00000010"):
        read_newest_checkpoint(run.directory)


def test_a_checkpoint_of_another_network_or_vocabulary_is_not_taken(run, tmp_path):
    path = run(10)
    make_model(tmp_path / "other", hidden_size=6)
    (tmp_path / "other" / "checkpoints").mkdir()
    shutil.copy(path, tmp_path / "other" / "checkpoints")
    with pytest.raises(ModelError, match=r"config\.json: damaged, or not the one step-00000010"):
        read_newest_checkpoint(tmp_path / "other")


def test_a_checkpoint_file_is_a_model_to_sample_from(run, monkeypatch):
    path = run(40)
    stored = read_model(path)
    assert same(stored.weights, make_weights(run.config, 40))
    assert (stored.step, stored.path, stored.config) == (40, path, run.config)
    monkeypatch.chdir(path.parent)
    assert read_model(path.relative_to(path.parent)).step == 40
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"step-00000040\.safetensors: damaged"):
        read_model(path)


def test_a_run_directory_that_was_removed_is_not_made_anew(run):
    run(10)
    shutil.rmtree(run.directory)
    with pytest.raises(ModelError, match=r"has no config\.json"):
        run(20)
    assert not run.directory.exists()
    make_model(run.directory)
    shutil.rmtree(run.directory / "checkpoints", ignore_errors=True)
    run(20)
    assert steps(run.directory) == [20]


def test_a_linked_folder_of_checkpoints_is_neither_read_nor_written(run, tmp_path):
    run(10)
    outside = tmp_path / "outside"
    (run.directory / "checkpoints").rename(outside)
    (run.directory / "checkpoints").symlink_to(outside)
    for use in (lambda: run(20), lambda: read_newest_checkpoint(run.directory)):
        with pytest.raises(ModelError, match="checkpoints is a symbolic link"):
            use()
    assert len(list(outside.iterdir())) == 1


def test_names_that_are_not_ours_are_left_alone(run):
    run(10)
    folder = run.directory / "checkpoints"
    names = ["step-1.safetensors", "step-00000099.safetensors.bak", "best.safetensors", "notes"]
    for name in names:
        (folder / name).touch()
    run(20)
    run(30)
    assert steps(run.directory) == [30, 20]
    assert {path.name for path in folder.iterdir()} >= set(names)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("for_good", [False, True])
def test_whatever_call_fails_an_old_or_the_new_checkpoint_is_whole(run, code, for_good):
    def start():
        shutil.rmtree(run.directory / "checkpoints", ignore_errors=True)
        run(10)
        run(20)

    start()
    with FailingOs()() as system:
        run(30)
    failures = 0
    for at in range(1, 1 + len(system.calls)):
        start()
        with FailingOs(at, code, for_good)():
            try:
                run(30)
            except StoreError as error:
                failures += str(error).endswith(os.strerror(code))
            except ModelError as error:  # config.json could not be read
                failures += str(error).endswith(os.strerror(code))
        found = read_newest_checkpoint(run.directory)
        assert found.warnings == []
        step = int(found.metadata["step"])
        assert step in (20, 30)
        assert same(found.tensors, state(run.config, step))
        run(40)
        assert {p.name for p in (run.directory / "checkpoints").iterdir()} == {
            "step-00000040.safetensors",
            f"step-000000{step}.safetensors",
        }
    assert failures >= 8


def test_a_failed_fsync_is_not_tried_again_on_the_same_file(run):
    run(10)
    with FailingOs()() as system:
        run(20)
    at = 1 + system.names().index("fsync")
    with FailingOs(at)() as system, pytest.raises(StoreError, match="Input/output error"):
        run(30)
    assert system.names().count("fsync") == 1
    assert steps(run.directory) == [20, 10]
