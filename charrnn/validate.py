"""The held-out loss of a session's present weights, and what it will cost to know it."""

from collections.abc import Callable, Iterator

from charrnn.evaluate import BURN_IN, QUICK_BURN_IN, evaluate
from charrnn.losses import autocast
from charrnn.modeldir.shapes import weight_shapes
from charrnn.reports import EvalReport, NoteReport
from charrnn.session import Setup
from charrnn.trainer import Session

LONG_SECONDS = 10.0  # of waiting after the budget: said


def validate(
    session: Session, setup: Setup, stop: Callable[[], bool], *, quick: bool
) -> EvalReport:
    """Return the held-out loss of the present weights; StoppedError where asked to stop.

    `quick` takes a shorter burn-in and training's precision: it agrees within 1e-3.
    """
    dataset = setup.dataset
    loss = bits = None
    if len(dataset.valid) > 1:
        device = session.model.output.bias.device
        with autocast(device, session.config.precision if quick else "fp32"):
            result = evaluate(
                session.model,
                dataset.valid,
                (dataset.tokenizer.token_chars(), dataset.tokenizer.token_bytes()),
                setup.bos_id,
                burn_in=QUICK_BURN_IN if quick else BURN_IN,
                stop=stop,
            )
        loss = result.loss
        bits = result.bits_per_char if result.num_chars else None
    return EvalReport(session.step, session.batches.epoch, session.now(), loss, bits, best=False)


def announce(session: Session, setup: Setup, num_evaluations: int) -> Iterator[NoteReport]:
    """Say how long the evaluations behind the budget take, where that is long."""
    speed = max(1, session.tokens) / max(1e-9, session.elapsed_seconds)
    seconds = num_evaluations * expected_seconds(setup, speed)
    if seconds > LONG_SECONDS:
        yield NoteReport(
            f"the budget is over: measuring {len(setup.dataset.valid):,} held-out tokens "
            f"takes about {seconds:.0f} s more; less with a smaller --valid-frac"
        )


def expected_seconds(setup: Setup, tokens_per_second: float) -> float:
    """Return about how long an evaluation takes, from the speed of training.

    A trained token costs three products with each weight, an evaluated one costs one; but where the
    softmax is sampled in training, evaluation takes it whole.
    """
    model, samples = setup.model, setup.config.softmax_samples
    vectors = model.vocab_size, min(samples or model.vocab_size, model.vocab_size)
    layers = sum(
        rows * columns
        for name, (rows, columns) in matrices(setup)
        if name.startswith("recurrent.weight")
    )
    evaluated, trained = (layers + size * model.hidden_size for size in vectors)
    return len(setup.dataset.valid) / tokens_per_second * evaluated / (3 * trained)


def matrices(setup: Setup) -> list[tuple[str, tuple[int, int]]]:
    """Return the names and shapes of the network's matrices."""
    shapes = weight_shapes(setup.model).items()
    return [(name, (shape[0], shape[1])) for name, shape in shapes if len(shape) == 2]
