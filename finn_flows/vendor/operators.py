"""This project's hardware nodes as custom operators of FINN: one generic class, specialised for each kind of node.

FINN needs from an operator the shapes, datatypes and widths of its streams, its cycles and resources, its output in Python,
and Verilog. `NodeOperator` derives all of these from the node's record, whose fields are the operator's attributes.
`register` registers an operator for each kind of node. Its name begins with `Zc`, so that it differs from FINN's operators.
FINN's passes then accept the nodes: estimates, FIFOs and width converters, partitions, code, Vivado's block design.
"""

from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np

from zerocross.finn_flows.finn_patches import prepare_finn
from zerocross.finn_flows.nodes import NODES
from zerocross.finn_flows.nodes.form import from_values, shape_fields, to_values
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.library import library_of
from zerocross.finn_flows.vendor.wrapper import wrapper

prepare_finn()

from finn.custom_op import fpgadataflow  # noqa: E402
from finn.custom_op.fpgadataflow import rtl  # noqa: E402
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp  # noqa: E402
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend  # noqa: E402
from onnx import GraphProto, NodeProto  # noqa: E402
from qonnx.core.datatype import BaseDataType, DataType  # noqa: E402

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

AttributeTypes = dict[str, tuple[Any, ...]]

_NONE = -1  # represents None in an attribute that is an integer or None
_FINNS = {"pe": "PE", "simd": "SIMD", "parallel": "parallel_window"}  # names that FINN's passes expect


def attribute_types(kind: type[HardwareNode]) -> AttributeTypes:
    """Return the attributes of a kind of node in FINN's form: (type, required, default)."""
    found: AttributeTypes = {}
    for name, hint in shape_fields(kind).items():
        if hint is str:
            found[_FINNS.get(name, name)] = ("s", True, "")
        elif hint in (int, bool) or isinstance(hint, UnionType):
            found[_FINNS.get(name, name)] = ("i", True, 0)
        else:  # ONNX has no attributes that are empty lists
            found[_FINNS.get(name, name)] = ("ints", False, [])
    return found


def attributes(node: HardwareNode) -> dict[str, Any]:
    """Return a node's fields as FINN's attributes."""
    return {
        _FINNS.get(name, name): _NONE if value is None else value
        for name, value in to_values(node).items()
        if value != []
    }


class NodeOperator(HWCustomOp):
    """An operator for a node. Its first inputs are streams; the following ones are parameters, initializers of the graph.

    Attributes:
        kind: Kind of node.
    """

    kind: ClassVar[type[HardwareNode]]

    @property
    def node(self) -> HardwareNode:
        """The node, without its numbers."""
        hints = shape_fields(self.kind)
        values = {name: self.get_nodeattr(_FINNS.get(name, name)) for name in hints}
        return from_values(
            self.kind,
            {
                name: None if value == _NONE and type(None) in get_args(hints[name]) else _plain(value)
                for name, value in values.items()
            },
        )

    @property
    def sources(self) -> tuple[Stream, ...]:
        """Input streams, for one image."""
        return tuple(self.node.inputs.values())

    @property
    def sinks(self) -> tuple[Stream, ...]:
        """Output streams, for one image."""
        return tuple(self.node.outputs.values())

    def with_numbers(self, parameters: list[np.ndarray]) -> HardwareNode:
        """Return the node with its numbers.

        Args:
            parameters: Initializers in the order of `HardwareNode.parameter_names`.
        """
        named = zip(self.kind.parameter_names, map(np.asarray, parameters), strict=True)
        return self.node.with_parameters(dict(named))

    def compute(self, values: list[np.ndarray], parameters: list[np.ndarray]) -> list[np.ndarray]:
        """Compute the outputs for a batch.

        Args:
            values: One array for each input stream, shape (N, ...), with the elements of an image in order.
            parameters: Initializers of the node.

        Returns:
            One float32 array for each output stream, shape (N, *shape of an image); float64 if 24 bits do not suffice.
        """
        node = self.with_numbers(parameters)
        samples = [np.asarray(value).astype(np.int64).reshape(len(value), -1) for value in values]
        results = node.reference(*samples)
        return [
            result.reshape(len(values[0]), *sink.shape).astype(np.float32 if sink.bits <= 24 else np.float64)
            for result, sink in zip(results, node.outputs.values(), strict=True)
        ]

    # Methods that FINN calls.

    def get_nodeattr_types(self) -> AttributeTypes:
        """Return all attributes, including FINN's own."""
        return {**super().get_nodeattr_types(), **attribute_types(self.kind)}

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        """Return the datatype of an input stream; for parameters, an integer datatype that holds all of them."""
        sources = self.sources
        return DataType[sources[ind].datatype if ind < len(sources) else "INT32"]

    def get_output_datatype(self, ind: int = 0) -> BaseDataType:
        """Return the datatype of an output stream."""
        return DataType[self.sinks[ind].datatype]

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return the shape of an input image."""
        return self.sources[ind].stock_shape

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return the shape of an output image."""
        return self.sinks[ind].stock_shape

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return the shape of an input image with its last axis split into words."""
        return _folded(self.sources[ind])

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return the shape of an output image with its last axis split into words."""
        return _folded(self.sinks[ind])

    def get_instream_width(self, ind: int = 0) -> int:
        """Return the bits of an input word; 0 for parameters, which have no stream."""
        sources = self.sources
        return sources[ind].width if ind < len(sources) else 0

    def get_outstream_width(self, ind: int = 0) -> int:
        """Return the bits of an output word."""
        return self.sinks[ind].width

    def get_number_output_values(self) -> Any:
        """Return the number of output words; for several outputs, by name, as FINN expects it."""
        words = [sink.words for sink in self.sinks]
        return words[0] if len(words) == 1 else {f"out{index}": count for index, count in enumerate(words)}

    def make_shape_compatible_op(self, model: "ModelWrapper") -> NodeProto:
        """Return a standard operator with outputs of the same shape."""
        made = super().make_shape_compatible_op(model)
        made.output[:] = self.onnx_node.output
        return made

    def infer_node_datatype(self, model: "ModelWrapper") -> None:
        """Annotate the datatypes of the outputs; the node's record defines those of the inputs."""
        for name, sink in zip(self.onnx_node.output, self.sinks, strict=True):
            model.set_tensor_datatype(name, DataType[sink.datatype])

    def get_exp_cycles(self) -> int:
        """Return the cycles per image."""
        return self.node.interval

    def lut_estimation(self, fpgapart: str) -> int:
        """Return the 6-input LUTs."""
        return round(self.node.price().lut)

    def bram_estimation(self, fpgapart: str) -> int:
        """Return the block RAMs of 18 kbit."""
        return self.node.price().bram18

    def dsp_estimation(self, fpgapart: str) -> int:
        """Return the DSPs."""
        return self.node.price().dsp

    def get_op_and_param_counts(self) -> dict[str, int]:
        """Return the numbers of multiplications and parameters by FINN's names."""
        return self.node.operation_counts()

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Compute the outputs with the node's numpy reference."""
        streams = len(self.sources)
        inputs = [context[name] for name in self.onnx_node.input]
        results = self.compute(inputs[:streams], inputs[streams:])
        context.update(zip(self.onnx_node.output, results, strict=True))


class _Generated(RTLBackend):
    """A node as FINN builds it: SystemVerilog of the library in a Verilog wrapper."""

    def generate_hdl(self, model: "ModelWrapper", fpgapart: str, clk: float) -> None:
        """Write memory files and wrapper to the node's folder.

        The wrapper refers to the files relative to its folder. FINN makes these paths absolute before it calls Vivado.
        """
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        top = self.get_verilog_top_module_name()
        names = self.onnx_node.input[len(self.sources) :]
        node = self.with_numbers([model.get_initializer(name) for name in names])
        instance = node.generate(folder, "./")
        (folder / f"{top}.v").write_text(wrapper(top, node, instance))
        self.set_nodeattr("gen_top_module", top)
        self.set_nodeattr("zc_module", instance.module)
        for attribute in ("ipgen_path", "ip_path"):
            self.set_nodeattr(attribute, str(folder))

    def get_nodeattr_types(self) -> AttributeTypes:
        """Return all attributes, including the generated module."""
        return {**super().get_nodeattr_types(), "zc_module": ("s", False, "")}

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Return the node's files. All nodes share the library's files, because modules of equal names must be equal."""
        wrapped = f"{self.get_nodeattr('gen_top_module')}.v"
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        files = library_of(self.get_nodeattr("zc_module"), generated=folder)
        if not abspath:
            return [*(path.name for path in files), wrapped]
        return [str(path) for path in (*files, folder / wrapped)]

    def code_generation_ipi(self) -> list[str]:
        """Return the Tcl commands that place the node in a block design."""
        files = [f"add_files -norecurse {path}" for path in self.get_rtl_file_list(abspath=True)]
        top = self.get_nodeattr("gen_top_module")
        return [*files, f"create_bd_cell -type module -reference {top} {self.onnx_node.name}"]

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Compute the outputs in Python, or with FINN's simulation, from which the parameters are hidden."""
        if self.get_nodeattr("exec_mode") != "rtlsim":
            super(RTLBackend, self).execute_node(context, graph)
            return
        node = NodeProto()
        node.CopyFrom(self.onnx_node)
        del node.input[len(self.sources) :]
        simulated = type(self)(node, onnx_opset_version=self.onnx_opset_version)
        RTLBackend.execute_node(simulated, context, graph)
        self.set_nodeattr("cycles_rtlsim", simulated.get_nodeattr("cycles_rtlsim"))


def operator_name(kind: type[HardwareNode]) -> str:
    """Return FINN's name of a kind of node, without the "_rtl" of the specialised operator."""
    return f"Zc{kind.__name__}"


def _operator(kind: type[HardwareNode], built: bool) -> type[NodeOperator]:
    bases = (_Generated, NodeOperator) if built else (NodeOperator,)
    name = operator_name(kind) + "_rtl" * built
    return type(name, bases, {"kind": kind, "__doc__": kind.__doc__, "__module__": __name__})


OPERATORS = {name: _operator(kind, built=False) for name, kind in NODES.items()}
"""FINN's abstract operators by kind of node."""

_BUILT = {name: _operator(kind, built=True) for name, kind in NODES.items()}


def register() -> None:
    """Register these operators with FINN in this process. Further calls have no effect."""
    for name, operator in OPERATORS.items():
        if operator.__name__ not in fpgadataflow.custom_op:
            fpgadataflow.register_custom_op(operator)
            rtl.register_custom_op(_BUILT[name])


def _plain(value: Any) -> Any:
    """Return an attribute's value as a plain Python value; FINN's lists may be numpy arrays."""
    return [int(each) for each in value] if not isinstance(value, str | int) else value


def _folded(stream: Stream) -> tuple[int, ...]:
    """Return a stream's shape with its last axis split into words, or (words, lanes) if words do not divide that axis."""
    shape = stream.stock_shape
    if shape[-1] % stream.lanes == 0:
        return (*shape[:-1], shape[-1] // stream.lanes, stream.lanes)
    return (stream.words, stream.lanes)
