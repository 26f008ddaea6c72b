"""
A denoiser before a network that never saw noise
================================================

A network that was trained without noise scatters under it, and its certificate is empty or wrong.
If it cannot be retrained, put a denoiser before it: the certificate holds for the two together.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

import certiseg as cs
from certiseg.models.denoised import Denoised, load_denoiser
from certiseg.report.overlay import overlay

photograph = Image.fromarray(load_sample_image("china.jpg")).resize((240, 160))
x = np.asarray(photograph, dtype=np.float32).transpose(2, 0, 1) / 255
loaded = cs.load_model("certiseg:camvid-undefended")
both = Denoised(load_denoiser("certiseg:camvid-undefended-denoiser"), loaded.model)

# %%
# Certified share at several sigmas, without and with the denoiser, which was trained to keep the
# labels of this network at any sigma between 0.05 and 0.5.

clean = loaded.model(torch.from_numpy(x)[None]).argmax(1)[0].numpy()
found = {}
for sigma in (0.1, 0.25):
    for name, model in (("alone", loaded.model), ("denoised", both)):
        smooth = cs.Smoothed(model, cs.Gaussian(sigma))
        cert = smooth.certify(x, num_samples=100, seed=0)
        found[sigma, name] = cert.labels
        same = np.mean(cert.labels == clean)
        share = 1 - cert.abstention
        print(f"sigma {sigma}, {name}: {share:.0%} certified, {same:.0%} as without noise")

# %%
# Under noise the network alone calls nearly everything by one class, and that is certified: stable
# is not right.

figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
views = {
    "clean image, network alone": clean,
    "sigma 0.1, alone": found[0.1, "alone"],
    "sigma 0.1, behind the denoiser": found[0.1, "denoised"],
}
for axis, (title, labels) in zip(axes, views.items(), strict=True):
    axis.imshow(overlay(x, labels, loaded.palette))
    axis.set_title(title)
    axis.axis("off")
