"""Checks before the first draw: the input, and that the model is in evaluation mode."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from certiseg.errors import Hint, InputError
from certiseg.models.programs import unfit_node
from certiseg.noise import Noise
from certiseg.rounding import against, exact
from certiseg.sampling.introspection import modules_inside

# Stochastic layers of other libraries that subclass nn.Module directly.
_STOCHASTIC_NAMES = ("DropPath", "StochasticDepth", "DropBlock2d")
_OF_KNOWN_MODE = ("torch.nn.modules.", "torch.export.", "certiseg.")
_ROUNDING = 1e-3
"""Tolerance for values that interpolation and half precision take outside."""
_LAST_CHANNELS, _FIRST_CHANNELS = (1, 3, 4), (1, 3)
_SMALL = 0.01


def check_input(
    x: Tensor | ArrayLike, value_range: tuple[float, float] | None, *, volumes: bool = False
) -> Tensor:
    """One input as a float32 tensor (float64 stays), checked against its domain.

    volumes: inputs are volumes (C, D, H, W), so that a depth of 3 is no batch of RGB images.
    Raises InputError for batches, channels-last images, integers, NaN, empty inputs, and values
    outside value_range.
    """
    tensor = x.detach() if isinstance(x, Tensor) else _from_array(x)
    shape = tuple(tensor.shape)
    if tensor.numel() == 0 or tensor.ndim == 0:
        raise InputError(f"expected an input with values, got shape {shape}; is the image empty?")
    if not tensor.is_floating_point():
        raise InputError(
            f"expected a float input, got {tensor.dtype} of shape {shape}; "
            "pass 8-bit images as x.float() / 255"
        )
    if tensor.ndim == 3 and shape[-1] in _LAST_CHANNELS and shape[0] not in _FIRST_CHANNELS:
        raise InputError(
            f"expected an image of shape (C, H, W), got {shape} with the channels last"
            f"{_maximum(tensor, value_range)}; pass x.permute(2, 0, 1)"
        )
    if tensor.ndim == 4 and shape[1] == 3 and not volumes:
        raise InputError(
            f"expected one input such as (3, H, W), got a batch of shape {shape}; certify the "
            "images one by one, or pass volumes=True if this is a volume of depth 3"
        )
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(
            f"expected finite values, got NaN or infinity in an input of shape {shape}; "
            "clean the input first"
        )
    if value_range is not None:
        low, high = float(tensor.min()), float(tensor.max())
        # As x.clip leaves them: 0.6 is above the double 0.6 in float32.
        least, most = torch.tensor(value_range, dtype=tensor.dtype).tolist()
        if low < least or high > most:
            rounded = low >= least - _ROUNDING and high <= most + _ROUNDING
            raise InputError(
                f"expected values in [{least:g}, {most:g}], got "
                f"[{against(low, least, most)}, {against(high, least, most)}]; "
                + (
                    f"rounding took them outside, pass x.clip({least:g}, {most:g})"
                    if rounded
                    else "divide 8-bit images by 255 and put normalisation into the model, or give "
                    "the domain as value_range (None for point clouds)"
                )
            )
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def checked_range(value_range: object) -> tuple[float, float] | None:
    """The domain of inputs as floats, or None. Raises InputError."""
    if value_range is None:
        return None
    try:
        low, high = map(float, value_range)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        low = high = float("nan")
    if not -float("inf") < low < high < float("inf"):
        raise InputError(
            f"expected value_range as two finite numbers, the smallest and the largest value, got "
            f"{value_range!r:.60}; (0, 1) for images, None for any values"
        )
    return low, high


def hint_at_unit(noise: Noise, value_range: tuple[float, float] | None) -> None:
    """Warn of a sigma below 1 % of the domain's range, as if it were in another unit."""
    if value_range is None or noise.norm != "l2":
        return
    low, high = value_range
    if noise.sigma >= _SMALL * (high - low):
        return
    usual = 0.25 * (high - low)
    warnings.warn(
        f"sigma {exact(noise.sigma)} is below 1 % of the inputs' range [{exact(low)}, "
        f"{exact(high)}]: sigma and radius are in units of the input, in which the usual sigma is "
        f"{exact(usual)}",
        Hint,
        stacklevel=3,
    )


def _from_array(x: ArrayLike) -> Tensor:
    array = np.asarray(x)
    if array.dtype.kind == "f":
        # Byte order, strides and long doubles that PyTorch does not know.
        array = np.array(array, dtype=np.float64 if array.dtype.itemsize >= 8 else np.float32)
    try:
        return torch.as_tensor(array)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"expected a float array, got {array.dtype} ({error}); pass numbers"
        ) from None


def _maximum(tensor: Tensor, value_range: tuple[float, float] | None) -> str:
    high = float(tensor.max())
    return f" and maximum {high:g}" if value_range is not None and high > value_range[1] else ""


def check_evaluation_mode(model: object) -> None:
    """Raise InputError when a layer would mix the draws of a batch or add noise of its own.

    BatchNorm in training mode makes the label of one draw depend on the others in its batch, so
    draws are no longer independent; dropout adds randomness that has no address. Programs of
    torch.fx and torch.export are read operator by operator. Modules inside
    functions, methods, partials and closures are found too; what is reached in other ways (a
    registry, a remote server) is the caller's to answer for.
    """
    for root in modules_inside(model):
        for name, module in nn.Module.named_modules(root):
            if "quantized.dynamic" in type(module).__module__:
                raise InputError(
                    "expected a model that treats each draw of a batch alone, got the dynamically "
                    f"quantised {_kind(module)} {name!r}, whose batch shares one scale; quantise "
                    "it statically"
                )
            if _drops(module) or _mixes_draws(module) or _may_care(module):
                raise InputError(
                    f"expected a model in evaluation mode, got {_kind(module)} "
                    f"{name or '(the model)'!r} in training mode; call model.eval() first"
                )
        wrong = unfit_node(root)
        if wrong is not None:
            raise InputError(
                f"expected a program traced or exported in evaluation mode, got {wrong}; call "
                "model.eval() before the export"
            )


def _kind(module: nn.Module) -> str:
    """The class, also of a scripted or traced module, whose Python class says nothing."""
    return str(getattr(module, "original_name", type(module).__name__))


def _drops(module: nn.Module) -> bool:
    if not module.training:
        return False
    kind = _kind(module)
    attention = isinstance(module, nn.MultiheadAttention) and module.dropout > 0
    return (
        attention
        or isinstance(module, (_DropoutNd, nn.RReLU))
        or kind in _STOCHASTIC_NAMES
        or kind.endswith(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d"))
    )


def _may_care(module: nn.Module) -> bool:
    """True for a module in training mode whose code may depend on the mode: not a layer of torch
    (checked above) and not a program (checked by ``unfit_node``)."""
    known = type(module).__module__.startswith(_OF_KNOWN_MODE)
    return module.training and not known and not isinstance(module, fx.GraphModule)


def _mixes_draws(module: nn.Module) -> bool:
    """Normalisation by the batch's own statistics, or running statistics still being updated."""
    if isinstance(module, _InstanceNorm):
        return module.training and module.track_running_stats
    if isinstance(module, _NormBase):
        # BatchNorm without running statistics uses the batch's own even in evaluation mode.
        return module.training or module.running_mean is None
    scripted = isinstance(module, torch.jit.ScriptModule)
    return scripted and module.training and "BatchNorm" in _kind(module)


def checked_draws(first_draw: int, num_samples: int) -> tuple[int, int]:
    """The half-open range of draws. Raises InputError unless both are whole and in range."""
    if isinstance(first_draw, bool) or not isinstance(first_draw, (int, np.integer)):
        raise InputError(f"expected a whole first_draw, got {first_draw!r}; draws count from 0")
    first, last = int(first_draw), int(first_draw) + checked_count(num_samples)
    if first < 0 or last > 2**63:
        raise InputError(f"expected first_draw >= 0, got {first_draw}; draws count from 0")
    return first, last


def checked_count(value: int) -> int:
    """A number of draws or of a batch, at least 1, as a Python int."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"expected a whole number of at least 1, got {value!r}; check the counts")
    return int(value)
