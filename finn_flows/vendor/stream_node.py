"""How a hardware node's record becomes a custom operator of FINN's.

FINN asks an operator for shapes, datatypes and widths of its streams, for cycles and resources, for its output in
Python, and for Verilog. A `StreamNode` answers all of it from its streams, its price and its record
(`zerocross.finn_flows.rtl.nodes`); a subclass says what these are. `specialised` gives the operator that FINN builds.
"""

import math
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from onnx import GraphProto, NodeProto
from qonnx.core.datatype import BaseDataType, DataType

from zerocross.finn_flows.plan import Stream
from zerocross.finn_flows.rtl.nodes import HardwareNode, library_of
from zerocross.finn_flows.structural import Price
from zerocross.finn_flows.vendor.wrapper import wrapper

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

AttributeTypes = dict[str, tuple[Any, ...]]


class StreamNode(HWCustomOp):
    """An operator whose first inputs are streams; those behind them are its parameters, initializers of the graph.

    Attributes:
        attributes: its own attributes by name: (kind, required, default, allowed values), as FINN has them.
        modules: the modules of `rtllib/` that it is built of.
    """

    attributes: ClassVar[AttributeTypes] = {}
    modules: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def sources(self) -> tuple[Stream, ...]:
        """Return the streams it reads, for one image."""

    @abstractmethod
    def sinks(self) -> tuple[Stream, ...]:
        """Return the streams it writes, for one image."""

    @abstractmethod
    def record(self, *parameters: np.ndarray) -> HardwareNode:
        """Return its record, given its parameters; the record's sample may be a part of an image."""

    @abstractmethod
    def price(self) -> Price:
        """Return this project's price of it."""

    def compute(self, values: list[np.ndarray], parameters: list[np.ndarray]) -> list[np.ndarray]:
        """Compute its outputs for a batch.

        Args:
            values: one array for each stream it reads, shape (N, ...) with an image's elements in order.
            parameters: its parameters.

        Returns:
            One float32 array for each stream it writes, shape (N, *shape of an image).
        """
        record = self.record(*parameters)
        samples = [
            np.asarray(value).astype(np.int64).reshape(-1, stream.elements)
            for value, stream in zip(values, record.inputs.values(), strict=True)
        ]
        results = record.reference(*samples)
        return [
            result.reshape(len(values[0]), *sink.shape[1:]).astype(np.float32)
            for result, sink in zip(results, self.sinks(), strict=True)
        ]

    def ints(self, name: str) -> tuple[int, ...]:
        """Return an attribute that is a list of integers."""
        return tuple(self.get_nodeattr(name))

    # What FINN asks.

    def get_nodeattr_types(self) -> AttributeTypes:
        """Return all attributes, FINN's own included."""
        return {**super().get_nodeattr_types(), **self.attributes}

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        """Return the datatype of a stream it reads; parameters are integers of any size here."""
        sources = self.sources()
        return DataType[sources[ind].datatype if ind < len(sources) else "INT32"]

    def get_output_datatype(self, ind: int = 0) -> BaseDataType:
        """Return the datatype of a stream it writes."""
        return DataType[self.sinks()[ind].datatype]

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return the shape of an image it reads."""
        return self.sources()[ind].shape

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return the shape of an image it writes."""
        return self.sinks()[ind].shape

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return that shape with its last axis split into words."""
        return self.sources()[ind].folded

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return that shape with its last axis split into words."""
        return self.sinks()[ind].folded

    def get_instream_width(self, ind: int = 0) -> int:
        """Return the bits of a word it reads; parameters have no stream."""
        sources = self.sources()
        return sources[ind].width if ind < len(sources) else 0

    def get_outstream_width(self, ind: int = 0) -> int:
        """Return the bits of a word it writes."""
        return self.sinks()[ind].width

    def make_shape_compatible_op(self, model: "ModelWrapper") -> NodeProto:
        """Return a standard operator with outputs of the same shape."""
        made = super().make_shape_compatible_op(model)
        made.output[:] = self.onnx_node.output
        return made

    def infer_node_datatype(self, model: "ModelWrapper") -> None:
        """Annotate the outputs; what flows into it was decided when it was made."""
        for name, sink in zip(self.onnx_node.output, self.sinks(), strict=True):
            model.set_tensor_datatype(name, DataType[sink.datatype])

    def get_exp_cycles(self) -> int:
        """Return its cycles an image: a word a cycle."""
        return max(stream.words for stream in (*self.sources(), *self.sinks()))

    def lut_estimation(self, fpgapart: str) -> int:
        """Return its 6-input LUTs."""
        return round(self.price().lut)

    def bram_estimation(self, fpgapart: str) -> int:
        """Return its block RAMs of 18 kbit."""
        return self.price().bram18

    def dsp_estimation(self, fpgapart: str) -> int:
        """Return its DSPs."""
        return self.price().dsp

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Compute its outputs from its record."""
        streams = len(self.sources())
        inputs = [context[name] for name in self.onnx_node.input]
        results = self.compute(inputs[:streams], inputs[streams:])
        context.update(zip(self.onnx_node.output, results, strict=True))


class _Generated(RTLBackend):
    """A stream node as FINN builds it: SystemVerilog of the library, and a Verilog module around it."""

    def generate_hdl(self, model: "ModelWrapper", fpgapart: str, clk: float) -> None:
        """Write memory files and wrapper to the node's folder.

        The wrapper names them relative to its folder, which FINN makes absolute before it calls Vivado.
        """
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        top = self.get_verilog_top_module_name()
        parameters = self.onnx_node.input[len(self.sources()) :]
        record = self.record(*(model.get_initializer(name) for name in parameters))
        instance = record.generate(folder, "./")
        (folder / f"{top}.v").write_text(wrapper(top, record, instance))
        self.set_nodeattr("gen_top_module", top)
        for attribute in ("ipgen_path", "ip_path"):
            self.set_nodeattr(attribute, str(folder))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Return its files; all nodes share those of the library, which modules of one name must."""
        wrapped = f"{self.get_nodeattr('gen_top_module')}.v"
        files = library_of(*self.modules)
        if not abspath:
            return [*(path.name for path in files), wrapped]
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        return [str(path) for path in (*files, folder / wrapped)]

    def code_generation_ipi(self) -> list[str]:
        """Return the Tcl that places it in a block design."""
        files = [f"add_files -norecurse {path}" for path in self.get_rtl_file_list(abspath=True)]
        top = self.get_nodeattr("gen_top_module")
        return [*files, f"create_bd_cell -type module -reference {top} {self.onnx_node.name}"]

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Compute its outputs in Python, or have FINN simulate it, which knows no parameters."""
        if self.get_nodeattr("exec_mode") != "rtlsim":
            super(RTLBackend, self).execute_node(context, graph)
            return
        node = NodeProto()
        node.CopyFrom(self.onnx_node)
        del node.input[len(self.sources()) :]
        simulated = type(self)(node, onnx_opset_version=self.onnx_opset_version)
        RTLBackend.execute_node(simulated, context, graph)
        self.set_nodeattr("cycles_rtlsim", simulated.get_nodeattr("cycles_rtlsim"))


def specialised(node: type[StreamNode]) -> type[RTLBackend]:
    """Return the operator that FINN's `SpecializeLayers` makes of a stream node: its name and "_rtl"."""
    return type(
        f"{node.__name__}_rtl", (_Generated, node), {"__doc__": node.__doc__, "__module__": node.__module__}
    )


def vectors(shape: tuple[int, ...]) -> int:
    """Return how many vectors an image of a shape is."""
    return math.prod(shape[:-1])
