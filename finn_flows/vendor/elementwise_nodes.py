"""What stands between layers and behind the last, as FINN's operators: a fork, a sum, the choice of a label."""

from typing import ClassVar

import numpy as np

from finn_flows import structural
from finn_flows.accumulators import type_bits
from finn_flows.plan import Stream
from finn_flows.rtl import nodes
from finn_flows.structural import Price
from finn_flows.vendor.stream_node import AttributeTypes, StreamNode
from finn_flows.vendor.stream_types import record_stream, stream_type


class ZcLabelSelect(StreamNode):
    """The index of the largest value (`nodes.LabelSelect`), in whole bytes."""

    attributes: ClassVar[AttributeTypes] = {
        "Labels": ("i", True, 0),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
    }
    modules = ("zc_labelselect",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the values."""
        shape = (1, self.get_nodeattr("Labels"))
        return (Stream(shape, self.get_nodeattr("PE"), self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the index."""
        bits = (self.get_nodeattr("Labels") - 1).bit_length()
        return (Stream((1, 1), 1, f"UINT{8 * max(1, -(-bits // 8))}"),)

    def record(self, *parameters: np.ndarray) -> nodes.LabelSelect:
        """Return the label select."""
        datatype = self.get_nodeattr("inputDataType")
        return nodes.LabelSelect(
            self.get_nodeattr("Labels"),
            self.get_nodeattr("PE"),
            type_bits(datatype),
            datatype.startswith("INT"),
        )

    def price(self) -> Price:
        """Return the price."""
        bits = type_bits(self.get_nodeattr("inputDataType"))
        return structural.label_select(self.get_nodeattr("Labels"), self.get_nodeattr("PE"), bits)


class ZcDuplicate(StreamNode):
    """A stream to two readers (`nodes.Duplicate`)."""

    attributes: ClassVar[AttributeTypes] = {
        "NumChannels": ("i", True, 0),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
        "numInputVectors": ("ints", False, [1]),
        "outFIFODepths": ("ints", False, [2, 2]),
    }
    modules = ("zc_duplicate",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the stream."""
        shape = (*self.ints("numInputVectors"), self.get_nodeattr("NumChannels"))
        return (Stream(shape, self.get_nodeattr("PE"), self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the stream, twice."""
        return self.sources() * 2

    def record(self, *parameters: np.ndarray) -> nodes.Duplicate:
        """Return the duplication."""
        return nodes.Duplicate(record_stream(self.sources()[0]))

    def price(self) -> Price:
        """Return the price: who has taken the word in front, and whether both have. Derived."""
        return Price(4.0, way="handshake")

    def get_number_output_values(self) -> dict[str, int]:
        """Return the words of each output, as FINN wants them of nodes with several."""
        return {f"out{index}": sink.words for index, sink in enumerate(self.sinks())}


class ZcAdd(StreamNode):
    """The sum of two streams, element by element (`nodes.Add`)."""

    attributes: ClassVar[AttributeTypes] = {
        "NumChannels": ("i", True, 0),
        "PE": ("i", True, 1),
        "lhsDataType": ("s", True, ""),
        "rhsDataType": ("s", True, ""),
        "numInputVectors": ("ints", False, [1]),
        "inFIFODepths": ("ints", False, [2, 2]),
    }
    modules = ("zc_add",)

    def sources(self) -> tuple[Stream, ...]:
        """Return both streams."""
        shape = (*self.ints("numInputVectors"), self.get_nodeattr("NumChannels"))
        pe = self.get_nodeattr("PE")
        return tuple(Stream(shape, pe, self.get_nodeattr(f"{side}DataType")) for side in ("lhs", "rhs"))

    def sinks(self) -> tuple[Stream, ...]:
        """Return the sums."""
        source = self.sources()[0]
        return (Stream(source.shape, source.lanes, stream_type(self.record().outputs["m"])),)

    def record(self, *parameters: np.ndarray) -> nodes.Add:
        """Return the addition."""
        return nodes.Add(*(record_stream(source) for source in self.sources()))

    def price(self) -> Price:
        """Return the price: a LUT and its carry for each bit of a sum. Derived."""
        return Price(float(self.sinks()[0].width), way="adders")
