"""Reports of a run that never was, for what shows them."""

from pathlib import Path

from charrnn.config import ModelConfig, TrainConfig
from charrnn.reports import (
    EndReport,
    EvalReport,
    LogReport,
    NoteReport,
    SampleReport,
    SaveReport,
    StartReport,
    StepReport,
)

HOSTILE = "\x1b[2J\x1b]52;c;aGk=\x07 [/x] [bold]:smile: \u202e\r\x9b6n\n\tand on"


def start(directory=Path("runs/play"), **changes):
    config = TrainConfig(
        hidden_size=48, num_layers=2, batch_size=5, seq_length=7, precision="bf16", threads=3
    )
    facts = {
        "model": ModelConfig(vocab_size=65, hidden_size=48, num_layers=2),
        "config": config,
        "reason": "2 x 48 lstm: for 1,000 tokens",
        "num_parameters": 12_345,
        "num_train_tokens": 1000,
        "num_valid_tokens": 111,
        "device": "cpu",
        "resumed_from": None,
        "notes": (),
    }
    return StartReport(directory=directory, **{**facts, **changes})


def step(number, total=40, loss=2.5, **changes):
    facts = {
        "epoch": number / 10,
        "tokens": 35 * number,
        "elapsed_seconds": 0.5 * number,
        "loss": loss,
        "learning_rate": 0.00312,
        "grad_norm": 0.512,
        "tokens_per_second": 45_210.0,
        "progress": number / total,
    }
    return StepReport(step=number, **{**facts, **changes})


def log(number, loss=2.5):
    report = step(number, loss=loss)
    return LogReport(
        report.step,
        report.epoch,
        report.tokens,
        report.elapsed_seconds,
        report.loss,
        report.learning_rate,
        report.grad_norm,
        report.tokens_per_second,
    )


def evaluation(number, loss=1.5, bits=2.164, best=True, final=False):
    return EvalReport(number, number / 10, 0.5 * number, loss, bits, best, final, number)


def end(number, directory=Path("runs/play"), stopped="budget", loss=1.5, bits=2.164):
    return EndReport(number, directory, 187.0, loss, bits, number, stopped)


def whole_run(directory=Path("runs/play"), text=HOSTILE, stopped="budget"):
    """Yield a run of 8 steps."""
    yield start(directory, notes=("few tokens: \x1b[31m",))
    for number in range(1, 9):
        yield step(number, total=8, loss=3 - number / 8)
        yield log(number, loss=3 - number / 8)
        if number % 4 == 0:
            yield evaluation(number)
            yield SampleReport(number, text)
            yield SaveReport(number, directory / f"checkpoints/step-{number:08}.safetensors")
    yield NoteReport("step 9 is not finite: [/x]")
    yield evaluation(8, final=True)
    yield end(8, directory, stopped)
