"""The configuration's sections that limit what a candidate may cost: `device` and `constraints`."""

from pydantic import BaseModel, Field


class DeviceConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Device that the hardware must fit."""

    part: str = Field("xc7z020", description="Part or board. `zerocross doctor --parts` lists them.")
    clock_mhz: float = Field(100.0, gt=0, le=1000, description="Clock of the design, MHz.")


class ConstraintConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Limits. A network that breaks one is not on the front."""

    fit: bool = Field(True, description="Whether the network must fit the part's LUT, BRAM and DSP.")
    min_fps: float | None = Field(None, gt=0, description="Minimum number of frames per second.")
    max_latency: int | None = Field(
        None, gt=0, description="Maximum number of cycles from first input to class."
    )
    max_accuracy_loss: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Maximum loss of validation accuracy against the plain sign of the same topology, 0..1.",
    )
    max_crossings: int | None = Field(
        None, ge=1, description="Maximum number of crossings in any channel of an activation before a sign."
    )
