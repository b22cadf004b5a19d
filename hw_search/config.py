"""The configuration: one YAML file, checked field by field.

Each section is beside the code that it configures; this file combines them. Any value of `topology`, and every field of type
`Choice` in `folding` and `training`, may be written `{choose: [a, b, c]}`, and is then a gene of the search.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

from zerocross.hw_search.choice import MOST_EPOCHS, ONE, SEVERAL, TAGS, Nested, alternatives
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.config import ExecutionConfig, FinalConfig, TrainingConfig
from zerocross.hw_search.pricing_config import ConstraintConfig, DeviceConfig
from zerocross.hw_search.space_config import ActivationConfig, FoldingConfig
from zerocross.hw_search.strategy_config import StrategyConfig, rung_epochs
from zerocross.hw_search.yaml_text import read_yaml
from zerocross.hw_search.zoo import is_zoo
from zerocross.models.data_config import DataConfig
from zerocross.models.errors import nearest, shown
from zerocross.reports.metrics import OBJECTIVES


def _known(name: str) -> str:
    if name not in OBJECTIVES:
        raise ValueError(f"must be one of {', '.join(OBJECTIVES)}")
    return name


Objective = Annotated[str, AfterValidator(_known)]
"""The name of a metric that a search may minimise."""


_DEEPEST = 64


class SearchConfig(ExecutionConfig, StrategyConfig, extra="forbid", frozen=True):
    """How to search."""


class BuildConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Builds that `zerocross run` makes after the search."""

    targets: list[str] = Field(
        default_factory=lambda: ["ulx3s-85f"],
        description="Boards or parts, one build each. `zerocross doctor --parts` lists them.",
    )
    pick: str = Field(
        "knee",
        description="The network of the front to build: `knee`, `best` (lowest error), `smallest` (fewest LUTs), `searched` "
        "(the best that is not a plain sign), or an id.",
    )
    clock_mhz: float | None = Field(
        None, gt=0, le=1000, description="Clock of the design, MHz. null: each board's own clock."
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=MOST_EPOCHS,
        description="Epochs of a new training of the network. null: use the weights of the run.",
    )
    images: int = Field(
        1000,
        ge=1,
        le=10_000_000,
        description="Number of test images to run through every form of the network, at most.",
    )


NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Pattern of the name of a run, or of an entry of the zoo."""


class Config(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """One search."""

    name: str = Field(description="Name of the run, and of its folder in `output`.", pattern=NAME)
    output: str = Field("runs", description="Folder of all runs, relative to the working directory.")
    plugins: list[str] = Field(
        default_factory=list,
        description="Python files or modules that register your own topologies and operations. They are imported first.",
    )
    data: DataConfig = Field(default_factory=DataConfig)  # type: ignore[arg-type]
    activation: ActivationConfig = Field(default_factory=ActivationConfig)  # type: ignore[arg-type]
    topology: dict[str, Nested] = Field(
        description="`name` of a topology (mlp, tfc, sfc, lfc, cnv, resnete, bireal, reactnet_resnet, "
        "reactnet_mobilenet, nasb or your own) and its parameters."
    )
    folding: FoldingConfig
    device: DeviceConfig = Field(default_factory=DeviceConfig)  # type: ignore[arg-type]
    training: TrainingConfig = Field(default_factory=TrainingConfig)  # type: ignore[arg-type]
    objectives: list[Objective] = Field(
        default=["error", "lut"],
        description=f"Metrics to minimise, each one of {', '.join(OBJECTIVES)}.",
    )
    cost_model: Literal["zerocross", "finn"] = Field(
        "zerocross", description="Cost model that the search minimises. The run stores both."
    )
    constraints: ConstraintConfig = Field(default_factory=ConstraintConfig)  # type: ignore[arg-type]
    search: SearchConfig = Field(default_factory=SearchConfig)  # type: ignore[arg-type]
    final: FinalConfig = Field(default_factory=FinalConfig)  # type: ignore[arg-type]
    build: BuildConfig = Field(default_factory=BuildConfig)  # type: ignore[arg-type]

    @field_validator("objectives")
    @classmethod
    def _distinct(cls, value: list[str]) -> list[str]:
        if not value or len(set(value)) != len(value):
            raise ValueError("name at least one objective, each once")
        return value

    @model_validator(mode="after")
    def _gaaf_needs_the_error(self) -> "Config":
        if self.search.strategy == "gaaf" and self.objectives[0] != "error":
            raise ValueError("search.strategy gaaf minimises the error alone: put error first in objectives")
        return self

    @model_validator(mode="after")
    def _cuda_needs_a_gpu(self) -> "Config":
        search = self.search
        if search.executor == "ray" and self.training.device == "cuda" and not search.worker_gpus:
            raise ValueError(
                "training.device cuda on Ray: give each worker GPUs, such as search.worker_gpus 0.25"
            )
        return self

    @model_validator(mode="after")
    def _rungs_grow(self) -> "Config":
        rungs = self.search.rungs
        for epochs in alternatives(self.training.epochs) if rungs else []:
            passes = [rung_epochs(rung, epochs) * rung.data for rung in rungs]
            for index, (rung, own, later) in enumerate(
                zip(rungs, passes, [*passes[1:], epochs], strict=True)
            ):
                if own >= later:
                    after = "the whole training" if index == len(rungs) - 1 else "the next rung"
                    raise ValueError(
                        f"search.rungs[{index}]: {rung.epochs:g} of {epochs} epochs on {rung.data:.0%} of the samples is no "
                        f"shorter than {after}: give more epochs, a smaller share, or no such rung"
                    )
        return self

    @field_validator("topology")
    @classmethod
    def _named(cls, value: dict[str, Nested]) -> dict[str, Nested]:
        if not all(isinstance(name, str) for name in alternatives(value.get("name"))):
            raise ValueError("topology needs a name, such as mlp or cnv, or {choose: [...]} of such")
        return value


def load_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: a YAML file, or `zoo:NAME` for the configuration of a network of the zoo.
        overrides: values by dotted path, such as {"search.seed": 3}, that replace the file's.

    Raises:
        UserError: if it cannot be read, is not YAML, or a field is unknown or wrong; the message names the field
            and, for an unknown one, the nearest that exists.
    """
    path = Path(path)
    try:
        content = (
            _of_the_zoo(path) if is_zoo(path) else read_yaml(path.read_text(encoding="utf-8"), str(path))
        )
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must be a mapping of fields such as name, data and topology")
    for key, value in (overrides or {}).items():
        section = content
        *parents, last = key.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise UserError(f"{key}: {parent!r} in {path} is not a section")
        section[last] = value
    config = make_config(content, str(path))
    return _with_paths(config, Path() if is_zoo(path) else path.parent)


def _of_the_zoo(name: Path) -> dict[str, Any]:
    from zerocross.hw_search.zoo.collection import find  # it imports torch

    return find(name).config


def make_config(content: dict[str, Any], source: str = "configuration") -> Config:
    """Check a configuration given as a mapping; see `load_config`."""
    _check_numbers(content, source, ())
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise UserError("\n".join(f"{source}: {line}" for line in _messages(error))) from None


def _check_numbers(value: Any, source: str, place: tuple[str | int, ...]) -> None:
    """Check that all numbers are finite, and that integers have at most 64 bits."""
    path = ".".join(map(str, place))
    if len(place) > _DEEPEST:
        raise UserError(f"{source}: {shown(path)} is nested too deeply")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{source}: {path} must be a finite number, found {value}")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise UserError(f"{source}: {path} must be an integer of at most 64 bits, found {shown(value)}")
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        _check_numbers(each, source, (*place, key))


def _messages(error: ValidationError) -> Iterator[str]:
    for entry in error.errors():
        # Pydantic names the form of a value too, and `choose` between the field and the place among its values.
        places = list(zip(entry["loc"], (None, *entry["loc"]), strict=False))
        place = [
            str(part) for part, before in places if part not in TAGS and (before, part) != (SEVERAL, "choose")
        ]
        path, chosen = ".".join(place), SEVERAL in entry["loc"]
        if entry["type"] == "extra_forbidden":
            section: Any = Config
            for part in place[:-1]:
                if part in section.model_fields:  # otherwise a place in a list
                    annotation = section.model_fields[part].annotation
                    section = next(iter(get_args(annotation)), annotation)
            yield f"unknown field {path!r}: {nearest(place[-1], section.model_fields)}"
        elif entry["type"] == "missing":
            yield f"the field {path!r} is missing"
        elif chosen and entry["type"] == "unexpected_keyword_argument":
            yield f"{'.'.join(place[:-1])}: choose must stand alone, found {place[-1]!r} beside it"
        elif chosen and entry["type"] in ("too_short", "list_type"):
            yield f"{path}: choose needs a list with at least one value, found {shown(entry['input'])}"
        else:
            message = entry["msg"].removeprefix("Value error, ")
            if ONE in entry["loc"]:
                message += ", or {choose: [...]} of such"
            found = entry["input"]
            yield f"{path}: {message}".removeprefix(": ") + (
                f", found {shown(found)}" if not isinstance(found, dict | BaseModel) else ""
            )


def _with_paths(config: Config, folder: Path) -> Config:
    """Make an .npz data set and plugin files relative to the configuration's own folder absolute."""
    update: dict[str, Any] = {"output": str(Path(config.output).expanduser())}
    name = config.data.name
    if name.startswith("~"):
        name = str(Path(name).expanduser())
        update["data"] = config.data.model_copy(update={"name": name})
    if name.endswith(".npz") and not Path(name).is_absolute():
        update["data"] = config.data.model_copy(update={"name": str((folder / name).resolve())})
    start = config.training.start_from
    if start is not None and not is_zoo(start):  # workers may have another working directory
        update["training"] = config.training.model_copy(
            update={"start_from": str(Path(start).expanduser().resolve())}
        )
    if config.search.start_from:
        folders = [str(Path(folder).expanduser().resolve()) for folder in config.search.start_from]
        update["search"] = config.search.model_copy(update={"start_from": folders})
    update["plugins"] = [
        str((folder / Path(plugin).expanduser()).resolve()) if plugin.endswith(".py") else plugin
        for plugin in config.plugins
    ]
    return config.model_copy(update=update)
