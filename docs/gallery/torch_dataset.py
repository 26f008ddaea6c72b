"""
Evaluate a torch Dataset
========================

``certiseg.evaluate`` takes a Dataset or DataLoader of pairs (image, labels).
"""

import torch
from torch.utils.data import DataLoader, Dataset

import certiseg as cs
from certiseg.datasets.nuclei import nuclei


class Cells(Dataset):
    """Twelve images of nuclei with their masks."""

    def __init__(self):
        self.samples = nuclei("test")

    def __len__(self):
        return 12

    def __getitem__(self, index):
        sample = self.samples[index]
        return torch.from_numpy(sample.x), torch.from_numpy(sample.labels).long()


found = cs.evaluate(
    "certiseg:nuclei", DataLoader(Cells(), batch_size=4), sigma=0.25, num_samples=100, seed=0
)
print(found.table.markdown())

# %%
# Certified figures are lower bounds under every perturbation within R. The worst image matters as
# much as the mean.

import matplotlib.pyplot as plt  # noqa: E402

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
values = sorted(image["certified_accuracy"] for image in found.images)
axis.bar(range(len(values)), values)
axis.axhline(found.certified.certified_accuracy, color="grey", linestyle="--")
axis.set(ylim=(0.5, 1), xlabel="images, the worst first", ylabel="certified accuracy")
