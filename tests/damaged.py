"""Damaged files, the same for the same number: bytes flipped, inserted, deleted or cut off, values
of JSON and YAML replaced, removed, renamed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import yaml

Damage = Callable[[bytes, Random], bytes]

_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 7, 2**31, 2**32, 2**63, 10**30, 0.0, -0.5, 1e308, 3.0),
    *("", "x", "0", "\0", "é" * 300, [], [[]], [None], [0, 0], {}, {"": None}, {"x": [1]}),
)


def bytewise(content: bytes, chance: Random) -> bytes:
    """One to four of flip, insert, delete, repeat, cut off; half of them where headers are."""
    for _ in range(chance.randint(1, 4)):
        near = min(len(content), 256) if chance.random() < 0.5 else len(content)
        place = chance.randrange(near + 1)
        size = min(chance.choice((1, 1, 2, 4, 8, 64)), len(content) - place)
        kind = chance.randrange(10)
        some = chance.choice((b"\0", b"\xff", b"\x7f", b"9", b"-", chance.randbytes(1)))
        middle = {
            **dict.fromkeys(range(5), some * size),
            **dict.fromkeys(
                (5, 6), some * chance.choice((1, 2, 8)) + content[place : place + size]
            ),
            7: b"",
            8: content[place : place + size] * 2,
        }.get(kind)
        content = content[:place] + (b"" if middle is None else middle + content[place + size :])
    return content


def structural(value: Any, chance: Random) -> Any:
    """One to three values replaced, removed, renamed, repeated, anywhere inside."""
    value = deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return _value(chance)
        holder, key = chance.choice(places)
        kind = chance.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[chance.choice(("x", "", str(key) * 2))] = holder.pop(key)
        elif kind == 2 and isinstance(holder, list):
            holder.insert(0, holder[key])
        elif kind == 3 and isinstance(holder[key], (int, float)):
            holder[key] = type(holder[key])(holder[key] * chance.choice((-1, 0, 2, 1000)))
        else:
            holder[key] = _value(chance)
    return value


def _value(chance: Random) -> Any:
    return deepcopy(chance.choice(_VALUES))


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def of_json(content: bytes, chance: Random) -> bytes:
    if chance.random() < 0.3:
        return bytewise(content, chance)
    return json.dumps(structural(json.loads(content), chance)).encode()


def of_json_lines(content: bytes, chance: Random) -> bytes:
    lines = content.splitlines()
    place = chance.randrange(len(lines))
    lines[place] = of_json(lines[place], chance)
    return b"\n".join(lines) + b"\n"


def of_yaml(content: bytes, chance: Random) -> bytes:
    if chance.random() < 0.4:
        return bytewise(content, chance)
    changed = structural(yaml.safe_load(content), chance)
    return yaml.safe_dump(changed, sort_keys=False, allow_unicode=True).encode()


def of_zip(content: bytes, chance: Random) -> bytes:
    """Most often inside of a member, in an archive that is whole."""
    if chance.random() < 0.3:
        return bytewise(content, chance)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(member, archive.read(member)) for member in archive.infolist()]
    changed = chance.randrange(len(members))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (member, data) in enumerate(members):
            if number == changed:
                data = (of_json if data[:1] in (b"{", b"[") else bytewise)(data, chance)
            archive.writestr(member, data)
    return buffer.getvalue()
