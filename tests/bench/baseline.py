"""The script that one would write by hand: nn.LSTM in float32, a plain loop, and token by token."""

import time

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


def train_rate(ids, vocab_size, hidden_size, num_layers, seconds, batch_size=32, seq_length=64):
    """Return the tokens per second of a plain training loop, state carried, Adam."""
    model = Plain(vocab_size, hidden_size, num_layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    length = len(ids) // batch_size
    streams = torch.as_tensor(ids[: length * batch_size]).long().view(batch_size, length)
    state, tokens, position, began = None, 0, 0, None
    while began is None or time.perf_counter() - began < seconds:
        if tokens == 5 * batch_size * seq_length and began is None:
            began, tokens = time.perf_counter(), 0  # the first steps warm up
        if position + seq_length + 1 > length:
            position, state = 0, None
        x = streams[:, position : position + seq_length]
        y = streams[:, position + 1 : position + seq_length + 1]
        logits, state = model(x, state)
        state = tuple(part.detach() for part in state)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        position, tokens = position + seq_length, tokens + x.numel()
    return tokens / (time.perf_counter() - began)


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
