"""The input generator of a convolution or pool as FINN's operator."""

from typing import ClassVar

import numpy as np

from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.plan import Stream
from zerocross.finn_flows.rtl import pricing
from zerocross.finn_flows.rtl.stream_nodes import InputGenerator
from zerocross.finn_flows.structural import Price
from zerocross.finn_flows.vendor.stream_node import AttributeTypes, StreamNode


class ZcInputGenerator(StreamNode):
    """The windows of an image (`stream_nodes.InputGenerator`), in Python too in the order of its hardware.

    Its attributes are those of FINN's ConvolutionInputGenerator_rtl, which refuses some strides and gets stuck at
    others.
    """

    attributes: ClassVar[AttributeTypes] = {
        "ConvKernelDim": ("ints", True, []),
        "IFMChannels": ("i", True, 0),
        "IFMDim": ("ints", True, []),
        "Stride": ("ints", True, []),
        "Dilation": ("ints", False, [1, 1]),
        "SIMD": ("i", True, 1),
        "inputDataType": ("s", True, ""),
        "depthwise": ("i", False, 0, {0, 1}),
        "parallel_window": ("i", False, 0, {0, 1}),
        "ram_style": ("s", False, "auto", {"auto", "block", "distributed"}),
    }
    modules = (
        "zc_windows",
        "zc_windows_parallel",
        "zc_windows_dilated",
        "zc_windows_parallel_dilated",
    )

    def sources(self) -> tuple[Stream, ...]:
        """Return the image."""
        record = self.record()
        return (Stream((1, *record.shape), record.simd, self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the windows."""
        record = self.record()
        lanes = record.outputs["m"].lanes
        return (Stream((1, *record.output_shape), lanes, self.get_nodeattr("inputDataType")),)

    def record(self, *parameters: np.ndarray) -> InputGenerator:
        """Return the input generator."""
        height, width = self.ints("IFMDim")
        rows, columns = self.ints("ConvKernelDim")
        down, along = self.ints("Stride")
        lines, pixels = self.ints("Dilation")
        datatype = self.get_nodeattr("inputDataType")
        return InputGenerator(
            (height, width, self.get_nodeattr("IFMChannels")),
            (rows, columns),
            (down, along),
            self.get_nodeattr("SIMD"),
            type_bits(datatype),
            parallel=bool(self.get_nodeattr("parallel_window")),
            depthwise=bool(self.get_nodeattr("depthwise")),
            signed=datatype.startswith("INT"),
            ram_style=self.get_nodeattr("ram_style"),
            dilation=(lines, pixels),
        )

    def price(self) -> Price:
        """Return the price."""
        return pricing.price(self.record())

    def get_exp_cycles(self) -> int:
        """Return its cycles an image."""
        return self.record().interval
