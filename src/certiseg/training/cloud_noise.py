"""Random perturbation of batches of point clouds in training, from PyTorch's generators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.noise.rotation import AXES
from certiseg.rounding import exact
from certiseg.training.settings import Axis, Disturbance


@dataclass(frozen=True)
class CloudNoise:
    """Perturbation of clouds (B, 3 or 6, N), with the distributions of ``certiseg.noise``.

    coordinates: sigma * N(0, I) on the three coordinates; normals are unchanged. rotation: about
    the mean of the coordinates, by exp(v) with v ~ N(0, sigma^2 I_3) restricted to |v| <= pi, or
    around `axis` by an angle ~ N(0, sigma^2); normals rotate along. Raises InputError where kind,
    sigma and axis do not fit together.
    """

    kind: Disturbance = "none"
    sigma: float = 0.0
    axis: Axis | None = None

    def __post_init__(self) -> None:
        if self.kind not in (kinds := get_args(Disturbance)):
            raise InputError(f"expected noise among {', '.join(kinds)}, got {self.kind!r}")
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise InputError(f"expected a finite sigma >= 0, got {self.sigma}; such as 0.25")
        if (self.kind == "none") != (self.sigma == 0):
            raise InputError(
                f"expected a sigma > 0 with noise and 0 without, got sigma {self.sigma:g} with "
                f"noise {self.kind}; name both"
            )
        if self.axis is not None and (self.kind != "rotation" or self.axis not in AXES):
            raise InputError(
                f"expected an axis among {', '.join(AXES)} for rotations alone, got "
                f"{self.axis!r} with noise {self.kind}; leave it out for all axes"
            )

    def words(self) -> str:
        """A description such as "Gaussian noise of sigma 0.25 on the coordinates"."""
        if self.kind == "none":
            return "no noise"
        if self.kind == "coordinates":
            return f"Gaussian noise of sigma {exact(self.sigma)} on the coordinates"
        about = "any axis" if self.axis is None else f"the {self.axis} axis"
        return f"rotations around {about}, sigma {exact(self.sigma)} rad"

    def applied(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Perturb each cloud of the batch by its own draw. generator: on the CPU."""
        if self.kind == "none":
            return x
        xyz, rest = x[:, :3], x[:, 3:]
        if self.kind == "coordinates":
            noise = torch.randn(xyz.shape, generator=generator).to(x.device)
            return torch.cat([xyz + self.sigma * noise, rest], dim=1)
        turn = self._rotations(len(x), generator).to(x)
        middle = xyz.mean(dim=2, keepdim=True)
        turned = [turn @ (xyz - middle) + middle]
        if rest.shape[1]:
            turned.append(turn @ rest)
        return torch.cat(turned, dim=1)

    def _rotations(self, count: int, generator: torch.Generator) -> Tensor:
        if self.axis is not None:
            vectors = torch.zeros(count, 3)
            angles = torch.randn(count, generator=generator)
            vectors[:, AXES.index(self.axis)] = self.sigma * angles
            return rotations(vectors)
        vectors = self.sigma * torch.randn(count, 3, generator=generator)
        while bool((outside := vectors.norm(dim=1) > math.pi).any()):
            again = self.sigma * torch.randn(count, 3, generator=generator)
            vectors = torch.where(outside[:, None], again, vectors)
        return rotations(vectors)


def rotations(vectors: Tensor) -> Tensor:
    """Matrices (B, 3, 3) of the rotations by |v| radians around v, for vectors v (B, 3)."""
    x, y, z = vectors.unbind(dim=1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    matrices: Tensor = torch.linalg.matrix_exp(cross)
    return matrices
