"""The record and the log of a run, forged: resuming and looking refuse in one line, or work."""

import json
import os

import pytest
from commands import refusal
from forging import AMOUNT, as_json, edit, edited, fuzz, outcome, resealed, sealed_record
from hypothesis import strategies as st
from training_runs import TEXT, ask

from charrnn.api import load
from charrnn.display.report.parts_model import curve_part
from charrnn.display.views.curve import show_curve
from charrnn.modeldir import read_metrics, read_train_record, trim_metrics
from charrnn.prepare import prepare
from charrnn.views.curve import read_curve
from charrnn.views.curve import verdict as curve_verdict
from charrnn.views.envelope import document_of, own_dataset
from charrnn.views.summary import recorded_losses

EVENTS = [
    {"event": "log", "step": 2, "epoch": 0.1, "tokens": 64, "elapsed_seconds": 0.1, "loss": 3.0,
     "learning_rate": 0.01, "grad_norm": 2.0, "tokens_per_second": 600.0},
    {"event": "eval", "step": 2, "epoch": 0.1, "elapsed_seconds": 0.1, "valid_loss": 2.0,
     "valid_bits_per_char": 2.9, "best": True, "final": False, "best_step": 2},
    {"event": "sample", "step": 2, "text": "a\u001b[2J\u202e"},
    {"event": "log", "step": 4, "epoch": 0.2, "tokens": 128, "elapsed_seconds": 0.2, "loss": 2.5,
     "learning_rate": 0.01, "grad_norm": 0.5, "tokens_per_second": 640.0},
]  # fmt: skip


def look_at_log(directory):
    """Do with metrics.jsonl all that is done with it, and check that nothing foreign came out."""
    curve = read_curve(directory)
    show_curve(curve, width=80)
    assert curve_verdict(curve)
    curve_part(curve)
    recorded_losses(directory)
    trim_metrics(directory / "metrics.jsonl", 3)
    assert all(record["step"] <= 3 for record in read_metrics(directory / "metrics.jsonl"))
    return curve


@pytest.mark.slow
@AMOUNT
@pytest.mark.parametrize("way", ["values", "bytes"])
def test_any_log_is_read_without_what_is_no_record(way, amount, run_copy, capsys):
    directory, _ = run_copy
    path = directory / "metrics.jsonl"

    def check(data):
        lines = [dict(event) for event in EVENTS]
        if way == "values":
            edit(lines, data)
            raw = b"\n".join(as_json(line).replace(b"\n", b"") for line in lines) + b"\n"
        else:
            raw = data.draw(edited(b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"))
        path.write_bytes(raw)
        outcome(lambda: look_at_log(directory))
        shown = capsys.readouterr().out
        assert not set(shown) & {chr(i) for i in range(32) if chr(i) != "\n"}

    fuzz(check, 40 * amount, st.data())


def take_up(directory, corpus):
    """Do what a resume does before it imports torch."""
    request = ask(corpus, output=directory, resume=True)
    request = type(request)((), directory, type(request.config)(), resume=True)
    prepared = prepare(request)
    prepared.lock.release()
    return prepared


@AMOUNT
def test_any_record_with_a_right_seal_is_refused_or_resumed(amount, run_copy):
    directory, corpus = run_copy
    path = directory / "train.json"
    original = json.loads(path.read_bytes())
    stored = load(directory).stored

    def check(data):
        value = json.loads(json.dumps(original))
        edit(value, data)
        try:
            path.write_bytes(sealed_record(value))
        except ValueError:  # what no JSON can spell
            return
        found = outcome(lambda: read_train_record(directory), "train.json")
        if found is not None:
            outcome(lambda: take_up(directory, corpus))
            outcome(lambda: own_dataset(stored))
            document_of(stored)

    fuzz(check, 60 * amount, st.data())


@AMOUNT
def test_any_bytes_in_place_of_a_record(amount, run_copy):
    directory, _ = run_copy
    path = directory / "train.json"
    original = path.read_bytes()

    def check(data):
        path.write_bytes(data)
        outcome(lambda: read_train_record(directory), "train.json")
        path.write_bytes(resealed(data, "record_sha256"))
        outcome(lambda: read_train_record(directory), "train.json")

    fuzz(check, 50 * amount, edited(original))


@pytest.mark.parametrize(
    "fact",
    [
        {"num_train_tokens": "many"},
        {"num_ranks": [1]},
        {"num_valid_tokens": None},
        {"reason": 7},
        {"versions": []},
        {"finished": "yes"},
    ],
    ids=str,
)
def test_a_fact_of_another_type_is_refused_by_name(fact, run_copy):
    directory, _ = run_copy
    value = {**json.loads((directory / "train.json").read_bytes()), **fact}
    (directory / "train.json").write_bytes(sealed_record(value))
    (key,) = fact
    code, message = refusal("train", "--resume", "-o", directory)
    assert code == 1
    assert f"{key} has the wrong type" in message


NO_RECORDS = [
    '{"event": "eval", "step": 4, "valid_loss": "x"}',
    '{"event": "log", "step": "4"}',
    '{"event": "log", "step": 1e300, "loss": 1}',
    '{"event": "sample", "step": 4, "text": 7}',
    '{"step": 4}',
    "[]",
    '{"event": ["log"], "step": 4}',
]


@pytest.mark.parametrize("line", NO_RECORDS)
def test_a_line_that_is_no_record_is_as_if_torn(line, run_copy):
    directory, _ = run_copy
    path = directory / "metrics.jsonl"
    before = read_metrics(path)
    path.write_text(path.read_text() + line + "\n")
    assert read_metrics(path) == before
    trim_metrics(path, 10**6)
    assert line not in path.read_text()
    assert read_metrics(path) == before


def forge_source(directory, path, **changes):
    """Let the record say that the run was made from `path`."""
    value = json.loads((directory / "train.json").read_bytes())
    value["corpus"][0] |= {"path": str(path), **changes}
    value["texts"] = [str(path)]
    (directory / "train.json").write_bytes(sealed_record(value))


def test_a_record_that_names_a_fifo_or_a_pattern_makes_nobody_wait(run_copy, tmp_path):
    directory, _ = run_copy
    os.mkfifo(tmp_path / "fifo")
    forge_source(directory, tmp_path / "fifo")
    assert own_dataset(load(directory).stored) is None
    forge_source(directory, "/**/*")
    assert own_dataset(load(directory).stored) is None


def test_a_file_of_another_size_than_recorded_is_not_opened(run_copy, tmp_path, monkeypatch):
    directory, _ = run_copy
    secret = tmp_path / "secret"
    secret.write_text(TEXT)
    forge_source(directory, secret)
    stored = load(directory).stored
    monkeypatch.setattr("charrnn.views.envelope.load_dataset", None)
    assert own_dataset(stored) is None
