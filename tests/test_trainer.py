import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from charrnn import trainer
from charrnn.batches import StreamBatches
from charrnn.checkpoint import capture, restore
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ModelError
from charrnn.losses import scale_of_half
from charrnn.model import Dropouts, LanguageModel
from charrnn.steps import train_steps
from charrnn.trainer import NotFiniteError, Session, clip, make_optimizer

CYCLE = np.array([0, 1, 2, 3, 4] * 40, dtype=np.uint8)  # after one token, the next is certain


def start(dropout=0.0, kind="lstm", ids=CYCLE, **changes):
    options = {"max_steps": 30, "batch_size": 4, "seq_length": 10, "learning_rate": 0.03}
    options["optimizer"] = "soap"
    config = TrainConfig(
        **{**options, "warmup_steps": 2, "weight_decay": 0.1, "precision": "fp32", **changes}
    )
    sizes = ModelConfig(5, kind, embedding_size=8, hidden_size=16, num_layers=2)
    model = LanguageModel(sizes, Dropouts(dropout, dropout, dropout))
    model.reset(1)
    model.generator = torch.Generator().manual_seed(2)
    batches = StreamBatches(ids, config.batch_size, config.seq_length, seed=3)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    optimizer = make_optimizer(model, config)
    return Session(model, optimizer, scaler, batches, config, model.generator)


def weights(session):
    return {name: value.tolist() for name, value in session.model.to_weights().items()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn", "peephole"])
def test_learns_a_cycle(kind):
    reports = list(train_steps(start(kind=kind, max_steps=80)))
    assert reports[0].loss == pytest.approx(math.log(5), abs=0.3)
    assert reports[-1].loss < 0.05
    assert [r.step for r in reports] == list(range(1, 81))


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 17, 29])
def test_a_restored_session_makes_the_same_steps_and_weights(cut):
    whole = start(dropout=0.3)
    expected = [(r.loss, r.learning_rate, r.grad_norm) for r in train_steps(whole)]
    first = start(dropout=0.3)
    steps = train_steps(first)
    losses = [(r.loss, r.learning_rate, r.grad_norm) for r in islice(steps, cut)]
    tensors, metadata = capture(first, events_done=True)
    second = start(dropout=0.3)
    second.model.reset(77)
    assert restore(second, tensors, metadata, "x") == {"events_done": True}
    assert second.step == cut
    losses += [(r.loss, r.learning_rate, r.grad_norm) for r in train_steps(second)]
    assert losses == expected
    assert weights(second) == weights(whole)


@pytest.mark.parametrize(
    "part",
    [
        *("random.dropout", "state.1", "cursor.stream"),
        *("optimizer.exp_avg", "optimizer.gram.", "optimizer.basis."),
    ],
)
def test_no_part_of_a_checkpoint_can_be_left_out(part):
    """The negative control: with one part of another moment, the weights come out different."""
    whole = start(dropout=0.3)
    list(train_steps(whole))
    session = start(dropout=0.3)
    early, kept = None, None
    for report in train_steps(session):
        if report.step == 6:
            early = capture(session)[0]
        if report.step == 13:
            kept, metadata = capture(session)
            break
    kept |= {name: value for name, value in early.items() if name.startswith(part)}
    restore(session, kept, metadata, "x")
    list(train_steps(session))
    assert weights(session) != weights(whole)


def test_a_checkpoint_without_a_part_is_an_error_that_names_the_file():
    session = start()
    tensors, metadata = capture(session)
    with pytest.raises(ModelError, match="step-7 is not a checkpoint"):
        restore(session, tensors, {}, "step-7")
    del tensors["random.dropout"]
    with pytest.raises(ModelError, match="step-7 is not a checkpoint of this run"):
        restore(session, tensors, metadata, "step-7")


def test_gradients_are_clipped_by_their_global_norm():
    session = start(grad_clip=0.01, learning_rate=1.0, warmup_steps=0)
    session.optimizer = torch.optim.SGD(session.model.parameters(), lr=1.0)
    before = [p.detach().clone() for p in session.model.parameters()]
    report = next(train_steps(session))
    after = session.model.parameters()
    moved = torch.cat([(a - b).detach().flatten() for a, b in zip(after, before, strict=True)])
    assert report.grad_norm > 0.01
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("share", [0.5, 0.999999, 1.0, 1.5])
def test_gradients_within_the_limit_keep_their_bits_and_larger_ones_are_clipped_as_by_torch(share):
    session = start()
    parameters = list(session.model.parameters())
    for seed, parameter in enumerate(parameters):
        generator = torch.Generator().manual_seed(seed)
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    before = [parameter.grad.clone() for parameter in parameters]
    norm = float(torch.nn.utils.get_total_norm(before))
    session.config = replace(session.config, grad_clip=norm / share)
    assert float(clip(session)) == norm
    found = [parameter.grad.clone() for parameter in parameters]
    if share > 1:
        for parameter, gradient in zip(parameters, before, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, norm / share)
        before = [parameter.grad for parameter in parameters]
    assert all(map(torch.equal, found, before))


def test_the_state_is_carried_and_cut_off_its_history():
    session = start()
    seen = []
    run_layers = session.model.run_layers
    session.model.run_layers = lambda x, state: seen.append(state) or run_layers(x, state)
    kept = []
    for _ in train_steps(replace(session, config=replace(session.config, max_steps=6))):
        pass
    for state in seen[1:5]:
        kept.append(bool(state[0].abs().sum() > 0))
        assert not any(part.requires_grad for part in state)
    assert kept == [True] * 4
    assert seen[5][0].abs().sum() == 0  # a new pass


def test_the_rate_warms_up_and_falls_on_a_cosine_to_a_fiftieth():
    rates = [r.learning_rate for r in train_steps(start(max_steps=40, warmup_steps=4))]
    assert rates[0] == pytest.approx(0.03 / 5)
    assert rates[:5] == sorted(rates[:5])
    assert rates[20] == pytest.approx(0.03 * 0.51, rel=1e-3)
    assert rates[-1] < 0.03 * 0.03


def test_epochs_end_exactly_at_the_last_window():
    session = start(max_steps=None, epochs=2)
    reports = list(train_steps(session))
    assert reports[-1].epoch == 2
    assert reports[-1].progress == 1


def test_a_loss_that_is_not_finite_stops_before_the_update():
    session = start()
    steps = train_steps(session)
    next(steps)
    before = weights(session)
    with torch.no_grad():
        session.model.output.bias[2] = math.nan
        before["output.bias"] = session.model.output.bias.tolist()
    with pytest.raises(NotFiniteError):
        next(steps)
    after = weights(session)
    assert after.pop("output.bias")[:2] == before.pop("output.bias")[:2]
    assert after == before
    assert session.step == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_stops_before_the_update(value, monkeypatch):
    import charrnn.trainer as trainer

    compute_gradients = trainer.compute_gradients

    def spoiled(session, window):
        loss = compute_gradients(session, window)
        session.model.output.bias.grad[2] = value
        return loss

    session = start()
    steps = train_steps(session)
    next(steps)
    before, moments = weights(session), capture(session)[0]
    monkeypatch.setattr(trainer, "compute_gradients", spoiled)
    with pytest.raises(NotFiniteError, match=r"gradient norm (nan|inf)"):
        next(steps)
    assert (weights(session), session.step) == (before, 1)
    after = capture(session)[0]
    assert all(np.array_equal(after[k], moments[k]) for k in moments if k.startswith("optimizer."))


def test_only_matrices_decay():
    groups = make_optimizer(
        start().model, TrainConfig(weight_decay=0.7, optimizer="adamw")
    ).param_groups
    assert {(p.ndim, g["weight_decay"]) for g in groups for p in g["params"]} == {
        (2, 0.7),
        (1, 0.0),
    }


def infinite_gradient(session):
    """Let the first gradient hold an infinity, though the loss is finite."""
    first = next(session.model.parameters())
    first.register_hook(lambda gradient: torch.full_like(gradient, math.inf))


def test_a_loss_scaler_that_overflows_skips_the_update_and_scales_less():
    session = start()
    session.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    infinite_gradient(session)
    before = weights(session)
    report = next(train_steps(session))
    assert not math.isfinite(report.grad_norm)
    assert math.isfinite(report.loss)
    assert weights(session) == before
    assert session.step == 1
    assert session.scaler.get_scale() == 2.0**15


def test_only_bfloat16_on_a_gpu_has_a_scale_of_its_own():
    """Its recurrent layers run in float16 there."""
    assert scale_of_half("cuda", "bf16", 2048) == 128
    assert scale_of_half("cuda", "bf16", 2047) == 64
    assert scale_of_half("cuda", "bf16", 3) == 1
    assert scale_of_half("cuda", "bf16", 10**6) == 1024
    for device, precision in (("cpu", "bf16"), ("cpu", "fp32"), ("cuda", "fp32"), ("cuda", "fp16")):
        assert scale_of_half(device, precision, 2048) == 1


def test_the_scale_of_half_leaves_loss_gradients_and_updates_as_they_are(monkeypatch):
    plain, scaled = start(dropout=0.2), start(dropout=0.2)
    wanted = [(r.loss, r.grad_norm) for r in train_steps(plain)]
    asked = []
    monkeypatch.setattr(
        trainer, "scale_of_half", lambda *about: asked.append(about) or 2.0 ** len(asked)
    )
    assert [(r.loss, r.grad_norm) for r in train_steps(scaled)] == wanted
    assert {about[:2] for about in asked} == {("cpu", "fp32")}
    assert weights(plain) == weights(scaled)


def test_after_a_loss_that_is_not_finite_a_loss_scaler_takes_the_next_step_for_a_new_one():
    session = start()
    session.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    bias = session.model.output.bias
    before = bias.detach().clone()
    for _ in range(3):
        with torch.no_grad():
            bias[0] = math.nan
        with pytest.raises(NotFiniteError):
            next(train_steps(session))
        with torch.no_grad():
            bias.copy_(before)
    assert math.isfinite(next(train_steps(session)).grad_norm)
    assert session.scaler.get_scale() < 2.0**4


def test_a_loss_scaler_changes_nothing_but_the_scale():
    plain, scaled = start(), start()
    scaled.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    ours, theirs = next(train_steps(plain)), next(train_steps(scaled))
    assert theirs.grad_norm == pytest.approx(ours.grad_norm, rel=1e-5)
    for name, value in weights(plain).items():
        np.testing.assert_allclose(weights(scaled)[name], value, atol=1e-6)


def test_without_clipping_the_gradient_is_taken_as_it_is():
    moved = []
    for grad_clip in (0, 1e-3):
        session = start(grad_clip=grad_clip, warmup_steps=0)
        session.optimizer = torch.optim.SGD(session.model.parameters(), lr=1.0)
        before = [p.detach().clone() for p in session.model.parameters()]
        report = next(train_steps(session))
        steps = zip(session.model.parameters(), before, strict=True)
        moved.append(float(torch.cat([(a - b).detach().flatten() for a, b in steps]).norm()))
    assert moved[0] == pytest.approx(report.grad_norm * report.learning_rate, rel=1e-3)
    assert moved[1] == pytest.approx(1e-3 * report.learning_rate, rel=1e-3)
