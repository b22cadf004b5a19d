"""The pools as FINN's operators."""

from typing import ClassVar

import numpy as np

from zerocross.finn_flows import structural
from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.plan import Stream
from zerocross.finn_flows.rtl import nodes, stream_nodes, sum_nodes
from zerocross.finn_flows.structural import Price
from zerocross.finn_flows.vendor.stream_node import AttributeTypes, StreamNode, vectors
from zerocross.finn_flows.vendor.stream_types import stream_type


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


class ZcSumPool(StreamNode):
    """The sum over windows of levels that do not overlap, or over an image (`sum_nodes.SumPool`)."""

    attributes: ClassVar[AttributeTypes] = {
        "ImgDim": ("ints", True, []),
        "NumChannels": ("i", True, 0),
        "KernelSize": ("ints", True, []),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
        # the largest sum; 0 for what the datatype allows
        "high": ("i", False, 0),
    }
    modules = ("zc_sumpool",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the image."""
        shape = (1, *self.ints("ImgDim"), self.get_nodeattr("NumChannels"))
        return (Stream(shape, self.get_nodeattr("PE"), self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the smaller image."""
        record = self.record()
        return (Stream((1, *record.output_shape), record.pe, stream_type(record.outputs["m"])),)

    def record(self, *parameters: np.ndarray) -> sum_nodes.SumPool:
        """Return the pool."""
        height, width = self.ints("ImgDim")
        down, along = self.ints("KernelSize")
        return sum_nodes.SumPool(
            (height, width, self.get_nodeattr("NumChannels")),
            (down, along),
            self.get_nodeattr("PE"),
            type_bits(self.get_nodeattr("inputDataType")),
            self.get_nodeattr("high") or None,
        )

    def price(self) -> Price:
        """Return the price."""
        record = self.record()
        return structural.sum_pool(record.pe, record.outputs["m"].bits, record.slots)


class ZcWindowSumPool(StreamNode):
    """The sum over windows that a depthwise `ZcInputGenerator` gives (`sum_nodes.WindowSumPool`)."""

    attributes: ClassVar[AttributeTypes] = {
        "OutImgDim": ("ints", True, []),
        "NumChannels": ("i", True, 0),
        "KernelSize": ("ints", True, []),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
        # the largest sum; 0 for what the datatype allows
        "high": ("i", False, 0),
    }
    modules = ("zc_windowsum",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the windows."""
        record = self.record()
        shape = (1, *self.ints("OutImgDim"), record.area * record.channels)
        return (Stream(shape, record.pe, self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the image."""
        record = self.record()
        shape = (1, *self.ints("OutImgDim"), record.channels)
        return (Stream(shape, record.pe, stream_type(record.outputs["m"])),)

    def record(self, *parameters: np.ndarray) -> sum_nodes.WindowSumPool:
        """Return the pool."""
        return sum_nodes.WindowSumPool(
            int(np.prod(self.ints("OutImgDim"))),
            int(np.prod(self.ints("KernelSize"))),
            self.get_nodeattr("NumChannels"),
            self.get_nodeattr("PE"),
            type_bits(self.get_nodeattr("inputDataType")),
            self.get_nodeattr("high") or None,
        )

    def price(self) -> Price:
        """Return the price."""
        record = self.record()
        return structural.window_sum(record.pe, record.outputs["m"].bits)
