"""Where the files of a known data set lie: what is looked for, and what is said where it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from certiseg.datasets.pairs import Pair, paired_by_stem
from certiseg.errors import InputError


@dataclass(frozen=True)
class Layout:
    """Two folders below the root, searched with the folders within them; {split} in their names
    stands for what the data set calls the split."""

    images: str
    labels: str
    image_suffix: str
    label_suffix: str

    def there(self, root: Path, split: str) -> bool:
        """Whether both folders are there, and labels of this kind in theirs."""
        images, labels = self._folders(root, split)
        return (
            images.is_dir()
            and labels.is_dir()
            and next(labels.rglob(f"*{self.label_suffix}"), None) is not None
        )

    def pairs(self, root: Path, split: str) -> list[Pair]:
        """All pairs, sorted; raises InputError for a file without a partner."""
        return paired_by_stem(
            *self._folders(root, split), [self.image_suffix], [self.label_suffix], nested=True
        )

    def words(self, split: str) -> str:
        images, labels = (text.format(split=split) for text in (self.images, self.labels))
        return f"{images}/**/*{self.image_suffix} with {labels}/**/*{self.label_suffix}"

    def _folders(self, root: Path, split: str) -> tuple[Path, Path]:
        return root / self.images.format(split=split), root / self.labels.format(split=split)


def find_pairs(
    root: str | Path, split: str, layouts: Mapping[Layout, str], inner: Sequence[str] = ()
) -> tuple[list[Pair], Layout]:
    """The pairs of the first layout that is there, and that layout.

    layouts: each with what it calls the split. inner: folders of the archive that root may hold.
    Raises InputError that says what was looked for and what is there.
    """
    for base in bases(root, inner):
        for layout, name in layouts.items():
            if layout.there(base, name):
                return layout.pairs(base, name), layout
    looked = ", or ".join(layout.words(name) for layout, name in layouts.items())
    raise InputError(
        f"{root}: expected {looked}, got {contents(root)}; pass the folder that holds both, with "
        f"the split {split} unpacked"
    )


def bases(root: str | Path, inner: Sequence[str]) -> list[Path]:
    """The root, and those of the inner folders that are there."""
    root = Path(root)
    return [base for base in (root, *(root / name for name in inner)) if base.is_dir()]


def contents(root: str | Path) -> str:
    """What lies in a folder, in a few words."""
    root = Path(root)
    if not root.is_dir():
        return "no folder of that name"
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def check_split(split: str, splits: Sequence[str], name: str) -> None:
    if split not in splits:
        raise InputError(
            f"expected a split of {name} among {', '.join(splits)}, got {split!r}; pick one"
        )
