"""The configuration's sections that span the space together with `topology`: `activation` and `folding`."""

from typing import Literal

from pydantic import BaseModel, Field, model_validator

from zerocross.hw_search.choice import Choice, Count, CountOrNone, Positive, Size


class ActivationConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Space of activations."""

    encoding: Literal["pair", "nested", "tree", "list"] = Field(
        "pair",
        description="`pair`: b(u1(x), u2(x)). `nested`: b2(u3(p), u4(x)) with p = b1(u1(x), u2(x)). `tree`: a full binary "
        "tree of `depth`. `list`: only the `expressions`.",
    )
    unary: list[str] | None = Field(
        None, description="Unary operations to use, including your own. null: all 22."
    )
    binary: list[str] | None = Field(None, description="Binary operations to use. null: all 11.")
    depth: int = Field(2, ge=1, le=5, description="Depth of `tree`.")
    expressions: list[str] = Field(
        default_factory=lambda: ["sign", "rsign", "sine", "cosine", "sine_linear", "swish"],
        description="Expressions or presets. With `list` they are the whole space. With the other encodings they start the "
        "first population, if the encoding can express them.",
    )
    per_layer: bool = Field(
        False, description="Whether each layer has its own activation, instead of one for the network."
    )


class FoldingConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Parallelism of the hardware: either a target, which is met as cheaply as possible, or PE and SIMD."""

    target_cycles: Choice[Count] | None = Field(
        None, description="Maximum number of cycles per image in any node (initiation interval)."
    )
    target_fps: Choice[Positive] | None = Field(
        None,
        description="Minimum number of frames per second at the device's clock, instead of target_cycles.",
    )
    pe: Choice[Size] | None = Field(
        None, description="PE of every layer, together with simd, instead of a target."
    )
    simd: Choice[Size] | None = Field(None, description="SIMD of every layer.")
    registers: Choice[CountOrNone] = Field(
        1,
        description="Registers of sparse layers in a row: behind every n-th one; 0 for none. Fewer registers shorten the "
        "latency and lower the clock.",
    )
    max_pe: int = Field(
        128, ge=1, le=1_000_000, description="Maximum number of processing elements (PE) per layer."
    )
    max_simd: int = Field(
        128, ge=1, le=1_000_000, description="Maximum number of inputs per cycle (SIMD) of a layer."
    )

    @model_validator(mode="after")
    def _one_target(self) -> "FoldingConfig":
        given = [self.target_cycles is not None, self.target_fps is not None, self.pe is not None]
        if sum(given) != 1 or (self.pe is None) != (self.simd is None):
            raise ValueError("give exactly one of target_cycles, target_fps, or pe together with simd")
        return self
