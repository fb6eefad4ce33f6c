"""Recurrent cells written down once more, slowly: one token, one stream, float64 NumPy."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell_step(kind, x, h, c, w, nonlinearity="tanh"):
    """Return (h, c) after the input vector `x`; `w` holds the weights of one layer by name."""
    size = len(h)
    a = w["weight_ih"] @ x + w["bias_ih"]
    b = w["weight_hh"] @ h + w["bias_hh"]
    if kind == "rnn":
        return (np.tanh(a + b) if nonlinearity == "tanh" else np.maximum(a + b, 0)), c
    if kind == "gru":
        r, z = sigmoid(a[:size] + b[:size]), sigmoid((a + b)[size : 2 * size])
        n = np.tanh(a[2 * size :] + r * b[2 * size :])
        return (1 - z) * n + z * h, c
    i, f, g, o = (a + b).reshape(4, size)
    if kind == "peephole":
        i, f = i + w["weight_ci"] * c, f + w["weight_cf"] * c
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    if kind == "peephole":
        o = o + w["weight_co"] * c
    return sigmoid(o) * np.tanh(c), c


def run(kind, tokens, weights, num_layers, nonlinearity="tanh"):
    """Return logits (N, V) and the last (h, c) of each layer, from zero; `weights` by file name."""
    layers = []
    for layer in range(num_layers):
        end = f"_l{layer}"
        layers.append(
            {
                name.removeprefix("recurrent.").removesuffix(end): np.asarray(value, np.float64)
                for name, value in weights.items()
                if name.startswith("recurrent.") and name.endswith(end)
            }
        )
    size = layers[0]["weight_hh"].shape[1]
    states = [(np.zeros(size), np.zeros(size)) for _ in layers]
    embedding = weights.get("embedding.weight", np.eye(layers[0]["weight_ih"].shape[1]))
    output = weights.get("output.weight", embedding)
    logits = []
    for token in tokens:
        x = np.asarray(embedding[token], np.float64)
        for index, layer in enumerate(layers):
            states[index] = cell_step(kind, x, *states[index], layer, nonlinearity)
            x = states[index][0]
        logits.append(output @ x + weights["output.bias"])
    return np.array(logits), states
