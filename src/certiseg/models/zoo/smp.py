"""Models of segmentation_models_pytorch, from a folder written by save_pretrained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from certiseg.errors import InputError
from certiseg.files.documents import read_document
from certiseg.files.reading import CARD
from certiseg.models.binary import Binary
from certiseg.models.building import Bounded
from certiseg.models.checkpoint import fill, read_weights
from certiseg.models.libraries import CONFIG_FILE, check_local, library, made_by, read_config
from certiseg.models.preprocess import Padded, Preprocess
from certiseg.models.segmenter import Segmenter
from certiseg.own_code import reason

_SMP = "segmentation_models_pytorch"
_WEIGHTS, _PREPROCESSING = "model.safetensors", "preprocessing.json"
_CLASS = "_model_class"


def load_smp(folder: str | Path) -> Segmenter:
    """Load a folder written by save_pretrained, in evaluation mode, on the CPU.

    The preprocessing of the encoder becomes part of the model: preprocessing.json in the folder
    (the result of ``get_preprocessing_params``), else timm's for a "tu-" encoder, else the one in
    the cache of Hugging Face for the encoder's weights; none for an encoder without such weights.
    Images are padded to the encoder's stride (see ``Padded``). A final activation is left out,
    since it changes no label. One class is a declared binary output of logits, foreground above
    probability 1/2 (``certiseg.Binary`` around it sets another threshold). The network is never
    accessed.

    Args:
        folder: with config.json and model.safetensors.

    Raises:
        InputError: the package is not installed, another kind of folder, weights that do not fit,
            a preprocessing that cannot be found, or one class under another activation than a
            sigmoid.
    """
    path = Path(folder)
    config = read_config(path / CONFIG_FILE)
    if _CLASS not in config:
        raise InputError(
            f"{path}: expected a folder with {CONFIG_FILE} of {_SMP}, got none; pass the folder "
            "that its save_pretrained wrote"
        )
    check_local(config.get("encoder_name"), path / CONFIG_FILE)
    smp = library(_SMP, "zoo")
    network = _network(smp, config, path)
    mean, std, notes = _preprocessing(smp, config, path)
    channels = int(config.get("in_channels", 3))
    if mean is not None and len(mean) != channels:
        raise InputError(
            f"{path}: expected a mean for each of {channels} channels, got {mean}; write "
            f"{_PREPROCESSING} with mean and std"
        )
    padded = Padded(network, int(network.encoder.output_stride))
    classes = int(config.get("classes", 1))
    notes += _of_activation(config, classes, path)
    base = Preprocess(Binary(padded, "logit") if classes == 1 else padded, mean=mean, std=std)
    name = f"{config[_CLASS]} on {config.get('encoder_name')}"
    return Segmenter(
        base,
        max(classes, 2),
        name,
        channels=channels,
        made_by=made_by(config, _SMP, "timm"),
        notes=notes,
    ).eval()


def _of_activation(config: dict[str, Any], classes: int, path: Path) -> tuple[str, ...]:
    """Notes on a final activation that is left out."""
    activation = config.get("activation")
    if classes == 1 and activation not in (None, "identity", "sigmoid"):
        raise InputError(
            f"{path / CONFIG_FILE}: expected one class with activation sigmoid or none, got "
            f"{str(activation)[:60]!r}; build the model in a function of yours "
            "(python:MODULE:FUNCTION) that returns certiseg.Binary(model, 'probability')"
        )
    if classes > 1 and activation == "sigmoid":
        return (
            f"{path}: {classes} classes under a sigmoid are decided by the highest; if they may "
            "overlap, pass --binary logit --multi-label",
        )
    return ()


def _network(smp: Any, config: dict[str, Any], path: Path) -> Any:
    kind = getattr(smp, str(config[_CLASS]), None)
    if not isinstance(kind, type) or not issubclass(kind, smp.base.SegmentationModel):
        raise InputError(
            f"{path / CONFIG_FILE}: expected a model of {_SMP} {smp.__version__}, got "
            f"{config[_CLASS]!r}; another version may know it"
        )
    arguments = {key: value for key, value in config.items() if not key.startswith("_")}
    # The weights come from the folder, so none are fetched; labels need no activation.
    arguments.update(encoder_weights=None, activation=None)
    weights = read_weights(path / _WEIGHTS)
    try:
        with Bounded(str(path / CONFIG_FILE), sum(value.nbytes for value in weights.values())):
            network = kind(**arguments)
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path / CONFIG_FILE}: expected arguments of {config[_CLASS]}, got {reason(error)}; "
            "save it again with save_pretrained"
        ) from None
    fill(network, weights, str(path / _WEIGHTS), str(config[_CLASS]))
    network.classification_head = None  # of whole images, returned beside the masks
    return network


def _preprocessing(
    smp: Any, config: dict[str, Any], path: Path
) -> tuple[list[float] | None, list[float] | None, tuple[str, ...]]:
    """Mean and std in units of [0, 1] inputs, and notes on them."""
    encoder, weights = str(config.get("encoder_name")), config.get("encoder_weights")
    written = path / _PREPROCESSING
    if written.is_file():
        found = _read(written)
    elif weights is None:
        note = f"{path}: no {_PREPROCESSING}, and an encoder without weights; inputs in [0, 1]"
        return None, None, (note,)
    else:
        found = _of_encoder(smp, encoder, str(weights), path)
    lowest, highest = found.get("input_range") or (0, 1)
    if found.get("input_space", "RGB") != "RGB" or lowest != 0 or not highest > 0:
        raise InputError(
            f"{path}: expected a preprocessing of RGB from 0, got {found}; wrap the model in "
            "certiseg.models.Preprocess instead"
        )
    mean, std = (
        None if found.get(key) is None else [float(value) / highest for value in found[key]]
        for key in ("mean", "std")
    )
    return mean, std, ()


def _of_encoder(smp: Any, encoder: str, weights: str, path: Path) -> dict[str, Any]:
    """The preprocessing of an encoder: timm's for its encoders; for others what smp finds in the
    local cache of the Hub."""
    hub = library("huggingface_hub", "zoo")
    try:
        if encoder.startswith("tu-"):
            return dict(smp.encoders.get_preprocessing_params(encoder))
        settings = smp.encoders.encoders[encoder]["pretrained_settings"][weights]
        file = hub.hf_hub_download(
            settings["repo_id"], "config.json", revision=settings["revision"], local_files_only=True
        )
    # A file missing from the cache is an OSError, a name unknown to smp a KeyError or ValueError.
    except (OSError, KeyError, ValueError):
        raise InputError(
            f"{path}: expected the preprocessing of {encoder} ({weights}), got none on this "
            f"machine; write what get_preprocessing_params({encoder!r}) returns as JSON to "
            f"{path / _PREPROCESSING}"
        ) from None
    return _read(Path(file))


def _read(path: Path) -> dict[str, Any]:
    """The preprocessing in a file, which may be an empty object if there is neither mean nor
    std."""
    try:
        found = read_document(path, CARD)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(
            f"{path}: expected a JSON object with mean and std, got none; write what "
            "get_preprocessing_params returns"
        )
    return found
