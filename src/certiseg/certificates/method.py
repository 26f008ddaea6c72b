"""Method: the one seam of certification, and the list of the methods there are.

A method is a frozen record of its parameters, checked when it is made. Everything that the package
asks of a method, from the check before the first draw to the words of the statement, is asked
here, so that a new one is one file and one entry: a line in ``_BUILT_IN``, ``register`` in another
package, or its entry point in the group ``certiseg.methods``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

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
    "classify": "certiseg.certifiers.baselines:Classify",
    "individual": "certiseg.certifiers.baselines:Individual",
    "joint": "certiseg.certifiers.baselines:Joint",
}
_REGISTERED: dict[str, type[Method]] = {}


class Method(ABC):
    """One way to certify, with its parameters. Subclasses are frozen dataclasses.

    name: as certificates and manifests record it. title: as tables and reports name it. option:
    what asks for it on the command line. fixed_draws: votes of all draws, made in whatever parts,
    are all it needs. stops_early: it may take fewer draws than it was given. mapped: it gives
    every component a radius of its own. needs_logits: it asks the model for more than labels.
    counts_regions: it says how many labels of a region hold, but not which.
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
        """Whether all draws choose and test ("pooled"), or other draws choose ("split")."""
        return "pooled"

    def check_draws(  # noqa: B027
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> None:
        """Raise InputError unless so many draws can certify something, before any is made."""

    @abstractmethod
    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """The certificate of these votes. selection_votes: of split selection."""

    def ask(
        self, source: VoteSource, *, noise: Noise, num_samples: int, selection_samples: int = 0
    ) -> Certificate:
        """The certificate of draws that are asked for: those that choose, if any, come first."""
        first = source.more(selection_samples) if self.selection == "split" else None
        return self.certify(source.more(num_samples), noise=noise, selection_votes=first)

    @classmethod
    def of(cls, stored: Certificate) -> Self:
        """The method with the parameters of a stored certificate; InputError where one is missing.

        By default each field is the certificate's of that name, else one of its ``parameters``.
        """
        own = stored.parameters or {}
        for name in own:
            if hasattr(stored, name):
                raise InputError(
                    f"expected {name} as a field of the certificate alone, got it among its "
                    "parameters, too; leave it out there"
                )
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        try:
            return cls(**{n: own[n] if n in own else getattr(stored, n) for n in names})
        except AttributeError as error:
            raise InputError(
                f"expected all parameters of {cls.name}, got none of name {error.name}"
            ) from None

    def recompute(self, stored: Certificate) -> Certificate:
        """The certificate again, from what is stored beside labels and radius."""
        return self.certify(
            stored.votes, noise=stored.noise, selection_votes=stored.selection_votes
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """The method with the parameters of a run's settings; None where they ask for another."""
        return None

    def record(self) -> dict[str, Any]:
        """Name and parameters as a manifest holds those of another package's method."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {"name": self.name, "parameters": own}

    @classmethod
    def errors(cls, certificate: Certificate) -> Callable[[NDArray[np.bool_] | None], int]:
        """By region (None: everything): the most labels given there that may be wrong although the
        claim holds."""
        spared = 0 if certificate.budget is None else certificate.budget - 1
        return lambda region: spared

    # Words of a statement (certificates/statement.py).

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        """The test in words, after the number of draws."""
        return f" by {cls.title}"

    @classmethod
    def theorem(cls, certificate: Certificate) -> str:
        """What makes draws that choose and test valid."""
        return "T3"

    @classmethod
    def whole_claim(cls, certificate: Certificate) -> str | None:
        """The claim, where it is not one about each certified component."""
        return None

    @classmethod
    def assumed(cls, certificate: Certificate) -> str | None:
        """What the caller answers for beside the draws."""
        return None


M = TypeVar("M", bound=type[Method])


def register(method: M) -> M:
    """Enter a method of another package (a class decorator).

    Raises:
        InputError: for a name that another method has.
    """
    if method.name in _BUILT_IN or _REGISTERED.get(method.name, method) is not method:
        raise InputError(
            f"expected a method of a new name, got {method.name!r}, which is taken; rename it"
        )
    _REGISTERED[method.name] = method
    return method


def is_built_in(method: Method | type[Method]) -> bool:
    """Whether the method is one of this package's."""
    return method.name in _BUILT_IN


def method_named(name: str) -> type[Method]:
    """The method that certificates record by this name. Raises InputError for an unknown one."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in _BUILT_IN:
        module, _, own = _BUILT_IN[name].partition(":")
        found: type[Method] = getattr(import_module(module), own)
        return found
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
    """Another package's method, from Python or from a manifest's record of it.

    Its parameters that settings have too must be the same there: reports and tables read them.
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
    own = {field.name for field in fields(method)}  # type: ignore[arg-type]
    for name, value in settings.items():
        if name in own and getattr(method, name) != value:
            raise InputError(
                f"expected {name} = {getattr(method, name)!r} in the settings, as the method has, "
                f"got {value!r}; pass it to both"
            )
    for name, unset in (("correction", "holm"), ("budget", None)):
        if name not in own and settings.get(name, unset) != unset:
            raise InputError(
                f"expected no {name} with {method.title}, got {settings[name]!r}; it has none"
            )
    return method


def method_of(settings: Mapping[str, Any]) -> Method:
    """The method that a run's settings ask for, with its parameters.

    settings: the fields of ``runs.settings.Settings``, stopping as a mapping. Raises InputError
    for several methods at once, and for options that the method would ignore.
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
