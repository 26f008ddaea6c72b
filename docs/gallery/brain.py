"""
A brain slice
=============

Grey and white matter of the MNI152 template, which the package nilearn brings.
"""

import matplotlib.pyplot as plt

import certiseg as cs
from certiseg.datasets.mni152 import mni152
from certiseg.report.overlay import overlay

sample = mni152("demo")[4]
loaded = cs.load_model("certiseg:mni152")
smooth = cs.Smoothed(loaded.model, cs.Gaussian(sigma=0.25))
cert = smooth.certify(sample.x, num_samples=200, seed=0)

# %%
# Against the truth: what is certified is nearly always right.

known = cert.labels != cs.ABSTAIN
right = cert.labels == sample.labels
print(f"certified {known.mean():.1%}, certified and right {right.mean():.1%}")
print(f"right where certified {right[known].mean():.1%}")

# %%
# White pixels abstain.

figure, axes = plt.subplots(1, 3, figsize=(10, 4), layout="constrained")
views = {
    "input": sample.x[0],
    "truth": overlay(sample.x, sample.labels, loaded.palette),
    f"certified within R = {cert.radius:.4f}": overlay(sample.x, cert.labels, loaded.palette),
}
for axis, (title, view) in zip(axes, views.items(), strict=True):
    axis.imshow(view, cmap="gray")
    axis.set_title(title)
    axis.axis("off")
