"""
A volume, window by window
==========================

A network that is run window by window cannot see beyond the window. A certificate then says more
with the same draws: each label holds under every perturbation whose norm *inside its window* is
below R, and for larger norms the number of labels that can change is bounded.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

import certiseg as cs
from certiseg.datasets.mni152 import mni152

# %%
# A stack of slices as a volume (C, D, H, W), and a model that needs no training: the mean of 3 x 3
# x 3 voxels, and the tissue whose intensity is nearest.

slices = mni152("train")
volume = np.stack([slices[i].x for i in range(38, 70)], axis=1)[:, :, 40:136, 24:120]
truth = np.stack([slices[i].labels for i in range(38, 70)])[:, 40:136, 24:120]
levels = torch.tensor([volume[0][truth == label].mean() for label in range(3)])


class Nearest(torch.nn.Module):
    """(B, 1, D, H, W) -> logits (B, 3, D, H, W)."""

    def forward(self, x):
        mean = F.avg_pool3d(F.pad(x, (1,) * 6, mode="replicate"), 3, stride=1)
        return -((mean - levels.to(x.device).view(1, 3, 1, 1, 1)) ** 2)


# %%
# Cores of 30 voxels with a margin of 1, which is all that this model can see.

windowed = cs.Windows(Nearest().eval(), size=30, margin=1)
smooth = cs.Smoothed(windowed, cs.Gaussian(sigma=0.1))
cert = smooth.certify(volume, num_samples=100, seed=0)
certified = np.count_nonzero(cert.labels != cs.ABSTAIN)
print(f"certified {certified / cert.labels.size:.1%} of {cert.labels.size} voxels")
for factor in (1.5, 2, 2.5):
    lost = cert.lost_at_most(factor * cert.radius)
    print(f"norm {factor} R in all: at least {1 - lost / certified:.0%} of them keep their label")

# %%
# A slice through it.

figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
axes[0].imshow(volume[0, 16], cmap="gray")
axes[0].set_title("slice 16")
shown = np.ma.masked_equal(cert.labels[16], cs.ABSTAIN)
axes[1].imshow(shown, cmap="viridis", interpolation="nearest")
axes[1].set_title("certified labels, white: abstains")
for axis in axes:
    axis.axis("off")
