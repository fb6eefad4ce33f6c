"""The script that one would write by hand: nn.LSTM in float32, a plain loop, and token by token.

python baseline.py TEXT SECONDS     # trains on the first 90%, prints the loss of the last 10%
"""

import sys
import time
from contextlib import nullcontext

import torch
from torch import nn


class Plain(nn.Module):
    """Embedding, nn.LSTM, linear; batch first, as in most tutorials."""

    def __init__(self, vocab_size, hidden_size, num_layers):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, min(hidden_size, 128))
        self.lstm = nn.LSTM(min(hidden_size, 128), hidden_size, num_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, vocab_size)

    def forward(self, tokens, state=None):
        hidden, state = self.lstm(self.embedding(tokens), state)
        return self.output(hidden), state


def train_rate(ids, vocab_size, hidden_size, num_layers, seconds, tuned=False):
    """Return the tokens per second of a plain training loop, state carried, Adam.

    `tuned` is by somebody who knows that bfloat16 and the fused optimizer are faster.
    """
    model = Plain(vocab_size, hidden_size, num_layers)
    rate = None
    for tokens, elapsed in train(model, torch.as_tensor(ids).long(), seconds, tuned):
        rate = tokens / elapsed
    return rate


def train(model, ids, seconds, tuned=False, batch_size=32, seq_length=64):
    """Train for some seconds; yield tokens and seconds since the fifth step after each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=tuned)
    precision = torch.autocast("cpu", torch.bfloat16) if tuned else nullcontext()
    length = len(ids) // batch_size
    streams = ids[: length * batch_size].view(batch_size, length)
    state, tokens, position, began = None, 0, 0, None
    while began is None or time.perf_counter() - began < seconds:
        if tokens == 5 * batch_size * seq_length and began is None:
            began, tokens = time.perf_counter(), 0  # the first steps warm up
        if position + seq_length + 1 > length:
            position, state = 0, None
        x = streams[:, position : position + seq_length]
        y = streams[:, position + 1 : position + seq_length + 1]
        with precision:
            logits, state = model(x, state)
        state = tuple(part.detach().float() for part in state)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits.float().flatten(0, 1), y.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        position, tokens = position + seq_length, tokens + x.numel()
        if began is not None:
            yield tokens, time.perf_counter() - began


@torch.inference_mode()
def held_out_loss(model, ids):
    """Return nats per token in one pass."""
    logits, _ = model(ids[None, :-1])
    return float(nn.functional.cross_entropy(logits[0], ids[1:]))


@torch.inference_mode()
def sample_rate(vocab_size, hidden_size, num_layers, seconds, batch_size=1):
    """Return the tokens per second of stepping nn.LSTM, drawing with torch.multinomial."""
    model = Plain(vocab_size, hidden_size, num_layers).eval()
    token, state = torch.zeros(batch_size, 1, dtype=torch.long), None
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(20):
            logits, state = model(token, state)
            token = torch.multinomial(logits[:, -1].softmax(-1), 1)
        count += 20 * batch_size
    return count / (time.perf_counter() - began)


def main():
    text = open(sys.argv[1], encoding="utf-8", newline="").read()  # noqa: PTH123, SIM115
    table = {symbol: index for index, symbol in enumerate(sorted(set(text)))}
    ids = torch.tensor([table[symbol] for symbol in text])
    model = Plain(len(table), 256, 1)
    for _ in train(model, ids[: int(0.9 * len(ids))], float(sys.argv[2])):
        pass
    loss = held_out_loss(model, ids[int(0.9 * len(ids)) :])
    print(f"by hand  {float(sys.argv[2]):6.1f} s  {loss:.4f}")


if __name__ == "__main__":
    main()
