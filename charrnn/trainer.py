"""A training session, and its step: a window -> an update of the weights.

Truncated back-propagation through time (Williams & Peng 1990) with the state carried from window
to window, SOAP (Vyas et al. 2025) or AdamW (Loshchilov & Hutter 2019), linear warm-up and cosine
decay, and the gradient clipped by its global norm (Pascanu et al. 2013). Prints nothing, saves
nothing.
"""

import math
import time
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from charrnn.adamw import AdamW
from charrnn.batches import Batches, Window
from charrnn.cells import State
from charrnn.config import TrainConfig
from charrnn.losses import scale_of_half, sum_losses
from charrnn.model import LanguageModel
from charrnn.ranks import Ranks
from charrnn.rows import add_rows, replace_sparse, values_of
from charrnn.shards import Shards
from charrnn.soap import Soap
from charrnn.tensors import Tensors

FINAL_RATE = 0.02  # of the peak, at the end of the cosine
RATE_CUT = 0.5  # what each divergence leaves of the rate


@dataclass
class Best:
    """The best evaluation so far."""

    loss: float = math.inf
    bits_per_char: float = math.nan
    step: int = 0
    misses: int = 0  # evaluations since then
    weights: Tensors | None = None  # as evaluated


@dataclass
class Session:
    """All that changes while a network is trained; a checkpoint holds every part of it."""

    model: LanguageModel
    optimizer: AdamW
    scaler: torch.amp.GradScaler
    batches: Batches
    config: TrainConfig  # without gaps
    generator: torch.Generator  # of dropout
    shards: Shards | None = None  # None: the batch is one part
    ranks: Ranks | None = None  # the processes that train together; None: this one alone
    steps_ahead: int = 1  # begun before the loss of the first of them is read
    chances: Tensor | None = None  # of symbols in a sampled softmax, (V,); None: all are in it
    state: State | None = None
    step: int = 0
    tokens: int = 0
    elapsed_seconds: float = 0.0  # of all sittings, to the last step's end
    rate_scale: float = 1.0  # halved by each divergence
    num_divergences: int = 0
    loss_sum: float = 0.0  # since the last log
    loss_count: int = 0
    evaluated_step: int = 0  # of the newest evaluation
    sampled_step: int = 0  # of the newest sample
    best: Best = field(default_factory=Best)
    clock_offset: float | None = field(default=None)  # time.monotonic() at zero elapsed seconds

    def now(self) -> float:
        """Return the seconds since the first step, pauses between sittings left out."""
        if self.clock_offset is None:
            self.clock_offset = time.monotonic() - self.elapsed_seconds
        return time.monotonic() - self.clock_offset

    def progress(self) -> float:
        """Return the share of the budget that is used, 0 to 1."""
        config = self.config
        if config.max_steps:
            return min(1.0, self.step / config.max_steps)
        if config.epochs:
            return min(1.0, self.batches.epoch / config.epochs)
        return min(1.0, self.now() / (config.max_time or math.inf))

    def out_of_patience(self) -> bool:
        """Return whether so many evaluations in a row were not the best that the run ends."""
        return self.config.patience is not None and self.best.misses >= self.config.patience

    def learning_rate(self) -> float:
        """Return the rate of the next step: linear warm-up, then a cosine over the budget."""
        peak = self.rate_scale * (self.config.learning_rate or 0.0)
        warm = min(1.0, (self.step + 1) / ((self.config.warmup_steps or 0) + 1))
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        return peak * warm * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


class NotFiniteError(Exception):
    """The loss or the gradient of a step is not finite: the weights may be spoiled."""

    def __init__(self, loss: float, norm: float) -> None:
        """Say what the loss and the gradient's norm were."""
        super().__init__(f"loss {loss:g}, gradient norm {norm:g}")


def make_optimizer(
    model: LanguageModel, config: TrainConfig, shards: Shards | None = None
) -> AdamW:
    """Return an optimizer that decays matrices only; SOAP turns those of the layers.

    Matrices with sparse gradients are updated by row, whatever the optimizer.
    """
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [(matrices, config.weight_decay or 0.0), (vectors, 0.0)]
    rate = config.learning_rate or 0.0
    assert config.optimizer != "auto"
    by_row = model.symbol_matrices() if model.by_row else []
    if config.optimizer == "adamw":
        return AdamW(groups, rate, by_row)
    turned = [p for p in model.recurrent.parameters() if p.ndim > 1]
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    optimizer = Soap(groups, rate, turned, dtype, by_row)
    if shards is not None:
        optimizer.deal(shards.pool, len(shards.replicas))
    return optimizer


def update(session: Session, window: Window, rate: float) -> Tensor:
    """Make one optimizer step at `rate`; return the loss and the unclipped gradient norm, (2,).

    Raises NotFiniteError before anything is changed, unless steps go ahead.
    """
    for group in session.optimizer.param_groups:
        group["lr"] = rate
    loss = compute_gradients(session, window)
    session.scaler.unscale_(session.optimizer)  # type: ignore[arg-type]
    values = torch.stack([loss.double(), clip(session).double()])
    if session.steps_ahead == 1:
        loss_value, norm_value = values.tolist()
        if not is_finite(session, loss_value, norm_value):
            session.scaler.update()  # or it takes the next step for a part of this one
            raise NotFiniteError(loss_value, norm_value)
    session.scaler.step(session.optimizer)  # type: ignore[arg-type]
    session.scaler.update()
    return values


def is_finite(session: Session, loss: float, norm: float) -> bool:
    """Return whether a step is one to go on from; a loss scaler may make a gradient infinite."""
    return math.isfinite(loss) and (math.isfinite(norm) or session.scaler.is_enabled())


def clip(session: Session) -> Tensor:
    """Scale the gradients so that their norm is at most `grad_clip`; return what it was.

    On a CPU, where reading the norm costs nothing, gradients within the limit stay as they are; on
    a GPU they are multiplied by 1 rather than waited for.
    """
    found = [values_of(p.grad) for p in session.model.parameters() if p.grad is not None]
    norm, limit = get_total_norm(found), session.config.grad_clip
    if limit and not (norm.device.type == "cpu" and float(norm) <= limit):
        torch._foreach_mul_(found, (limit / (norm + 1e-6)).clamp(max=1.0))
    return norm


def compute_gradients(session: Session, window: Window) -> Tensor:
    """Set the gradients of the mean loss of `window`, which is returned, and carry the state on."""
    if session.ranks is None:
        return own_gradients(session, window)
    loss = own_gradients(session, session.ranks.own_window(window))
    gradients = [p.grad for p in session.model.parameters() if p.grad is not None]
    session.ranks.add([loss, *[each for each in gradients if not each.is_sparse]])
    replace_sparse(session.model.parameters(), session.ranks.sum_rows)
    return loss


def own_gradients(session: Session, window: Window) -> Tensor:
    """Set the gradients of this process's part of `window`, and carry its state on."""
    forward = partial(sum_losses, precision=session.config.precision, chances=session.chances)
    if session.shards is not None:
        loss, session.state = session.shards.gradients(
            forward, window, session.state, session.generator
        )
        return loss
    total, session.state = forward(session.model, window, session.state)
    loss = total / window.num_targets
    scale = scale_of_half(total.device.type, session.config.precision, window.num_targets)
    session.optimizer.zero_grad()
    session.scaler.scale(loss * scale).backward()  # type: ignore[no-untyped-call]
    replace_sparse(session.model.parameters(), lambda each: add_rows([each]))
    if scale != 1:
        found = [values_of(p.grad) for p in session.model.parameters() if p.grad is not None]
        torch._foreach_div_(found, scale)
    return loss.detach()
