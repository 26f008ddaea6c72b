"""Noise distributions and their certified radii, as frozen records; ``sampling/`` draws them."""

from certiseg.noise.gaussian import Gaussian
from certiseg.noise.noise import Noise, law_of, noise_from_record, noise_record, register
from certiseg.noise.rotation import Rotation

register(Gaussian, "certiseg.sampling.noise_samplers:GaussianSampler")
register(Rotation, "certiseg.sampling.noise_samplers:RotationSampler")

__all__ = [
    "Gaussian",
    "Noise",
    "Rotation",
    "law_of",
    "noise_from_record",
    "noise_record",
    "register",
]
