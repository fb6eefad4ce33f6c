"""The script that one would write by hand: nn.LSTM in float32, a plain loop, and token by token.

python baseline.py DEVICE plain|tuned TEXT SECONDS SEED

trains on the first 90% and prints [[seconds, loss of the last 10%], ..]. `tuned` is by somebody who
knows: bfloat16, fused AdamW, a high rate that falls by a cosine, dropout, more units for more time.
"""

import json
import math
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from limits import wait_for
from torch import nn

UNITS, RATE, DROPOUT = 256, 6e-3, 0.1  # of the tuned script; the plain one has UNITS, too
MORE_SECONDS = 150  # from here on the tuned script has
MORE_UNITS, MORE_RATE, MORE_DROPOUT = 512, 4e-3, 0.3
PIECE = 1 << 15  # tokens: cuDNN takes no more than 65,535 at a time
SHARES = (0.125, 0.25, 0.5)  # of the time, after which the loss is measured; and at the end


class Plain(nn.Module):
    """Embedding, nn.LSTM, linear; batch first, as in most tutorials."""

    def __init__(self, vocab_size, hidden_size, num_layers, dropout=0.0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(vocab_size, min(hidden_size, 128))
        self.lstm = nn.LSTM(min(hidden_size, 128), hidden_size, num_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, vocab_size)

    def forward(self, tokens, state=None):
        hidden, state = self.lstm(self.embedding(tokens), state)
        return self.output(self.dropout(hidden)), state


def train_rate(ids, vocab_size, hidden_size, num_layers, seconds, tuned=False, device="cpu"):
    """Return the tokens per second of a training loop, state carried, plain or tuned."""
    model = Plain(vocab_size, hidden_size, num_layers, DROPOUT if tuned else 0.0).to(device)
    rate = None
    for tokens, elapsed in train(model, torch.as_tensor(ids).long().to(device), seconds, tuned):
        rate = tokens / elapsed
    return rate


def train(model, ids, seconds, tuned=False, rate=RATE, paused=lambda: 0.0):
    """Train for some seconds; yield tokens and seconds since the fifth step after each step.

    The seconds that `paused` returns, spent between two steps, do not count. On a GPU each step is
    waited for, as by a script that prints its loss.
    """
    device = ids.device.type
    batch_size, seq_length = 32, 64
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01, fused=tuned)
    precision = torch.autocast(device, torch.bfloat16) if tuned else nullcontext()
    length = len(ids) // batch_size
    streams = ids[: length * batch_size].view(batch_size, length)
    state, tokens, position, began, elapsed = None, 0, 0, None, 0.0
    while elapsed < seconds:
        if tokens == 5 * batch_size * seq_length and began is None:
            began, tokens = time.perf_counter(), 0  # the first steps warm up
        if position + seq_length + 1 > length:
            position, state = 0, None
        if tuned:
            cosine = 0.5 * (1 + math.cos(math.pi * elapsed / seconds))
            optimizer.param_groups[0]["lr"] = rate * cosine
        x = streams[:, position : position + seq_length]
        y = streams[:, position + 1 : position + seq_length + 1]
        with precision:
            logits, state = model(x, state)
        state = tuple(part.detach().float() for part in state)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits.float().flatten(0, 1), y.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        wait_for(device)
        position, tokens = position + seq_length, tokens + x.numel()
        if began is not None:
            elapsed = time.perf_counter() - began - paused()
            yield tokens, elapsed


@torch.inference_mode()
def held_out_loss(model, ids):
    """Return nats per token in one pass."""
    total, state = 0.0, None
    for begin in range(0, len(ids) - 1, PIECE):
        targets = ids[begin + 1 : begin + 1 + PIECE]
        logits, state = model(ids[None, begin : begin + len(targets)], state)
        total += float(nn.functional.cross_entropy(logits[0], targets, reduction="sum"))
    return total / (len(ids) - 1)


@torch.inference_mode()
def sample_rate(vocab_size, hidden_size, num_layers, seconds, batch_size=1, device="cpu"):
    """Return the tokens per second of stepping nn.LSTM, drawing with torch.multinomial."""
    model = Plain(vocab_size, hidden_size, num_layers).eval().to(device)
    token, state = torch.zeros(batch_size, 1, dtype=torch.long, device=device), None
    model(token)  # what a library makes ready at its first call
    wait_for(device)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(20):
            logits, state = model(token, state)
            token = torch.multinomial(logits[:, -1].softmax(-1), 1)
        count += 20 * batch_size
        wait_for(device)
    return count / (time.perf_counter() - began)


def measure_curve(text, seconds, tuned, device):
    """Return (seconds, held-out loss) after some shares of the time and at its end."""
    units, rate, dropout = UNITS, RATE, DROPOUT if tuned else 0.0
    if tuned and seconds >= MORE_SECONDS:
        units, rate, dropout = MORE_UNITS, MORE_RATE, MORE_DROPOUT
    table = {symbol: index for index, symbol in enumerate(sorted(set(text)))}
    ids = torch.tensor([table[symbol] for symbol in text], device=device)
    border = int(0.9 * len(ids))
    model = Plain(len(table), units, 1, dropout).to(device)
    curve, pauses, shares = [], [], [*SHARES, 1.0]
    for _, elapsed in train(model, ids[:border], seconds, tuned, rate, lambda: sum(pauses)):
        if elapsed >= shares[0] * seconds:
            began = time.perf_counter()
            model.eval()
            curve.append((elapsed, held_out_loss(model, ids[border:])))
            model.train()
            shares.pop(0)
            pauses.append(time.perf_counter() - began)
    return curve


def main():
    device, kind, place, seconds, seed = sys.argv[1:]
    torch.manual_seed(int(seed))
    text = Path(place).read_bytes().decode()
    assert kind in ("plain", "tuned")
    print(json.dumps(measure_curve(text, float(seconds), kind == "tuned", device)))


if __name__ == "__main__":
    main()
