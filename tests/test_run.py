"""Whole runs, in this process: what is written, and that a resumed run is the undisturbed one."""

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_runs import TEXT, ask, fingerprint, finish, only, run_until

from charrnn import onednn, wide
from charrnn.cli import run_command
from charrnn.config import TrainConfig
from charrnn.errors import BusyError, ConfigError, CorpusError, DivergedError, StoreError
from charrnn.modeldir import read_model, read_newest_checkpoint
from charrnn.reports import (
    EvalReport,
    LogReport,
    NoteReport,
    SaveReport,
    StartReport,
    StepReport,
)
from charrnn.rows import values_of
from charrnn.run import run_training
from charrnn.store import RunLock, remove_file


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "corpus.txt"
    path.write_text(TEXT)
    return path


def test_a_run_writes_a_model_that_opens_and_a_log_of_what_happened(corpus):
    reports = finish(ask(corpus))
    directory = corpus.parent / "run"
    start, end = reports[0], reports[-1]
    assert isinstance(start, StartReport)
    assert (start.num_train_tokens, start.resumed_from) == (int(len(TEXT) * 0.9), None)
    stored = read_model(directory)
    assert sum(w.size for w in stored.weights.values()) == start.num_parameters
    final = only(reports, EvalReport)[-1]
    assert final.final
    assert end.best_loss == final.valid_loss
    assert end.best_bits_per_char == pytest.approx(final.valid_loss / math.log(2))
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "log"] == list(range(4, 41, 4))
    evaluated = [line["step"] for line in lines if line["event"] == "eval"]
    assert evaluated == [10, 20, 30, 40, 40]
    assert lines[-1]["valid_loss"] == end.best_loss
    names = {"README.md", "checkpoints", "config.json", "generation_config.json", "metrics.jsonl"}
    names |= {"model.safetensors", "tokenizer.json", "train.json"}
    assert {path.name for path in directory.iterdir()} == names
    assert f"{end.best_loss:.4f} nats" in (directory / "README.md").read_text()
    assert str(corpus) in (directory / "train.json").read_text()


def other_text(corpus):
    """A held-out file that gets harder as the corpus is learned: the same symbols, shuffled."""
    path = corpus.parent / "valid.txt"
    path.write_text("".join(np.random.default_rng(0).permutation(list(TEXT))))
    return (str(path),)


def test_the_best_weights_are_kept_not_the_last(corpus):
    reports = finish(ask(corpus, valid=other_text(corpus), eval_every=2))
    evaluations = only(reports, EvalReport)
    losses = [e.valid_loss for e in evaluations if not e.final]
    assert losses[-1] > min(losses) + 0.02
    assert evaluations[-1].valid_loss == pytest.approx(min(losses), abs=1e-3)
    assert evaluations[-1].best_step == 2 * (1 + losses.index(min(losses)))


@pytest.mark.slow
@pytest.mark.parametrize("document", ["stream", "line"])
def test_stop_and_resume_at_any_step_gives_the_run_that_was_never_stopped(corpus, document):
    options = {"max_steps": 24, "document": document}
    finish(ask(corpus, **options, output=corpus.parent / "whole"))
    expected = fingerprint(corpus.parent / "whole")
    for step in (1, 4, 5, 9, 10, 11, 19, 20, 23, 24):
        output = corpus.parent / f"cut-{step}"
        reports = run_until(ask(corpus, **options, output=output), step)
        assert reports[-1].stopped == "signal"
        assert reports[-1].step == step
        finish(ask(corpus, **options, output=output, resume=True))
        assert fingerprint(output) == expected, step


@pytest.mark.slow
def test_a_run_stopped_twice_and_at_an_epochs_end_is_still_exact(corpus):
    options = {"max_steps": None, "epochs": 2, "dropout": 0.4}
    whole = finish(ask(corpus, **options, output=corpus.parent / "whole"))
    first_epoch = next(r.step for r in only(whole, StepReport) if r.epoch >= 1)
    output = corpus.parent / "cut"
    run_until(ask(corpus, **options, output=output), first_epoch)
    run_until(ask(corpus, **options, output=output, resume=True), first_epoch + 3)
    finish(ask(corpus, **options, output=output, resume=True))
    assert fingerprint(output) == fingerprint(corpus.parent / "whole")


@pytest.mark.slow
def test_what_came_after_the_checkpoint_is_made_again_and_logged_once(corpus):
    """As after SIGKILL: the log has lines that the checkpoint does not know, the last one torn."""
    finish(ask(corpus, output=corpus.parent / "whole"))
    output = corpus.parent / "killed"
    steps = run_training(ask(corpus, output=output))
    for report in steps:
        if isinstance(report, EvalReport) and report.step == 20:
            break
    steps.close()
    with (output / "metrics.jsonl").open("a") as log:
        log.write('{"event": "log", "st')
    finish(ask(corpus, output=output, resume=True))
    assert fingerprint(output) == fingerprint(corpus.parent / "whole")


@pytest.mark.slow
def test_a_resume_from_the_older_checkpoint_says_so_and_is_exact(corpus, capsys):
    finish(ask(corpus, output=corpus.parent / "whole"))
    run_until(ask(corpus), 12)
    newest = corpus.parent / "run" / "checkpoints" / "step-00000012.safetensors"
    newest.write_bytes(newest.read_bytes()[:-99] + bytes(99))
    assert run_command(["train", "--resume", "-o", str(corpus.parent / "run"), "-q"]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"charrnn: warning: {newest}: damaged")
    assert len(said.splitlines()) == 1
    assert fingerprint(corpus.parent / "run") == fingerprint(corpus.parent / "whole")


def test_evaluation_sampling_and_saving_do_not_change_the_weights(corpus):
    finish(ask(corpus, output=corpus.parent / "busy", valid_frac=0.0))
    quiet = {"eval_every": 0, "sample_every": 0, "save_every": 0, "log_every": 0}
    finish(ask(corpus, output=corpus.parent / "quiet", valid_frac=0.0, **quiet))
    busy, calm = (read_model(corpus.parent / name).weights for name in ("busy", "quiet"))
    assert all(np.array_equal(busy[name], calm[name]) for name in busy)


def test_resuming_a_finished_run_changes_no_byte(corpus):
    finish(ask(corpus))
    directory = corpus.parent / "run"
    before = {
        p: (p.read_bytes(), p.stat().st_mtime_ns) for p in directory.rglob("*.*") if p.is_file()
    }
    reports = finish(ask(corpus, resume=True))
    after = {
        p: (p.read_bytes(), p.stat().st_mtime_ns) for p in directory.rglob("*.*") if p.is_file()
    }
    assert len(reports) == 1
    assert after == before


def test_a_checkpoint_that_the_last_save_could_not_remove_goes_with_the_resume(corpus, monkeypatch):
    directory = corpus.parent / "run"

    def remove(path):
        if max(directory.glob("checkpoints/*")).name == "step-00000040.safetensors":
            raise StoreError("cannot remove")
        remove_file(path)

    with monkeypatch.context() as patch:
        patch.setattr("charrnn.modeldir.checkpoints.remove_file", remove)
        with pytest.raises(StoreError):
            finish(ask(corpus))
    assert len(list(directory.glob("checkpoints/*"))) == 3
    finish(ask(corpus, resume=True))
    kept = sorted(path.name for path in directory.glob("checkpoints/*"))
    assert kept == ["step-00000035.safetensors", "step-00000040.safetensors"]


def test_a_larger_budget_goes_on_and_says_that_the_schedule_is_fitted_anew(corpus):
    finish(ask(corpus))
    reports = finish(ask(corpus, resume=True, max_steps=60))
    assert reports[0].resumed_from == 40
    assert any("60" in note for note in reports[0].notes)
    assert reports[-1].step == 60
    with pytest.raises(ConfigError, match="--max-steps 50"):
        finish(ask(corpus, resume=True, max_steps=50))


def test_options_that_contradict_the_run_are_all_listed(corpus):
    finish(ask(corpus))
    with pytest.raises(ConfigError, match=r"--hidden-size 25 .*--dropout 0.1"):
        finish(ask(corpus, resume=True, hidden_size=25, dropout=0.1))


def test_a_text_that_changed_is_refused_with_both_hashes(corpus):
    run_until(ask(corpus), 7)
    old = hashlib.sha256(corpus.read_bytes()).hexdigest()
    corpus.write_text(TEXT + "x")
    new = hashlib.sha256(corpus.read_bytes()).hexdigest()
    with pytest.raises(CorpusError, match=f"{old}.*{new}"):
        finish(ask(corpus, resume=True))


def test_a_resume_without_text_takes_what_the_run_knows(corpus):
    run_until(ask(corpus), 7)
    request = replace(ask(corpus, resume=True), texts=(), given=frozenset(), config=TrainConfig())
    assert finish(request)[-1].step == 40


def test_a_resume_takes_the_threads_of_the_run(corpus):
    threads = torch.get_num_threads()
    run_until(ask(corpus, threads=3), 3)
    steps = run_training(replace(ask(corpus, resume=True), given=frozenset(), config=TrainConfig()))
    found = next(steps).config.threads, torch.get_num_threads()
    steps.close()
    torch.set_num_threads(threads)
    assert found == (3, 3)


def test_resume_where_nothing_is_starts_from_step_0(corpus):
    assert finish(ask(corpus, resume=True))[0].resumed_from is None


def test_a_directory_in_use_needs_resume_or_force(corpus):
    finish(ask(corpus))
    with pytest.raises(ConfigError, match="--resume goes on with it, --force replaces it"):
        finish(ask(corpus))
    finish(ask(corpus, force=True, hidden_size=10))
    assert read_model(corpus.parent / "run").config.hidden_size == 10


def test_a_directory_with_something_else_in_it_is_refused_even_by_force(corpus):
    output = corpus.parent / "run"
    output.mkdir()
    (output / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match="not a charrnn run"):
        finish(ask(corpus, force=True))
    assert [p.name for p in output.iterdir()] == ["thesis.tex"]


def test_force_keeps_the_old_run_until_the_new_one_has_made_a_step(corpus):
    finish(ask(corpus))
    before = (corpus.parent / "run" / "model.safetensors").read_bytes()
    steps = run_training(ask(corpus, force=True, hidden_size=10))
    assert isinstance(next(steps), StartReport)
    assert (corpus.parent / "run" / "model.safetensors").read_bytes() == before
    steps.close()


def test_the_second_of_two_runs_in_one_directory_fails_and_names_the_first(corpus):
    lock = RunLock.acquire(corpus.parent / "run")
    with pytest.raises(BusyError, match="process"):
        finish(ask(corpus))
    lock.release()


def test_a_bad_corpus_leaves_no_directory_behind(corpus):
    corpus.write_bytes(b"")
    with pytest.raises(CorpusError):
        finish(ask(corpus, output=corpus.parent / "a" / "b"))
    assert not (corpus.parent / "a").exists()


def test_a_directory_that_is_removed_ends_the_run_and_is_not_made_anew(corpus):
    import shutil

    steps = run_training(ask(corpus))
    for report in steps:
        if isinstance(report, SaveReport):
            shutil.rmtree(corpus.parent / "run")
            break
    with pytest.raises(StoreError):
        list(steps)
    assert not (corpus.parent / "run").exists()


def spoil(monkeypatch, times, at=7):
    """Let the loss at step `at` be nan, the first `times` times."""
    import charrnn.trainer as trainer

    compute_gradients, left = trainer.compute_gradients, [times]

    def spoiled(session, window):
        loss = compute_gradients(session, window)
        if session.step + 1 == at and left[0]:
            left[0] -= 1
            return loss * math.nan
        return loss

    monkeypatch.setattr(trainer, "compute_gradients", spoiled)


def test_a_divergence_goes_back_to_the_checkpoint_with_half_the_rate(corpus, monkeypatch):
    spoil(monkeypatch, times=1)
    reports = finish(ask(corpus))
    (note,) = only(reports, NoteReport)
    assert "step 7" in note.text
    assert "back to step 5" in note.text
    rates = {}
    for report in only(reports, StepReport):
        rates.setdefault(report.step, []).append(report.learning_rate)
    assert rates[6][1] == pytest.approx(rates[6][0] / 2)
    lines = (corpus.parent / "run" / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line)["step"] for line in lines if '"log"' in line]
    assert logged == list(range(4, 41, 4))


def test_the_speed_after_a_divergence_is_of_the_steps_made_again(corpus, monkeypatch):
    spoil(monkeypatch, times=1, at=10)  # back to step 5: step 8 was logged, and is again
    logs = only(finish(ask(corpus)), LogReport)
    assert [log.step for log in logs] == [4, 8, *range(8, 41, 4)]
    assert min(log.tokens_per_second for log in logs) > 0


def test_the_fourth_divergence_ends_the_run(corpus, monkeypatch):
    spoil(monkeypatch, times=4, at=2)
    with pytest.raises(DivergedError, match="diverged 4 times"):
        finish(ask(corpus))


def test_after_the_fourth_divergence_the_checkpoint_before_it_is_the_newest(corpus, monkeypatch):
    spoil(monkeypatch, times=4)
    with pytest.raises(DivergedError) as caught:
        finish(ask(corpus))
    assert caught.value.exit_code == 1
    assert read_newest_checkpoint(corpus.parent / "run").metadata["step"] == "5"
    read_model(corpus.parent / "run")


@pytest.mark.parametrize("samples", [0, 9])
def test_a_step_that_the_loss_scaler_left_out_is_no_divergence_and_has_no_line(
    corpus, samples, monkeypatch
):
    """Half precision overflows now and then: the gradient has no norm then, and nothing changes."""
    import charrnn.trainer as trainer

    compute_gradients = trainer.compute_gradients

    def overflowing(session, window):
        loss = compute_gradients(session, window)
        if session.step + 1 in (1, 8):
            gradient = session.model.output.weight.grad
            values_of(gradient)[0] = math.inf
        return loss

    scaler = torch.amp.GradScaler  # which on a CPU is off
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device, enabled: scaler(device))
    monkeypatch.setattr(trainer, "compute_gradients", overflowing)
    options = {"log_every": 2, "max_steps": 12, "save_every": 1, "softmax_samples": samples}
    reports = finish(ask(corpus, **options))
    steps = only(reports, StepReport)
    assert [s.step for s in steps if not math.isfinite(s.grad_norm)] == [1, 8]
    assert not only(reports, NoteReport)
    logs = only(reports, LogReport)
    assert [log.step for log in logs] == [2, 4, 6, 10, 12]
    assert logs[3].loss == pytest.approx(np.mean([s.loss for s in steps[6:10]]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "hidden_size", "samples"), [(3, 24, 0), (17, 24, 0), (22, 250, 0), (17, 24, 9)]
)
def test_resume_is_exact_where_the_streams_are_dealt_to_threads(corpus, step, hidden_size, samples):
    threads = torch.get_num_threads()
    shared = {"threads": 2, "batch_size": 19, "seq_length": 8, "hidden_size": hidden_size}
    shared |= {"optimizer": "soap", "softmax_samples": samples}
    finish(ask(corpus, **shared, output=corpus.parent / "whole"))
    run_until(ask(corpus, **shared), step)
    finish(ask(corpus, **shared, resume=True))
    torch.set_num_threads(threads)
    assert fingerprint(corpus.parent / "run") == fingerprint(corpus.parent / "whole")


@pytest.mark.slow
@pytest.mark.skipif(not onednn.is_possible(), reason="needs bfloat16 units and oneDNN")
@pytest.mark.parametrize("step", [1, 17])
def test_resume_is_exact_where_layers_are_wide(corpus, step, monkeypatch):
    monkeypatch.setattr(wide, "MIN_WEIGHTS", 0)
    threads = torch.get_num_threads()
    options = {"threads": 2, "batch_size": 19, "seq_length": 8, "precision": "bf16"}
    options |= {"weight_drop": 0.3, "num_layers": 2}
    finish(ask(corpus, **options, output=corpus.parent / "whole"))
    run_until(ask(corpus, **options), step)
    wide.scripted.cache_clear()  # as in a new process
    finish(ask(corpus, **options, resume=True))
    torch.set_num_threads(threads)
    assert fingerprint(corpus.parent / "run") == fingerprint(corpus.parent / "whole")


def test_a_run_stopped_before_its_first_evaluation_leaves_the_weights_that_it_had(corpus):
    run_until(ask(corpus, eval_every=30), 9)
    directory = corpus.parent / "run"
    model, found = read_model(directory), read_newest_checkpoint(directory)
    for name, weights in model.weights.items():
        assert np.array_equal(weights, found.tensors[f"model.{name}"])


def test_patience_stops_early(corpus):
    reports = finish(ask(corpus, valid=other_text(corpus), eval_every=2, patience=2))
    assert reports[-1].stopped == "patience"
    assert reports[-1].step < 40


def test_a_run_that_ran_out_of_patience_stays_ended_until_it_is_given_more(corpus):
    options = {"valid": other_text(corpus), "eval_every": 2, "patience": 2}
    end = finish(ask(corpus, **options))[-1]
    before = fingerprint(corpus.parent / "run")
    (again,) = finish(ask(corpus, **options, resume=True))
    assert (again.step, again.stopped) == (end.step, "patience")
    assert fingerprint(corpus.parent / "run") == before
    more = finish(ask(corpus, **{**options, "max_steps": 60}, resume=True))[-1]
    assert more.step > end.step


def test_more_patience_goes_on_as_if_it_had_been_there_from_the_start(corpus):
    options = {"valid": other_text(corpus), "eval_every": 2}
    whole = finish(ask(corpus, **options, patience=4, output=corpus.parent / "whole"))[-1]
    assert finish(ask(corpus, **options, patience=2))[-1].step == whole.step - 4
    with pytest.raises(ConfigError, match=r"only a larger budget or patience .* --patience 1"):
        finish(ask(corpus, **options, patience=1, resume=True))
    start, *_, end = finish(ask(corpus, **options, patience=4, resume=True))
    assert "patience raised from 2 to 4" in start.notes
    assert (end.step, end.stopped, end.best_loss) == (whole.step, "patience", whole.best_loss)
    weights = [(corpus.parent / name / "model.safetensors") for name in ("whole", "run")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


class StopAt:
    """Says stop at the n-th time that it is asked."""

    def __init__(self, count):
        self.left = count

    def __call__(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.slow
@pytest.mark.parametrize("patience", [None, 1])
def test_a_signal_at_any_moment_of_the_last_step_leaves_each_line_once(corpus, patience):
    options = {"valid": other_text(corpus), "patience": patience, "max_steps": 10, "eval_every": 2}
    finish(ask(corpus, **options, output=corpus.parent / "whole"))
    expected = fingerprint(corpus.parent / "whole")
    for count in range(14, 34):
        output = corpus.parent / f"stopped-{count}"
        list(run_training(ask(corpus, **options, output=output), StopAt(count)))
        finish(ask(corpus, **options, output=output, resume=True))
        assert fingerprint(output) == expected, count


def test_a_signal_in_the_last_step_saves_it(corpus):
    """There is nothing else to do then but to evaluate, which the resumed run does."""
    reports = run_until(ask(corpus, save_every=0), 40)
    assert (reports[-1].stopped, reports[-1].step) == ("signal", 40)
    assert only(reports, SaveReport)[-1].step == 40
    assert read_newest_checkpoint(corpus.parent / "run").metadata["step"] == "40"
    again = finish(ask(corpus, save_every=0, resume=True))
    assert again[0].resumed_from == 40
    assert not only(again, StepReport)


def test_without_a_held_out_part_the_last_weights_are_kept(corpus):
    reports = finish(ask(corpus, valid_frac=0.0))
    assert reports[-1].best_loss is None
    assert only(reports, EvalReport)[-1].valid_loss is None
    assert only(reports, EvalReport)[-1].best_step == 40


@pytest.mark.parametrize(("every", "steps"), [(0, [5]), (2, [2, 4, 5])])
def test_the_last_step_has_a_line_in_the_log(corpus, every, steps):
    reports = finish(ask(corpus, log_every=every, max_steps=5))
    assert [log.step for log in only(reports, LogReport)] == steps
    losses = [step.loss for step in only(reports, StepReport)]
    rest = losses[steps[-2] if len(steps) > 1 else 0 :]
    assert only(reports, LogReport)[-1].loss == pytest.approx(np.mean(rest))


def test_a_signal_in_the_last_step_leaves_the_log_of_the_run_that_had_none(corpus):
    log = corpus.parent / "run" / "metrics.jsonl"
    logged = []
    for stop in (40, None):
        request = ask(corpus, log_every=7, save_every=0, force=True)
        if stop:
            run_until(request, stop)
            finish(ask(corpus, log_every=7, save_every=0, resume=True))
        else:
            finish(request)
        lines = map(json.loads, log.read_text().splitlines())
        logged.append([(e["step"], e["loss"]) for e in lines if e["event"] == "log"])
    assert logged[0] == logged[1]
    assert [step for step, _ in logged[0]] == [7, 14, 21, 28, 35, 40]


@pytest.mark.slow
def test_a_run_by_the_clock_ends_on_time_and_its_log_line_is_there(corpus):
    """The next line was due after 2 s; the budget may end between two steps."""
    options = dict.fromkeys(("max_steps", "eval_every", "save_every", "log_every", "sample_every"))
    reports = finish(ask(corpus, **options, max_time=1.5))
    steps = only(reports, StepReport)
    assert steps[-2].elapsed_seconds < 1.5 <= only(reports, EvalReport)[-1].elapsed_seconds
    assert steps[-1].elapsed_seconds < 2.5
    (log,) = only(reports, LogReport)
    assert (log.step, log.elapsed_seconds) == (steps[-1].step, steps[-1].elapsed_seconds)
    assert steps[-1].learning_rate < steps[len(steps) // 2].learning_rate


def test_initial_weights_of_known_symbols_are_kept_and_new_ones_added(corpus):
    finish(ask(corpus, output=corpus.parent / "first"))
    other = corpus.parent / "other.txt"
    other.write_text(TEXT.replace("7", "ß"))
    initial = str(corpus.parent / "first")
    request = ask(other, output=corpus.parent / "second", init_from=initial, max_steps=1)
    finish(replace(request, config=replace(request.config, learning_rate=1e-9)))
    old, new = read_model(corpus.parent / "first"), read_model(corpus.parent / "second")
    assert set(new.tokenizer.vocabulary) == set(old.tokenizer.vocabulary) | {"ß"}
    for symbol in old.tokenizer.vocabulary:
        a, b = old.tokenizer.vocabulary.index(symbol), new.tokenizer.vocabulary.index(symbol)
        for name in ("embedding.weight", "output.weight", "output.bias"):
            np.testing.assert_allclose(new.weights[name][b], old.weights[name][a], atol=1e-6)
    name = "recurrent.weight_hh_l0"
    np.testing.assert_allclose(new.weights[name], old.weights[name], atol=1e-6)


@pytest.mark.parametrize("tokens", ["ab", "aba", "hello"])
def test_any_text_of_two_tokens_trains(corpus, tokens):
    corpus.write_text(tokens)
    reports = finish(ask(corpus, max_steps=3, hidden_size=3, embedding_size=0, valid_frac=0.1))
    assert reports[-1].step == 3
    assert reports[0].notes


def test_threads_and_all_other_choices_are_recorded(corpus):
    finish(ask(corpus, seed=5))
    record = json.loads((corpus.parent / "run" / "train.json").read_text())
    options = record["options"]
    assert (options["seed"], options["threads"], options["precision"]) == (5, 1, "fp32")
    assert record["corpus"][0]["sha256"] == hashlib.sha256(corpus.read_bytes()).hexdigest()
    assert record["versions"]["torch"] == torch.__version__
    assert record["finished"] is True


def test_logged_losses_are_means_since_the_last_line(corpus):
    reports = finish(ask(corpus))
    steps = [r.loss for r in only(reports, StepReport)]
    for log in only(reports, LogReport):
        assert log.loss == pytest.approx(np.mean(steps[log.step - 4 : log.step]))


def test_weights_that_were_never_evaluated_are_evaluated_once(corpus):
    reports = finish(ask(corpus, eval_every=0, max_steps=5))
    (final,) = only(reports, EvalReport)
    assert (final.final, final.step, final.best_step) == (True, 5, 5)
    assert (reports[-1].best_loss, reports[-1].best_step) == (final.valid_loss, 5)
    again = finish(ask(corpus, eval_every=0, max_steps=5, resume=True))
    assert (again[-1].best_loss, again[-1].best_step) == (final.valid_loss, 5)


def test_a_long_evaluation_behind_the_budget_is_said(corpus, monkeypatch):
    monkeypatch.setattr("charrnn.validate.expected_seconds", lambda setup, speed: 6.0)
    assert not only(finish(ask(corpus, eval_every=0, max_steps=5)), NoteReport)
    reports = finish(ask(corpus, eval_every=3, max_steps=5, force=True))
    (note,) = only(reports, NoteReport)
    assert note.text.startswith(
        "the budget is over: measuring 301 held-out tokens takes about 12 s"
    )
    assert reports.index(note) < reports.index(only(reports, EvalReport)[-2])


def test_a_model_to_sample_from_is_there_after_the_first_step(corpus):
    directory = corpus.parent / "run"
    quiet = dict.fromkeys(("eval_every", "save_every", "log_every", "sample_every"), 0)
    steps = run_training(ask(corpus, **quiet, max_steps=3))
    for report in steps:
        if isinstance(report, StepReport) and report.step == 2:
            break
    stored = read_model(directory)
    assert stored.start_id == stored.tokenizer.index[TEXT[0]]
    assert json.loads((directory / "train.json").read_text())["finished"] is False
    assert not (directory / "checkpoints").exists()
    steps.close()


@pytest.mark.parametrize("count", range(2, 14))
def test_what_was_trained_until_a_signal_is_in_the_newest_checkpoint(corpus, count):
    quiet = {"eval_every": 3, "save_every": 0, "sample_every": 4}
    *_, end = run_training(ask(corpus, **quiet), StopAt(count))
    assert end.stopped == "signal"
    assert end.step < 40
    newest = max((corpus.parent / "run" / "checkpoints").iterdir())
    assert newest.name == f"step-{end.step:08d}.safetensors"


def test_each_line_of_the_log_has_the_fields_that_are_documented(corpus):
    finish(ask(corpus))
    log = (corpus.parent / "run" / "metrics.jsonl").read_text()
    fields = {}
    for line in map(json.loads, log.splitlines()):
        fields.setdefault(line["event"], list(line))
        assert list(line) == fields[line["event"]]
    times = ["event", "step", "epoch"]
    assert fields["log"] == [
        *times,
        *("tokens", "elapsed_seconds", "loss", "learning_rate", "grad_norm", "tokens_per_second"),
    ]
    assert fields["eval"][:6] == [
        *times,
        *("elapsed_seconds", "valid_loss", "valid_bits_per_char"),
    ]
    assert "best" in fields["eval"]
    assert fields["sample"] == ["event", "step", "text"]


def test_initial_weights_of_a_one_hot_network_go_by_the_symbol(corpus):
    """A stream has no <s> and </s>: the symbols behind them have other ids than in the first."""
    one_hot = {"embedding_size": 0, "max_steps": 1}
    finish(ask(corpus, **one_hot, document="line", output=corpus.parent / "first"))
    initial = str(corpus.parent / "first")
    small = {**one_hot, "document": "stream", "init_from": initial, "learning_rate": 1e-9}
    finish(ask(corpus, **small, output=corpus.parent / "second"))
    old, new = read_model(corpus.parent / "first"), read_model(corpus.parent / "second")
    name = "recurrent.weight_ih_l0"
    shared = set(old.tokenizer.index) & set(new.tokenizer.index)
    assert set(old.tokenizer.index) - shared == {"<s>", "</s>"}
    for symbol in shared:
        here, there = new.tokenizer.index[symbol], old.tokenizer.index[symbol]
        assert here != there
        column = old.weights[name][:, there]
        np.testing.assert_allclose(new.weights[name][:, here], column, atol=1e-6)


def test_the_log_is_durable_before_each_checkpoint(corpus, monkeypatch):
    import charrnn.recorder as recorder

    calls, write = [], recorder.write_checkpoint
    monkeypatch.setattr(recorder.Journal, "sync", lambda self: calls.append("log"))
    monkeypatch.setattr(
        recorder, "write_checkpoint", lambda *args: (calls.append("checkpoint"), write(*args))[1]
    )
    finish(ask(corpus, max_steps=20))
    assert calls == ["log", "checkpoint"] * 4


def test_a_network_that_is_begun_from_keeps_its_sizes(corpus):
    finish(ask(corpus, output=corpus.parent / "first", max_steps=1))
    initial = {"init_from": str(corpus.parent / "first"), "output": corpus.parent / "second"}
    wrong = r"--cell gru \(the model has lstm\), --hidden-size 25 \(the model has 24\)"
    with pytest.raises(ConfigError, match=wrong):
        finish(ask(corpus, **initial, hidden_size=25, cell="gru"))
    assert not (corpus.parent / "second").exists()
    open_sizes = dict.fromkeys(("hidden_size", "embedding_size"))
    start = finish(ask(corpus, **initial, **open_sizes, max_steps=1))[0]
    assert (start.model.hidden_size, start.model.embedding_size) == (24, 9)
