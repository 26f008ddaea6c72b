"""The paper's synthetic study (section 6.1): certified share by gamma and by N."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from certiseg.certifiers.segcertify import checked_budget
from certiseg.errors import InputError
from certiseg.studies import methods, toy
from certiseg.studies.methods import Outcome
from certiseg.studies.names import (
    BONFERRONI,
    HOLM,
    INDIVIDUAL,
    JOINT,
    RADIUS_MAP,
    STOPPING,
    k_fwer_name,
    pooled_name,
)
from certiseg.studies.stopping import early_stopping
from certiseg.studies.toy import Toy


@dataclass(frozen=True)
class Scenario:
    """One sweep over toy models.

    selection (n0), trials (n): numbers of selection and testing draws; pooled methods use n0 + n.
    budgets, pooled_budgets: error budgets of k-FWER with split and pooled selection, numbers or
    fractions of N (theory T5).
    """

    name: str
    toys: tuple[Toy, ...]
    selection: int
    trials: int
    tau: float
    alpha: float
    budgets: tuple[int | float, ...]
    pooled_budgets: tuple[int | float, ...]

    @property
    def draws(self) -> int:
        """Total number of draws that each method may use."""
        return self.selection + self.trials


@dataclass(frozen=True)
class Measured:
    """One method on one toy model, over all repetitions.

    budget: k, which allows k - 1 false components. draws: maximum, selection included; mean_draws:
    number used. share, standard_error: mean certified share (at any radius for JointClass,
    IndivClass and the radius map). share_at_radius: mean share certified at R(tau) or more. error:
    share of repetitions with at least k false certificates, guaranteed to be at most alpha. radius:
    mean over all components in units of sigma, counting abstentions as 0.
    """

    scenario: str
    gamma: float
    components: int
    method: str
    budget: int
    draws: int
    mean_draws: float
    share: float
    standard_error: float
    share_at_radius: float
    error: float
    radius: float


def over_noise(quick: bool = False) -> Scenario:
    """N = 100, gamma from 0 to below 0.1."""
    steps = range(0, 20, 4) if quick else range(20)
    return Scenario(
        name="gamma",
        toys=tuple(Toy(100, step / 200) for step in steps),
        selection=100,
        trials=100,
        tau=0.75,
        alpha=0.001,
        budgets=(2, 3, 5),
        pooled_budgets=(2,),
    )


def over_size(quick: bool = False) -> Scenario:
    """gamma = 0.05, N from 100 to 1 000 000."""
    factors = (1,) if quick else (1, 2, 5)
    sizes = sorted({min(f * 10**e, 10**6) for e in range(2, 7) for f in factors})
    return Scenario(
        name="components",
        toys=tuple(Toy(size, 0.05) for size in sizes),
        selection=1000,
        trials=1000,
        tau=0.9,
        alpha=0.1,
        budgets=(2, 3, 5, 0.001, 0.01),
        pooled_budgets=(0.001, 0.01),
    )


def check_simulation(repetitions: int, seed: int) -> None:
    """Raise InputError for fewer than 2 repetitions or a negative seed."""
    if repetitions < 2 or seed < 0:
        raise InputError(
            f"expected at least 2 repetitions and a seed >= 0, got {repetitions} and {seed}; "
            "the paper has 600 repetitions"
        )


def simulate(scenario: Scenario, repetitions: int, seed: int) -> Iterator[list[Measured]]:
    """Yield the results of all methods for each toy model of the sweep.

    Each toy model and each kind of draws has its own random stream. Raises InputError as
    ``check_simulation`` does.
    """
    check_simulation(repetitions, seed)
    for model in scenario.toys:
        # Seeded by its values, so that a point is the same in a shorter sweep.
        entropy = [seed, model.components, round(model.gamma * 10**6), scenario.draws]
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(entropy).spawn(4)]
        yield [
            _measured(scenario, model, name, budget, outcome)
            for name, budget, outcome in _outcomes(scenario, model, repetitions, streams)
        ]


def _outcomes(
    scenario: Scenario, model: Toy, repetitions: int, streams: list[np.random.Generator]
) -> Iterator[tuple[str, int, Outcome]]:
    """Yield (method, budget k, outcome). Methods with the same selection share votes."""
    test: dict[str, Any] = {"tau": scenario.tau, "alpha": scenario.alpha, "draws": scenario.draws}
    stages = (scenario.selection, scenario.trials)
    yield JOINT, 1, methods.joint(model, *stages, repetitions, streams[0], **test)
    tested = toy.split(model, *stages, repetitions, streams[1])
    yield INDIVIDUAL, 1, methods.individual(tested, **test)
    yield BONFERRONI, 1, methods.bonferroni(tested, **test)
    yield HOLM, 1, methods.step_down(tested, budget=1, pooled=False, **test)
    for budget in scenario.budgets:
        k = checked_budget(budget, model.components)
        outcome = methods.step_down(tested, budget=k, pooled=False, **test)
        yield k_fwer_name(budget), k, outcome
    tested = toy.pooled(model, scenario.draws, repetitions, streams[2])
    yield pooled_name(HOLM), 1, methods.step_down(tested, budget=1, pooled=True, **test)
    for budget in scenario.pooled_budgets:
        k = checked_budget(budget, model.components)
        outcome = methods.step_down(tested, budget=k, pooled=True, **test)
        yield pooled_name(k_fwer_name(budget)), k, outcome
    yield RADIUS_MAP, 1, methods.radius_map(tested, **test)
    yield STOPPING, 1, early_stopping(model, repetitions, streams[3], **test)


def _measured(scenario: Scenario, model: Toy, name: str, budget: int, outcome: Outcome) -> Measured:
    return Measured(
        scenario=scenario.name,
        gamma=model.gamma,
        components=model.components,
        method=name,
        budget=budget,
        draws=scenario.draws,
        mean_draws=float(outcome.draws.mean()),
        share=float(outcome.share.mean()),
        standard_error=float(outcome.share.std(ddof=1) / np.sqrt(len(outcome.share))),
        share_at_radius=float(outcome.share_at_radius.mean()),
        error=float((outcome.false >= budget).mean()),
        radius=float(outcome.radius.mean()),
    )
