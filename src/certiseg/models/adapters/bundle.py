"""MONAI bundles, read without executing their configuration."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from certiseg.errors import InputError
from certiseg.files.documents import read_document
from certiseg.files.reading import CARD
from certiseg.models.adapters.bundle_output import stated_output
from certiseg.models.adapters.monai import SlidingWindow
from certiseg.models.binary import as_binary
from certiseg.models.building import Bounded
from certiseg.models.checkpoint import fill, read_weights
from certiseg.models.libraries import BUNDLE_CONFIGS, BUNDLE_METADATA, library
from certiseg.models.loaded import Kind, LoadedModel
from certiseg.own_code import reason

_WEIGHTS = Path("models") / "model.pt"
_NETWORKS = "monai.networks.nets"
_FETCHING = re.compile(r"pretrained_url|\w*checkpoint_path|checkpoint|weights|path_or_repo_id|url")
"""Arguments by which a network would fetch weights of its own, from a place the file names."""


def load_bundle(folder: str | Path) -> LoadedModel:
    """The network of a bundle with its weights and sliding window, in evaluation mode.

    Read are network_def, inferer and postprocessing of configs/inference, models/model.pt and the
    classes in configs/metadata.json: a sigmoid with a threshold is a declared binary output, of
    several channels overlapping maps (see ``bundle_output``). A configuration may name any Python
    object and hold expressions: here networks come from monai.networks.nets alone, with plain
    values (or @references to plain values) as arguments, nothing is evaluated, and no network
    fetches weights of its own: those of the bundle are complete. Transforms are not applied:
    scaling and spacing are the caller's, see docs/models/monai.md. Weights are loaded without
    pickle's objects. Raises InputError otherwise.
    """
    path = Path(folder)
    config_file = next((path / name for name in BUNDLE_CONFIGS if (path / name).is_file()), None)
    if config_file is None or not (path / BUNDLE_METADATA).is_file():
        raise InputError(
            f"{path}: expected a MONAI bundle with {BUNDLE_METADATA} and {BUNDLE_CONFIGS[0]}, got "
            "none; pass the bundle's folder"
        )
    config, metadata = _read(config_file), _read(path / BUNDLE_METADATA)
    weights = read_weights(path / _WEIGHTS)
    with Bounded(str(config_file), sum(value.nbytes for value in weights.values())):
        network = _network(config, config_file)
    fill(network, weights, str(path / _WEIGHTS), "network_def")
    model: nn.Module = _with_inferer(network.eval(), config, config_file)
    data = _part(_part(metadata, "network_data_format"), "inputs")
    outputs = _part(_part(metadata, "network_data_format"), "outputs")
    given: object = next(iter(data.values()), None)
    channels = given.get("num_channels") if isinstance(given, Mapping) else None
    output_name, output = next(iter(outputs.items()), ("pred", {}))
    classes = _classes(output)
    definition = _part(config, "network_def")
    number = _channels(output, definition)
    stated = stated_output(
        config,
        str(output_name),
        number,
        config_file,
        lambda v, what: _plain(v, config, config_file, what),
    )
    dimensions = getattr(network, "dimensions", None) or definition.get("spatial_dims")
    kinds: dict[Any, Kind] = {2: "images", 3: "volumes"}
    loaded = LoadedModel(
        str(path),
        model,
        number if classes is None or number == 1 else len(classes),
        classes,
        channels=channels if isinstance(channels, int) else None,
        kind=kinds.get(dimensions),
        notes=stated.notes,
    )
    return loaded if stated.binary is None else as_binary(loaded, stated.binary)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_document(path, CARD)
    except ValueError as error:
        raise InputError(
            f"{path}: expected a configuration of a MONAI bundle, got {error}; "
            "copy the bundle again"
        ) from None
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: expected a mapping, got {type(value).__name__}; copy the bundle again"
        )
    return value


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _network(config: Mapping[str, Any], where: Path) -> nn.Module:
    definition = _part(config, "network_def")
    target = definition.get("_target_")
    nets = library(_NETWORKS, "monai")
    name = str(target).removeprefix(f"{_NETWORKS}.")
    network = getattr(nets, name, None) if name.isidentifier() else None
    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise InputError(
            f"{where}: expected network_def with a _target_ in {_NETWORKS}, got {target!r}; "
            "build it in a function of yours (python:MODULE:FUNCTION)"
        )
    settings = {
        key: _plain(value, config, where, f"network_def {key}")
        for key, value in definition.items()
        if not key.startswith("_")
    }
    _fetch_nothing(network, settings, where)
    try:
        return network(**settings)
    except InputError:
        raise
    except Exception as error:  # another library's constructor may fail in any way
        raise InputError(
            f"{where}: expected arguments that {name} takes, got {reason(error)[:160]}; "
            "another version of MONAI may know them"
        ) from None


def _fetch_nothing(network: type[nn.Module], settings: dict[str, Any], where: Path) -> None:
    """Switch off "pretrained", which downloads weights that models/model.pt replaces; raise
    InputError for other arguments, given or by default, that name a source of weights."""
    parameters = inspect.signature(network).parameters
    if "pretrained" in parameters or "pretrained" in settings:
        settings["pretrained"] = False
    defaults = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
    for key, value in {**defaults, **settings}.items():
        if _FETCHING.fullmatch(key) and value:
            raise InputError(
                f"{where}: expected a network that fetches no weights, got {network.__name__} with "
                f"{key}={str(value)[:60]!r}; build it in a function of yours "
                "(python:MODULE:FUNCTION)"
            )


def _plain(value: object, config: Mapping[str, Any], where: Path, what: str) -> Any:
    """The value with @references followed; InputError for expressions and objects."""
    if isinstance(value, str) and value.startswith("@"):
        target: Any = config
        for name in value[1:].replace("#", "::").split("::"):
            target = target.get(name) if isinstance(target, Mapping) else None
        # Only one step, since references could form a cycle.
        if not (isinstance(target, str) and target.startswith("@")) and target is not None:
            return _plain(target, config, where, what)
    if isinstance(value, str) and not value.startswith(("@", "$", "%")):
        return value
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(entry, config, where, what) for entry in value]
    if isinstance(value, Mapping) and "_target_" not in value:
        return {key: _plain(entry, config, where, what) for key, entry in value.items()}
    raise InputError(
        f"{where}: expected a plain value as {what}, got {str(value)[:60]!r}; expressions and "
        "objects of a configuration are not evaluated, build it in a function of yours "
        "(python:MODULE:FUNCTION)"
    )


def _with_inferer(network: nn.Module, config: Mapping[str, Any], where: Path) -> nn.Module:
    definition = _part(config, "inferer")
    kind = str(definition.get("_target_", "")).rpartition(".")[2]
    if kind in ("", "SimpleInferer"):
        return network
    if kind != "SlidingWindowInferer":
        raise InputError(
            f"{where}: expected a SlidingWindowInferer or SimpleInferer, got {kind}; "
            "build it in a function of yours (python:MODULE:FUNCTION)"
        )
    known = ("roi_size", "overlap", "mode", "sw_batch_size")
    settings = {
        key: _plain(definition[key], config, where, f"inferer {key}")
        for key in known
        if key in definition
    }
    ignored = ("_target_", "progress", "device", "sw_device", "cache_roi_weight_map", "cpu_thresh")
    others = sorted(set(definition) - {*known, *ignored})
    if others or "roi_size" not in settings:
        raise InputError(
            f"{where}: expected an inferer with {', '.join(known)}, got {others or 'no roi_size'}; "
            "build it in a function of yours (python:MODULE:FUNCTION)"
        )
    return SlidingWindow(network, **settings)


def _channels(output: object, definition: Mapping[str, Any]) -> int | None:
    stated = output.get("num_channels") if isinstance(output, Mapping) else None
    found = stated if isinstance(stated, int) else definition.get("out_channels")
    return found if isinstance(found, int) else None


def _classes(output: object) -> tuple[str, ...] | None:
    """Names of the channels, if channel_def has one for each."""
    names = output.get("channel_def") if isinstance(output, Mapping) else None
    if not isinstance(names, Mapping) or not names:
        return None
    listed = [names.get(str(label)) for label in range(len(names))]
    return tuple(map(str, listed)) if None not in listed else None
