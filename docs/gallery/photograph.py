"""
A photograph
============

Which pixels of a photograph keep their label under every change of l2 norm below 0.17? The network
is ``certiseg:camvid``, which learned from street scenes under noise.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

import certiseg as cs
from certiseg.report.overlay import overlay

# %%
# An image is (C, H, W) with values in [0, 1]. Normalisation and resizing belong inside the model.

photograph = Image.fromarray(load_sample_image("china.jpg")).resize((480, 320))
x = np.asarray(photograph, dtype=np.float32).transpose(2, 0, 1) / 255

# %%
# 100 passes of the network over the image, each under its own noise, vote for a label in each
# pixel. What is fixed before the first draw: sigma, tau, alpha and the number of draws.

loaded = cs.load_model("certiseg:camvid")
smooth = cs.Smoothed(loaded.model, cs.Gaussian(sigma=0.25))
cert = smooth.certify(x, num_samples=100, tau=0.75, alpha=1e-3, seed=0)
print(cert.statement())

# %%
# White pixels abstain: their votes do not suffice. All others hold at once, with confidence
# 99.9 %. That a label holds does not make it right: the network never saw such a roof.

figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
axes[0].imshow(photograph)
axes[0].set_title("input")
axes[1].imshow(overlay(x, cert.labels, loaded.palette))
axes[1].set_title(f"certified within R = {cert.radius:.4f}: {1 - cert.abstention:.0%}")
for axis in axes:
    axis.axis("off")
