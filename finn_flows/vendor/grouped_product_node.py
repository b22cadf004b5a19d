"""The product of a convolution in groups as FINN's operator."""

import math
from typing import ClassVar

import numpy as np

from zerocross.finn_flows import structural
from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.plan import Stream
from zerocross.finn_flows.rtl.grouped_nodes import GroupedProduct
from zerocross.finn_flows.structural import Price
from zerocross.finn_flows.vendor.stream_node import AttributeTypes, StreamNode, vectors
from zerocross.finn_flows.vendor.stream_types import stream_type


class ZcGroupedProduct(StreamNode):
    """Products of groups of a window's channels (`grouped_nodes.GroupedProduct`).

    Parameter: the weights, -1 or +1 or integers of several bits, (pixels * channels of a group, MH).
    """

    attributes: ClassVar[AttributeTypes] = {
        "Channels": ("i", True, 0),
        "MH": ("i", True, 0),
        "Groups": ("i", True, 1),
        "Kernel": ("ints", True, []),
        "PE": ("i", True, 1),
        "SIMD": ("i", True, 1),
        "inputDataType": ("s", True, ""),
        # 1 for -1 and +1; W for integers of -2**(W-1) to 2**(W-1)
        "weightBits": ("i", False, 1),
        "ram_style": ("s", False, "distributed", {"block", "distributed"}),
        "numInputVectors": ("ints", False, [1]),
    }
    modules = ("zc_grouped_mvau",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the windows."""
        record = self._any
        shape = (*self.ints("numInputVectors"), record.inputs["s"].elements)
        return (Stream(shape, record.inputs["s"].lanes, self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the accumulators, a pixel for each window."""
        stream = self._any.outputs["m"]
        shape = (*self.ints("numInputVectors"), stream.elements)
        return (Stream(shape, stream.lanes, stream_type(stream)),)

    def record(self, *parameters: np.ndarray) -> GroupedProduct:
        """Return the product."""
        weights = np.asarray(parameters[0]).T.astype(np.int16)
        return GroupedProduct(
            weights.reshape(self.get_nodeattr("MH"), math.prod(self.ints("Kernel")), -1),
            self.get_nodeattr("Groups"),
            self.get_nodeattr("PE"),
            self.get_nodeattr("SIMD"),
            type_bits(self.get_nodeattr("inputDataType")),
            self.get_nodeattr("weightBits"),
            self.get_nodeattr("ram_style"),
        )

    def price(self) -> Price:
        """Return the price."""
        record = self._any
        return structural.grouped_product(
            math.prod(record.weights.shape[1:]),
            record.outputs["m"].lanes,
            record.interval,
            record.simd,
            record.input_bits,
            record.weight_bits,
            record.ram_style,
        )

    def get_exp_cycles(self) -> int:
        """Return its cycles an image: a window takes a word of weights a cycle."""
        return vectors(self.sources()[0].shape) * self._any.interval

    def get_op_and_param_counts(self) -> dict[str, int]:
        """Return multiplications and weights, as FINN counts them."""
        weights, bits = self._any.weights.size, self.get_nodeattr("weightBits")
        macs = weights * vectors(self.sources()[0].shape)
        return {f"op_mac_{bits}bx{self._any.input_bits}b": macs, f"param_weight_{bits}b": weights}

    @property
    def _any(self) -> GroupedProduct:
        """The product with any weights, which give the streams."""
        group = self.get_nodeattr("Channels") // self.get_nodeattr("Groups")
        return self.record(np.ones((math.prod(self.ints("Kernel")) * group, self.get_nodeattr("MH"))))
