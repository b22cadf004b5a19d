"""The hardware nodes that FINN has no RTL for, each with its numpy reference and its memory files.

A node is a record of its shape and numbers. `reference` says what it computes, `generate` writes the memory
files that its SystemVerilog module (in `rtllib/`) reads and says how to instantiate it. Streams follow FINN: a
vector's elements in words of `lanes`, the first element in the lowest bits; element c of a layer's output is on lane
c mod PE. Bits stand for -1 and +1 as 0 and 1.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from zerocross.finn_flows import schedule
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.errors import FlowError

LIBRARY = Path(__file__).parents[1] / "rtllib"


class NodeError(FlowError):
    """A node whose numbers do not fit its shape or folding; the message says which."""


@dataclass(frozen=True)
class Stream:
    """A stream of one node.

    Attributes:
        elements: of one sample, in the order they flow.
        lanes: elements in a word; divides `elements`.
        bits: of an element.
        signed: whether they are two's complement.
    """

    elements: int
    lanes: int
    bits: int
    signed: bool = False

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self.lanes * self.bits

    @property
    def words(self) -> int:
        """Words of a sample."""
        return self.elements // self.lanes

    @property
    def range(self) -> tuple[int, int]:
        """The least and the largest element."""
        half = 1 << (self.bits - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)


@dataclass(frozen=True)
class Instance:
    """How a node is built.

    Attributes:
        module: the module's name.
        parameters: its parameters by name.
        sources: SystemVerilog files it needs beside the library.
    """

    module: str
    parameters: dict[str, int | str]
    sources: tuple[Path, ...] = ()


class HardwareNode(Protocol):
    """What every node can tell."""

    @property
    def inputs(self) -> dict[str, Stream]:
        """Streams by the prefix of their ports: "s" for s_tdata, s_tvalid and s_tready."""
        ...

    @property
    def outputs(self) -> dict[str, Stream]:
        """Streams by the prefix of their ports."""
        ...

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next, where nothing makes it wait."""
        ...

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute each output, shape (N, elements), from each input, shape (N, elements)."""
        ...

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the memory files, their names beginning with prefix; simulate and synthesise in that folder."""
        ...


@dataclass(frozen=True)
class Product:
    """A product with weights of -1 and +1, `zc_xnor_mvau`, or with integer weights, `zc_plane_mvau`.

    Without `offsets` its accumulators u count from 0. With a = sum of w x, K the fan-in, and W `weight_bits`:

    - bits x of -1 and +1, W = 1: u = (a + K) / 2, the popcount of equal pairs;
    - bits x of -1 and +1, W > 1: u = a + K * 2**(W-1);
    - levels x of 0 to 2**input_bits - 1: u = a + row_offsets.

    A crossing table absorbs what u is too high by for nothing. Levels whose highest is less than 2**input_bits - 1
    change none of this: the hardware inverts all bits of x where a weight is -1.

    Weights of W > 1 bits are W + 1 planes, rows of -1 and +1 that weigh 1, 1, 2, 4, ..., 2**(W-1) and come to twice the
    weight; all planes of a channel are computed at once.

    Attributes:
        weights: -1 or +1, or integers of -2**(W-1) to 2**(W-1), (channels, fan-in).
        pe: channels computed at once.
        simd: columns taken at once.
        input_bits: 1 (bipolar) to 8 (unsigned).
        offsets: whether to take off what u is too high by: accumulators are a then, signed. Not for a popcount.
        ram_style: "block" or "distributed", where the weights are kept.
        buffer_style: the same for the input buffer.
        weight_bits: W, 1 to 8.
    """

    weights: np.ndarray
    pe: int
    simd: int
    input_bits: int = 1
    offsets: bool = False
    ram_style: str = "block"
    buffer_style: str = "distributed"
    weight_bits: int = 1

    def __post_init__(self) -> None:
        check_folding("channels", self.channels, self.pe)
        check_folding("fan-in", self.fan_in, self.simd)
        for what, bits in (("inputs", self.input_bits), ("weights", self.weight_bits)):
            if not 1 <= bits <= 8:
                raise NodeError(f"{what} of {bits} bits: 1 to 8 are built")
        if self.offsets and self.input_bits == self.weight_bits == 1:
            raise NodeError("the popcount of a binary product has no offsets")
        if self.weight_bits == 1 and not np.isin(self.weights, (-1, 1)).all():
            raise NodeError("weights must be -1 or +1")
        if self.weight_bits > 1 and np.abs(self.weights.astype(np.int64)).max() > self._half:
            raise NodeError(
                f"weights of {self.weight_bits} bits must be integers within {-self._half} to {self._half}"
            )

    @property
    def channels(self) -> int:
        """Rows of the weights."""
        return self.weights.shape[0]

    @property
    def fan_in(self) -> int:
        """Columns of the weights."""
        return self.weights.shape[1]

    @property
    def planes(self) -> np.ndarray:
        """The rows of -1 and +1 that are multiplied, a channel's behind each other, shape (rows, fan-in)."""
        if self.weight_bits == 1:
            return self.weights
        value = self.weights.astype(np.int64) + self._half  # 0 to 2**W, the sum of the planes that are +1
        full = value >> self.weight_bits
        digits = [full, *(((value - full) >> bit) & 1 for bit in range(self.weight_bits))]
        return (2 * np.stack(digits, axis=1) - 1).reshape(-1, self.fan_in)

    @property
    def row_offsets(self) -> np.ndarray:
        """How much too high each row is without `offsets`, shape (channels,); of a popcount, with bits as 0 and 1."""
        if self.weight_bits == 1:
            return (2**self.input_bits - 1) * (self.weights < 0).sum(axis=1)
        if self.input_bits == 1:
            return np.full(self.channels, self.fan_in * self._half)
        # Twice the product comes out, and a constant; of their half the product is an integer.
        return (2**self.input_bits - 1) * (self._half - self.weights.astype(np.int64)).sum(axis=1) // 2

    @property
    def reach(self) -> int:
        """The largest accumulator without `offsets`."""
        scale = 1 << (self.weight_bits - (self.input_bits > 1) if self.weight_bits > 1 else 0)
        return self.fan_in * (2**self.input_bits - 1) * scale

    @property
    def memory(self) -> tuple[int, int]:
        """Bits of a word and words of the memory of weights."""
        return self._rows.pe * self.simd, self.interval

    @property
    def inputs(self) -> dict[str, Stream]:
        """One vector."""
        return {"s": Stream(self.fan_in, self.simd, self.input_bits)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One accumulator a channel."""
        bits = self.reach.bit_length()
        if self.offsets:  # of bits, half the reach is on either side of 0
            bits += self.input_bits > 1
        return {"m": Stream(self.channels, self.pe, bits, self.offsets)}

    @property
    def interval(self) -> int:
        """Cycles from one vector to the next."""
        return (self.fan_in // self.simd) * (self.channels // self.pe)

    @property
    def latency(self) -> int:
        """Cycles from the last input word that the first output word needs to that output word."""
        words, passes = self.fan_in // self.simd, self.channels // self.pe
        depth = schedule.product_depth(self.simd, self.input_bits, words, passes, self.ram_style == "block")
        return depth + schedule.planes_depth(self.weight_bits, self.offsets)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute accumulators (N, channels) from vectors (N, fan-in) of unsigned integers."""
        x = np.asarray(samples[0], np.int64)
        if self.input_bits == 1 and self.weight_bits > 1:
            x = 2 * x - 1
        total = x @ self.weights.T.astype(np.int64)
        # x for +1, its complement for -1: equal bits, plane by plane.
        return (total if self.offsets else total + self.row_offsets,)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write the weights, and the offsets if they are to be taken off."""
        rows, passes = self._rows, self.channels // self.pe
        rows.write_weights(folder / f"{prefix}weights.mem")
        if self.offsets:
            starts = -self.row_offsets.reshape(passes, self.pe)
            write_memory(folder / f"{prefix}offsets.mem", to_bits(starts, self.outputs["m"].bits))
        sizes = {"MW": self.fan_in, "MH": self.channels, "PE": self.pe, "SIMD": self.simd}
        widths = {"IN_BITS": self.input_bits, "OUT_BITS": self.outputs["m"].bits}
        if self.weight_bits > 1:
            widths["WEIGHT_BITS"] = self.weight_bits
        files = {
            "WEIGHTS": f"{prefix}weights.mem",
            "OFFSETS": f"{prefix}offsets.mem" if self.offsets else "",
        }
        styles = {"RAM_STYLE": self.ram_style, "BUFFER_STYLE": self.buffer_style}
        module = "zc_xnor_mvau" if self.weight_bits == 1 else "zc_plane_mvau"
        return Instance(module, {**sizes, **widths, **files, **styles})

    def write_weights(self, file: Path) -> None:
        """Write the weights of -1 and +1 in the order they are used."""
        rows, columns = self.channels // self.pe, self.fan_in // self.simd
        words = self.weights.reshape(rows, self.pe, columns, self.simd).transpose(0, 2, 1, 3) > 0
        if rows * columns > 1:
            words = _with_parities(words)
        write_memory(file, words.reshape(rows * columns, -1))

    @property
    def _half(self) -> int:
        return 1 << (self.weight_bits - 1)

    @property
    def _rows(self) -> "Product":
        """The product of the planes."""
        if self.weight_bits == 1:
            return self
        pe = self.pe * (self.weight_bits + 1)
        return replace(self, weights=self.planes, pe=pe, offsets=False, weight_bits=1)


def _with_parities(bits: np.ndarray) -> np.ndarray:
    """Replace the first of every three bits by the parity of the three; missing ones count as 1."""
    padding = [(0, 0)] * (bits.ndim - 1) + [(0, -bits.shape[-1] % 3)]
    triples = np.pad(bits, padding, constant_values=True).reshape(*bits.shape[:-1], -1, 3)
    triples[..., 0] ^= triples[..., 1] ^ triples[..., 2]
    return triples.reshape(*bits.shape[:-1], -1)[..., : bits.shape[-1]]


@dataclass(frozen=True)
class Crossings:
    """A crossing site, `zc_crossings`: accumulators in, bits out.

    Outputs of b bits are b bit planes, each a row of crossings of its own: row c * b + j of the table is plane j (0 is
    the lowest bit) of channel c.

    Attributes:
        table: the crossings, `bits` rows a channel.
        pe: channels at a time.
        way: "comparators", "search" or "table".
        by_index: whether the stream brings grid indices (a popcount is one) or the accumulators themselves.
        ram_style: "distributed" or "block", for the way "table".
        bits: of an output.
    """

    table: CrossingTable
    pe: int
    way: str = "comparators"
    by_index: bool = True
    ram_style: str = "distributed"
    bits: int = 1

    def __post_init__(self) -> None:
        if self.bits < 1 or self.table.channels % self.bits:
            raise NodeError(f"a table of {self.table.channels} rows does not hold planes of {self.bits} bits")
        check_folding("channels", self.channels, self.pe)
        if self.way not in ("comparators", "search", "table"):
            raise NodeError(f"no way of building crossings is called {self.way!r}")

    @property
    def channels(self) -> int:
        """Values in, and values out."""
        return self.table.channels // self.bits

    @property
    def _lowest(self) -> int:
        return 0 if self.by_index else self.table.grid.low

    @property
    def _step(self) -> int:
        return 1 if self.by_index else self.table.grid.step

    @property
    def inputs(self) -> dict[str, Stream]:
        """One accumulator a channel."""
        low, high = self._lowest, self._lowest + self._step * (len(self.table.grid) - 1)
        signed = low < 0
        bits = max(high.bit_length(), (-low - 1).bit_length() if signed else 0) + signed
        return {"s": Stream(self.channels, self.pe, max(bits, 1), signed)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One unsigned value a channel."""
        return {"m": Stream(self.channels, self.pe, self.bits)}

    @property
    def interval(self) -> int:
        """Cycles from one vector to the next."""
        return self.channels // self.pe

    @property
    def latency(self) -> int:
        """Cycles from an input word to its output word."""
        return schedule.crossings_depth(self.way, self.limit)

    @property
    def limit(self) -> int:
        """Crossings there is room for in a row."""
        most = max(1, int(self.table.counts().max()))
        return 2 ** most.bit_length() - 1 if self.way == "search" else most

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute values (N, channels) from grid indices or accumulators (N, channels)."""
        index = (np.asarray(samples[0], np.int64) - self._lowest) // self._step
        accumulators = self.table.grid.low + self.table.grid.step * index
        planes = self.table.bits(accumulators.repeat(self.bits, axis=-1))
        return (from_bits(planes, self.bits),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write first bits and crossings, or whole tables."""
        if self.way == "table":
            self._write_tables(folder, prefix)
        else:
            self._write_crossings(folder, prefix)
        stream = self.inputs["s"]
        return Instance(
            "zc_crossings",
            {
                "CHANNELS": self.channels,
                "PE": self.pe,
                "IN_BITS": stream.bits,
                "BITS": self.bits,
                "SIGNED": int(stream.signed),
                "LIMIT": self.limit,
                "WAY": self.way,
                "PREFIX": prefix,
                "RAM_STYLE": self.ram_style,
            },
        )

    @property
    def _bias(self) -> int:
        """What the module adds to a signed accumulator."""
        return -self.inputs["s"].range[0]

    def _write_crossings(self, folder: Path, prefix: str) -> None:
        limit, bits, lanes = self.limit, self.inputs["s"].bits, self.pe * self.bits
        spare = limit - self.table.counts()
        first = self.table.first ^ (spare & 1).astype(np.uint8)
        write_memory(folder / f"{prefix}first.mem", first.reshape(-1, lanes))
        # 0 has been passed by all: spare ones lead.
        thresholds = np.zeros((self.table.channels, limit), np.int64)
        for row in range(self.table.channels):
            places = self._lowest + self._step * self.table.crossings(row) + self._bias
            thresholds[row, spare[row] :] = places
        for lane in range(lanes):
            mine = thresholds[lane::lanes]
            if self.way == "comparators":
                write_memory(folder / f"{prefix}thresholds_{lane}.mem", to_bits(mine, bits))
            else:
                for stage in range(limit.bit_length()):
                    # The middles of what is left: of 7, the 4th; then the 2nd and 6th; then the odd ones.
                    half = (limit + 1) >> (stage + 1)
                    middles = mine[:, half - 1 :: 2 * half].reshape(-1, 1)
                    write_memory(folder / f"{prefix}search_{lane}_{stage}.mem", to_bits(middles, bits))

    def _write_tables(self, folder: Path, prefix: str) -> None:
        # Values off the grid never come; there each row goes on as it is, which makes smaller logic.
        values = np.arange(1 << self.inputs["s"].bits) - self._bias
        index = np.clip((values - self._lowest) // self._step, 0, len(self.table.grid) - 1)
        rows = np.stack([self.table.row(row)[index] for row in range(self.table.channels)])
        lanes, folds = self.pe * self.bits, self.interval
        room = max(2, 1 << (folds - 1).bit_length()) * len(values)
        for lane in range(0, lanes, 2):
            pair = np.zeros((2, room), np.uint8)
            for half, mine in enumerate(range(lane, min(lane + 2, lanes))):
                pair[half, : folds * len(values)] = rows[mine::lanes].ravel()
            write_memory(folder / f"{prefix}table_{lane // 2}.mem", pair.reshape(-1, 1))


@dataclass(frozen=True)
class MaxPool:
    """The maximum over windows that do not overlap, `zc_maxpool`; of bits, an OR.

    Attributes:
        shape: (height, width, channels) of its input.
        kernel: (height, width) of a window, and the stride.
        pe: channels in a word.
        bits: of an element.
        signed: whether elements are two's complement.
    """

    shape: tuple[int, int, int]
    kernel: tuple[int, int]
    pe: int
    bits: int = 1
    signed: bool = False

    def __post_init__(self) -> None:
        check_folding("channels", self.shape[2], self.pe)
        if self.kernel[0] > self.shape[0] or self.kernel[1] > self.shape[1]:
            raise NodeError(f"a window of {self.kernel} is larger than its image {self.shape}")

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(height, width, channels): whole windows only."""
        return (self.shape[0] // self.kernel[0], self.shape[1] // self.kernel[1], self.shape[2])

    @property
    def inputs(self) -> dict[str, Stream]:
        """One image."""
        return {"s": Stream(int(np.prod(self.shape)), self.pe, self.bits, self.signed)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One smaller image."""
        return {"m": Stream(int(np.prod(self.output_shape)), self.pe, self.bits, self.signed)}

    @property
    def interval(self) -> int:
        """Cycles from one image to the next."""
        return self.inputs["s"].words

    @property
    def latency(self) -> int:
        """Cycles from a window's last word of a channel to that channel's output word."""
        return schedule.POOL_DEPTH

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute images (N, elements) from images (N, elements)."""
        rows, columns, channels = self.output_shape
        images = np.asarray(samples[0]).reshape(-1, *self.shape)
        whole = images[:, : rows * self.kernel[0], : columns * self.kernel[1]]
        windows = whole.reshape(-1, rows, self.kernel[0], columns, self.kernel[1], channels)
        return (windows.max(axis=(2, 4)).reshape(len(images), -1),)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        height, width, channels = self.shape
        return Instance(
            "zc_maxpool",
            {
                "HEIGHT": height,
                "WIDTH": width,
                "CHANNELS": channels,
                "PE": self.pe,
                "BITS": self.bits,
                "SIGNED": int(self.signed),
                "KERNEL_H": self.kernel[0],
                "KERNEL_W": self.kernel[1],
            },
        )


@dataclass(frozen=True)
class LabelSelect:
    """The index of the largest value, the lowest index of equals, `zc_labelselect`.

    Attributes:
        labels: how many values.
        pe: values in a word.
        bits: of a value.
        signed: whether values are two's complement.
    """

    labels: int
    pe: int
    bits: int
    signed: bool = False

    def __post_init__(self) -> None:
        check_folding("labels", self.labels, self.pe)

    @property
    def inputs(self) -> dict[str, Stream]:
        """One value a label."""
        return {"s": Stream(self.labels, self.pe, self.bits, self.signed)}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One index."""
        return {"m": Stream(1, 1, max(1, (self.labels - 1).bit_length()))}

    @property
    def interval(self) -> int:
        """Cycles from one decision to the next."""
        return self.labels // self.pe

    @property
    def latency(self) -> int:
        """Cycles from the last values to the index."""
        return schedule.LABEL_DEPTH

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute indices (N, 1) from values (N, labels)."""
        return (np.asarray(samples[0]).argmax(axis=1)[:, None],)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Name the module; there is nothing to write."""
        return Instance(
            "zc_labelselect",
            {"LABELS": self.labels, "PE": self.pe, "BITS": self.bits, "SIGNED": int(self.signed)},
        )


def library() -> tuple[Path, ...]:
    """Return the SystemVerilog files of all nodes."""
    return tuple(sorted(LIBRARY.glob("*.sv")))


def library_of(*modules: str) -> tuple[Path, ...]:
    """Return the files of some modules of the library and of all modules inside them."""
    known = {path.stem: path for path in library()}
    found, wanted = set(), set(modules)
    while wanted:
        found |= wanted
        text = " ".join(known[name].read_text() for name in wanted)
        wanted = set(re.findall(r"\bzc_\w+", text)) & set(known) - found
    return tuple(known[name] for name in sorted(found))


def to_bits(elements: np.ndarray, bits: int) -> np.ndarray:
    """Lay rows of integers out as bits, the first element and its lowest bit first.

    Args:
        elements: (..., lanes).
        bits: of an element; negative ones become two's complement.

    Returns:
        (..., lanes * bits), uint8.
    """
    elements = np.asarray(elements, np.int64)
    spread = (elements[..., None] >> np.arange(bits)) & 1
    return spread.reshape(*elements.shape[:-1], -1).astype(np.uint8)


def from_bits(rows: np.ndarray, bits: int, signed: bool = False) -> np.ndarray:
    """Read rows of bits (..., lanes * bits) back as integers (..., lanes)."""
    split = np.asarray(rows, np.int64).reshape(*rows.shape[:-1], -1, bits)
    weights = 1 << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] *= -1
    return split @ weights


def write_memory(path: Path, rows: np.ndarray) -> None:
    """Write rows of bits (words, width), lowest bit first, as a file for $readmemh."""
    path.write_text("\n".join(_hexadecimal(row) for row in np.asarray(rows, np.uint8)) + "\n")


def _hexadecimal(row: np.ndarray) -> str:
    digits = (len(row) + 3) // 4
    number = int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little")
    return f"{number:0{digits}x}"


def side_by_side(nodes: dict[str, tuple[HardwareNode, Instance]], top: str = "zc_side_by_side") -> str:
    """Write a module in which nodes stand beside each other, unconnected: for tests and measurements.

    Args:
        nodes: by name; the name leads the names of a node's ports.
        top: the module's name.

    Returns:
        Its SystemVerilog.
    """
    ports, bodies = ["input logic clk", "input logic rst_n"], []
    for name, (node, instance) in nodes.items():
        for prefix, stream in node.inputs.items():
            ports.extend(_ports(f"{name}_{prefix}", stream.width, "input", "output"))
        for prefix, stream in node.outputs.items():
            ports.extend(_ports(f"{name}_{prefix}", stream.width, "output", "input"))
        bodies.append(instantiate(name, node, instance))
    return f"module {top} (\n    " + ",\n    ".join(ports) + "\n);\n" + "\n".join(bodies) + "\nendmodule\n"


def _ports(name: str, width: int, forward: str, backward: str) -> Iterable[str]:
    yield f"{forward} logic [{width - 1}:0] {name}_tdata"
    yield f"{forward} logic {name}_tvalid"
    yield f"{backward} logic {name}_tready"


def instantiate(name: str, node: HardwareNode, instance: Instance) -> str:
    """Write an instance whose streams are connected to signals called <name>_<stream>_tdata and so on."""
    parameters = ", ".join(
        f'.{key}("{value}")' if isinstance(value, str) else f".{key}({value})"
        for key, value in instance.parameters.items()
    )
    connections = [".clk(clk)", ".rst_n(rst_n)"]
    for stream in (*node.inputs, *node.outputs):
        for signal in ("tdata", "tvalid", "tready"):
            connections.append(f".{stream}_{signal}({name}_{stream}_{signal})")
    return f"  {instance.module} #({parameters}) {name} ({', '.join(connections)});"


def check_folding(what: str, size: int, parallel: int) -> None:
    """Raise a `NodeError` unless so many at once divide so many of what there is."""
    if parallel < 1 or size % parallel:
        raise NodeError(f"{parallel} at once do not divide {size} {what}")
