"""The configuration's sections that span the space beside the topology: `activation` and `folding`."""

from typing import Literal

from pydantic import BaseModel, Field, model_validator

from zerocross.hw_search.choice import Choice, Count, Positive


class ActivationConfig(BaseModel, extra="forbid", frozen=True):
    """The space of activations."""

    encoding: Literal["pair", "nested", "tree", "list"] = Field(
        "pair",
        description="`pair`: b(u1(x), u2(x)). `nested`: b2(u3(p), u4(x)) with p = b1(u1(x), u2(x)). `tree`: a full binary "
        "tree of `depth`. `list`: the `expressions` alone.",
    )
    unary: list[str] | None = Field(
        None, description="Unary operations allowed, your own among them; null allows all 22."
    )
    binary: list[str] | None = Field(None, description="Binary operations allowed; null allows all 11.")
    depth: int = Field(2, ge=1, le=5, description="Depth of `tree`.")
    expressions: list[str] = Field(
        default_factory=lambda: ["sign", "rsign", "sine", "cosine", "sine_linear", "swish"],
        description="Expressions or presets. With `list` they are the whole space; with the other encodings the first "
        "population starts with those that the encoding can write.",
    )
    per_layer: bool = Field(
        False, description="One activation for each layer instead of one for the network."
    )


class FoldingConfig(BaseModel, extra="forbid", frozen=True):
    """How parallel the hardware is: either a target, met as cheaply as possible, or PE and SIMD themselves."""

    target_cycles: Choice[Count] | None = Field(
        None, description="Most cycles an image may take in any node (the initiation interval)."
    )
    target_fps: Choice[Positive] | None = Field(
        None, description="Least frames a second at the device's clock, instead of target_cycles."
    )
    pe: Choice[Count] | None = Field(None, description="PE of every layer, with simd, instead of a target.")
    simd: Choice[Count] | None = Field(None, description="SIMD of every layer.")
    max_pe: int = Field(128, ge=1, description="Most processing elements of a layer.")
    max_simd: int = Field(128, ge=1, description="Most inputs of a layer a cycle.")

    @model_validator(mode="after")
    def _one_target(self) -> "FoldingConfig":
        given = [self.target_cycles is not None, self.target_fps is not None, self.pe is not None]
        if sum(given) != 1 or (self.pe is None) != (self.simd is None):
            raise ValueError("give exactly one of target_cycles, target_fps, or pe together with simd")
        return self
