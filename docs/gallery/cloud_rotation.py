"""
A point cloud under rotation
============================

Which points of a chair keep their part under every rotation about its centroid by less than 9.7
degrees, around any axis?
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import certiseg as cs
from certiseg.datasets.solids import solids
from certiseg.models.serialization import load_bundled
from certiseg.report.cloud import cloud_picture

clouds = solids("test", points=1024, normals=False)
chair = next(clouds[i] for i in range(len(clouds)) if clouds.category(i) == "Chair")
loaded = load_bundled("solids-rotation")
smooth = cs.Smoothed(loaded.of("Chair"), cs.Rotation(sigma=0.25), value_range=None)
cert = smooth.certify(chair.x, num_samples=200, seed=0)
print(cert.statement())
print(f"{np.degrees(cert.radius):.2f} degrees, {1 - cert.abstention:.1%} of the points")
known = cert.labels != cs.ABSTAIN
print(f"right where certified: {np.mean(chair.labels[known] == cert.labels[known]):.1%}")

# %%
# White discs abstain, mostly where two parts meet.

views = [cloud_picture(chair.x, labels, loaded.palette) for labels in (chair.labels, cert.labels)]
both = Image.new("RGB", (2 * views[0].width, views[0].height))
for place, view in enumerate(views):
    both.paste(view, (place * view.width, 0))
figure, axis = plt.subplots(figsize=(10, 5), layout="constrained")
axis.imshow(both)
axis.set_title(
    f"truth, and what holds under every rotation below {np.degrees(cert.radius):.1f} degrees"
)
axis.axis("off")
