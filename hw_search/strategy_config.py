"""Fields of the configuration's section `search` that decide which candidates are evaluated, and how often."""

from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from zerocross.hw_search.choice import MOST_SEED
from zerocross.models.errors import shown

MOST_GENERATIONS = 100_000


class RungConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """A short training, whose learning rate decays over its own length."""

    epochs: float = Field(
        1.0, description="Share of training.epochs, above 0 to 1, rounded to at least one epoch."
    )
    data: float = Field(
        1.0,
        description="Share of the training samples, drawn class by class. The validation samples are always the same.",
    )

    @field_validator("epochs", "data")
    @classmethod
    def _is_share(cls, value: float) -> float:
        if not 0 < value <= 1:
            raise ValueError("it is a share of the whole training, above 0 and at most 1: 0.5 is half")
        return value


def rung_epochs(rung: RungConfig, epochs: int) -> int:
    """Return the epochs of a rung of a training of so many epochs."""
    return max(1, round(rung.epochs * epochs))


class StrategyConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
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
    population: int = Field(
        24, ge=2, le=10_000, description="Candidates per generation (gaaf: in the population)."
    )
    generations: int | None = Field(
        8,
        ge=1,
        le=MOST_GENERATIONS,
        description="Generations, including the first one (differentiable: mixtures for each price weight). Exhaustive "
        "search ignores it. null: as many as fit into budget_minutes, which is also the default beside a budget.",
    )
    budget_minutes: float | None = Field(
        None,
        gt=0,
        le=10_000_000,
        description="Minutes of the whole search, final trainings included, over all its resumptions. The last generation, "
        "and if necessary the final trainings, are cut to what fits; four candidates are always evaluated. The run records "
        "what was cut, and the same command repeats exactly this. A larger budget goes on from there; the final trainings "
        "of the smaller one do not count for it. Beside generations, the smaller of the two counts. null: "
        "no limit.",
    )
    children: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Candidates per later generation. null: as many as population (surrogate: 8, gaaf: 10). Random search "
        "ignores it.",
    )
    seeds: int = Field(
        1,
        ge=1,
        le=1000,
        description="Trainings per candidate, whose errors are averaged. More of them reduce noise.",
    )
    rungs: list[RungConfig] = Field(
        default_factory=list,
        description="Short trainings with one seed, each longer than the last, such as `[{epochs: 0.25}, {epochs: 0.5}]` "
        "(successive halving). The better candidates of each rung go on, the last ones to the whole training with all "
        "seeds. Plain signs skip the rungs. []: every candidate trains in full.",
    )
    keep: float = Field(0.5, gt=0, le=1, description="Share of candidates that each rung lets go on.")
    audit: int = Field(
        6,
        ge=0,
        le=10_000,
        description="Number of stopped candidates, drawn at random, that train in full all the same, at the end of the "
        "search. They show how well the rungs rank, and may join the front (rungs).",
    )
    give_up: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the epochs after which a training ends if it is at chance, on training and validation "
        "samples; not before 200 steps. The candidate has then failed. 1: never.",
    )
    start_from: list[str] = Field(
        default_factory=list,
        description="Folders of other runs, whose fronts begin the first population, as far as this space contains their "
        "networks. At most half of the population (surrogate, nsga2).",
    )
    mutation: float = Field(0.25, gt=0, le=1, description="Probability that a gene is redrawn (nsga2).")
    seed: int = Field(0, ge=0, le=MOST_SEED, description="Seed of all random choices of the search.")

    @model_validator(mode="before")
    @classmethod
    def _budget_replaces_generations(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("budget_minutes") is not None:
            return {"generations": None, **content}
        return content

    @model_validator(mode="after")
    def _ends(self) -> "StrategyConfig":
        if self.generations is None and self.budget_minutes is None and self.strategy != "exhaustive":
            raise ValueError("give generations, budget_minutes or both")
        if self.budget_minutes is not None and self.strategy == "differentiable":
            raise ValueError(
                "budget_minutes: the strategy differentiable trains all its mixtures in one generation, which no budget "
                "ends: give generations"
            )
        return self

    @model_validator(mode="after")
    def _starts_from_fronts(self) -> "StrategyConfig":
        if self.start_from and self.strategy not in ("surrogate", "nsga2"):
            raise ValueError(
                f"start_from: the strategy {self.strategy} does not start from earlier fronts: use surrogate or nsga2"
            )
        return self

    @property
    def most_generations(self) -> int:
        """Most generations, with or without a budget."""
        return self.generations or MOST_GENERATIONS

    @model_validator(mode="before")
    @classmethod
    def _first_look_is_a_rung(cls, content: Any) -> Any:
        """Read `first_look: s`, an earlier form of `rungs: [{epochs: s}]`."""
        if not isinstance(content, dict) or "first_look" not in content:
            return content
        content = dict(content)
        share = content.pop("first_look")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise ValueError(
                f"first_look must be a share of the epochs, at least 0 and below 1, found {shown(share)}"
            )
        if share and content.get("rungs"):
            raise ValueError(
                f"first_look: {share:g} means rungs: [{{epochs: {share:g}}}], but rungs are given too: remove first_look"
            )
        if share:
            content["rungs"] = [{"epochs": share}]
        return content
