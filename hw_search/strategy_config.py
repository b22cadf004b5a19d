"""Those fields of the configuration's section `search` that say who is evaluated next, and how often."""

from typing import Literal

from pydantic import BaseModel, Field


class StrategyConfig(BaseModel, extra="forbid", frozen=True):
    """Who is evaluated next."""

    strategy: Literal["surrogate", "nsga2", "gaaf", "random", "exhaustive", "differentiable"] = Field(
        "surrogate",
        description="`surrogate`, led by a model of what activations do and are made of; `nsga2`; `gaaf`, the paper's "
        "genetic algorithm, on the first objective alone; `random`; `exhaustive`; `differentiable`, NASB's: mixtures of "
        "topology nasb's operations are trained, and what they choose is evaluated.",
    )
    price_weights: list[float] = Field(
        default_factory=lambda: [0.0, 0.1, 0.3],
        min_length=1,
        description="Weights of the expected hardware price beside the cross entropy, one mixture each (differentiable).",
    )
    population: int = Field(24, ge=2, description="Candidates of a generation (of gaaf: of its population).")
    generations: int = Field(
        8,
        ge=1,
        description="Generations, the first one included; mixtures of each price weight (differentiable). Exhaustive search "
        "ignores it.",
    )
    children: int | None = Field(
        None,
        ge=1,
        description="Candidates of each later generation; null takes as many as population (surrogate: 8, gaaf: 10). Random "
        "search ignores it.",
    )
    seeds: int = Field(
        1,
        ge=1,
        description="Trainings per candidate, whose errors are averaged. More of them reduce noise.",
    )
    first_look: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the epochs of a first, short training of each candidate, with one seed; only the better "
        "candidates are then trained for all epochs and seeds (successive halving with one rung). 0: no first training.",
    )
    keep: float = Field(
        0.5, gt=0, le=1, description="Share of candidates that are trained on after their first look."
    )
    mutation: float = Field(0.25, gt=0, le=1, description="Chance of each gene to be drawn anew (nsga2).")
    seed: int = Field(0, ge=0, description="Decides everything random.")
