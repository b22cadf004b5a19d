"""The configuration's sections `training` and `final`, and those fields of `search` that say where networks are trained."""

import itertools
import re
from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from zerocross.hw_search.choice import Choice, Count, Positive, alternatives


class TrainingConfig(BaseModel, extra="forbid", frozen=True):
    """How each candidate is trained during the search."""

    epochs: Choice[Count] = Field(20, description="Passes over the training data.")
    batch_size: Choice[Count] = Field(64, description="Samples a step.")
    learning_rate: Choice[Positive] = Field(
        5e-3, description="Initial learning rate; it decays along half a cosine."
    )
    augment: Literal["none", "flip", "crop_flip"] = Field(
        "none", description="Augmentation of images: none, left-right flips, or flips and shifts."
    )
    method: Choice[Literal["straight_through", "self_binarizing"]] = Field(
        "straight_through",
        description="`straight_through` trains signs by their straight-through gradient; `self_binarizing` puts tanh(nu x) "
        "in their place, nu growing step by step, and signs at the end (Self-Binarizing Networks).",
    )
    nu_start: Choice[Positive] = Field(1.0, description="nu of self_binarizing's first step.")
    nu_end: Choice[Positive] = Field(1000.0, description="nu of its last step.")
    nu_shape: Choice[Literal["geometric", "linear"]] = Field(
        "geometric", description="How nu grows: `geometric`, by the same factor every step, or `linear`."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where to train; auto takes a GPU if there is one."
    )

    @model_validator(mode="after")
    def _nu_grows(self) -> "TrainingConfig":
        for start, end in itertools.product(alternatives(self.nu_start), alternatives(self.nu_end)):
            if start > end:
                raise ValueError(f"nu must grow from nu_start to nu_end, not from {start:g} to {end:g}")
        return self


class FinalConfig(BaseModel, extra="forbid", frozen=True):
    """What is done with the front at the end."""

    seeds: int = Field(
        5, ge=1, description="Trainings of each network of the front, with fresh seeds, before it is tested."
    )
    epochs: int | None = Field(
        None, ge=1, description="Epochs of these trainings; null takes the search's own."
    )
    networks: int | None = Field(
        None, ge=1, description="Most networks trained so, spread over the front; null takes all."
    )


class ExecutionConfig(BaseModel, extra="forbid", frozen=True):
    """Where networks are trained."""

    executor: Literal["local", "ray"] = Field(
        "local",
        description="Where networks are trained: `local`, in worker processes on this machine; `ray`, on a Ray cluster (see "
        "docs/cluster.md).",
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="Worker processes; null starts one for each core, or two that share a GPU. On Ray: most trainings at a "
        "time; null takes as many as there is room for.",
    )
    stack: int | None = Field(
        None,
        ge=1,
        description="Networks of one topology that a worker trains at once; null takes as many as pay. A GPU takes up to "
        "256: only a population (or children) of hundreds fills it.",
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
        description="The cluster: `auto` for the one this machine is in, or ip:port of its head. null starts a Ray on this "
        "machine, and stops it at the end (ray).",
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
