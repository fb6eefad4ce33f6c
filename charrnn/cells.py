"""The recurrences: Elman RNN, LSTM, GRU and peephole LSTM, any number of layers.

Parameters have the names, shapes and gate order of nn.RNN, nn.LSTM and nn.GRU, and the first three
run on torch's fused kernels. Shapes: T tokens, B streams, X inputs, H units, L layers, G gates.
Computes and initialises; it does not embed, and knows no vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from charrnn.config import ModelConfig
from charrnn.modeldir.shapes import PEEPHOLES, weight_shapes
from charrnn.onednn import is_possible
from charrnn.wide import is_wide, run_wide_lstm

State = tuple[Tensor, ...]  # (h,) or (h, c), each (L, B, H)
PREFIX = "recurrent."  # of these parameters' names in a model file
FORGET_BIAS = 1.0  # the forget gate starts open (Gers et al. 2000; Jozefowicz et al. 2015)


class Recurrent(nn.Module):
    """A stack of one kind of cell, layer under layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.cell_type, self.nonlinearity = config.cell_type, config.nonlinearity
        self.hidden_size, self.num_layers = config.hidden_size, config.num_layers
        for name, shape in weight_shapes(config).items():
            if name.startswith(PREFIX):
                own = name.removeprefix(PREFIX)
                self.register_parameter(own, nn.Parameter(torch.zeros(shape)))

    @property
    def num_states(self) -> int:
        """How many vectors the state has: 2 where there is a cell c beside h."""
        return 2 if self.cell_type in ("lstm", "peephole") else 1

    def zero_state(self, batch_size: int) -> State:
        """Return the state before any token, each part (L, B, H)."""
        like = self.get_parameter("weight_hh_l0")
        shape = (self.num_layers, batch_size, self.hidden_size)
        return tuple(like.new_zeros(shape) for _ in range(self.num_states))

    def forward(
        self,
        inputs: Tensor,
        state: State,
        between: Callable[[Tensor], Tensor] | None = None,
        drop_weights: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, State]:
        """Return the last layer's hidden vectors (T, B, H) and the state after the last token.

        `inputs` is (T, B, X). `between` is applied to what passes from layer to layer,
        `drop_weights` to each recurrent matrix, once for the whole window.
        """
        states = []
        hidden = inputs
        for layer in range(self.num_layers):
            if layer and between is not None:
                hidden = between(hidden)
            before = tuple(part[layer : layer + 1] for part in state)
            hidden, after = self._run_layer(hidden, before, self._weights(layer, drop_weights))
            states.append(after)
        return hidden, tuple(torch.cat(parts) for parts in zip(*states, strict=True))

    def _weights(self, layer: int, drop: Callable[[Tensor], Tensor] | None) -> list[Tensor]:
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        if self.cell_type == "peephole":
            names += PEEPHOLES
        weights: list[Tensor] = [self.get_parameter(f"{name}_l{layer}") for name in names]
        if drop is not None:
            weights[1] = drop(weights[1])
        return weights

    def _run_layer(
        self, inputs: Tensor, state: State, weights: list[Tensor]
    ) -> tuple[Tensor, State]:
        """Run one layer over `inputs` (T, B, X); each part of `state` is (1, B, H)."""
        options = (True, 1, 0.0, self.training, False, False)
        if self.cell_type == "peephole":
            return run_peephole(inputs, state, weights)
        if self.cell_type == "lstm":
            if self.training and trains_wide(inputs, weights):
                return run_wide_lstm(inputs, state, weights)
            hidden, h, c = torch.lstm(inputs, list(state), weights, *options)
            return hidden, (h, c)
        if self.cell_type == "gru":
            hidden, h = torch.gru(inputs, state[0], weights, *options)
        elif self.nonlinearity == "relu":
            hidden, h = torch.rnn_relu(inputs, state[0], weights, *options)
        else:
            hidden, h = torch.rnn_tanh(inputs, state[0], weights, *options)
        return hidden, (h,)


def trains_wide(inputs: Tensor, weights: list[Tensor]) -> bool:
    """Return whether an LSTM layer is trained faster by wide.py than by torch's kernel.

    So it is if it is wide and runs in bfloat16 on one core.
    """
    return (
        is_wide(sum(weight.numel() for weight in weights))
        and inputs.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_num_threads() == 1
        and is_possible()
    )


def run_peephole(inputs: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
    """Return the hidden vectors (T, B, H) and the state of one peephole LSTM layer.

    The gates see the cell: i and f the one before the token, o the one after it. The input product
    is made for the whole window at once. Gers & Schmidhuber (2000), Recurrent nets that time and
    count.
    """
    weight_ih, weight_hh, bias_ih, bias_hh, peep_i, peep_f, peep_o = weights
    projected = nn.functional.linear(inputs, weight_ih, bias_ih + bias_hh)  # (T, B, 4H)
    h, c = state[0][0], state[1][0]
    recurrent, peep_if = weight_hh.t(), torch.stack([peep_i, peep_f])
    size, outputs = h.shape[-1], []
    for row in projected.unbind(0):
        gates = torch.addmm(row, h, recurrent)  # (B, 4H)
        seen = (c.unsqueeze(1) * peep_if).flatten(1)  # (B, 2H)
        i, f = torch.sigmoid(gates[:, : 2 * size] + seen).chunk(2, dim=1)
        c = f * c + i * torch.tanh(gates[:, 2 * size : 3 * size])
        h = torch.sigmoid(gates[:, 3 * size :] + peep_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), (h.unsqueeze(0), c.unsqueeze(0))


@torch.no_grad()
def initialize(recurrent: Recurrent, generator: torch.Generator) -> None:
    """Set all weights in place: orthogonal recurrent, uniform input, open forget gates, else zero.

    Saxe et al. (2014) for the orthogonal matrices; the input weights are uniform in +-1/sqrt(H).
    """
    bound = recurrent.hidden_size**-0.5
    for name, parameter in recurrent.named_parameters():
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(parameter, generator=generator)
        elif name.startswith("weight_ih"):
            parameter.uniform_(-bound, bound, generator=generator)
        else:
            parameter.zero_()
        if name.startswith("bias_ih") and recurrent.num_states == 2:
            parameter[recurrent.hidden_size : 2 * recurrent.hidden_size] = FORGET_BIAS
