"""What is fixed before the first draw: noise, method, test and randomness, checked as a whole."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from torch import nn

from certiseg.certifiers.adaptive import levels_from_margins
from certiseg.certifiers.radius_map import check_radius_plan
from certiseg.certifiers.segcertify import Budget, check_options, check_plan, checked_budget
from certiseg.certifiers.sequential import check_stopping
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.models.grid import OnGrid
from certiseg.models.loaded import LoadedModel
from certiseg.noise import Gaussian, Noise, Rotation
from certiseg.runfolder.derived import COORDINATES, method_of
from certiseg.runs.device import usable_device
from certiseg.sampling.engine import Engine
from certiseg.sampling.fingerprint import made_by
from certiseg.sampling.sampler import Smoothed
from certiseg.stats.spending import Spending, plan_looks

Law = Literal["gaussian", "coordinates", "rotation"]
"""What is drawn: noise on all of the input; on the coordinates of a cloud, its first 3 channels,
any normals as given; rotations of a cloud."""


@dataclass(frozen=True)
class Stopping:
    """Early stopping (theory T7): num_samples becomes a budget, looked at ``looks`` times.

    min_gain: end when no look that is left is expected to certify this share of components anew.
    target_coverage: end once this share is certified. spending: see ``stats.spending.plan_looks``.
    """

    min_gain: float | None = None
    target_coverage: float | None = None
    looks: int = 5
    spending: Spending = "late"


@dataclass(frozen=True)
class Settings:
    """Parameters of certification, fixed before sampling.

    sigma in the units of the input (pictures: [0, 1]; rotations: radians); alpha is per input.
    law: see Law; axis: of rotations around one axis. budget: k of theory T5, with the k-fwer
    corrections (under early stopping with correction "holm" or "k-fwer").
    selection_samples: draws that choose, used by selection="split" alone.
    radius_map: a radius for every pixel, tau and correction having no part in it (T6). stopping:
    T7. hierarchy: T8; with thresholds, and selection="split", AdaptiveCertify. grid: cells of
    grid x grid pixels (T14).
    batch_size None: sized to memory. seed None: fresh entropy (theory T15), for each image or, in
    runs that can be continued, for the run.
    engine: how passes are run.
    """

    sigma: float = 0.25
    tau: float = 0.75
    alpha: float = 1e-3
    num_samples: int = 100
    correction: str = "holm"
    budget: Budget = None
    selection: str = "pooled"
    selection_samples: int = 10
    radius_map: bool = False
    stopping: Stopping | None = None
    hierarchy: Hierarchy | None = None
    thresholds: tuple[float, ...] | None = None
    grid: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    device: str | None = None
    law: Law = "gaussian"
    axis: str | None = None
    engine: Engine = field(default_factory=Engine)

    @property
    def noise(self) -> Noise:
        if self.law == "rotation":
            return Rotation(self.sigma, self.axis)
        return Gaussian(self.sigma, COORDINATES if self.law == "coordinates" else None)

    @property
    def method(self) -> str:
        """Name of the certifying function, as certificates record it."""
        return method_of(vars(self))

    def components(self, *size: int) -> int:
        """N for labels of this size: pixels, or the cells of the grid; points, voxels."""
        if self.grid is None:
            return math.prod(size)
        if len(size) != 2:
            raise InputError(
                "expected pictures with a grid of cells, got "
                f"{f'a cloud of {size[0]} points' if len(size) == 1 else 'a volume'}; "
                "leave --grid out"
            )
        height, width = size
        if self.grid > min(height, width):
            raise InputError(
                f"expected a grid of at most {min(height, width)} for a picture of {height} x "
                f"{width}, got {self.grid}; choose a smaller one"
            )
        return -(-height // self.grid) * -(-width // self.grid)

    def check(self, components: int, num_classes: int | None = None) -> None:
        """Raise InputError unless these settings can certify an image of so many components.

        num_classes: where known, the e-process is planned for as many.
        """
        self.check_options()
        if self.radius_map:
            check_radius_plan(components, self.num_samples, self.alpha)
        elif self.stopping is not None:
            plan_looks(
                components,
                self.num_samples,
                tau=self.tau,
                alpha=self.alpha,
                budget=checked_budget(self.budget, components),
                looks=self.stopping.looks,
                spending=self.stopping.spending,
                num_classes=num_classes,
            )
        else:
            check_plan(
                components,
                self.num_samples,
                tau=self.tau,
                alpha=self.alpha,
                correction=self.correction,
                selection=self.selection,
                budget=self.budget,
            )

    def check_options(self) -> None:
        """Raise InputError for settings that are wrong whatever the image."""
        _ = self.noise  # refuses a bad sigma or axis
        if self.axis is not None and self.law != "rotation":
            raise InputError(
                f"expected --axis with --noise rotation, got {self.law}; it is an axis to rotate "
                "around"
            )
        check_options(self.tau, self.alpha, self.correction, self.selection, self.budget)
        self._check_method()
        if (stop := self.stopping) is not None:
            check_stopping(
                self.num_samples, stop.looks, stop.spending, stop.min_gain, stop.target_coverage
            )
        for option, value, lowest in (
            ("a number of samples", self.num_samples, 1),
            ("selection samples", self.selection_samples, 1),
            ("a grid", self.grid, 1),
            ("a batch size", self.batch_size, 1),
            ("a seed", self.seed, 0),
        ):
            if value is not None and value < lowest:
                raise InputError(f"expected {option} of at least {lowest}, got {value}; raise it")
        if self.device is not None:
            self.engine.check_device(usable_device(self.device))

    def _check_method(self) -> None:
        """One method at a time, and no option that it would ignore."""
        chosen = [
            name
            for name, given in (
                ("--radius-map", self.radius_map),
                (
                    "early stopping (--min-gain, --target-coverage, --looks, --spending)",
                    self.stopping,
                ),
                ("--hierarchy", self.hierarchy),
            )
            if given
        ]
        if len(chosen) > 1:
            raise InputError(f"expected one method, got {' and '.join(chosen)}; choose one of them")
        if self.thresholds is not None:
            if self.hierarchy is None:
                raise InputError("expected --hierarchy with --thresholds, got none; name one")
            # Any margins would do: it refuses thresholds that do not fit the tree.
            levels_from_margins(np.zeros(1), self.thresholds, self.hierarchy)
        stages = "pooled" if self.thresholds is None else "split"
        if chosen and self.selection != stages:
            raise InputError(
                f"expected {stages} selection with this method, got {self.selection!r}; "
                "leave --selection out"
            )
        if self.radius_map and self.correction != "holm":
            raise InputError(
                f"expected no --correction with --radius-map, got {self.correction!r}; "
                "a map has its own level, leave it out"
            )
        single = self.correction in ("bonferroni", "k-fwer-single")
        if self.stopping is not None and single:
            raise InputError(
                f"expected correction holm or k-fwer with early stopping, got {self.correction!r}; "
                "its tests are step-down"
            )
        if self.thresholds is not None and self.budget is not None:
            raise InputError(
                "expected no budget with --thresholds, got one; AdaptiveCertify has none"
            )

    @property
    def draws(self) -> int:
        """Draws an image takes in all, or may take with early stopping."""
        return self.num_samples + (self.selection_samples if self.selection == "split" else 0)

    def smoothed(
        self, loaded: LoadedModel, category: str | None = None, *, clouds: bool = False
    ) -> Smoothed:
        """The loaded model under this noise, on this grid, moved to this device.

        category: of a point cloud, which the model is told; None for pictures. clouds: for point
        clouds without a category, whose values are not in [0, 1] either.
        """
        if self.device is not None and isinstance(loaded.model, nn.Module):
            loaded.model.to(self.device)
        base = loaded.of(category)
        if self.grid is not None:
            base = OnGrid(base, self.grid)
        if loaded.origin is not None:
            named = replace(loaded.origin, spec=f"{loaded.origin.spec} {category or ''}")
            made_by(base, named)
        return Smoothed(
            base,
            self.noise,
            loaded.num_classes,
            device=self.device,
            value_range=None if clouds or category is not None else (0.0, 1.0),
            output_grid=self.grid is not None,
            engine=self.engine,
        )

    def sequential(self) -> dict[str, Any]:
        """Parameters of ``certiseg.sequential`` beside the draws and the noise."""
        assert self.stopping is not None
        return {
            "tau": self.tau,
            "alpha": self.alpha,
            "budget": self.budget,
            **asdict(self.stopping),
        }
