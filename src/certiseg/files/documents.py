"""Strict reading of small JSON and YAML files: plain values, no duplicate keys, no aliases."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from certiseg.errors import first_line
from certiseg.files.reading import DOCUMENT, read_bounded

Lines = dict[tuple[str, ...], int]
"""Path to a value (keys and list indices) -> the line on which it begins, from 1."""


def read_document(path: Path, largest: int = DOCUMENT) -> Any:
    """Read plain values from a .json file of at most `largest` bytes or a YAML file of at most
    DOCUMENT bytes.

    Raises ValueError whose one-line message completes "expected a small file, got ...".
    """
    return read_with_lines(path, largest)[0]


def read_with_lines(path: Path, largest: int = DOCUMENT) -> tuple[Any, Lines]:
    """Read as ``read_document`` does; returns also the line numbers of values in a YAML file."""
    try:
        is_json = path.suffix.lower() == ".json"
        text = small_file(path, largest if is_json else DOCUMENT).decode("utf-8")
        if is_json:
            return parse_json(text), {}
        return _parsed(text)
    except RecursionError:
        reason = "nodes nested too deeply"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        reason = f"{error.problem}" + (f" in line {mark.line + 1}" if mark else "")
    except (ValueError, yaml.YAMLError) as error:
        reason = first_line(error)
    raise ValueError(reason)


def small_file(path: Path, largest: int = DOCUMENT) -> bytes:
    """Content of a file of at most `largest` bytes. Raises ValueError with a short reason."""
    try:
        return read_bounded(path, largest)
    except OSError as error:
        raise ValueError(error.strerror or "an unreadable file") from None


def _parsed(text: str) -> tuple[Any, Lines]:
    loader = _PlainLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        return loader.construct_document(node), dict(_lines(node))
    finally:
        loader.dispose()


def _lines(node: yaml.Node, at: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], int]]:
    found = [(at, node.start_mark.line + 1)]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, str(key.value))
            found += [*_lines(value, place), (place, key.start_mark.line + 1)]
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            found += _lines(item, (*at, str(number)))
    return found


def parse_json(text: str | bytes) -> Any:
    """Parse JSON without duplicate keys and with finite numbers. Raises ValueError otherwise."""
    try:
        return json.loads(
            text, object_pairs_hook=_mapping, parse_float=_finite, parse_constant=_finite
        )
    except RecursionError:
        raise ValueError("nodes nested too deeply") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} as a number")
    return value


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_keys([key for key, _ in pairs])
    return dict(pairs)


def _check_keys(keys: list[str]) -> None:
    """Raise ValueError for duplicate keys, of which a parser would silently keep the last."""
    twice = [key for key, times in Counter(keys).items() if times > 1]
    if twice:
        raise ValueError(f"the key {twice[0]!r} twice in one mapping")


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases, which could expand a few lines to gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("an alias (*); write the names out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _check_keys([key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return super().construct_mapping(node, deep)
