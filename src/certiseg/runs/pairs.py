"""Labelled images from Python: any data set, loader or sequence, as samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate

from certiseg.datasets.card import IGNORE, Card, Sample
from certiseg.errors import InputError
from certiseg.sampling.checks import check_input

Keys = Sequence[Any] | None
"""Keys of image, labels and, if given, name in an item; None for pairs (image, labels)."""
_ARRAYS = (Tensor, np.ndarray)
_REREAD = "pass a list of them, a torch Dataset, or another object that can be read again"


class Items:
    """The items of a data set, by index, read anew at each access.

    Map-style data sets and sequences are read by index. Others are iterated with one batch in
    memory, and from the start again when an index is not larger than the last one.
    """

    def __init__(self, data: Any) -> None:
        """Raises InputError for data that cannot be read twice."""
        readable = isinstance(data, Iterable) or hasattr(data, "__getitem__")
        apart = isinstance(data, (tuple, list)) and any(isinstance(x, _ARRAYS) for x in data[:1])
        if not readable or apart or isinstance(data, (str, bytes, Mapping, *_ARRAYS)):
            raise InputError(
                "expected a Dataset, a DataLoader or a list of pairs (image, labels), got "
                f"{'arrays alone' if apart else described(data)}; pass list(zip(images, labels))"
            )
        if isinstance(data, Iterator):
            raise InputError(
                f"expected data that can be read twice, to be checked and to be certified, got a "
                f"{type(data).__name__}; {_REREAD}"
            )
        streamed = isinstance(data, (DataLoader, IterableDataset))
        self._indexed = not streamed and hasattr(data, "__len__") and hasattr(data, "__getitem__")
        self._data = data
        self._length = len(data) if self._indexed else sum(1 for _ in unrolled(data))
        self._stream: Iterator[Any] = iter(())
        self._next = self._length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        if self._indexed:
            return self._data[index]
        if index < self._next:
            self._stream, self._next = unrolled(self._data), 0
        for item in self._stream:
            self._next += 1
            if self._next > index:
                return item
        raise InputError(
            f"expected {self._length} samples each time the data are read, got {self._next}; "
            f"{_REREAD}"
        )


def unrolled(data: Iterable[Any]) -> Iterator[Any]:
    """The items one by one; batches of a DataLoader are taken apart."""
    if not isinstance(data, DataLoader) or data.batch_sampler is None:
        yield from data
        return
    for batch in data:
        yield from _apart(batch, customary=data.collate_fn is default_collate)


def _apart(batch: Any, *, customary: bool) -> Iterable[Any]:
    """The items of a batch: a mapping or tuple of batched values, or a list of items.

    customary: it is as ``default_collate`` makes it. Raises InputError where it may be either.
    """
    if isinstance(batch, Mapping):
        size = next((len(value) for value in batch.values() if isinstance(value, _ARRAYS)), None)
        if size is None:
            raise InputError(
                f"expected batches that hold a tensor, got {described(batch)}; correct collate_fn"
            )
        lists = (*_ARRAYS, tuple, list)
        columns = {k: v for k, v in batch.items() if isinstance(v, lists) and len(v) == size}
        return [{key: value[row] for key, value in columns.items()} for row in range(size)]
    if not isinstance(batch, (tuple, list)):
        return batch  # type: ignore[no-any-return]
    if not customary and all(map(_is_image, batch)) and len({part.ndim for part in batch}) == 1:
        raise InputError(
            f"expected batches as torch's default_collate makes them, got {len(batch)} arrays "
            "without labels, which may be images or batches; leave collate_fn out of the "
            "DataLoader, or pass its data set"
        )
    columnar = customary or isinstance(batch[0], _ARRAYS)
    columnar = columnar or (isinstance(batch[0], (tuple, list)) and all(map(_is_image, batch[0])))
    return zip(*batch, strict=True) if columnar else batch


def _is_image(part: Any) -> bool:
    return isinstance(part, Tensor) and part.is_floating_point()


def length_of(data: Any) -> int | None:
    """Number of items of ``unrolled``, or None if it is not known without reading them."""
    batched = isinstance(data, DataLoader) and data.batch_sampler is not None
    try:
        return len(data.sampler if batched else data)
    except TypeError:
        return None


@contextmanager
def named(where: str) -> Iterator[None]:
    """Context in which errors name the item."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except Exception as error:
        error.add_note(f"at {where} of the data")
        raise


class Pairs:
    """Pairs of an image, floats (C, H, W) in [0, 1], and labels, integers (H, W), as samples of a
    data set; errors name the index of the sample.

    ignore_index: labels that become 255, the ignored label.
    """

    def __init__(self, items: Items, card: Card, ignore_index: Sequence[int], keys: Keys) -> None:
        self.card = card
        self._items, self._ignored, self._keys = items, (*ignore_index, IGNORE), keys
        self._names: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Sample:
        image, labels, name = read_pair(self._items, index, self._keys)
        with named(f"sample {index}"):
            if len(image) != self.card.channels:
                raise InputError(
                    f"expected {self.card.channels} channels, as sample 0 has, got an image of "
                    f"shape {image.shape}; pass one kind of image"
                )
            if (first := self._names.setdefault(name, index)) != index:
                raise InputError(
                    f"expected a name of its own, got {name!r}, that of sample {first}; leave the "
                    "key of names out, and samples are numbered"
                )
            return Sample(name, image, self._classes(labels, image.shape))

    def _classes(self, given: Any, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Class of each pixel of an image of this shape, 255 if ignored."""
        labels = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
        if labels.dtype.kind not in "iub":
            raise InputError(
                f"expected integer labels, got {labels.dtype} of shape {labels.shape}; "
                "convert class ids with labels.long()"
            )
        if labels.shape == (1, *shape[1:]):
            labels = labels[0]
        if labels.shape != shape[1:]:
            raise InputError(
                f"expected labels of shape {shape[1:]} for an image of shape {shape}, got "
                f"{labels.shape}; pass both at one size"
            )
        classes = self.card.num_classes
        void = np.isin(labels, self._ignored)
        wrong = np.unique(labels[~void & ((labels < 0) | (labels >= classes))])
        if wrong.size:
            ignored = ", ".join(map(str, dict.fromkeys(self._ignored)))
            raise InputError(
                f"expected labels 0 to {classes - 1} or ignore_index ({ignored}), got "
                f"{', '.join(map(str, wrong[:5]))}; name labels that are not evaluated as "
                "ignore_index"
            )
        return np.where(void, IGNORE, labels).astype(np.uint8)


def read_pair(items: Items, index: int, keys: Keys) -> tuple[NDArray[np.float32], Any, str]:
    """The image, checked, the labels and the name of an item. Raises InputError, and any error of
    the data set."""
    where = f"sample {index}"
    with named(where):
        item = items[index]
        if keys is None and not (isinstance(item, (tuple, list)) and len(item) == 2):
            example = ("image", "label") if isinstance(item, Mapping) else (0, 1)
            raise InputError(
                f"expected a pair (image, labels), got {described(item)}; say where they are, "
                f"such as keys={example}"
            )
        image, labels, *name = [value_at(item, key) for key in ((0, 1) if keys is None else keys)]
        return _image(image), labels, str(name[0]) if name else where


def value_at(item: Any, key: Any) -> Any:
    """The value of a mapping or a sequence under a key. Raises InputError if there is none."""
    try:
        return item[key]
    except (KeyError, IndexError, TypeError):
        raise InputError(
            f"expected an item that holds {key!r}, got {described(item)}; correct the key"
        ) from None


def first_of(item: Any) -> Tensor | NDArray[Any]:
    """The image of an item: the item itself, or its first element."""
    first = item[0] if isinstance(item, (tuple, list)) and item else item
    return array(first, "say where its image is, such as key='image'")


def array(given: Any, remedy: str) -> Tensor | NDArray[Any]:
    """The argument, if it is a tensor or an array. Raises InputError otherwise."""
    if not isinstance(given, (Tensor, np.ndarray)):
        raise InputError(
            f"expected an image as a tensor or an array, got {described(given)}; {remedy}"
        )
    return given


def described(item: Any) -> str:
    """A short description of an item for messages."""
    if isinstance(item, Mapping):
        return f"a mapping of {', '.join(map(repr, item))}"
    if isinstance(item, (tuple, list)):
        return f"a {type(item).__name__} of {len(item)}"
    if isinstance(item, (Tensor, np.ndarray)):
        return f"an array of shape {tuple(item.shape)}"
    return type(item).__name__


def _image(given: Any) -> NDArray[np.float32]:
    """An image (C, H, W) in [0, 1], in single precision. Raises InputError for anything else."""
    image = check_input(array(given, "convert it in the data set, as ToTensor does"), None)
    if image.ndim != 3:
        raise InputError(
            f"expected an image of shape (C, H, W), got {tuple(image.shape)}; pass images one by "
            "one, or a DataLoader, whose batches are taken apart"
        )
    low, high = float(image.min()), float(image.max())
    if low < 0.0 or high > 1.0:
        raise InputError(
            f"expected values in [0, 1], got [{low:.9g}, {high:.9g}]; divide 8-bit images by 255, "
            "and put normalisation into the model: certiseg.Preprocess(model, mean, std)"
        )
    return image.to(torch.float32).cpu().numpy()
