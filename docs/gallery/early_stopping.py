"""
Stop as soon as it suffices
===========================

Early stopping looks at the votes several times and stops when enough is certified; every look
spends its share of alpha, so that the certificate holds whenever it stops.
"""

import matplotlib.pyplot as plt
import numpy as np

import certiseg as cs
from certiseg.datasets.nuclei import nuclei

data = nuclei("test")
smooth = cs.Smoothed(cs.load_model("certiseg:nuclei").model, cs.Gaussian(sigma=0.25))
used = []
for number in range(8):
    cert = smooth.certify_sequentially(
        data[number].x, num_samples=400, target_coverage=0.95, min_gain=None, seed=number
    )
    used.append(cert.votes.trials)
    print(f"image {number}: {cert.votes.trials} draws, {1 - cert.abstention:.1%} certified")
print(f"mean {np.mean(used):.0f} draws of 400")

# %%
# Easy images take few draws.

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.bar(range(len(used)), used)
axis.axhline(400, color="grey", linestyle="--")
axis.set(xlabel="image", ylabel="draws", title="draws until 95 % are certified, at most 400")
