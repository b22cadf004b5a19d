"""The product as FINN's operator."""

from typing import ClassVar

import numpy as np

from zerocross.finn_flows import structural
from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.plan import Stream
from zerocross.finn_flows.rtl import nodes
from zerocross.finn_flows.structural import Price
from zerocross.finn_flows.vendor.stream_node import AttributeTypes, StreamNode, vectors
from zerocross.finn_flows.vendor.stream_types import stream_type


class ZcProduct(StreamNode):
    """A product (`nodes.Product`). Parameter: the weights, -1 or +1 or integers of several bits, (MW, MH)."""

    attributes: ClassVar[AttributeTypes] = {
        "MW": ("i", True, 0),
        "MH": ("i", True, 0),
        "SIMD": ("i", True, 1),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
        # 1 for -1 and +1; W for integers of -2**(W-1) to 2**(W-1)
        "weightBits": ("i", False, 1),
        # whether what makes all sums positive is taken off again
        "offsets": ("i", False, 0, {0, 1}),
        "ram_style": ("s", False, "block", {"block", "distributed"}),
        "numInputVectors": ("ints", False, [1]),
    }
    modules = ("zc_xnor_mvau", "zc_plane_mvau")

    def sources(self) -> tuple[Stream, ...]:
        """Return the vectors."""
        shape = (*self.ints("numInputVectors"), self.get_nodeattr("MW"))
        return (Stream(shape, self.get_nodeattr("SIMD"), self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the accumulators, a vector for each."""
        # The widths are those of a channel with any weights.
        row = nodes.Product(
            np.ones((1, self.get_nodeattr("MW"))),
            1,
            1,
            self._input_bits,
            offsets=bool(self.get_nodeattr("offsets")),
            weight_bits=self.get_nodeattr("weightBits"),
        )
        shape = (*self.ints("numInputVectors"), self.get_nodeattr("MH"))
        return (Stream(shape, self.get_nodeattr("PE"), stream_type(row.outputs["m"])),)

    def record(self, *parameters: np.ndarray) -> nodes.Product:
        """Return the product."""
        return nodes.Product(
            np.asarray(parameters[0]).T.astype(np.int16),
            self.get_nodeattr("PE"),
            self.get_nodeattr("SIMD"),
            self._input_bits,
            offsets=bool(self.get_nodeattr("offsets")),
            ram_style=self.get_nodeattr("ram_style"),
            weight_bits=self.get_nodeattr("weightBits"),
        )

    def price(self) -> Price:
        """Return the price, its weights kept where they are to be."""
        fan_in, channels, pe, simd = (self.get_nodeattr(name) for name in ("MW", "MH", "PE", "SIMD"))
        bits, style, weight_bits = (
            self._input_bits,
            self.get_nodeattr("ram_style"),
            self.get_nodeattr("weightBits"),
        )
        return structural.product(fan_in, channels, pe, simd, bits, style, weight_bits)

    def get_exp_cycles(self) -> int:
        """Return its cycles an image: a vector takes a word of weights a cycle."""
        fan_in, channels, pe, simd = (self.get_nodeattr(name) for name in ("MW", "MH", "PE", "SIMD"))
        return vectors(self.sources()[0].shape) * (fan_in // simd) * (channels // pe)

    def get_op_and_param_counts(self) -> dict[str, int]:
        """Return multiplications and weights, as FINN counts them."""
        weights = self.get_nodeattr("MW") * self.get_nodeattr("MH")
        macs = weights * vectors(self.sources()[0].shape)
        bits = self.get_nodeattr("weightBits")
        return {f"op_mac_{bits}bx{self._input_bits}b": macs, f"param_weight_{bits}b": weights}

    @property
    def _input_bits(self) -> int:
        return type_bits(self.get_nodeattr("inputDataType"))
