"""The configuration: one YAML file, checked field by field.

Any value of `topology`, the targets (or pe and simd) of `folding`, and epochs, batch_size, learning_rate, method and nu
of `training` may be one of several: written `{choose: [a, b, c]}` it becomes a gene of the search.
"""

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zerocross.hw_search.errors import UserError
from zerocross.models.errors import nearest

CHOOSE = "choose"

Objective = Literal["error", "lut", "bram", "dsp", "latency", "ii"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Section):
    """What to learn from."""

    name: str = Field(
        "digits",
        description="`digits` (built in), `mnist`, `fashion_mnist`, `cifar10`, `cifar100` (downloaded by torchvision), "
        "or the path of an .npz file with x_train, y_train, x_test, y_test (relative to the configuration's folder).",
    )
    validation: float = Field(
        0.2, gt=0, lt=1, description="Share of the training data held out; it drives the search."
    )
    split_seed: int = Field(0, ge=0, description="Which samples are held out.")
    limit: int | None = Field(
        None,
        gt=0,
        description="Use only so many training samples, validation included; all where it is null.",
    )
    root: str = Field(
        "data", description="Folder of torchvision's downloads, relative to where the command is given."
    )


class ActivationConfig(_Section):
    """The space of activations."""

    encoding: Literal["pair", "nested", "tree", "list"] = Field(
        "pair",
        description="`pair`: b(u1(x), u2(x)). `nested`: b2(u3(p), u4(x)) with p = b1(u1(x), u2(x)). `tree`: a full binary "
        "tree of `depth`. `list`: the `expressions` alone.",
    )
    unary: list[str] | None = Field(
        None, description="Unary operations allowed; all 22 where it is null. A user's own may be named too."
    )
    binary: list[str] | None = Field(None, description="Binary operations allowed; all 11 where it is null.")
    depth: int = Field(2, ge=1, le=5, description="Depth of `tree`.")
    expressions: list[str] = Field(
        default_factory=lambda: ["sign", "rsign", "sine", "cosine", "sine_linear", "swish"],
        description="Expressions or presets: all there is to choose from with `list`; with the other encodings the ones "
        "the first population starts with, where the encoding can write them.",
    )
    per_layer: bool = Field(
        False, description="One activation for each layer instead of one for the network."
    )


class FoldingConfig(_Section):
    """How parallel the hardware is: either a target, met as cheaply as possible, or PE and SIMD themselves."""

    target_cycles: Any = Field(
        None, description="Most cycles an image may take in any node (the initiation interval)."
    )
    target_fps: Any = Field(
        None, description="Least frames a second at the device's clock, instead of target_cycles."
    )
    pe: Any = Field(None, description="PE of every layer, with simd, instead of a target.")
    simd: Any = Field(None, description="SIMD of every layer.")
    max_pe: int = Field(128, ge=1, description="Most processing elements of a layer.")
    max_simd: int = Field(128, ge=1, description="Most inputs of a layer a cycle.")

    @model_validator(mode="after")
    def _one_way(self) -> "FoldingConfig":
        ways = [self.target_cycles is not None, self.target_fps is not None, self.pe is not None]
        if sum(ways) != 1 or (self.pe is None) != (self.simd is None):
            raise ValueError("give exactly one of target_cycles, target_fps, or pe together with simd")
        for name in ("target_cycles", "target_fps", "pe", "simd"):
            given = getattr(self, name)
            if given is not None and not all(_positive(value) for value in alternatives(given)):
                raise ValueError(
                    f"{name} must be a positive number, or {{choose: [...]}} of such, not {given!r}"
                )
        return self


class DeviceConfig(_Section):
    """What the hardware must fit."""

    part: str = Field("xc7z020", description="A part or board; `zerocross doctor --parts` lists them.")
    clock_mhz: float = Field(100.0, gt=0, le=1000, description="Clock, MHz.")


class TrainingConfig(_Section):
    """How each candidate is trained during the search."""

    epochs: Any = Field(20, description="Passes over the training data.")
    batch_size: Any = Field(64, description="Samples a step.")
    learning_rate: Any = Field(5e-3, description="Of the first step; it falls along half a cosine.")
    augment: Literal["none", "flip", "crop_flip"] = Field(
        "none", description="Augmentation of images: none, left-right flips, or flips and shifts."
    )
    method: Any = Field(
        "straight_through",
        description="`straight_through` trains signs by their straight-through gradient; `self_binarizing` puts tanh(nu x) "
        "in their place, nu growing step by step, and signs at the end (Self-Binarizing Networks).",
    )
    nu_start: Any = Field(1.0, description="nu of self_binarizing's first step.")
    nu_end: Any = Field(1000.0, description="nu of its last step.")
    nu_shape: Any = Field(
        "geometric", description="How nu grows: `geometric`, by the same factor every step, or `linear`."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to train; auto takes a GPU if there is one."
    )

    @model_validator(mode="after")
    def _names(self) -> "TrainingConfig":
        for name, known in (
            ("method", ("straight_through", "self_binarizing")),
            ("nu_shape", ("geometric", "linear")),
        ):
            for value in alternatives(getattr(self, name)):
                if value not in known:
                    raise ValueError(f"{name} {value!r}: {nearest(str(value), known)}")
        for start, end in itertools.product(alternatives(self.nu_start), alternatives(self.nu_end)):
            if not (_positive(start) and _positive(end) and start <= end):
                raise ValueError(
                    f"nu must grow from nu_start above 0 to nu_end, not from {start!r} to {end!r}"
                )
        return self

    @model_validator(mode="after")
    def _numbers(self) -> "TrainingConfig":
        for name in ("epochs", "batch_size", "learning_rate"):
            given = getattr(self, name)
            whole = name != "learning_rate"
            if not all(_positive(value, whole) for value in alternatives(given)):
                kind = "integer" if whole else "number"
                raise ValueError(
                    f"{name} must be a positive {kind}, or {{choose: [...]}} of such, not {given!r}"
                )
        return self

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _exponents(cls, value: Any) -> Any:
        """YAML 1.1 reads 5e-3, without a point, as text."""
        if is_choice(value):
            return {CHOOSE: [_number(entry) for entry in alternatives(value)]}
        return _number(value)


class ConstraintConfig(_Section):
    """What a network must keep to; the others are left out of the front."""

    fit: bool = Field(True, description="It must fit the part's LUT, BRAM and DSP.")
    min_fps: float | None = Field(None, gt=0, description="Least frames a second.")
    max_latency: int | None = Field(None, gt=0, description="Most cycles from first input to class.")
    max_accuracy_loss: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Most validation accuracy lost against the plain sign of the same topology, 0..1.",
    )
    max_crossings: int | None = Field(
        None, ge=1, description="Most crossings of any channel of an activation ahead of a sign."
    )


class SearchConfig(_Section):
    """How to search."""

    strategy: Literal["surrogate", "nsga2", "gaaf", "random", "exhaustive", "differentiable"] = Field(
        "surrogate",
        description="`surrogate`, led by a model of what activations do and are made of; `nsga2`; `gaaf`, the paper's "
        "genetic algorithm, on the first objective alone; `random`; `exhaustive`; `differentiable`, NASB's: mixtures of "
        "topology nasb's operations are trained, and what they choose is evaluated.",
    )
    price_weights: list[float] = Field(
        default_factory=lambda: [0.0, 0.1, 0.3],
        min_length=1,
        description="Of the expected hardware price beside the cross entropy, one mixture each (differentiable).",
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
        description="Candidates of each later generation; as many as population where null (surrogate: 8, gaaf: 10). "
        "Random search ignores it.",
    )
    seeds: int = Field(
        1,
        ge=1,
        description="Seeds each candidate is trained with; its error is their mean. More tell luck from merit.",
    )
    first_look: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the epochs of a first look at each candidate, with one seed; only those that look well are "
        "trained for all epochs and seeds (successive halving with one rung). 0: no such look.",
    )
    keep: float = Field(
        0.5, gt=0, le=1, description="Share of first looks after which a candidate is trained on."
    )
    mutation: float = Field(0.25, gt=0, le=1, description="Chance of each gene to be drawn anew (nsga2).")
    seed: int = Field(0, ge=0, description="Decides everything random.")
    executor: Literal["local", "ray"] = Field(
        "local",
        description="Where networks are trained: `local`, in worker processes on this machine; `ray`, on a Ray cluster (see "
        "docs/cluster.md).",
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="Worker processes; one for each core where it is null, two that share a GPU. On Ray: most trainings at "
        "a time; where it is null as many as there is room for.",
    )
    stack: int | None = Field(
        None,
        ge=1,
        description="Networks of one topology that a worker trains at once; as many as pay where it is null. A GPU takes up "
        "to 256: only a population (or children) of hundreds fills it.",
    )
    worker_memory_gb: float | None = Field(
        None,
        gt=0,
        description="Memory a worker may address; one that needs more fails its evaluation. Not for a GPU, whose driver "
        "addresses far more. On Ray: memory set aside for each worker.",
    )
    worker_cpus: float = Field(
        1.0, gt=0, description="CPUs set aside for each worker, which trains in one thread (ray)."
    )
    worker_gpus: float = Field(
        0.0,
        ge=0,
        description="GPUs set aside for each worker; 0.25 lets four share one. With 0 they train on the CPU (ray).",
    )
    ray_address: str | None = Field(
        None,
        description="The cluster: `auto` for the one this machine is in, or ip:port of its head. Where it is null a Ray of "
        "its own is started on this machine, and stopped at the end (ray).",
    )

    @field_validator("worker_gpus")
    @classmethod
    def _shared_or_whole(cls, value: float) -> float:
        if value > 1 and not value.is_integer():
            raise ValueError("give a share of one GPU, such as 0.25, or whole GPUs")
        return value

    @field_validator("ray_address")
    @classmethod
    def _known_form(cls, value: str | None) -> str | None:
        if value not in (None, "auto") and not re.fullmatch(r"[^/]+:\d{1,5}", value or ""):
            raise ValueError(
                "give auto, or the ip:port that `ray start --head` printed, such as 10.0.0.1:6379"
            )
        return value


class FinalConfig(_Section):
    """What is done with the front at the end."""

    seeds: int = Field(
        5, ge=1, description="Seeds each network of the front is trained with before it is tested."
    )
    epochs: int | None = Field(None, ge=1, description="Epochs of these; as in the search where it is null.")
    networks: int | None = Field(
        None, ge=1, description="Most networks to do this for, spread over the front; all where it is null."
    )


class BuildConfig(_Section):
    """What `zerocross run` builds when the search is done."""

    targets: list[str] = Field(
        default_factory=lambda: ["ulx3s-85f"],
        description="Boards or parts, one build each; `zerocross doctor --parts` lists them.",
    )
    pick: str = Field(
        "knee",
        description="The network to build, of the front: `knee`, `best` (least error), `smallest` (fewest LUTs), `searched` "
        "(the best that is no plain sign), or an id.",
    )
    clock_mhz: float | None = Field(
        None, gt=0, le=1000, description="The design's clock; each board's own where it is null."
    )
    epochs: int | None = Field(
        None, ge=1, description="Train the network anew for so long; the run's own weights where it is null."
    )
    images: int = Field(1000, ge=1, description="Test images run through every form of the network, at most.")


class Config(_Section):
    """One search."""

    name: str = Field(description="The run's folder under `output`.", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    output: str = Field("runs", description="Folder of all runs, relative to where the command is given.")
    plugins: list[str] = Field(
        default_factory=list,
        description="Python files or modules imported first, that register topologies and operations of your own.",
    )
    data: DataConfig = Field(default_factory=DataConfig)  # type: ignore[arg-type]
    activation: ActivationConfig = Field(default_factory=ActivationConfig)  # type: ignore[arg-type]
    topology: dict[str, Any] = Field(
        description="`name` of a topology (mlp, tfc, sfc, lfc, cnv, resnete, bireal, reactnet_resnet, "
        "reactnet_mobilenet, nasb or your own) and its parameters."
    )
    folding: FoldingConfig
    device: DeviceConfig = Field(default_factory=DeviceConfig)  # type: ignore[arg-type]
    training: TrainingConfig = Field(default_factory=TrainingConfig)  # type: ignore[arg-type]
    objectives: list[Objective] = Field(
        default=["error", "lut"],
        description="What to minimise: of error, lut, bram, dsp, latency, ii.",
    )
    cost_model: Literal["zerocross", "finn"] = Field(
        "zerocross", description="Whose estimates the search sees; both are kept."
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
    def _a_look_is_shorter(self) -> "Config":
        share = self.search.first_look
        for epochs in alternatives(self.training.epochs) if share else ():
            if max(1, round(share * epochs)) >= epochs:
                raise ValueError(
                    f"search.first_look: {share:g} of {epochs} epochs is no shorter: give more epochs, a smaller share, or 0"
                )
        return self

    @field_validator("topology")
    @classmethod
    def _named(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not all(isinstance(name, str) for name in alternatives(value.get("name"))):
            raise ValueError("topology needs a name, such as mlp or cnv, or {choose: [...]} of such")
        return value


def _positive(value: Any, whole: bool = False) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return False
    return math.isfinite(value) and value > 0


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def is_choice(value: Any) -> bool:
    """Tell whether a configuration value stands for several."""
    return isinstance(value, dict) and set(value) == {CHOOSE}


def alternatives(value: Any) -> list[Any]:
    """Return the values a configuration value stands for."""
    if not is_choice(value):
        return [value]
    if not isinstance(value[CHOOSE], list) or not value[CHOOSE]:
        raise ValueError("choose needs a list with at least one value")
    return list(value[CHOOSE])


def load_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: a YAML file.
        overrides: values by dotted path, such as {"search.seed": 3}, that replace the file's.

    Raises:
        UserError: if it cannot be read, is no YAML, or a field is unknown or wrong; the message names the field
            and, for an unknown one, the nearest that exists.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must be a mapping of fields such as name, data and topology")
    for key, value in (overrides or {}).items():
        section = content
        *parents, last = key.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise UserError(f"{key}: {parent!r} in {path} is no section")
        section[last] = value
    config = make_config(content, str(path))
    return _with_paths(config, path.parent)


def make_config(content: dict[str, Any], source: str = "configuration") -> Config:
    """Check a configuration given as a mapping; see `load_config`."""
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise UserError("\n".join(f"{source}: {line}" for line in _messages(error))) from None


def _messages(error: ValidationError) -> Iterator[str]:
    for entry in error.errors():
        path = ".".join(str(part) for part in entry["loc"])
        if entry["type"] == "extra_forbidden":
            section: type[BaseModel] = Config
            for part in entry["loc"][:-1]:
                section = section.model_fields[str(part)].annotation  # type: ignore[assignment]
            yield f"unknown field {path!r}: {nearest(str(entry['loc'][-1]), section.model_fields)}"
        elif entry["type"] == "missing":
            yield f"the field {path!r} is missing"
        else:
            message = entry["msg"].removeprefix("Value error, ")
            found = entry["input"]
            yield f"{path}: {message}".removeprefix(": ") + (
                f", found {found!r}" if not isinstance(found, dict | BaseModel) else ""
            )


def _with_paths(config: Config, folder: Path) -> Config:
    """Make an .npz data set and plugin files relative to the configuration's own folder absolute."""
    update: dict[str, Any] = {}
    name = config.data.name
    if name.endswith(".npz") and not Path(name).is_absolute():
        update["data"] = config.data.model_copy(update={"name": str((folder / name).resolve())})
    update["plugins"] = [
        str((folder / plugin).resolve()) if plugin.endswith(".py") else plugin for plugin in config.plugins
    ]
    return config.model_copy(update=update)
