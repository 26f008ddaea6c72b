"""
A model that is not torch
=========================

Any ONNX file can be certified; so can TensorFlow, JAX or plain NumPy by ``certiseg.NumpyModel``.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import certiseg as cs
from certiseg.datasets.nuclei import nuclei

network = cs.load_model("certiseg:nuclei").model
sample = nuclei("test")[5]
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "nuclei.onnx"
batch = torch.export.Dim("batch")
torch.onnx.export(
    network,
    (torch.zeros(2, 1, 192, 192),),
    path,
    dynamo=True,
    dynamic_shapes={"x": {0: batch}},
    verbose=False,
)

# %%
# The file is a model by its path. Batches of any size keep it quick.

loaded = cs.load_model(str(path))
smooth = cs.Smoothed(loaded.model, cs.Gaussian(sigma=0.25))
cert = smooth.certify(sample.x, num_samples=100, seed=0)
print(cert.statement())

# %%
# The network in torch and the file are two models: single votes may differ, since sums are taken in
# another order.

other = cs.Smoothed(network, cs.Gaussian(sigma=0.25)).vote(sample.x, num_samples=100, seed=0)
print(f"votes that differ: {np.mean(other.counts != cert.votes.counts):.2%}")
figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
axes[0].imshow(sample.x[0], cmap="gray")
axes[1].imshow(np.ma.masked_equal(cert.labels, cs.ABSTAIN), interpolation="nearest")
for axis, title in zip(axes, ("input", "certified, white: abstains"), strict=True):
    axis.set_title(title)
    axis.axis("off")
