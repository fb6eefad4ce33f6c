"""saliency: which inputs mattered for one prediction, F = ln p(x_t | x_<t)?

Four measures of each of the last tokens before it. grad: ||dF/de_j|| of its input vector e_j.
grad*input: dF/de_j . e_j, signed. ig: integrated gradients from inputs of zero (Sundararajan et al.
2017), which sum to F(x) - F(zeros). swap: the mean fall of F when x_j is redrawn from the
frequencies of the text; it changes the text only as texts may be, so that it is believed first.
The control is the swap in the same network untrained.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import ConfigError
from charrnn.modeldir import StoredModel
from charrnn.views.envelope import Inspected
from charrnn.views.horizon import FULL
from charrnn.views.intervals import Interval, mean_intervals
from charrnn.views.memory import load_network
from charrnn.views.telling import Told, untold

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.cells import State
    from charrnn.model import LanguageModel

NUM_STEPS = 128  # of the integral
NUM_SWAPS = 32  # redraws of each token
ROWS = 256  # texts run side by side
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Saliency:
    """Numbers for each of the last tokens before the target, the nearest last, in nats."""

    target: int  # place in the text
    first: int  # place of the first token that is judged
    log_p: float  # of the target
    baseline: float  # ln p of it after inputs of zero
    grad: Floats  # (n,)
    grad_input: Floats  # (n,)
    integrated: Floats  # (n,)
    swap: list[Interval]  # (n,) mean fall of ln p; positive: the token helped
    control: float  # the largest |mean fall| in the untrained network


def window_of(text: Inspected, at: int | None, back: int) -> tuple[int, int, int]:
    """Return the target, the first token that is judged and the first that is read.

    Without `at` the target is the last token; a negative one counts from the end. Raises
    ConfigError for a target that nothing stands before.
    """
    ids = np.asarray(text.ids)
    target = len(ids) - 1 if at is None else at if at >= 0 else len(ids) + at
    if not 0 < target < len(ids):
        raise ConfigError(f"--at is {at}: needs a token from 1 to {len(ids) - 1}")
    start = 0
    if text.bos_id is not None:
        if ids[target] == text.bos_id:
            raise ConfigError(f"--at is {target}: nothing predicts the beginning of a document")
        start = int(np.flatnonzero(ids[:target] == text.bos_id)[-1])
    first = max(start, target - back)
    return target, first, max(start, first - FULL)


def measure_saliency(
    stored: StoredModel,
    text: Inspected,
    at: int | None = None,
    back: int = 100,
    seed: int = 0,
    *,
    told: Told = untold,
) -> Saliency:
    """Return what the last `back` tokens did for the prediction of token `at`."""
    target, first, start = window_of(text, at, back)
    ids = np.asarray(text.ids).astype(np.int64)
    results = []
    for untrained in (False, True):
        judge = Judge(load_network(stored, untrained=untrained), ids[start : target + 1])
        counts = np.bincount(ids, minlength=stored.config.vocab_size)
        falls = judge.swaps(target - first, counts, seed, told)
        results.append((judge, falls))
    judge, falls = results[0]
    grad, grad_input, log_p = judge.gradients(target - first)
    integrated, baseline = judge.integrated(target - first)
    return Saliency(
        target,
        first,
        log_p,
        baseline,
        grad,
        grad_input,
        integrated,
        mean_intervals(falls, np.arange(len(falls))),
        float(np.abs(results[1][1].mean(0)).max()),
    )


class Judge:
    """One network and one text whose last token is the target."""

    def __init__(self, model: "LanguageModel", ids: NDArray[np.int64]) -> None:
        import torch

        self.model, self.ids = model, ids[:-1]
        self.target = int(ids[-1])
        self.tokens = torch.from_numpy(self.ids)[:, None]  # (N, 1)

    def state_before(self, back: int) -> "State":
        """Return the state before the last `back` inputs."""
        state = self.model.recurrent.zero_state(1)
        return (
            self.model.run_layers(self.tokens[:-back], state)[1] if back < len(self.ids) else state
        )

    def log_p(self, inputs: "Tensor", state: "State") -> "Tensor":
        """Return ln p of the target, (B,), after input vectors (n, B, E)."""
        wide = tuple(part.expand(-1, inputs.shape[1], -1).contiguous() for part in state)
        hidden, _ = self.model.recurrent(inputs, wide)
        result: Tensor = self.model.output(hidden[-1]).log_softmax(-1)[:, self.target]
        return result

    def gradients(self, back: int) -> tuple[Floats, Floats, float]:
        """Return the norms of dF/de_j, dF/de_j . e_j, and F."""
        import torch

        inputs = self.model.embed(self.tokens[-back:]).requires_grad_()  # (n, 1, E)
        value = self.log_p(inputs, self.state_before(back))
        (gradient,) = torch.autograd.grad(value.sum(), [inputs])
        products = (gradient * inputs).sum((1, 2))
        norms = gradient.norm(dim=2)[:, 0]
        return as_floats(norms), as_floats(products), float(value.detach())

    def integrated(self, back: int) -> tuple[Floats, float]:
        """Return the integrated gradients, (n,), and F at inputs of zero."""
        import torch

        inputs, state = self.model.embed(self.tokens[-back:]), self.state_before(back)
        shares = (torch.arange(NUM_STEPS) + 0.5) / NUM_STEPS  # midpoints
        path = (inputs * shares[:, None].to(inputs.dtype)).requires_grad_()  # (n, steps, E)
        (gradient,) = torch.autograd.grad(self.log_p(path, state).sum(), [path])
        baseline = self.log_p(torch.zeros_like(inputs), state)
        return as_floats((gradient.mean(1, keepdim=True) * inputs).sum((1, 2))), float(baseline)

    def swaps(self, back: int, counts: NDArray[np.int64], seed: int, told: Told = untold) -> Floats:
        """Return the fall of F for each redraw of each of the last tokens, (redraws, n)."""
        import torch

        drawn = np.random.default_rng(seed).choice(
            len(counts), size=(NUM_SWAPS, back), p=counts / counts.sum()
        )
        state = self.state_before(back)
        with torch.no_grad():
            own = float(self.log_p(self.model.embed(self.tokens[-back:]), state))

            def falls(places: NDArray[np.int64], tokens: NDArray[np.int64]) -> Floats:
                texts = np.repeat(self.ids[-back:, None], len(places), axis=1)
                texts[places, np.arange(len(places))] = tokens
                inputs = self.model.embed(torch.from_numpy(texts))
                return own - as_floats(self.log_p(inputs, state))

            return in_rows(falls, drawn, told)


def in_rows(
    falls: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats],
    drawn: NDArray[np.int64],
    told: Told,
) -> Floats:
    """Return falls(place, token) of each redraw (redraws, n), a bounded number at a time."""
    places = np.tile(np.arange(drawn.shape[1]), len(drawn))
    tokens = drawn.reshape(-1)
    parts = []
    for begin in range(0, len(tokens), ROWS):
        parts.append(falls(places[begin : begin + ROWS], tokens[begin : begin + ROWS]))
        told("redrawing inputs", begin + len(parts[-1]), len(tokens))
    return np.concatenate(parts).reshape(drawn.shape)


def as_floats(values: "Tensor") -> Floats:
    """Return a tensor as float64."""
    return values.detach().double().numpy()


def sentence(found: Saliency, pieces: list[str]) -> str:
    """Return what the numbers say, in one sentence, and its caveat; `pieces` are the inputs."""
    means = np.array([interval.mean for interval in found.swap])
    best = int(np.argmax(means))
    lag = len(means) - best
    interval = found.swap[best]
    if interval.low > found.control:
        text = f"The prediction leans most on {pieces[best]!r}, {lag} back: without it ln p falls"
        text += f" by {interval.mean:.2f} nats"
    else:
        text = "No single token mattered more than chance and an untrained network allow"
    span = (
        f" (95% interval {interval.low:.2f} to {interval.high:.2f}; untrained {found.control:.2f})"
    )
    return text + span + ". Tokens that say the same hide each other: either alone may be missed."


def to_result(found: Saliency, pieces: list[str], target: str) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    return {
        **{name: value for name, value in asdict(found).items() if name != "swap"},
        **{name: getattr(found, name).tolist() for name in ("grad", "grad_input", "integrated")},
        "swap": [interval._asdict() for interval in found.swap],
        "tokens": pieces,
        "target_token": target,
        "sentence": sentence(found, pieces),
    }
