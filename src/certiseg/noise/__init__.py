"""What is drawn, and what radius it buys. Frozen records; drawing is done in sampling/."""

from certiseg.noise.gaussian import Gaussian
from certiseg.noise.records import Noise, noise_from_record, noise_record
from certiseg.noise.rotation import Rotation

__all__ = ["Gaussian", "Noise", "Rotation", "noise_from_record", "noise_record"]
