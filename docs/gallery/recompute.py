"""
Recompute a certificate in twenty lines of NumPy
================================================

A certificate holds the votes it rests on. Whoever gets the file can recompute what it claims, with
neither the model nor the image nor this package.
"""

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binom, norm

import certiseg as cs
from certiseg.datasets.nuclei import nuclei

smooth = cs.Smoothed(cs.load_model("certiseg:nuclei").model, cs.Gaussian(sigma=0.25))
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "cells.cert.npz"
smooth.certify(nuclei("test")[0].x, num_samples=110, seed=0).save(path)

# %%
# From here on without certiseg.

with np.load(path, allow_pickle=False) as file:
    labels, counts, meta = file["labels"], file["counts"], json.loads(file["meta"].tobytes())
n, tau, alpha = meta["votes"]["trials"], meta["tau"], meta["alpha"]
sigma, shape = meta["noise"]["sigma"], meta["votes"]["source"]["input_shape"]
step = 2.0 ** (np.frexp(sigma)[1] - 9)  # of the grid, and how far the noise may be off: theory T12
eta = np.prod(shape) * (np.ceil(2 * 9.2 * sigma / step) + 3) * 2.0**-64
mode, hits, N, k = counts.argmax(-1), counts.max(-1), labels.size, np.arange(n + 1)
tested = tau + eta
h = binom.sf(k - 1, n, tested)  # P(Bin(n, tau) >= k)
s = np.where(k >= tested * (n - 1) + 1, binom.sf(k - 1, n, 1 - tested), 1.0)
cutoff, r = n + 1, 0
while r < N and (N - r) * h[cutoff - 1] + N * s[cutoff - 1] <= alpha:  # Holm's step down
    cutoff -= 1
    r += np.count_nonzero(hits == cutoff)
assert cutoff == meta["cutoff"]
assert np.array_equal(labels, np.where(hits >= cutoff, mode, -1))
assert np.isclose(meta["radius"], sigma * norm.ppf(tau), rtol=1e-13)
print(f"cutoff {cutoff} of {n}; {np.mean(labels >= 0):.1%} certified; R = {meta['radius']:.4f}")

# %%
# The votes, and the count that is needed.

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.hist(hits.ravel(), bins=np.arange(n // 2, n + 2), log=True)
axis.axvline(cutoff, color="tab:red")
axis.set(
    xlabel="votes for the most frequent label", ylabel="pixels", title="certified: at the right"
)
