"""What stands between layers and behind the last, as FINN's operators: a fork, sums, the choice of a label."""

from typing import ClassVar

import numpy as np

from zerocross.finn_flows import structural
from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.plan import Stream
from zerocross.finn_flows.rtl import nodes, sum_nodes
from zerocross.finn_flows.structural import Price
from zerocross.finn_flows.vendor.stream_node import AttributeTypes, StreamNode
from zerocross.finn_flows.vendor.stream_types import record_stream, stream_type


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
    """A stream to two readers (`sum_nodes.Duplicate`)."""

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

    def record(self, *parameters: np.ndarray) -> sum_nodes.Duplicate:
        """Return the duplication."""
        return sum_nodes.Duplicate(record_stream(self.sources()[0]))

    def price(self) -> Price:
        """Return the price."""
        return structural.duplicate(2)

    def get_number_output_values(self) -> dict[str, int]:
        """Return the words of each output, as FINN wants them of nodes with several."""
        return {f"out{index}": sink.words for index, sink in enumerate(self.sinks())}


class ZcAdd(StreamNode):
    """The sum of two streams, element by element (`sum_nodes.Add`)."""

    attributes: ClassVar[AttributeTypes] = {
        "NumChannels": ("i", True, 0),
        "PE": ("i", True, 1),
        "lhsDataType": ("s", True, ""),
        "rhsDataType": ("s", True, ""),
        # the largest sum of levels; 0 for what their datatypes allow
        "high": ("i", False, 0),
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

    def record(self, *parameters: np.ndarray) -> sum_nodes.Add:
        """Return the addition."""
        a, b = (record_stream(source) for source in self.sources())
        return sum_nodes.Add(a, b, self.get_nodeattr("high") or None)

    def price(self) -> Price:
        """Return the price."""
        return structural.add(self.get_nodeattr("PE"), self.record().outputs["m"].bits)


class ZcAddVector(StreamNode):
    """A vector added to every pixel of an image (`sum_nodes.AddVector`)."""

    attributes: ClassVar[AttributeTypes] = {
        "NumChannels": ("i", True, 0),
        "PE": ("i", True, 1),
        # of the image, and of the vector
        "lhsDataType": ("s", True, ""),
        "rhsDataType": ("s", True, ""),
        # the largest sum; 0 for what the datatypes allow
        "high": ("i", False, 0),
        # the image's shape but for its channels
        "numInputVectors": ("ints", True, []),
        "inFIFODepths": ("ints", False, [2, 2]),
    }
    modules = ("zc_add_vector",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the image and the vector."""
        channels, pe = self.get_nodeattr("NumChannels"), self.get_nodeattr("PE")
        shape = (*self.ints("numInputVectors"), channels)
        vector = Stream((1, channels), pe, self.get_nodeattr("rhsDataType"))
        return (Stream(shape, pe, self.get_nodeattr("lhsDataType")), vector)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the sums."""
        image = self.sources()[0]
        return (Stream(image.shape, image.lanes, stream_type(self.record().outputs["m"])),)

    def record(self, *parameters: np.ndarray) -> sum_nodes.AddVector:
        """Return the addition."""
        image, vector = (record_stream(source) for source in self.sources())
        return sum_nodes.AddVector(image, vector, self.get_nodeattr("high") or None)

    def price(self) -> Price:
        """Return the price."""
        record = self.record()
        return structural.add_vector(
            record.image.lanes, record.outputs["m"].bits, record.vector.bits, record.vector.words
        )
