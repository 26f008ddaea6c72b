"""Settings of certification, fixed before the first draw: noise, method, test and seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import Method, method_of
from certiseg.certifiers.segcertify import Budget, Correction
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.models.grid import OnGrid
from certiseg.models.loaded import Kind, LoadedModel
from certiseg.noise import Gaussian, Noise, Rotation
from certiseg.noise.rotation import Axis
from certiseg.runfolder.derived import COORDINATES
from certiseg.runs.device import usable_device
from certiseg.runs.parameters import DEFAULTS, PARAMETERS, Law
from certiseg.sampling.engine import Engine
from certiseg.sampling.experiment import LabelCallback
from certiseg.sampling.fingerprint import made_by
from certiseg.sampling.sampler import Smoothed
from certiseg.stats.spending import Spending
from certiseg.votes import Selection


@dataclass(frozen=True)
class Stopping:
    """Early stopping (theory T7): at most num_samples draws, tested at up to ``looks`` looks.

    min_gain: stop if no further look is expected to certify this share of components in addition.
    target_coverage: stop once this share is certified. spending: see ``stats.spending.plan_looks``.
    """

    min_gain: float | None = None
    target_coverage: float | None = None
    looks: int = DEFAULTS.looks
    spending: Spending = DEFAULTS.spending


@dataclass(frozen=True)
class Settings:
    """Parameters of certification, fixed before sampling.

    sigma: in units of the input (images: [0, 1]; rotations: radians). alpha: per input. law: see
    Law. axis: for rotations around one axis. budget: k of theory T5, for the k-fwer corrections
    (with early stopping, for correction "holm" or "k-fwer"). selection_samples: draws that select
    candidates, with selection="split" only. radius_map: a radius for every pixel (T6), without tau
    and correction. stopping: T7. regions: T16. hierarchy: T8; with thresholds and
    selection="split", AdaptiveCertify. grid: cells of grid x grid pixels (T14). batch_size None:
    sized to memory. seed None: fresh entropy (T15) for each image, or for the whole run if it can
    be resumed. engine: how passes are run. custom: a method of another package.
    """

    sigma: float = DEFAULTS.sigma
    tau: float = DEFAULTS.tau
    alpha: float = DEFAULTS.alpha
    num_samples: int = DEFAULTS.num_samples
    correction: Correction = DEFAULTS.correction
    budget: Budget = None
    selection: Selection = DEFAULTS.selection
    selection_samples: int = DEFAULTS.selection_samples
    radius_map: bool = DEFAULTS.radius_map
    regions: bool = DEFAULTS.regions
    stopping: Stopping | None = None
    hierarchy: Hierarchy | None = None
    thresholds: tuple[float, ...] | None = None
    grid: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    device: str | None = None
    law: Law = DEFAULTS.law
    axis: Axis | None = None
    engine: Engine = field(default_factory=Engine)
    custom: Method | None = None

    @cached_property
    def noise(self) -> Noise:
        if self.law == "rotation":
            return Rotation(self.sigma, self.axis)
        return Gaussian(self.sigma, COORDINATES if self.law == "coordinates" else None)

    @cached_property
    def certifier(self) -> Method:
        """The method with its parameters. Raises InputError for invalid parameters, for several
        methods at once, and for options that the method would ignore."""
        stopping = None if self.stopping is None else asdict(self.stopping)
        return method_of({**vars(self), "stopping": stopping})

    @property
    def method(self) -> str:
        """Name of the method, as certificates record it."""
        return self.certifier.name

    def components(self, *size: int) -> int:
        """N for an output of this size: number of pixels, grid cells, points or voxels."""
        if self.grid is None:
            return math.prod(size)
        if len(size) != 2:
            raise InputError(
                "expected images with a grid of cells, got "
                f"{f'a cloud of {size[0]} points' if len(size) == 1 else 'a volume'}; "
                "leave --grid out"
            )
        height, width = size
        if self.grid > min(height, width):
            raise InputError(
                f"expected a grid of at most {min(height, width)} for an image of {height} x "
                f"{width}, got {self.grid}; choose a smaller one"
            )
        return -(-height // self.grid) * -(-width // self.grid)

    def check(self, components: int, num_classes: int | None = None) -> None:
        """Raise InputError unless these settings can certify an image of this many components.

        num_classes: for the plan of the e-process; None if not known.
        """
        self.check_options()
        self.certifier.check_draws(components, self.num_samples, num_classes)

    def check_options(self) -> None:
        """Raise InputError for settings that are invalid for every image. Checked once."""
        assert self._valid

    @cached_property
    def _valid(self) -> bool:
        _ = self.noise  # raises for an invalid sigma or axis
        if self.axis is not None and self.law != "rotation":
            raise InputError(
                f"expected --axis with --noise rotation, got {self.law}; it is an axis to rotate "
                "around"
            )
        _ = self.certifier  # raises for invalid parameters
        for name, known in PARAMETERS.items():
            value = None if known.least is None else getattr(self, known.field or name)
            if value is not None and value < known.least:
                raise InputError(
                    f"expected {known.words} of at least {known.least}, got {value}; raise it"
                )
        if self.device is not None:
            self.engine.check_device(usable_device(self.device))
        return True

    def record(self) -> dict[str, Any]:
        """The settings as JSON values, for a manifest."""
        plain = asdict(replace(self, custom=None))
        del plain["custom"]
        return plain if self.custom is None else {**plain, "custom": self.custom.record()}

    @property
    def draws(self) -> int:
        """Number of draws of an image; with early stopping, the largest number."""
        return self.num_samples + self.choosing_draws

    @property
    def choosing_draws(self) -> int:
        """Number of draws that only select candidates."""
        return self.selection_samples if self.selection == "split" else 0

    def smoothed(
        self, loaded: LoadedModel, category: str | None = None, *, kind: Kind | None = None
    ) -> Smoothed:
        """The loaded model under this noise, on this grid, moved to this device.

        category: of a point cloud, for a model that takes one. kind: of the inputs, by default the
        model's; values of point clouds are not in [0, 1].
        """
        if self.device is not None and isinstance(loaded.model, nn.Module):
            loaded.model.to(self.device)
        base = loaded.of(category)
        if self.grid is not None:
            base = OnGrid(base, self.grid)
        if loaded.origin is not None:
            named = replace(loaded.origin, spec=f"{loaded.origin.spec} {category or ''}")
            made_by(base, named)
        kind = loaded.kind if kind is None else kind
        return Smoothed(
            base,
            self.noise,
            loaded.num_classes,
            device=self.device,
            value_range=None if kind == "clouds" or category is not None else (0.0, 1.0),
            output_grid=self.grid is not None,
            engine=self.engine,
            volumes=kind == "volumes",
        )

    def certify(
        self,
        smoothed: Smoothed,
        x: Tensor | NDArray[Any],
        *,
        progress: Callable[[int], None],
        watch: LabelCallback | None = None,
    ) -> Certificate:
        """The certificate of one image (C, H, W), volume or cloud. Settings must have been checked.

        progress: called with the number of draws just done. watch: called with the labels of each
        batch of test draws.
        """
        return smoothed.certify_with(
            x,
            self.certifier,
            self.num_samples,
            selection_samples=self.selection_samples,
            batch_size=self.batch_size,
            seed=self.seed,
            progress=progress,
            watch=watch,
        )
