"""
How much of an organ holds
==========================

``regions`` gives labels, and for any region, chosen after looking, how many of them hold under
every perturbation within R. It does not say which.
"""

import matplotlib.pyplot as plt
import numpy as np

import certiseg as cs
from certiseg.datasets.mni152 import mni152
from certiseg.report.overlay import overlay

sample = mni152("demo")[4]
loaded = cs.load_model("certiseg:mni152")
smooth = cs.Smoothed(loaded.model, cs.Gaussian(sigma=0.25))
votes = smooth.vote(sample.x, num_samples=100, seed=0)
cert = cs.regions(votes, noise=smooth.noise)
single = cs.certify(votes, noise=smooth.noise)
print(f"labels given: {np.mean(cert.labels >= 0):.1%}")
print(f"pixel by pixel: {np.mean(single.labels >= 0):.1%}")

# %%
# Two regions, chosen afterwards: all white matter, and a rectangle. As many as one likes may be
# asked; all answers hold together.

rectangle = np.zeros(cert.labels.shape, bool)
rectangle[60:120, 40:100] = True
for name, region in {"white matter": cert.labels == 2, "rectangle": rectangle}.items():
    given = np.count_nonzero(cert.labels[region] >= 0)
    print(f"{name}: at least {cert.at_least(region)} of {given} labels hold")

figure, axes = plt.subplots(1, 2, figsize=(8, 4.4), layout="constrained")
axes[0].imshow(overlay(sample.x, cert.labels, loaded.palette))
axes[0].set_title("labels given")
axes[1].imshow(sample.x[0], cmap="gray")
axes[1].contour(rectangle, levels=[0.5], colors="tab:orange")
axes[1].contour(cert.labels == 2, levels=[0.5], colors="tab:cyan", linewidths=0.6)
axes[1].set_title("two regions")
for axis in axes:
    axis.axis("off")
