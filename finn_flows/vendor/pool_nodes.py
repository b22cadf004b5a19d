"""The max-pools as FINN's operators."""

from typing import ClassVar

import numpy as np

from finn_flows import structural
from finn_flows.accumulators import type_bits
from finn_flows.plan import Stream
from finn_flows.rtl import nodes, stream_nodes
from finn_flows.structural import Price
from finn_flows.vendor.stream_node import AttributeTypes, StreamNode, vectors


class ZcMaxPool(StreamNode):
    """The maximum over windows that do not overlap (`nodes.MaxPool`)."""

    attributes: ClassVar[AttributeTypes] = {
        "ImgDim": ("ints", True, []),
        "NumChannels": ("i", True, 0),
        "KernelSize": ("ints", True, []),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
    }
    modules = ("zc_maxpool",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the image."""
        shape = (1, *self.ints("ImgDim"), self.get_nodeattr("NumChannels"))
        return (Stream(shape, self.get_nodeattr("PE"), self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the smaller image."""
        source = self.sources()[0]
        return (Stream((1, *self.record().output_shape), source.lanes, source.datatype),)

    def record(self, *parameters: np.ndarray) -> nodes.MaxPool:
        """Return the pool."""
        height, width = self.ints("ImgDim")
        down, along = self.ints("KernelSize")
        datatype = self.get_nodeattr("inputDataType")
        return nodes.MaxPool(
            (height, width, self.get_nodeattr("NumChannels")),
            (down, along),
            self.get_nodeattr("PE"),
            type_bits(datatype),
            datatype.startswith("INT"),
        )

    def price(self) -> Price:
        """Return the price of the comparisons and of the row of results so far."""
        source, sink = self.sources()[0], self.sinks()[0]
        bits = type_bits(source.datatype)
        pool = structural.max_pool(source.lanes, bits)
        line = structural.line_buffer(source.width, sink.shape[2] * sink.shape[3] // sink.lanes)
        return Price(pool.lut + line.lut, way=pool.way)


class ZcWindowMaxPool(StreamNode):
    """The maximum over windows that a depthwise `ZcInputGenerator` gives (`stream_nodes.WindowMaxPool`)."""

    attributes: ClassVar[AttributeTypes] = {
        "OutImgDim": ("ints", True, []),
        "NumChannels": ("i", True, 0),
        "KernelSize": ("ints", True, []),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
    }
    modules = ("zc_windowpool",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the windows."""
        elements = self._area * self.get_nodeattr("NumChannels")
        shape = (1, *self.ints("OutImgDim"), elements)
        return (Stream(shape, self.get_nodeattr("PE"), self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the image."""
        shape = (1, *self.ints("OutImgDim"), self.get_nodeattr("NumChannels"))
        return (Stream(shape, self.get_nodeattr("PE"), self.get_nodeattr("inputDataType")),)

    def record(self, *parameters: np.ndarray) -> stream_nodes.WindowMaxPool:
        """Return the pool."""
        datatype = self.get_nodeattr("inputDataType")
        return stream_nodes.WindowMaxPool(
            vectors(self.sinks()[0].shape),
            self._area,
            self.get_nodeattr("NumChannels"),
            self.get_nodeattr("PE"),
            type_bits(datatype),
            datatype.startswith("INT"),
        )

    def price(self) -> Price:
        """Return the price of the comparisons."""
        return structural.max_pool(self.get_nodeattr("PE"), type_bits(self.get_nodeattr("inputDataType")))

    @property
    def _area(self) -> int:
        return int(np.prod(self.ints("KernelSize")))
