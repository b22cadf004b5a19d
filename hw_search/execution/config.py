"""The configuration's sections `training` and `final`, and the fields of `search` that decide where networks train."""

import itertools
import re
from typing import Literal, get_args

from pydantic import BaseModel, Field, field_validator, model_validator

from zerocross.hw_search.choice import (
    MOST_EPOCHS,
    Choice,
    Epochs,
    NotNegative,
    Positive,
    Share,
    Sharpness,
    Size,
    alternatives,
)


class TrainingConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Training of each candidate during the search."""

    epochs: Choice[Epochs] = Field(20, description="Passes over the training data.")
    batch_size: Choice[Size] = Field(
        64,
        description="Samples per step, at most. Batches have nearly equal sizes, and at least two samples.",
    )
    learning_rate: Choice[Positive] = Field(
        5e-3, description="Initial learning rate; decays along a half cosine."
    )
    augment: Literal["none", "flip", "crop_flip", "shift"] = Field(
        "none",
        description="Augmentation of images: `none`, left-right flips (`flip`), flips and shifts by up to an eighth of the "
        "side (`crop_flip`), or shifts by up to a sixteenth alone (`shift`), for digits and letters. "
        "Samples must be images.",
    )
    method: Choice[Literal["straight_through", "self_binarizing"]] = Field(
        "straight_through",
        description="`straight_through`: signs with a straight-through gradient. `self_binarizing`: tanh(nu x) instead of "
        "signs, with nu that grows in every step, and signs at the end (Self-Binarizing Networks).",
    )
    nu_start: Choice[Positive] = Field(1.0, description="nu in the first step (self_binarizing).")
    nu_end: Choice[Positive] = Field(1000.0, description="nu in the last step (self_binarizing).")
    nu_shape: Choice[Literal["geometric", "linear"]] = Field(
        "geometric", description="Growth of nu: `geometric` (by the same factor in every step) or `linear`."
    )
    surrogate: Choice[Literal["window", "polynomial", "tanh"]] = Field(
        "polynomial",
        description="Surrogate gradient of activations' signs (straight_through). `polynomial`: Bi-Real-Net's, a "
        "triangle that is 0 from abs(x) = surrogate_width on. `window`: the gradient passes where abs(x) < surrogate_width; "
        "it was the default of earlier versions. `tanh`: that of tanh(nu x), where nu grows from 1 to surrogate_sharpness.",
    )
    surrogate_width: Choice[Positive] | None = Field(
        None, description="Width of the surrogate: null is 1 for `polynomial`, and 1.3 for `window`."
    )
    surrogate_sharpness: Choice[Sharpness] = Field(
        4.0, description="Last nu of the surrogate `tanh`, at least 1."
    )
    warmup: Choice[Share] = Field(
        0.0,
        description="Share of the steps in which the learning rate rises linearly, at least 0 and below 1.",
    )
    label_smoothing: Choice[Share] = Field(
        0.1,
        description="Share of each label that is spread over all classes, at least 0 and below 1. 0: none, as in earlier "
        "versions.",
    )
    weight_decay: Choice[NotNegative] = Field(
        0.0, description="Decoupled weight decay of the weights of products (AdamW). 0: Adam."
    )
    clip_weights: Choice[bool] = Field(
        False,
        description="Whether to clip the weights of products to -1..1 after every step, or to the smaller range in which "
        "those of few bits have a gradient. Weights that choose connections are not clipped.",
    )
    average: Choice[NotNegative] = Field(
        0.0,
        description="Horizon in epochs of an exponential average of all parameters, used at the end. Choose it much shorter "
        "than the training: the average starts at the initial parameters. 0: none.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="`bfloat16`: products and activations in bfloat16 during training. It is faster "
        "for convolutions, where the device multiplies bfloat16 in hardware. The result is evaluated in float32, after the "
        "statistics of batch norms are read again in float32.",
    )
    start_from: str | None = Field(
        None,
        description="Starting weights: `zoo:NAME`, or the folder that `zerocross train` wrote for a network of the same "
        "topology. The activations may differ, and the classifier may have another shape. null: new weights.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Device for training. `auto`: a GPU if there is one."
    )

    @model_validator(mode="after")
    def _nu_grows(self) -> "TrainingConfig":
        for start, end in itertools.product(alternatives(self.nu_start), alternatives(self.nu_end)):
            if start > end:
                raise ValueError(f"nu must grow from nu_start to nu_end, not from {start:g} to {end:g}")
        return self

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> "TrainingConfig":
        for name, (setting, users) in _APPLIES_TO.items():
            if getattr(self, name) == type(self).model_fields[name].default:
                continue
            if not users & set(alternatives(getattr(self, setting))):
                raise ValueError(
                    f"{name} has no effect: it belongs to {setting}: {' or '.join(sorted(users))}. Remove it, or change "
                    f"{setting}"
                )
        return self


_APPLIES_TO = {
    "nu_start": ("method", {"self_binarizing"}),
    "nu_end": ("method", {"self_binarizing"}),
    "nu_shape": ("method", {"self_binarizing"}),
    "surrogate_width": ("surrogate", {"polynomial", "window"}),
    "surrogate_sharpness": ("surrogate", {"tanh"}),
}
"""Settings that only some methods or surrogates use."""


ControlName = Literal["shifted", "polynomial", "tanh"]
"""Ways to train a plain sign beside a front; see `zerocross.hw_search.controls`."""


class FinalConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Training and test of the front at the end."""

    seeds: int = Field(
        5, ge=1, le=1000, description="Trainings per network of the front, with fresh seeds, before its test."
    )
    epochs: int | None = Field(
        None, ge=1, le=MOST_EPOCHS, description="Epochs of these trainings. null: as many as in the search."
    )
    networks: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Maximum number of networks of the front: searched activations first, spread over the front. null: all.",
    )
    controls: list[ControlName] = Field(
        default_factory=lambda: list(get_args(ControlName)),
        description="Controls beside each plain sign: `shifted` trains sub(x, 0.65); `polynomial` and `tanh` train the "
        "plain sign with that surrogate gradient, unless the search already trains with it. A network must beat them too. "
        "Each costs as many trainings as the plain signs beside the front. []: none.",
    )

    @field_validator("controls")
    @classmethod
    def _each_once(cls, value: list[ControlName]) -> list[ControlName]:
        if len(set(value)) != len(value):
            raise ValueError("name each control once")
        return value


class ExecutionConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Place where networks train."""

    executor: Literal["local", "ray"] = Field(
        "local",
        description="Place where networks train. `local`: worker processes on this machine. `ray`: a Ray cluster (see "
        "docs/cluster.md).",
    )
    workers: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Worker processes; on Ray, maximum parallel trainings. null: one per core, two on a GPU, or as many as "
        "fit (Ray).",
    )
    stack: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Networks of one topology that a worker trains at once. null: as many as save time. A GPU trains up to "
        "256 at once; only a population (or children) of hundreds fills it.",
    )
    worker_memory_gb: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="Memory that a worker may address; an evaluation that needs more fails. Do not set it for a GPU, whose "
        "driver addresses far more. On Ray: memory reserved for each worker.",
    )
    worker_cpus: float = Field(
        1.0, gt=0, le=4096, description="CPUs reserved for each worker, which trains in one thread (ray)."
    )
    worker_gpus: float = Field(
        0.0,
        ge=0,
        le=4096,
        description="GPUs reserved for each worker. With 0.25, four workers share a GPU. With 0, workers train on the CPU "
        "(ray).",
    )
    ray_address: str | None = Field(
        None,
        description="Address of the cluster: `auto` for the one that contains this machine, or ip:port of its head. null: "
        "start a Ray on this machine, and stop it at the end (ray).",
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
