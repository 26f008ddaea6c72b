"""``Method``: the interface of certification methods, and their registry.

A method is a frozen record of its parameters, validated on construction. The package uses methods
only through this interface, so that a new one is one file and one entry: a line in ``_BUILT_IN``,
a call of ``register``, or an entry point of the group ``certiseg.methods``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from certiseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from certiseg.certificates.certificate import Certificate
    from certiseg.noise import Noise
    from certiseg.votes import Selection, VoteCounts, VoteSource

GROUP = "certiseg.methods"
_BUILT_IN = {
    "segcertify": "certiseg.certifiers.segcertify:SegCertify",
    "radius_map": "certiseg.certifiers.radius_map:RadiusMap",
    "sequential": "certiseg.certifiers.sequential:Sequential",
    "hierarchical": "certiseg.certifiers.hierarchical:Hierarchical",
    "adaptive": "certiseg.certifiers.adaptive:Adaptive",
    "regions": "certiseg.certifiers.regions:Regions",
    "sequential_regions": "certiseg.certifiers.sequential_regions:SequentialRegions",
    "classify": "certiseg.certifiers.baselines:Classify",
    "individual": "certiseg.certifiers.baselines:Individual",
    "joint": "certiseg.certifiers.baselines:Joint",
}
_REGISTERED: dict[str, type[Method]] = {}


class Method(ABC):
    """A certification method with its parameters. Subclasses are frozen dataclasses.

    name: in certificates and manifests. title: in tables and reports. option: command line option
    that selects it. fixed_draws: needs only the votes of all draws, made in any parts. stops_early:
    may use fewer draws than allowed. mapped: certifies a radius for each component. needs_logits:
    needs the model's logits, not only labels.
    counts_regions: bounds the number of labels of a region that hold, but not which ones.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    option: ClassVar[str] = ""
    fixed_draws: ClassVar[bool] = True
    stops_early: ClassVar[bool] = False
    mapped: ClassVar[bool] = False
    needs_logits: ClassVar[bool] = False
    counts_regions: ClassVar[bool] = False
    alpha: float

    @property
    def selection(self) -> Selection:
        """Candidates are chosen by the testing draws ("pooled") or by separate draws ("split")."""
        return "pooled"

    def check_draws(  # noqa: B027
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> None:
        """Raise InputError if num_samples draws could not certify anything."""

    @abstractmethod
    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """Certify votes. selection_votes: vote counts of the selection draws, if split."""

    def ask(
        self, source: VoteSource, *, noise: Noise, num_samples: int, selection_samples: int = 0
    ) -> Certificate:
        """Draw from a source, selection draws first if split, and certify."""
        first = source.more(selection_samples) if self.selection == "split" else None
        return self.certify(source.more(num_samples), noise=noise, selection_votes=first)

    @classmethod
    def of(cls, stored: Certificate) -> Self:
        """The method with the parameters of a stored certificate; InputError if one is missing.

        By default each field is the certificate's field of that name, or one of its ``parameters``.
        """
        extra = stored.parameters or {}
        for name in extra:
            if hasattr(stored, name):
                raise InputError(
                    f"expected {name} as a field of the certificate alone, got it among its "
                    "parameters, too; leave it out there"
                )
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        try:
            return cls(**{n: extra[n] if n in extra else getattr(stored, n) for n in names})
        except AttributeError as error:
            raise InputError(
                f"expected all parameters of {cls.name}, got none of name {error.name}"
            ) from None

    def recompute(self, stored: Certificate) -> Certificate:
        """Recompute the certificate from a stored one, without its labels and radius."""
        return self.certify(
            stored.votes, noise=stored.noise, selection_votes=stored.selection_votes
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """The method with the parameters of a run's settings; None if they select another."""
        return None

    def record(self) -> dict[str, Any]:
        """Serialize name and parameters for a manifest (third-party methods)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {"name": self.name, "parameters": values}

    @classmethod
    def errors(cls, certificate: Certificate) -> Callable[[NDArray[np.bool_] | None], int]:
        """Function of a region (None: everything) that returns the number of labels there that the
        guarantee allows to be wrong."""
        spared = 0 if certificate.budget is None else certificate.budget - 1
        return lambda region: spared

    # Phrases of the statement (certificates/statement.py).

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        """Phrase for the test, which follows the number of draws."""
        return f" by {cls.title}"

    @classmethod
    def theorem(cls, certificate: Certificate) -> str:
        """The theorem under which the same draws may choose and test candidates."""
        return "T3"

    @classmethod
    def whole_claim(cls, certificate: Certificate) -> str | None:
        """Phrase for a guarantee about the whole label map; None for one about each component."""
        return None

    @classmethod
    def assumed(cls, certificate: Certificate) -> str | None:
        """Phrase for an assumption beyond those about the draws, or None."""
        return None


M = TypeVar("M", bound=type[Method])


def register(method: M) -> M:
    """Class decorator that registers a third-party method.

    Raises:
        InputError: if another method has this name.
    """
    if method.name in _BUILT_IN or _REGISTERED.get(method.name, method) is not method:
        raise InputError(
            f"expected a method of a new name, got {method.name!r}, which is taken; rename it"
        )
    _REGISTERED[method.name] = method
    return method


def is_built_in(method: Method | type[Method]) -> bool:
    """True for methods of this package."""
    return method.name in _BUILT_IN


def method_named(name: str) -> type[Method]:
    """Look up a method by its ``name``. Raises InputError if it is unknown."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast(type[Method], getattr(import_module(module), attribute))
    for entry in entry_points(group=GROUP, name=name):
        loaded = entry.load()
        if not (isinstance(loaded, type) and issubclass(loaded, Method) and loaded.name == name):
            raise InputError(
                f"expected the entry point {name!r:.80} of {GROUP} to be a method of that name, "
                f"got {loaded!r:.80}; correct the package that declares it"
            )
        return register(loaded)
    raise InputError(
        f"expected a known method, got {name!r:.80}; a newer certiseg or another package may know "
        "it"
    )


def _custom(given: Any, settings: Mapping[str, Any]) -> Method:
    """A third-party method, given as a Method or by its manifest record.

    Parameters that are settings too must agree with them, since reports and tables read settings.
    """
    method = given
    if isinstance(given, Mapping):
        if set(given) != {"name", "parameters"} or not isinstance(given["parameters"], Mapping):
            raise InputError(
                f"expected a method's name and parameters, got {given!r:.80}; pass a Method"
            )
        try:
            method = method_named(str(given["name"]))(**given["parameters"])
        except TypeError as error:
            raise InputError(f"expected the parameters of {given['name']}, got {error}") from None
    if not isinstance(method, Method) or is_built_in(method):
        raise InputError(
            f"expected a method of another package, got {method!r:.80}; those of certiseg have "
            "settings of their own"
        )
    names = {field.name for field in fields(method)}  # type: ignore[arg-type]
    for name, value in settings.items():
        if name in names and getattr(method, name) != value:
            raise InputError(
                f"expected {name} = {getattr(method, name)!r} in the settings, as the method has, "
                f"got {value!r}; pass it to both"
            )
    for name, unset in (("correction", "holm"), ("budget", None)):
        if name not in names and settings.get(name, unset) != unset:
            raise InputError(
                f"expected no {name} with {method.title}, got {settings[name]!r}; it has none"
            )
    return method


def method_of(settings: Mapping[str, Any]) -> Method:
    """The method that a run's settings select, with its parameters.

    settings: fields of ``runs.settings.Settings``, stopping as a mapping. Raises InputError if they
    select several methods, or contain options that the method would ignore.
    """
    custom = settings.get("custom")
    if custom is not None:
        custom = _custom(custom, settings)
    known = [method_named(name).from_settings(settings) for name in _BUILT_IN]
    asked = [method for method in known if method is not None and method.option]
    if custom is not None:
        asked.append(custom)
    if len(asked) > 1:
        options = " and ".join(method.option or method.title for method in asked)
        raise InputError(f"expected one method, got {options}; choose one of them")
    method: Method = asked[0] if asked else next(m for m in known if m is not None)
    if settings["selection"] != method.selection:
        raise InputError(
            f"expected {method.selection} selection with this method, got "
            f"{settings['selection']!r}; leave --selection out"
        )
    return method
