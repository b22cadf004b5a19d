"""This project's hardware nodes as custom operators of FINN's.

Each is named for its record in `finn_flows.rtl.nodes`, with `Zc` before it so that no operator of FINN's has the name.
`register` makes FINN's passes take them: estimates, FIFOs and width converters, partitions, code, Vivado's block design.
Attributes have FINN's names where FINN has the attribute.
"""

from typing import ClassVar

import numpy as np
from finn.custom_op import fpgadataflow
from finn.custom_op.fpgadataflow import rtl

from finn_flows import structural
from finn_flows.accumulators import type_bits
from finn_flows.crossings import CrossingTable
from finn_flows.finn_setup import prepare_finn
from finn_flows.graph import Stream
from finn_flows.network import Grid
from finn_flows.rtl import nodes, stream_nodes
from finn_flows.structural import Price
from finn_flows.vendor.stream_node import AttributeTypes, StreamNode, specialised, vectors


def stream_type(stream: nodes.Stream) -> str:
    """Return FINN's name for the datatype of a stream's elements."""
    if stream.signed:
        return f"INT{stream.bits}"
    return "BINARY" if stream.bits == 1 else f"UINT{stream.bits}"


class ZcProduct(StreamNode):
    """A product with binary weights (`nodes.Product`). Parameter: the weights, -1 or +1, (MW, MH)."""

    attributes: ClassVar[AttributeTypes] = {
        "MW": ("i", True, 0),
        "MH": ("i", True, 0),
        "SIMD": ("i", True, 1),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
        # whether what makes all sums of integers positive is taken off again
        "offsets": ("i", False, 0, {0, 1}),
        "ram_style": ("s", False, "block", {"block", "distributed"}),
        "numInputVectors": ("ints", False, [1]),
    }
    library = ("zc_xnor_mvau.sv", "zc_xnor_popcount.sv", "zc_sum.sv")

    def sources(self) -> tuple[Stream, ...]:
        """Return the vectors."""
        shape = (*self.ints("numInputVectors"), self.get_nodeattr("MW"))
        return (Stream(shape, self.get_nodeattr("SIMD"), self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the accumulators, a vector for each."""
        reach = self.get_nodeattr("MW") * (2**self._input_bits - 1)
        signed = bool(self.get_nodeattr("offsets"))
        datatype = stream_type(nodes.Stream(1, 1, reach.bit_length() + signed, signed))
        shape = (*self.ints("numInputVectors"), self.get_nodeattr("MH"))
        return (Stream(shape, self.get_nodeattr("PE"), datatype),)

    def record(self, *parameters: np.ndarray) -> nodes.Product:
        """Return the product."""
        return nodes.Product(
            np.asarray(parameters[0]).T.astype(np.int8),
            self.get_nodeattr("PE"),
            self.get_nodeattr("SIMD"),
            self._input_bits,
            offsets=bool(self.get_nodeattr("offsets")),
            ram_style=self.get_nodeattr("ram_style"),
        )

    def price(self) -> Price:
        """Return the price; weights in LUT memory take a LUT a bit for every 64 words."""
        fan_in, channels, pe, simd = (self.get_nodeattr(name) for name in ("MW", "MH", "PE", "SIMD"))
        bits = self._input_bits
        price = (
            structural.xnor_product(fan_in, channels, pe, simd)
            if bits == 1
            else structural.byte_product(fan_in, channels, pe, simd, bits)
        )
        if self.get_nodeattr("ram_style") == "block" or not price.bram18:
            return price
        words = fan_in * channels // (pe * simd)
        return Price(price.lut + pe * simd * -(-words // 64), way="weights in LUT memory")

    def get_exp_cycles(self) -> int:
        """Return its cycles an image: a vector takes a word of weights a cycle."""
        fan_in, channels, pe, simd = (self.get_nodeattr(name) for name in ("MW", "MH", "PE", "SIMD"))
        return vectors(self.sources()[0].shape) * (fan_in // simd) * (channels // pe)

    def get_op_and_param_counts(self) -> dict[str, int]:
        """Return multiplications and weights, as FINN counts them."""
        weights = self.get_nodeattr("MW") * self.get_nodeattr("MH")
        macs = weights * vectors(self.sources()[0].shape)
        return {f"op_mac_1bx{self._input_bits}b": macs, "param_weight_1b": weights}

    @property
    def _input_bits(self) -> int:
        return type_bits(self.get_nodeattr("inputDataType"))


class ZcCrossings(StreamNode):
    """A crossing site (`nodes.Crossings`).

    Parameters, a row for each channel and bit of its output: the bit at the least accumulator, (rows,); and the
    accumulators at which it flips, rising, (rows, most of any row), filled up with one that never comes.
    """

    attributes: ClassVar[AttributeTypes] = {
        "NumChannels": ("i", True, 0),
        "PE": ("i", True, 1),
        "outputDataType": ("s", True, "BINARY"),
        # the accumulators that can come: the least, the step to the next, and how many
        "gridLow": ("i", False, 0),
        "gridStep": ("i", False, 1),
        "gridPoints": ("i", True, 0),
        # crossings of each row, for the price
        "numCrossings": ("ints", True, []),
        "way": ("s", False, "comparators", {"comparators", "search", "table"}),
        "ram_style": ("s", False, "distributed", {"distributed", "block"}),
        "numInputVectors": ("ints", False, [1]),
    }
    library = ("zc_crossings.sv",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the accumulators."""
        grid = self._grid
        empty = CrossingTable(grid, np.zeros(1, np.uint8), np.zeros(2, np.int64), np.zeros(0, np.int64))
        datatype = stream_type(nodes.Crossings(empty, 1, by_index=False).inputs["s"])
        return (Stream(self._shape, self.get_nodeattr("PE"), datatype),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the bits or levels."""
        return (Stream(self._shape, self.get_nodeattr("PE"), self.get_nodeattr("outputDataType")),)

    def record(self, *parameters: np.ndarray) -> nodes.Crossings:
        """Return the crossing site."""
        first, places = (np.asarray(parameter) for parameter in parameters)
        return nodes.Crossings(
            _table(self._grid, first, places),
            self.get_nodeattr("PE"),
            self.get_nodeattr("way"),
            by_index=False,
            ram_style=self.get_nodeattr("ram_style"),
            bits=self._bits,
        )

    def price(self) -> Price:
        """Return the price of the way it is built."""
        counts, lanes = self.ints("numCrossings"), self.get_nodeattr("PE") * self._bits
        levels = self.get_nodeattr("gridPoints")
        bits, way = (levels - 1).bit_length(), self.get_nodeattr("way")
        if not any(counts):
            return Price(0.0, way="constant")
        rows = [counts[lane::lanes] for lane in range(lanes)]
        if way == "comparators":
            return Price(sum(structural.comparators(row, bits) for row in rows), way=way)
        if way == "search":
            return Price(sum(structural.binary_search(row, bits) for row in rows), way=way)
        if self.get_nodeattr("ram_style") == "block":
            return structural.table_in_bram(rows, bits)
        return Price(sum(structural.table(row, bits, levels) for row in rows), way=way)

    def get_op_and_param_counts(self) -> dict[str, int]:
        """Return the crossings, as FINN counts thresholds."""
        return {
            f"param_threshold_{self.get_instream_width() // self.get_nodeattr('PE')}b": sum(
                self.ints("numCrossings")
            )
        }

    @property
    def _grid(self) -> Grid:
        low, step = self.get_nodeattr("gridLow"), self.get_nodeattr("gridStep")
        return Grid(low, low + step * (self.get_nodeattr("gridPoints") - 1), step)

    @property
    def _shape(self) -> tuple[int, ...]:
        return (*self.ints("numInputVectors"), self.get_nodeattr("NumChannels"))

    @property
    def _bits(self) -> int:
        return type_bits(self.get_nodeattr("outputDataType"))


def crossing_parameters(table: CrossingTable) -> tuple[np.ndarray, np.ndarray]:
    """Return a table as the parameters of a `ZcCrossings`, float32 as FINN keeps all tensors."""
    counts, never = table.counts(), table.grid.high + table.grid.step
    places = np.full((table.channels, max(1, int(counts.max()))), never, np.float32)
    for row in range(table.channels):
        places[row, : counts[row]] = table.accumulators(row)
    return table.first.astype(np.float32), places


def _table(grid: Grid, first: np.ndarray, places: np.ndarray) -> CrossingTable:
    """Return the table of which `crossing_parameters` were taken."""
    real = places <= grid.high
    offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int64)
    index = (places[real].astype(np.int64) - grid.low) // grid.step
    return CrossingTable(grid, first.astype(np.uint8), offsets, index)


class ZcMaxPool(StreamNode):
    """The maximum over windows that do not overlap (`nodes.MaxPool`)."""

    attributes: ClassVar[AttributeTypes] = {
        "ImgDim": ("ints", True, []),
        "NumChannels": ("i", True, 0),
        "KernelSize": ("ints", True, []),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
    }
    library = ("zc_maxpool.sv",)

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
    """The maximum over windows that a depthwise input generator of FINN's gives (`stream_nodes.WindowMaxPool`)."""

    attributes: ClassVar[AttributeTypes] = {
        "OutImgDim": ("ints", True, []),
        "NumChannels": ("i", True, 0),
        "KernelSize": ("ints", True, []),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
    }
    library = ("zc_windowpool.sv",)

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

    def compute(self, values: list[np.ndarray], parameters: list[np.ndarray]) -> list[np.ndarray]:
        """Compute the maxima of windows, in the order in which FINN's generator of the same kind computes them.

        Specialised, it has groups of PE channels first, then pixels, as its hardware; before that, pixels first.
        """
        if self.onnx_node.op_type == "ZcWindowMaxPool":
            pe, channels = self.get_nodeattr("PE"), self.get_nodeattr("NumChannels")
            windows = np.asarray(values[0]).reshape(-1, self._area, channels // pe, pe)
            values = [windows.transpose(0, 2, 1, 3).reshape(len(values[0]), -1)]
        return super().compute(values, parameters)

    def price(self) -> Price:
        """Return the price of the comparisons."""
        return structural.max_pool(self.get_nodeattr("PE"), type_bits(self.get_nodeattr("inputDataType")))

    @property
    def _area(self) -> int:
        return int(np.prod(self.ints("KernelSize")))


class ZcLabelSelect(StreamNode):
    """The index of the largest value (`nodes.LabelSelect`), in whole bytes."""

    attributes: ClassVar[AttributeTypes] = {
        "Labels": ("i", True, 0),
        "PE": ("i", True, 1),
        "inputDataType": ("s", True, ""),
    }
    library = ("zc_labelselect.sv",)

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
    library = ("zc_duplicate.sv",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the stream."""
        shape = (*self.ints("numInputVectors"), self.get_nodeattr("NumChannels"))
        return (Stream(shape, self.get_nodeattr("PE"), self.get_nodeattr("inputDataType")),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the stream, twice."""
        return self.sources() * 2

    def record(self, *parameters: np.ndarray) -> nodes.Duplicate:
        """Return the duplication."""
        return nodes.Duplicate(_record_stream(self.sources()[0]))

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
    library = ("zc_add.sv",)

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
        return nodes.Add(*(_record_stream(source) for source in self.sources()))

    def price(self) -> Price:
        """Return the price: a LUT and its carry for each bit of a sum. Derived."""
        return Price(float(self.sinks()[0].width), way="adders")


def _record_stream(stream: Stream) -> nodes.Stream:
    """Return FINN's stream as a record has it."""
    signed = stream.datatype.startswith("INT")
    return nodes.Stream(stream.words * stream.lanes, stream.lanes, type_bits(stream.datatype), signed)


NODES: tuple[type[StreamNode], ...] = (
    ZcProduct,
    ZcCrossings,
    ZcMaxPool,
    ZcWindowMaxPool,
    ZcLabelSelect,
    ZcDuplicate,
    ZcAdd,
)


def register() -> None:
    """Make FINN know these operators, in this process; calling it again does nothing."""
    prepare_finn()
    for node in NODES:
        if node.__name__ not in fpgadataflow.custom_op:
            fpgadataflow.register_custom_op(node)
            rtl.register_custom_op(specialised(node))
