"""Fields of the configuration's section `search` that decide which candidates are evaluated, and how often."""

from typing import Literal

from pydantic import BaseModel, Field


class StrategyConfig(BaseModel, extra="forbid", frozen=True):
    """Candidates to evaluate."""

    strategy: Literal["surrogate", "nsga2", "gaaf", "random", "exhaustive", "differentiable"] = Field(
        "surrogate",
        description="`surrogate`: a model predicts a candidate's worth from its activation's behaviour and operations. "
        "`nsga2`: NSGA-II. `gaaf`: the paper's genetic algorithm, which minimises the first objective only. `random`. "
        "`exhaustive`. `differentiable`: NASB's search, which trains mixtures of topology nasb's operations and evaluates "
        "their choices.",
    )
    price_weights: list[float] = Field(
        default_factory=lambda: [0.0, 0.1, 0.3],
        min_length=1,
        description="Weights of the expected hardware price in the loss, beside the cross entropy; one mixture for each "
        "(differentiable).",
    )
    population: int = Field(24, ge=2, description="Candidates per generation (gaaf: in the population).")
    generations: int = Field(
        8,
        ge=1,
        description="Generations, including the first one (differentiable: mixtures for each price weight). Exhaustive "
        "search ignores it.",
    )
    children: int | None = Field(
        None,
        ge=1,
        description="Candidates per later generation. null: as many as population (surrogate: 8, gaaf: 10). Random search "
        "ignores it.",
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
        description="Share of the epochs for a first evaluation round, in which each candidate trains with one seed. Only "
        "the better candidates then train for all epochs and seeds (successive halving with one rung). 0: no first "
        "evaluation round.",
    )
    keep: float = Field(
        0.5, gt=0, le=1, description="Share of candidates that continue after the first evaluation round."
    )
    mutation: float = Field(0.25, gt=0, le=1, description="Probability that a gene is redrawn (nsga2).")
    seed: int = Field(0, ge=0, description="Seed of all random choices of the search.")
