"""Forged checkpoints: each is refused by name, or training goes on from it with finite weights."""

import json
import shutil
from itertools import islice

import numpy as np
import pytest
from commands import refusal
from forging import AMOUNT, JSON, as_json, edit, fuzz, outcome
from hypothesis import strategies as st
from training_runs import TEXT, ask, fingerprint, finish, run_until

from charrnn.checkpoint import capture, restore
from charrnn.errors import ModelError
from charrnn.modeldir import (
    list_checkpoints,
    read_model,
    read_newest_checkpoint,
    write_checkpoint,
)
from charrnn.prepare import prepare
from charrnn.session import build_session, make_setup
from charrnn.steps import train_steps
from charrnn.tensors import encode_tensors
from charrnn.trainer import NotFiniteError


@pytest.fixture(scope="module", params=["stream", "line"])
def stopped(request, tmp_path_factory):
    """A session like that of a stopped run, and its newest checkpoint; its text has documents."""
    folder = tmp_path_factory.mktemp("stopped")
    corpus = folder / "corpus.txt"
    corpus.write_text(TEXT[:600])
    sizes = {"hidden_size": 5, "embedding_size": 3, "batch_size": 3, "seq_length": 8}
    options = {**sizes, "document": request.param, "max_steps": 30, "save_every": 5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        run_until(ask(corpus, **options), 11)
        prepared = prepare(ask(corpus, **options, resume=True))
        prepared.lock.release()
        setup = make_setup(prepared.config, prepared.dataset, None)
    found = read_newest_checkpoint(folder / "run")
    return build_session(setup), found.tensors, found.metadata


def go_on(session, tensors, metadata):
    """Restore, make a step, and capture: all that is done with what was read."""
    flags = restore(session, tensors, metadata, "step-7")
    assert set(flags) <= {"events_done", "finished"}
    try:
        list(islice(train_steps(session), 2))
    except NotFiniteError:
        return True
    captured, numbers = capture(session, events_done=True)
    if all(np.isfinite(array).all() for array in captured.values() if array.dtype.kind == "f"):
        return True
    with pytest.raises(ModelError, match="not finite"):  # huge moments: no file is made of that
        encode_tensors(captured, numbers)
    return True


def test_the_untouched_checkpoint_is_taken(stopped):
    assert go_on(*stopped)


NUMBERS = st.sampled_from([0, -1, 1, 2**31, -(2**63), 2**63 - 1, 255, 1e30, -1e30, 3e38, 1e-45])


def spoil(array, data):
    """Return another array in the place of `array`."""
    kind = data.draw(st.sampled_from(["number", "all", "type", "shape", "cut"]))
    if kind == "number" and array.size:
        array = array.copy()
        array.flat[data.draw(st.integers(0, array.size - 1))] = cast(data.draw(NUMBERS), array)
    elif kind == "all":
        array = np.full_like(array, cast(data.draw(NUMBERS), array))
    elif kind == "type":
        array = array.astype(data.draw(st.sampled_from(["f8", "f4", "f2", "i8", "i4", "u2", "u1"])))
    elif kind == "shape":
        shape = data.draw(st.sampled_from([(), (1,), (0,), (1, *array.shape), array.shape[::-1]]))
        array = np.resize(array, shape)
    else:
        array = array[..., :-1] if array.ndim else array
    return array


def cast(number, array):
    with np.errstate(all="ignore"):
        if array.dtype.kind == "f":
            number = np.float32(number)
            return number if np.isfinite(number) else 0
        low, high = np.iinfo(array.dtype).min, np.iinfo(array.dtype).max
        return int(min(max(int(number), low), high))


@pytest.mark.slow
@AMOUNT
@pytest.mark.filterwarnings("ignore")
def test_any_tensors_with_a_right_checksum_are_refused_or_trained_on(stopped, amount):
    session, tensors, metadata = stopped

    def check(data):
        forged = dict(tensors)
        for _ in range(data.draw(st.integers(1, 3))):
            key = data.draw(st.sampled_from(sorted(forged)))
            what = data.draw(st.sampled_from(["spoil", "spoil", "spoil", "drop", "add", "swap"]))
            if what == "drop":
                del forged[key]
            elif what == "add":
                forged[data.draw(st.sampled_from(["state.7", "x", "cursor.x", "model."]))] = forged[
                    key
                ]
            elif what == "swap":
                forged[key] = forged[data.draw(st.sampled_from(sorted(forged)))]
            else:
                with np.errstate(all="ignore"):
                    forged[key] = spoil(forged[key], data)
            if not np.isfinite(forged.get(key, np.zeros(1))).all():
                return  # no file holds it
        outcome(lambda: go_on(session, forged, metadata), "step-7")

    fuzz(check, 60 * amount, st.data())


@pytest.mark.slow
@AMOUNT
def test_any_numbers_with_a_right_checksum_are_refused_or_trained_on(stopped, amount):
    session, tensors, metadata = stopped

    def check(data):
        value = json.loads(metadata["session"])
        if data.draw(st.integers(0, 9)):
            edit(value, data)
        else:
            value = data.draw(JSON)
        forged = {**metadata, "session": as_json(value).decode("utf-8", "replace")}
        outcome(lambda: go_on(session, tensors, forged), "step-7")

    fuzz(check, 60 * amount, st.data())


@pytest.mark.parametrize("prefix", ["model.", "optimizer.exp_avg.", "state.1", "random.", "cursor"])
def test_a_checkpoint_with_a_part_of_another_shape_is_refused(stopped, prefix):
    session, tensors, metadata = stopped
    key = next(key for key in sorted(tensors) if key.startswith(prefix))
    forged = {**tensors, key: np.resize(tensors[key], (2, 1, 1, 1))}
    with pytest.raises(ModelError, match=f"step-7 is not a checkpoint of this run: tensor {key}"):
        restore(session, forged, metadata, "step-7")


@pytest.mark.parametrize("place", [-1, 10**12])
def test_a_cursor_outside_the_text_is_refused(stopped, place):
    session, tensors, metadata = stopped
    for key in [key for key in tensors if key.startswith("cursor.")]:
        forged = {**tensors, key: np.full_like(tensors[key], place)}
        with pytest.raises(ModelError, match="step-7 is not a checkpoint of this run"):
            restore(session, forged, metadata, "step-7")


def test_every_number_of_a_checkpoint_is_needed_in_its_range(stopped):
    session, tensors, metadata = stopped
    numbers = json.loads(metadata["session"])
    for key in numbers:
        for wrong in ("x", -(10**301), [], True):
            forged = {**metadata, "session": json.dumps({**numbers, key: wrong})}
            with pytest.raises(ModelError, match="step-7"):
                restore(session, tensors, forged, "step-7")
        short = {name: value for name, value in numbers.items() if name != key}
        with pytest.raises(ModelError, match="step-7"):
            restore(session, tensors, {**metadata, "session": json.dumps(short)}, "step-7")


def test_a_forged_checkpoint_ends_a_resume_with_one_line_and_can_be_sampled_or_not(run_copy):
    directory, _ = run_copy
    found = read_newest_checkpoint(directory)
    tensors = {**found.tensors, "state.0": found.tensors["state.0"][..., :-1]}
    write_checkpoint(directory, 12, tensors, found.metadata)
    code, message = refusal("train", "--resume", "-o", directory, "--max-steps", 20)
    assert code == 1
    assert "state.0" in message
    assert read_model(list_checkpoints(directory)[0]).step == 12  # its weights are whole
    del tensors["model.output.bias"]
    write_checkpoint(directory, 12, tensors, found.metadata)
    code, message = refusal("sample", "-m", list_checkpoints(directory)[0])
    assert code == 1
    assert "output.bias is missing" in message


def test_held_out_words_that_are_all_unknown_have_no_bits_and_the_run_resumes(corpus_of_words):
    """No character of the held-out part counts, so that there is no number of bits to keep."""
    corpus, strange = corpus_of_words
    options = {
        "level": "word",
        "pretokenized": True,
        "vocab_size": 4,
        "valid": (str(strange),),
        "max_steps": 12,
    }
    finish(ask(corpus, **options, output=corpus.parent / "whole"))
    run_until(ask(corpus, **options), 11)
    end = finish(ask(corpus, **options, resume=True))[-1]
    assert end.best_loss is not None
    assert end.best_bits_per_char is None
    assert finish(ask(corpus, **options, resume=True))[-1].best_bits_per_char is None
    weights = [read_model(corpus.parent / name).weights for name in ("whole", "run")]
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.fixture
def corpus_of_words(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "corpus.txt").write_text("the cat the dog the end " * 40)
    (tmp_path / "strange.txt").write_text("xx yy zz ww " * 9)
    yield tmp_path / "corpus.txt", tmp_path / "strange.txt"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_going_on_twice_from_a_stop_amid_a_steps_events_logs_each_once(tmp_path, monkeypatch):
    """A later checkpoint is damaged: what came after the stop is made, and recorded, again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(TEXT[:600])
    options = {"hidden_size": 6, "batch_size": 3, "seq_length": 8, "max_steps": 12}
    options |= {"eval_every": 4, "sample_every": 8, "save_every": 0}
    finish(ask(corpus, **options, output=tmp_path / "whole"))
    run_until(ask(corpus, **options), 8)
    run_until(ask(corpus, **options, resume=True), 9)
    newest = list_checkpoints(tmp_path / "run")[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    finish(ask(corpus, **options, resume=True))
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "whole")
