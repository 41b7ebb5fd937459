"""The layers in plain NumPy loops, from their definitions, to compare the networks with."""

import numpy as np


def convolve(x, weight, bias, *, stride=1, padding=0):
    """x (C, H, W), weight (D, C, 3, 3), bias (D,) -> (D, H', W'); cross-correlation, as all frameworks call it."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    size = weight.shape[2]
    rows, columns = (x.shape[1] - size) // stride + 1, (x.shape[2] - size) // stride + 1
    out = np.empty((len(weight), rows, columns))
    for r in range(rows):
        for c in range(columns):
            patch = x[:, r * stride : r * stride + size, c * stride : c * stride + size]
            out[:, r, c] = np.tensordot(weight, patch, axes=3) + bias
    return out


def pool(x):
    """The largest of each 2 x 2 block of (C, H, W), an odd last row or column left out."""
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    return x[:, : 2 * rows, : 2 * columns].reshape(len(x), rows, 2, columns, 2).max(axis=(2, 4))


def prelu(x, slope):
    """x (C, H, W), slope (C,)."""
    return np.where(x > 0, x, x * slope[:, None, None])


def run_lstm(x, weight_input, weight_hidden, bias_input, bias_hidden):
    """x (T, D) -> hidden states (T, H); gates in the order input, forget, cell, output, started from zeros."""
    size = weight_hidden.shape[1]
    hidden, cell, states = np.zeros(size), np.zeros(size), []
    for step in x:
        gates = weight_input @ step + bias_input + weight_hidden @ hidden + bias_hidden
        i, f, g, o = np.split(gates, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        states.append(hidden)
    return np.array(states)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
