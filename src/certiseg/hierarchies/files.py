"""Read a class hierarchy: a shipped one by name, or a JSON or YAML file.

A file holds a name, the classes in label order, and the tree without its root:

    name: street
    classes: [road, sidewalk, sky, car, bus]
    tree:
      - sky
      - flat: [road, sidewalk]
      - vehicle: [car, bus]

The children of a node are a list of class names and nodes, or a mapping of nodes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from certiseg.errors import InputError, refusing
from certiseg.files.documents import read_document
from certiseg.hierarchies.hierarchy import ROOT, Hierarchy

SUFFIXES = (".json", ".yaml", ".yml")
_FOLDER = Path(__file__).parent
_KEYS = {"name", "classes", "tree"}


def shipped_hierarchies() -> list[str]:
    """Names of the hierarchies in this installation, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def load_hierarchy(spec: str | Path) -> Hierarchy:
    """Load a shipped hierarchy by name, or one from a .json, .yaml or .yml file.

    Args:
        spec: a name among ``shipped_hierarchies()``, or a path.

    Returns:
        The hierarchy, checked.

    Raises:
        InputError: if the file cannot be read, does not have the form above, or is not a tree whose
            leaves are exactly its classes. The message starts with the file's name.

    Example:
        >>> load_hierarchy("cityscapes").num_classes
        19
    """
    if not isinstance(spec, (str, Path)):
        raise InputError(f"expected the name or the file of a hierarchy, got {spec!r:.80}")
    path = Path(spec)
    if path.suffix.lower() not in SUFFIXES:
        if str(spec) not in shipped_hierarchies():
            raise InputError(
                f"expected a hierarchy among {', '.join(shipped_hierarchies())}, or a file that "
                f"ends in {', '.join(SUFFIXES)}, got {str(spec)!r}; write one of these names, or "
                "a path"
            )
        path = _FOLDER / f"{spec}.json"
    try:
        with refusing(
            ValueError,
            expected=f"expected a small JSON or YAML file with {', '.join(sorted(_KEYS))}",
            remedy="see the files shipped in certiseg/hierarchies",
        ):
            content = read_document(path)
        return _build(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _build(content: object) -> Hierarchy:
    if not isinstance(content, dict) or set(content) != _KEYS:
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(
            f"expected a mapping with {', '.join(sorted(_KEYS))}, got {got}; "
            "see the files shipped in certiseg/hierarchies"
        )
    classes = content["classes"]
    if not isinstance(classes, list) or not all(isinstance(label, str) for label in classes):
        raise InputError(
            f"expected classes as a list of names in label order, got {classes!r:.80}; "
            "put a name that is a number or a yes in quotation marks"
        )
    labels = {label: number for number, label in enumerate(classes)}
    above: dict[str, int] = {}
    nodes: list[str] = []
    parents: list[int] = []
    # Breadth first, so that ids of coarse nodes come first; the queue grows while it is read.
    queue = [("the top of the tree", ROOT, content["tree"])]
    for where, parent, children in queue:
        for name, inside in _children(where, children):
            if inside is not None:
                nodes.append(name)
                parents.append(parent)
                queue.append((repr(name), len(classes) + len(nodes) - 1, inside))
            elif name not in labels:
                raise InputError(
                    f"expected the names of classes in {where}, got {name!r}; "
                    "add it to the classes, or give it children"
                )
            elif name in above:
                raise InputError(
                    f"expected every class once in the tree, got {name!r} twice, "
                    f"now in {where}; keep it in one place"
                )
            else:
                above[name] = parent
    missing = [label for label in classes if label not in above]
    if missing:
        raise InputError(
            f"expected every class in the tree, got none of {', '.join(map(repr, missing[:3]))}"
            f"{', ...' if len(missing) > 3 else ''}; a class under no node stands at the top"
        )
    below_top = (*(above[label] for label in classes), *parents)
    return Hierarchy(content["name"], tuple(classes), tuple(nodes), below_top)


def _children(where: str, children: object) -> Iterator[tuple[str, object | None]]:
    """Yield (name, content) of each child of a node; the content of a class is None."""
    items = children if isinstance(children, list) else [children]
    if not children or isinstance(children, str):
        raise InputError(
            f"expected classes or nodes in {where}, got {children!r}; "
            "write [name, ...] below a node, and a class without anything below it in a list"
        )
    for item in items:
        if isinstance(item, str):
            yield item, None
            continue
        if not isinstance(item, dict) or not all(isinstance(key, str) for key in item):
            raise InputError(
                f"expected class names or nodes with names of text in {where}, got {item!r:.80}; "
                "put a name that is a number or a yes in quotation marks"
            )
        for name, inside in item.items():
            # YAML's null here is a node without children, not a class.
            yield name, [] if inside is None else inside
