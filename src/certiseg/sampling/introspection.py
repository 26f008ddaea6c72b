"""Traverse everything that a model's output depends on, in a fixed order."""

from __future__ import annotations

import copyreg
import hashlib
import re
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, EnumMeta
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certiseg.sampling.library_state import (
    CALLS,
    HARMLESS,
    HOOKS,
    LISTENS,
    NAMES,
    OUTSIDE,
    PARTS,
    PLAIN,
    RANDOM,
    kept_by,
)
from certiseg.sampling.python_code import imported, library_of, read

_DEPTH, _VALUES = 100, 1_000_000
"""Limits on nesting and number of values; anything beyond is reported as not covered."""
_ATOMS = frozenset(
    [
        *(type(None), bool, int, float, complex, str, bytes, range),
        *(type(...), type(NotImplemented), torch.dtype, torch.layout, torch.memory_format),
    ]
)
_FLAT = frozenset((tuple, list, set, frozenset, torch.Size))
_TENSORS = frozenset((Tensor, nn.Parameter))
_BUILT_IN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)


def _listens(hook: object) -> bool:
    """True for hooks of transformers that only record outputs."""
    name = getattr(hook, "__qualname__", "").rpartition(".")[2]
    return name == LISTENS and str(library_of(hook)).startswith("transformers ")


def modules_inside(model: object) -> Iterator[nn.Module]:
    """Yield the nn.Modules that a callable is or uses, in a fixed order; for registered submodules
    see ``modules()`` of each."""
    walk = Walk()
    walk.add(model, type(model).__name__)
    yield from walk.modules


class Walk:
    """Serializes a value and everything its behaviour depends on to bytes, for hashing.

    The bytes are equal for equal values in all processes, and differ for different ones. Included
    are numbers, strings, tensors and arrays in attributes, slots and containers; modules, wherever
    they are referenced; of functions, methods and classes the bytecode, closures, defaults,
    attributes, and the globals that they use, for all code of the user's. Code of libraries enters
    by name and version, their objects like others. Excluded are memory addresses, the order of
    sets, devices and tensor layouts.

    A class or function can exclude attributes or variables by ``not_fingerprinted``. These and
    opaque objects are listed in not_covered; opaque objects are distinguished by ``identify``.
    modules: as in ``modules_inside``. tensors: in order of traversal; the caller must append their
    digests to the bytes.
    """

    def __init__(
        self,
        write: Callable[[bytes], object] = lambda text: None,
        identify: Callable[[object], str] = lambda value: "",
        left: int = _VALUES,
    ) -> None:
        self._write, self._identify, self._left = write, identify, left
        self._seen: dict[object, tuple[int, object]] = {}
        self._skipped: dict[type, frozenset[str]] = {}
        self._depth = 0
        self.modules: list[nn.Module] = []
        self.tensors: list[Tensor] = []
        self.not_covered: list[str] = []

    def add(
        self,
        value: Any,
        name: str,
        *,
        registered: bool = False,
        reads: frozenset[str] | None = None,
    ) -> None:
        """Serialize a value.

        name: its description in not_covered. registered: it is a submodule of a module that is
        traversed. reads: all names in the code that uses it, if it is a package.
        """
        kind = type(value)
        if kind in _ATOMS:
            self._text(f"{value:x}" if kind is int else repr(value))
        elif isinstance(value, Tensor):
            self._tensor(value, name)
        elif kind in _FLAT and _ATOMS.issuperset(map(type, value)):
            self._flat(kind, value, name)
        elif self._is_new(value, reads, name):
            self._depth += 1
            if isinstance(value, nn.Module):
                if not registered:
                    self.modules.append(value)
                self._module(value)
            elif isinstance(value, types.FunctionType):
                self._function(value)
            elif isinstance(value, type):
                self._class(value)
            elif isinstance(value, types.ModuleType):
                self._package(value, name, reads or frozenset())
            else:
                self._other(value, name)
            self._depth -= 1

    def _is_new(self, value: object, reads: frozenset[str] | None, name: str) -> bool:
        key = (id(value), reads) if isinstance(value, types.ModuleType) else id(value)
        if key in self._seen:
            self._text(f"again {self._seen[key][0]}")
            return False
        self._left -= 1
        if self._left < 0 or self._depth >= _DEPTH:
            much = f"more than {_VALUES} values" if self._left < 0 else f"deeper than {_DEPTH}"
            self._unseen(value, f"{name} ({much})")
            return False
        # Keep the object alive, so that its id is not reused.
        self._seen[key] = (len(self._seen), value)
        return True

    def _text(self, text: str) -> None:
        self._write(text.encode("utf-8", "surrogatepass") + b"\0")

    def _unseen(self, value: object, description: str) -> None:
        self.not_covered.append(description)
        self._text(f"unseen {self._identify(value)}")

    def _flat(self, kind: type, values: Any, name: str) -> None:
        """A container of atoms, by value."""
        much = len(values) // 16
        self._left -= much
        if much and self._left < 0:
            self._unseen(values, f"{name} (more than {_VALUES} values)")
            return
        held = sorted(map(repr, values)) if issubclass(kind, (set, frozenset)) else list(values)
        self._text(f"{kind.__name__} {held!r}")

    def _all(self, values: Iterable[Any], name: str) -> None:
        held = list(values)
        self._text(f"{len(held)} values")
        for value in held:
            self.add(value, name)

    def _pairs(self, pairs: Iterable[tuple[Any, Any]], owner: str) -> None:
        held = list(pairs)
        self._text(f"{len(held)} pairs")
        for key, value in held:
            self.add(key, owner)
            self.add(value, f"{owner}.{key}" if isinstance(key, str) else owner)

    def _set(self, values: Iterable[Any], name: str) -> None:
        """Serialize each element separately, and write their digests in sorted order."""
        elements = []
        for value in values:
            sha = hashlib.sha256()
            inner = Walk(sha.update, self._identify, self._left)
            inner._depth = self._depth
            inner.add(value, name)
            self._left = inner._left
            for tensor in inner.tensors:
                sha.update(tensor_digest(tensor))
            elements.append((sha.hexdigest(), inner))
        for digest, inner in sorted(elements, key=lambda pair: pair[0]):
            self._text(digest)
            self.modules += inner.modules
            self.not_covered += inner.not_covered

    def _tensor(self, value: Tensor, name: str) -> None:
        if value.is_meta or value.is_nested or nn.parameter.is_lazy(value):
            self._unseen(value, f"{name} ({type(value).__name__} without values)")
            return
        kind = type(value)
        # Attributes that torch.compile sets on parameters do not matter.
        held = {name: v for name, v in vars(value).items() if not name.startswith("_dynamo")}
        if held or kind not in _TENSORS:
            if not self._is_new(value, None, name):
                return
            self.add(kind, name)
            self._attributes(held, kind, frozenset())
            if hasattr(value, "__tensor_flatten__"):  # a subclass that wraps other tensors
                parts, about = value.__tensor_flatten__()
                self.add(about, name)
                self._all((getattr(value, part) for part in parts), name)
                return
        self._text("tensor")
        self.tensors.append(value)

    def _array(self, value: Any, name: str) -> None:
        self._text(f"array {value.dtype.str} {value.shape}")
        if value.dtype.hasobject:
            self._all(np.asarray(value).ravel().tolist(), name)
        else:
            self._text(hashlib.sha256(value.tobytes()).hexdigest())

    def _module(self, module: nn.Module) -> None:
        kind = type(module)
        owner = kind.__name__
        self.add(kind, owner)
        if isinstance(module, torch.jit.ScriptModule):
            self._script(module)
            return
        for tensors in (module._parameters, module._buffers):
            self._pairs(sorted(tensors.items()), owner)
        self._text(f"{len(module._modules)} modules")
        for name, inner in module._modules.items():
            self._text(name)
            self.add(inner, f"{owner}.{name}", registered=True)
        for hooks, options in HOOKS:
            # The keys depend on all hooks ever registered in the process.
            for key, hook in getattr(module, hooks).items():
                if _listens(hook):
                    continue
                self._text(f"{hooks} {[key in getattr(module, option) for option in options]}")
                self.add(hook, f"{owner} (hook)")
        # Last, since a list may also hold registered submodules.
        self._attributes(vars(module), kind, kept_by(module))

    def _script(self, module: torch.jit.ScriptModule) -> None:
        """A TorchScript program: code, the attributes that it names, constants and tensors."""
        inside = list(module.modules())
        codes = [getattr(inner, "code_with_constants", ("", None)) for inner in inside]
        names = sorted({name for code, _ in codes for name in re.findall(r"\.(\w+)", code)})
        for inner, (code, constants) in zip(inside, codes, strict=True):
            owner = str(getattr(inner, "original_name", type(inner).__name__))
            # Frozen programs have no training mode.
            self._text(f"{owner} {getattr(inner, 'training', False)} {code!r}")
            if constants is not None:
                self._pairs(sorted(constants.const_mapping.items()), owner)
            held: Any = getattr(inner, "_c", None)
            values = [(n, held.getattr(n)) for n in names if held is not None and held.hasattr(n)]
            self._pairs(
                [(n, v) for n, v in values if not isinstance(v, torch._C.ScriptModule)], owner
            )
            self._pairs(sorted([*inner.named_parameters(), *inner.named_buffers()]), owner)

    def _attributes(self, state: Mapping[str, Any], kind: type, kept: frozenset[str]) -> None:
        if kind not in self._skipped:
            self._skipped[kind] = self._left_out(kind)
        kept |= self._skipped[kind]
        for name, value in sorted(state.items()):
            if name not in kept:
                self._text(name)
                self.add(value, f"{kind.__name__}.{name}")

    def _left_out(self, kind: type) -> frozenset[str]:
        """Attributes of a class to skip: ``not_fingerprinted`` (reported as not covered unless the
        class is of certiseg), cached properties, and names that libraries give to models."""
        names = frozenset(getattr(kind, "not_fingerprinted", ()))
        library = library_of(kind)
        if library != "certiseg":
            self.not_covered += [f"{kind.__name__}.{name}" for name in names]
        computed = {
            name
            for base in kind.__mro__
            for name, value in vars(base).items()
            if isinstance(value, cached_property)
        }
        return names | computed | (NAMES if library is not None else frozenset())

    def _function(self, function: types.FunctionType) -> None:
        owner, code, library = function.__qualname__, function.__code__, library_of(function)
        compiled = getattr(function, "_torchdynamo_orig_callable", None)
        if compiled is not None:
            self.add(compiled, owner)
            return
        self._text(f"function {owner} {read(code).digest if library is None else library}")
        left_out = getattr(function, "not_fingerprinted", ())
        self.not_covered += [f"{owner}.{name}" for name in left_out]
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                if name not in left_out:
                    self.add(cell.cell_contents, f"{owner}.{name}")
            except ValueError:  # unbound
                self._text("empty")
        given = function.__defaults__ or ()
        defaults = dict(zip(code.co_varnames[code.co_argcount - len(given) :], given, strict=False))
        defaults |= function.__kwdefaults__ or {}
        self._pairs([(n, v) for n, v in defaults.items() if n not in left_out], owner)
        self._pairs(sorted(vars(function).items()), owner)
        if library is not None:
            self._leads_out(library, owner)
            return
        _, _, looked_up, imports, names = read(code)
        for name in sorted(looked_up - set(left_out)):
            if name in function.__globals__:
                self._text(f"global {name}")
                self.add(function.__globals__[name], name, reads=names)
            elif name in CALLS:
                self.not_covered.append(f"{owner} (calls {name})")
        for name in sorted(imports):
            package = imported(name, function)
            if package is None:
                self.not_covered.append(f"{owner} (imports {name})")
            else:
                self.add(package, name, reads=names)

    def _leads_out(self, library: str, name: str) -> None:
        if library.partition(" ")[0] in OUTSIDE:
            self.not_covered.append(f"{name} (of {library})")

    def _package(self, package: types.ModuleType, name: str, reads: frozenset[str]) -> None:
        """The attributes of a package that the code using it names."""
        library = library_of(package)
        self._text(f"package {package.__name__} {library}")
        if library is not None:
            self._leads_out(library, name)
        for part in sorted(reads & set(vars(package))):
            value = vars(package)[part]
            # Of a library, only functions that the user's code put there.
            users = library is None or _is_users_function(value)
            if (users or isinstance(value, types.ModuleType)) and not part.startswith("__"):
                self._text(part)
                self.add(value, f"{package.__name__}.{part}", reads=reads)

    def _class(self, kind: type) -> None:
        name, library = kind.__name__, library_of(kind)
        self._text(f"class {kind.__qualname__} {library}")
        if library is not None:
            self._text(kind.__module__)
            self._leads_out(library, name)
            if issubclass(kind, nn.Module):
                self._replaced(kind)
            return
        self._all((*kind.__bases__, type(kind)), name)
        members = isinstance(kind, EnumMeta)
        if isinstance(kind, EnumMeta):
            self._pairs([(member.name, member.value) for member in list[Enum](kind)], name)
        for part, value in sorted(vars(kind).items()):
            special = part.startswith("__") and not callable(value)
            internal = part in ("_abc_impl", "_backward_cls")
            if members:
                internal = part.startswith("_") or isinstance(value, kind)
            if not special and not internal:
                self._text(part)
                self.add(value, f"{name}.{part}")

    def _replaced(self, kind: type) -> None:
        """Methods in a library's module class that are of the user's code, as in fx programs."""
        for base in kind.__bases__:
            if issubclass(base, nn.Module):
                self.add(base, base.__name__)
        for name, value in vars(kind).items():
            if _is_users_function(value):
                self._text(name)
                self.add(value, f"{kind.__name__}.{name}")

    def _other(self, value: Any, name: str) -> None:
        kind = type(value)
        home = f"{kind.__module__}.{kind.__qualname__}"
        self._text(kind.__qualname__)
        if kind in PARTS:
            self._all((getattr(value, part) for part in PARTS[kind]), name)
        elif isinstance(value, _BUILT_IN):
            self._text(f"{getattr(value, '__module__', '')} {value.__qualname__}")
            owner = getattr(value, "__self__", None)
            if not isinstance(owner, types.ModuleType):
                self.add(owner, name)
        elif isinstance(value, (np.ndarray, np.generic)):
            self._array(value, name)
        elif isinstance(value, Enum):
            self._text(value.name)
            self.add(kind, name)
        elif isinstance(value, (PurePath, torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
            self._text(str(value))
        elif isinstance(value, types.CodeType):
            self._text(read(value).digest)
        elif isinstance(value, weakref.ref):
            self.add(value(), name)
        elif isinstance(value, types.MappingProxyType):
            self._pairs(value.items(), name)
        elif home.startswith(RANDOM):
            self.not_covered.append(f"{name} (state of {kind.__name__})")
        elif home not in HARMLESS:
            self._object(value, name)

    def _object(self, value: Any, name: str) -> None:
        """Any other object: its content and attributes, or for extension types its pickled state;
        opaque if it has none."""
        kind = type(value)
        top = kind.__module__.partition(".")[0]
        library = library_of(kind)
        self.add(kind, name)
        if library == top and top not in PLAIN and top not in ("torch", "certiseg"):
            self._unseen(value, f"{name} ({kind.__name__})")
            return
        held: dict[str, Any] = {}
        size = object.__basicsize__ + 16  # with __dict__ and __weakref__
        for base in reversed(kind.__mro__):
            slots = [n for n, v in vars(base).items() if isinstance(v, types.MemberDescriptorType)]
            if "__slots__" in vars(base):
                size += 8 * len(slots)
                held |= {slot: getattr(value, slot) for slot in slots if hasattr(value, slot)}
        if isinstance(getattr(value, "__dict__", None), dict):
            held |= vars(value)
        if isinstance(value, dict):
            self.add(getattr(value, "default_factory", None), name)
            self._pairs(dict.items(value), name)
        elif isinstance(value, (set, frozenset)):
            self._set(value, name)
        elif isinstance(value, (list, tuple)):
            base_type: Any = list if isinstance(value, list) else tuple
            self._all(base_type.__iter__(value), name)
        elif isinstance(value, (int, float, complex, str, bytes)):
            self.add(next(base for base in kind.__mro__ if base in _ATOMS)(value), name)
        elif not held or kind.__basicsize__ > size:  # C fields that attributes do not show
            self._reduced(value, name)
        self._attributes(held, kind, frozenset())

    def _reduced(self, value: object, name: str) -> None:
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            made = value.__reduce_ex__(2) if reduce is None else reduce(value)
        except Exception:  # types can raise anything
            self._unseen(value, f"{name} ({type(value).__name__})")
            return
        if isinstance(made, str):
            self._text(made)
            return
        for part in made:
            self._all(part, name) if isinstance(part, Iterator) else self.add(part, name)


def _is_users_function(value: object) -> bool:
    return isinstance(value, types.FunctionType) and library_of(value) is None


def tensor_digest(tensor: Tensor) -> bytes:
    """SHA-256 of dtype, shape and values, independent of device and layout."""
    value = tensor.detach()
    if value.layout != torch.strided:
        value = value.to_dense()
    if value.is_quantized:
        value = value.dequantize()
    value = value.resolve_conj().resolve_neg().cpu().contiguous()
    sha = hashlib.sha256(f"{tensor.dtype} {tuple(value.shape)}".encode())
    sha.update(value.flatten().view(torch.uint8).numpy().data)
    return sha.digest()
