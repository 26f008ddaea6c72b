"""
Cell nuclei: a binary mask
==========================

A fluorescence image and a network for two classes. Most segmentation models in use are of this
kind. Networks with one channel, after a sigmoid or before, are declared with ``binary=``.
"""

import matplotlib.pyplot as plt
import torch

import certiseg as cs
from certiseg.datasets.nuclei import nuclei

sample = nuclei("test")[1]
model = cs.load_model("certiseg:nuclei").model


class OneChannel(torch.nn.Module):
    """The same network as most people have it: one probability a pixel."""

    def __init__(self):
        super().__init__()
        self.network = model

    def forward(self, x):
        return self.network(x).softmax(dim=1)[:, 1:]


smooth = cs.Smoothed(OneChannel().eval(), cs.Gaussian(sigma=0.25), binary="probability")
cert = smooth.certify(sample.x, num_samples=200, seed=0)
print(cert.statement())

# %%
# What no perturbation changes: nucleus, background; white is open.

nucleus, background = cert.labels == 1, cert.labels == 0
print(f"area of the truth {sample.labels.sum()} pixels, and under every perturbation within R")
print(f"between {nucleus.sum()} and {(~background).sum()} pixels are nucleus")
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
axes[0].imshow(sample.x[0], cmap="gray")
axes[0].set_title("input")
axes[1].imshow(sample.labels, cmap="gray")
axes[1].set_title("truth")
axes[2].imshow(0.5 * (nucleus.astype(float) - background) + 0.5, cmap="coolwarm")
axes[2].set_title("certified: nucleus red, background blue")
for axis in axes:
    axis.axis("off")
