"""
A radius for every pixel
========================

A radius map holds for all radii at once: look first, choose afterwards.
"""

import matplotlib.pyplot as plt
import numpy as np

import certiseg as cs
from certiseg.datasets.mni152 import mni152

sample = mni152("demo")[6]
smooth = cs.Smoothed(cs.load_model("certiseg:mni152").model, cs.Gaussian(sigma=0.25))
votes = smooth.vote(sample.x, num_samples=500, seed=0)
cert = cs.radius_map(votes, noise=smooth.noise)
for radius in (0.05, 0.1, 0.2, 0.3):
    labels = cert.at(radius)
    known = labels != cs.ABSTAIN
    right = np.mean(labels == sample.labels)
    print(f"R = {radius}: {known.mean():.1%} certified, {right:.1%} and right")

# %%
# Radii are large inside a tissue and 0 at its border.

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
axes[0].imshow(sample.x[0], cmap="gray")
axes[0].set_title("input")
drawn = axes[1].imshow(cert.radius, cmap="magma")
axes[1].set_title("certified l2 radius")
figure.colorbar(drawn, ax=axes[1], shrink=0.8)
for axis in axes:
    axis.axis("off")
