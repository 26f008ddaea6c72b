"""One image certified by the method that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.adaptive import adaptive, levels_from_margins, softmax_margins
from certiseg.certifiers.hierarchical import hierarchical
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.segcertify import certify
from certiseg.runs.settings import Settings
from certiseg.sampling.experiment import DrawSource, LabelCallback
from certiseg.sampling.sampler import Smoothed
from certiseg.votes import VoteCounts


def certify_image(
    smoothed: Smoothed,
    image: NDArray[np.float32],
    settings: Settings,
    *,
    progress: Callable[[int], None],
    watch: LabelCallback | None = None,
) -> Certificate:
    """The certificate of one image (C, H, W). progress: called with the number of draws just done.

    watch: called with the labels of each batch of draws. Settings are taken as checked.
    """
    drawing: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "progress": progress,
        "watch": watch,
    }
    if settings.method == "segcertify":
        return smoothed.certify(
            image,
            settings.num_samples,
            settings.tau,
            settings.alpha,
            correction=settings.correction,
            budget=settings.budget,
            selection=settings.selection,
            selection_samples=settings.selection_samples,
            **drawing,
        )
    if settings.method == "sequential":
        return smoothed.certify_sequentially(
            image, settings.num_samples, **settings.sequential(), **drawing
        )
    if settings.method == "adaptive":
        return _adaptive(smoothed.source(image, **drawing), settings)
    return certify_votes(smoothed.vote(image, settings.num_samples, **drawing), None, settings)


def draws_are_fixed(settings: Settings) -> bool:
    """Whether votes of all draws, in whatever parts they were made, are all that a certificate
    needs: not where looks at the votes decide on more draws, nor where more is asked of the
    model than votes (AdaptiveCertify's margins)."""
    return settings.method in ("segcertify", "radius_map", "hierarchical")


def certify_votes(
    votes: VoteCounts, selection_votes: VoteCounts | None, settings: Settings
) -> Certificate:
    """The certificate of an image of which all draws were made, by a method with fixed draws."""
    assert draws_are_fixed(settings)
    options: dict[str, Any] = {"noise": settings.noise, "alpha": settings.alpha}
    if settings.method == "radius_map":
        return radius_map(votes, **options)
    options |= {
        "tau": settings.tau,
        "correction": settings.correction,
        "budget": settings.budget,
    }
    if settings.method == "segcertify":
        return certify(votes, selection_votes=selection_votes, **options)
    assert settings.hierarchy is not None
    return hierarchical(votes, hierarchy=settings.hierarchy, **options)


def _adaptive(source: DrawSource, settings: Settings) -> Certificate:
    """AdaptiveCertify: the first draws choose levels and nodes, the next ones test."""
    assert settings.hierarchy is not None
    assert settings.thresholds is not None
    selection_votes, posterior = source.select(settings.selection_samples)
    votes = source.more(settings.num_samples)
    margins = softmax_margins(posterior)
    return adaptive(
        votes,
        noise=settings.noise,
        tau=settings.tau,
        alpha=settings.alpha,
        hierarchy=settings.hierarchy,
        selection_votes=selection_votes,
        levels=levels_from_margins(margins, settings.thresholds, settings.hierarchy),
        correction=settings.correction,
    )
