"""
An attack, and what it cannot do
================================

A photograph is changed by an l2 norm of 0.3, which nobody sees. A network without a defence gives
much of it another label. The certificate of a smoothed network covers this attack and all others
of that norm.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

import certiseg as cs
from certiseg.report.overlay import overlay

photograph = Image.fromarray(load_sample_image("china.jpg")).resize((240, 160))
x = np.asarray(photograph, dtype=np.float32).transpose(2, 0, 1) / 255
undefended = cs.load_model("certiseg:camvid-undefended")
attacked = cs.attack(undefended.model, x, epsilon=0.3, steps=20, seed=0)
before = undefended.model(torch.from_numpy(x)[None]).argmax(1)[0].numpy()
after = undefended.model(torch.from_numpy(attacked.attacked)[None]).argmax(1)[0].numpy()
print(f"norm {attacked.norm:.3f}: {np.mean(before != after):.0%} of the labels change")

# %%
# The smoothed network, certified at the photograph as it was. R must exceed the norm of the attack:
# sigma = 0.25 with tau = 0.89 gives R = 0.31.

defended = cs.load_model("certiseg:camvid")
smooth = cs.Smoothed(defended.model, cs.Gaussian(sigma=0.25))
cert = smooth.certify(x, num_samples=300, tau=0.89, seed=0)
again = smooth.vote(attacked.attacked, num_samples=100, seed=1).counts.argmax(-1)
held = cert.labels != cs.ABSTAIN
moved = np.count_nonzero(held & (again != cert.labels))
print(f"R = {cert.radius:.3f}: {held.mean():.0%} certified, of which {moved} pixels moved")

# %%
# Above the photograph, below the attacked one.

rows = [
    (x, overlay(x, before, undefended.palette), overlay(x, cert.labels, defended.palette)),
    (
        attacked.attacked,
        overlay(attacked.attacked, after, undefended.palette),
        overlay(attacked.attacked, np.where(held, again, cs.ABSTAIN), defended.palette),
    ),
]
titles = ("input", "without a defence", "smoothed, where certified")
figure, axes = plt.subplots(2, 3, figsize=(10, 4.8), layout="constrained")
for row, views in zip(axes, rows, strict=True):
    row[0].imshow(views[0].transpose(1, 2, 0))
    row[1].imshow(views[1])
    row[2].imshow(views[2])
for axis, title in zip(axes[0], titles, strict=True):
    axis.set_title(title)
for axis in axes.flat:
    axis.axis("off")
