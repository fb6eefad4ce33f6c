"""Steps that are begun before the loss of the first is read are the steps made one by one."""

import math

import numpy as np
import pytest
import torch
from test_trainer import start, weights
from training_runs import TEXT, ask, fingerprint, finish, only, run_until

from charrnn import session as session_module
from charrnn import steps as steps_module
from charrnn.losses import on_device
from charrnn.reports import EvalReport, LogReport, NoteReport, SaveReport, StepReport
from charrnn.steps import train_steps
from charrnn.trainer import NotFiniteError


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(autouse=True)
def without_the_clock(monkeypatch):
    monkeypatch.setattr(steps_module, "AHEAD_SECONDS", 1e9)


@pytest.fixture
def sizes(monkeypatch):
    """How many steps were read at a time."""
    found, read = [], steps_module.read_steps
    monkeypatch.setattr(
        steps_module,
        "read_steps",
        lambda session, begun: (found.append(len(begun)), read(session, begun))[1],
    )
    return found


@pytest.fixture
def ahead(monkeypatch):
    """Return what makes runs on this CPU go ahead as on a GPU."""

    def begin(size):
        monkeypatch.setattr(session_module, "choose_steps_ahead", lambda *asked: size)

    return begin


def told(reports):
    return [(r.step, r.loss, r.learning_rate, r.grad_norm, r.epoch, r.tokens) for r in reports]


@pytest.mark.parametrize("steps_ahead", [2, 7, 50])
def test_steps_ahead_are_the_same_steps(steps_ahead):
    alone, session = start(dropout=0.3), start(dropout=0.3)
    wanted = told(train_steps(alone))
    session.steps_ahead = steps_ahead
    assert told(train_steps(session, lambda: True)) == wanted
    assert weights(session) == weights(alone)
    assert (session.loss_sum, session.loss_count) == (alone.loss_sum, alone.loss_count)


def test_losses_are_read_when_so_many_steps_are_begun_or_something_is_due(sizes):
    session, asked = start(), []
    session.steps_ahead = 4

    def nothing_is_due():
        asked.append(session.step)
        return session.step != 6

    seen = [(report.step, session.step) for report in train_steps(session, nothing_is_due)]
    assert sizes == [4, 2, 4, 4, 4, 4, 4, 4]
    assert seen[:8] == [(1, 4), (2, 4), (3, 4), (4, 4), (5, 6), (6, 6), (7, 10), (8, 10)]
    assert asked[:5] == [1, 2, 3, 5, 6]


def test_no_more_steps_are_begun_than_take_a_moment(sizes, monkeypatch):
    session, now = start(), [0.0]
    session.steps_ahead = 8
    monkeypatch.setattr(steps_module, "AHEAD_SECONDS", 0.1)
    monkeypatch.setattr(type(session), "now", lambda self: now[0])
    update = steps_module.update

    def slow(session, window, rate):
        now[0] += 0.04 if session.step < 14 else 0.3 if session.step < 18 else 0.001
        return update(session, window, rate)

    monkeypatch.setattr(steps_module, "update", slow)
    assert len(list(train_steps(session, lambda: True))) == 30
    assert sizes == [8, 2, 2, 2, 2, 1, 1, 1, 8, 3]


def test_steps_that_are_begun_when_the_time_is_over_are_read(monkeypatch):
    session, now = start(max_steps=None, max_time=10.0), [0.0]
    session.steps_ahead = 8
    monkeypatch.setattr(type(session), "now", lambda self: now[0])

    def nothing_is_due():
        now[0] += 3.0  # the time ends amid the fourth of these
        return True

    reports = list(train_steps(session, nothing_is_due))
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert (session.loss_count, session.elapsed_seconds) == (4, 12.0)


def test_the_time_of_steps_that_overlap_is_shared_out():
    session = start()
    session.steps_ahead = 5
    reports = list(train_steps(session, lambda: True))
    assert reports[-1].elapsed_seconds == session.elapsed_seconds
    times = np.array([report.elapsed_seconds for report in reports])
    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(np.diff(times[:5]), times[1] - times[0], rtol=1e-6)
    rate = reports[1].tokens_per_second
    assert rate == pytest.approx(40 / (times[1] - times[0]))  # 4 streams of 10


def test_a_loss_that_is_not_finite_is_found_when_it_is_read(monkeypatch):
    session, update = start(), steps_module.update
    session.steps_ahead = 8

    def spoiled(session, window, rate):
        values = update(session, window, rate)
        return values * (math.nan if session.step == 3 else 1)  # in the fourth step

    monkeypatch.setattr(steps_module, "update", spoiled)
    steps = train_steps(session, lambda: True)
    assert [next(steps).step for _ in range(3)] == [1, 2, 3]
    assert session.step == 8
    with pytest.raises(NotFiniteError, match="loss nan"):
        next(steps)
    assert session.step == 3


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 64])
def test_a_run_that_goes_ahead_writes_what_one_does_that_does_not(corpus, ahead, sizes, size):
    finish(ask(corpus, output=corpus.parent / "one"))
    ahead(size)
    sizes.clear()
    reports = finish(ask(corpus, output=corpus.parent / "ahead"))
    assert sizes[0] == 1  # from the first step on there is a model
    assert max(sizes) == min(size, 4)  # a line every 4 steps
    assert len(sizes) < 25
    assert fingerprint(corpus.parent / "ahead") == fingerprint(corpus.parent / "one")
    assert [r.step for r in only(reports, StepReport)] == list(range(1, 41))
    assert [r.step for r in only(reports, SaveReport)][:3] == [5, 10, 15]
    assert [r.step for r in only(reports, LogReport)] == list(range(4, 41, 4))


def test_a_run_that_goes_ahead_and_is_stopped_goes_on_exactly(corpus, ahead):
    options = dict.fromkeys(("log_every", "save_every", "eval_every", "sample_every"), 0)
    options["max_steps"] = 24
    finish(ask(corpus, **options, output=corpus.parent / "one"))
    ahead(8)
    output = corpus.parent / "ahead"
    reports = run_until(ask(corpus, **options, output=output), 11)
    assert reports[-1].stopped == "signal"
    assert reports[-1].step == 17  # 1, then 8 and 8: the eleventh is among those
    assert [r.step for r in only(reports, StepReport)] == list(range(1, 18))
    finish(ask(corpus, **options, output=output, resume=True))
    assert fingerprint(output) == fingerprint(corpus.parent / "one")


def test_a_run_that_goes_ahead_returns_to_its_checkpoint_when_it_diverges(
    corpus, ahead, monkeypatch
):
    ahead(6)
    update, spoiled = steps_module.update, []

    def spoil(session, window, rate):
        values = update(session, window, rate)
        if session.step == 12 and not spoiled:  # the thirteenth
            spoiled.append(rate)
            with torch.no_grad():
                session.model.output.bias[2] = math.nan
            return values * math.nan
        return values

    monkeypatch.setattr(steps_module, "update", spoil)
    reports = finish(ask(corpus, log_every=0, sample_every=0))
    (note,) = only(reports, NoteReport)
    assert note.text.startswith("step 13 is not finite")
    assert "back to step 10" in note.text
    steps = [r.step for r in only(reports, StepReport)]
    assert steps == [*range(1, 13), *range(11, 41)]
    assert [r.step for r in only(reports, SaveReport)][:3] == [5, 10, 15]
    assert all(math.isfinite(r.valid_loss) for r in only(reports, EvalReport))


def test_only_a_gpu_that_trains_alone_and_without_a_scaler_goes_ahead():
    choose, gpu = session_module.choose_steps_ahead, torch.device("cuda:0")
    assert choose(gpu, "bf16", None) == choose(gpu, "fp32", None) == session_module.STEPS_AHEAD > 1
    assert choose(gpu, "bf16", object()) == choose(gpu, "fp16", None) == 1
    assert choose(torch.device("cpu"), "bf16", None) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: set CUDA_VISIBLE_DEVICES")
@pytest.mark.filterwarnings("ignore:RNN module weights", "ignore:Synchronization debug mode")
def test_a_step_does_not_wait_for_the_gpu():
    session = start(optimizer="adamw")
    session.model.cuda()
    session.model.generator = session.generator = torch.Generator("cuda")
    session.steps_ahead = 8
    session.model.train()
    for _ in range(3):
        steps_module.begin_step(session)
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps_module.begin_step(session)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_windows_go_to_a_gpu_by_memory_that_is_pinned(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: (asked.append("pin"), self)[1])
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, *given, **how: (asked.append((given, how)), self)[1]
    )
    device = torch.device("cuda", 1)
    on_device(np.arange(3), device)
    assert asked == ["pin", ((device,), {"non_blocking": True})]
