"""
Groups of classes where no class holds
======================================

Where the votes are divided among building, pole and fence, "construction" may still be certain.
With a hierarchy a pixel gets the finest group that its votes prove.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

import certiseg as cs

photograph = Image.fromarray(load_sample_image("china.jpg")).resize((480, 320))
x = np.asarray(photograph, dtype=np.float32).transpose(2, 0, 1) / 255
loaded = cs.load_model("certiseg:camvid")
tree = cs.load_hierarchy("camvid")
smooth = cs.Smoothed(loaded.model, cs.Gaussian(sigma=0.25))
votes = smooth.vote(x, num_samples=100, seed=0)
flat = cs.certify(votes, noise=smooth.noise)
cert = cs.hierarchical(votes, hierarchy=tree, noise=smooth.noise)
print(f"a class in {np.mean(flat.labels >= 0):.1%} of the pixels")
print(f"a class or a group in {np.mean(cert.labels >= 0):.1%}")

# %%
# Classes in their colours, groups in greys, white where even a group is open.

shares = {name: np.mean(cert.labels == node) for node, name in enumerate(tree.names)}
for name, share in sorted(shares.items(), key=lambda item: -item[1])[:8]:
    print(f"{name}: {share:.1%}")
greys = [(200 - 12 * node,) * 3 for node in range(len(tree.nodes))]
palette = np.array([*loaded.palette, *greys, (255, 255, 255)], dtype=np.uint8)
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
axes[0].imshow(photograph)
axes[1].imshow(palette[flat.labels])
axes[2].imshow(palette[cert.labels])
for axis, title in zip(axes, ("input", "classes", "classes and groups (grey)"), strict=True):
    axis.set_title(title)
    axis.axis("off")
