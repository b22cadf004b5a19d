"""The configuration's sections that decide what a candidate may cost: `device` and `constraints`."""

from pydantic import BaseModel, Field


class DeviceConfig(BaseModel, extra="forbid", frozen=True):
    """What the hardware must fit."""

    part: str = Field("xc7z020", description="A part or board; `zerocross doctor --parts` lists them.")
    clock_mhz: float = Field(100.0, gt=0, le=1000, description="Clock, MHz.")


class ConstraintConfig(BaseModel, extra="forbid", frozen=True):
    """Limits; a network that breaks one is left out of the front."""

    fit: bool = Field(True, description="The network must fit the part's LUT, BRAM and DSP.")
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
