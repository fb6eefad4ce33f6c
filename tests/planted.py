"""An LSTM whose cells are known exactly, and sources whose entropy is known exactly.

Its gates are saturated by hand, nothing is trained: cell 0 is the depth of round brackets / 10,
cell 1 the position in the line / 100, cell 2 a latch (0.9 between { and }), cell 3 leaks with
f = 0.9, cell 4 a toggle (0.9 within double quotes). The rest are zero. Its output knows the text's
frequencies, and from the latch that } comes only after {.
"""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.modeldir import weight_shapes, write_model
from charrnn.tokenizer import Tokenizer

SYMBOLS = '\n "()ab{}'
HIDDEN, FULL = 8, 20.0
SHARES = {"\n": 0.03, '"': 0.04, "{": 0.015, " ": 0.26, "a": 0.26, "b": 0.26}
UNLIKELY = -9.0  # ln p of } after }
DEPTH, POSITION, LATCH, LEAK, QUOTE = range(5)


def planted_weights():
    """Return the weights by the names of the model file, and the options of the network."""
    config = ModelConfig(vocab_size=len(SYMBOLS), embedding_size=0, hidden_size=HIDDEN)
    weights = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(config).items()}
    reads = weights["recurrent.weight_ih_l0"].reshape(4, HIDDEN, len(SYMBOLS))
    biases = weights["recurrent.bias_ih_l0"].reshape(4, HIDDEN)
    i, f, g = range(3)  # and o
    biases[:] = np.array([-FULL, FULL, 0, FULL])[:, None]

    def write(cell, symbol, value):
        reads[i, cell, SYMBOLS.index(symbol)] = 2 * FULL
        reads[g, cell, SYMBOLS.index(symbol)] = np.arctanh(value)

    def forget(cell, symbol):
        reads[f, cell, SYMBOLS.index(symbol)] = -2 * FULL

    write(DEPTH, "(", 0.1)
    write(DEPTH, ")", -0.1)
    for symbol in SYMBOLS.replace("\n", ""):
        write(POSITION, symbol, 0.01)
    forget(POSITION, "\n")
    write(LATCH, "{", 0.9)
    forget(LATCH, "}")
    biases[f, LEAK] = np.log(9)
    write(LEAK, "a", 0.5)
    write(QUOTE, '"', 0.9)
    forget(QUOTE, '"')
    # a closing quote must not write: the cell itself shuts its input gate
    weights["recurrent.weight_hh_l0"][i * HIDDEN + QUOTE, QUOTE] = -1.5 * FULL / np.tanh(0.9)
    bias, latched = weights["output.bias"], weights["output.weight"][:, LATCH]
    bias[:] = np.log([SHARES.get(symbol, 0.05) for symbol in SYMBOLS])
    bias[SYMBOLS.index("}")] = UNLIKELY
    latched[SYMBOLS.index("}")] = (np.log(0.03) - UNLIKELY) / np.tanh(0.9)
    return config, weights


def planted_text(size, seed=0):
    """Return a text of the planted symbols: brackets nest, braces and quotes alternate."""
    rng = np.random.default_rng(seed)
    out, depth, braced = [], 0, False
    for draw in rng.random(size):
        if draw < 0.06 and depth < 6:
            out.append("(")
            depth += 1
        elif draw < 0.12 and depth > 0:
            out.append(")")
            depth -= 1
        elif draw < 0.15:
            out.append("\n")
        elif draw < 0.18:
            out.append("}" if braced else "{")
            braced = not braced
        elif draw < 0.22:
            out.append('"')
        else:
            out.append(str(rng.choice(list("ab "))))
    return "".join(out)


def planted_cells(text):
    """Return the depth, position, latch and quote after each character, each (N,)."""
    depth = position = latch = quote = 0
    rows = []
    for char in text:
        depth += (char == "(") - (char == ")")
        position = 0 if char == "\n" else position + 1
        latch = {"{": 1, "}": 0}.get(char, latch)
        quote ^= char == '"'
        rows.append((depth, position, latch, quote))
    return np.array(rows, dtype=float).T


def write_planted(directory):
    """Write the planted model as a model directory; return its path."""
    config, weights = planted_weights()
    directory.mkdir(parents=True, exist_ok=True)
    write_model(directory, config, Tokenizer("char", tuple(SYMBOLS)), weights)
    return directory


def uniform_source(size, num_symbols, seed=0):
    """Return ids of an iid source; its entropy is ln(num_symbols) nats a symbol."""
    return np.random.default_rng(seed).integers(num_symbols, size=size)


def markov_source(size, num_symbols, order, seed=0):
    """Return ids of a Markov source of an order, and its entropy rate in nats on these contexts."""
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(num_symbols, 0.5), size=num_symbols**order)
    ids, context, nats = np.zeros(size, np.int64), 0, 0.0
    for index, draw in enumerate(rng.random(size)):
        row = table[context]
        ids[index] = min(num_symbols - 1, int(np.searchsorted(np.cumsum(row), draw)))
        nats -= float((row * np.log(np.maximum(row, 1e-300))).sum())
        context = (context * num_symbols + int(ids[index])) % num_symbols**order
    return ids, nats / size


def recall_source(size, lag, period, seed=0):
    """Return ids 0 .. 3: a fresh a/b (0 or 1) each `period`, the same again `lag` later, else noise
    (2 or 3). All is one bit, so that remembering `lag` symbols gains exactly ln2 / period nats."""
    assert 0 < lag < period
    rng = np.random.default_rng(seed)
    ids = rng.integers(2, 4, size=size)
    ids[::period] = rng.integers(2, size=len(ids[::period]))
    again = ids[lag::period]
    again[:] = ids[::period][: len(again)]
    return ids
