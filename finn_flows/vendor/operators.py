"""This project's hardware nodes as FINN's custom operators: one generic operator, made for each kind of node.

FINN asks an operator for shapes, datatypes and widths of its streams, for cycles and resources, for its output in
Python, and for Verilog. `NodeOperator` answers all of it from the node's record, which its attributes hold field by field.
`register` makes FINN know an operator for each kind of node, `Zc` before its name so that no operator of FINN's has it;
its passes then take them: estimates, FIFOs and width converters, partitions, code, Vivado's block design.
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

_NONE = -1  # what stands for None in an attribute that is an integer or None
_FINNS = {"pe": "PE", "simd": "SIMD", "parallel": "parallel_window"}  # the names FINN's passes look for


def attribute_types(kind: type[HardwareNode]) -> AttributeTypes:
    """Return the attributes of a kind of node, as FINN has them: (type, required, default)."""
    found: AttributeTypes = {}
    for name, hint in shape_fields(kind).items():
        if hint is str:
            found[_FINNS.get(name, name)] = ("s", True, "")
        elif hint in (int, bool) or isinstance(hint, UnionType):
            found[_FINNS.get(name, name)] = ("i", True, 0)
        else:  # an empty list is no attribute that ONNX knows
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
    """An operator whose first inputs are streams; those behind them are its parameters, initializers of the graph.

    Attributes:
        kind: of the node that it stands for.
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
        """The streams it reads, for one image."""
        return tuple(self.node.inputs.values())

    @property
    def sinks(self) -> tuple[Stream, ...]:
        """The streams it writes, for one image."""
        return tuple(self.node.outputs.values())

    def with_numbers(self, parameters: list[np.ndarray]) -> HardwareNode:
        """Return the node with its numbers.

        Args:
            parameters: initializers in the order of `HardwareNode.parameter_names`.
        """
        named = zip(self.kind.parameter_names, map(np.asarray, parameters), strict=True)
        return self.node.with_parameters(dict(named))

    def compute(self, values: list[np.ndarray], parameters: list[np.ndarray]) -> list[np.ndarray]:
        """Compute its outputs for a batch.

        Args:
            values: one array for each stream it reads, shape (N, ...) with an image's elements in order.
            parameters: its parameters.

        Returns:
            One float32 array for each stream it writes, shape (N, *shape of an image).
        """
        node = self.with_numbers(parameters)
        samples = [np.asarray(value).astype(np.int64).reshape(len(value), -1) for value in values]
        results = node.reference(*samples)
        return [
            result.reshape(len(values[0]), *sink.shape).astype(np.float32)
            for result, sink in zip(results, node.outputs.values(), strict=True)
        ]

    # What FINN asks.

    def get_nodeattr_types(self) -> AttributeTypes:
        """Return all attributes, FINN's own included."""
        return {**super().get_nodeattr_types(), **attribute_types(self.kind)}

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        """Return the datatype of a stream it reads; parameters are integers of any size here."""
        sources = self.sources
        return DataType[sources[ind].datatype if ind < len(sources) else "INT32"]

    def get_output_datatype(self, ind: int = 0) -> BaseDataType:
        """Return the datatype of a stream it writes."""
        return DataType[self.sinks[ind].datatype]

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return the shape of an image it reads."""
        return self.sources[ind].stock_shape

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return the shape of an image it writes."""
        return self.sinks[ind].stock_shape

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return that shape with its last axis split into words."""
        return _folded(self.sources[ind])

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """Return that shape with its last axis split into words."""
        return _folded(self.sinks[ind])

    def get_instream_width(self, ind: int = 0) -> int:
        """Return the bits of a word it reads; parameters have no stream."""
        sources = self.sources
        return sources[ind].width if ind < len(sources) else 0

    def get_outstream_width(self, ind: int = 0) -> int:
        """Return the bits of a word it writes."""
        return self.sinks[ind].width

    def get_number_output_values(self) -> Any:
        """Return the words it writes; of several outputs by name, as FINN wants them."""
        words = [sink.words for sink in self.sinks]
        return words[0] if len(words) == 1 else {f"out{index}": count for index, count in enumerate(words)}

    def make_shape_compatible_op(self, model: "ModelWrapper") -> NodeProto:
        """Return a standard operator with outputs of the same shape."""
        made = super().make_shape_compatible_op(model)
        made.output[:] = self.onnx_node.output
        return made

    def infer_node_datatype(self, model: "ModelWrapper") -> None:
        """Annotate the outputs; what flows into it was decided when it was made."""
        for name, sink in zip(self.onnx_node.output, self.sinks, strict=True):
            model.set_tensor_datatype(name, DataType[sink.datatype])

    def get_exp_cycles(self) -> int:
        """Return its cycles an image."""
        return self.node.interval

    def lut_estimation(self, fpgapart: str) -> int:
        """Return its 6-input LUTs."""
        return round(self.node.price().lut)

    def bram_estimation(self, fpgapart: str) -> int:
        """Return its block RAMs of 18 kbit."""
        return self.node.price().bram18

    def dsp_estimation(self, fpgapart: str) -> int:
        """Return its DSPs."""
        return self.node.price().dsp

    def get_op_and_param_counts(self) -> dict[str, int]:
        """Return multiplications and parameters, as FINN counts them."""
        return self.node.operation_counts()

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Compute its outputs from its record."""
        streams = len(self.sources)
        inputs = [context[name] for name in self.onnx_node.input]
        results = self.compute(inputs[:streams], inputs[streams:])
        context.update(zip(self.onnx_node.output, results, strict=True))


class _Generated(RTLBackend):
    """A node as FINN builds it: SystemVerilog of the library, and a Verilog module around it."""

    def generate_hdl(self, model: "ModelWrapper", fpgapart: str, clk: float) -> None:
        """Write memory files and wrapper to the node's folder.

        The wrapper names them relative to its folder, which FINN makes absolute before it calls Vivado.
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
        """Return all attributes, with the module that was generated."""
        return {**super().get_nodeattr_types(), "zc_module": ("s", False, "")}

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Return its files; all nodes share those of the library, which modules of one name must."""
        wrapped = f"{self.get_nodeattr('gen_top_module')}.v"
        files = library_of(self.get_nodeattr("zc_module"))
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
        del node.input[len(self.sources) :]
        simulated = type(self)(node, onnx_opset_version=self.onnx_opset_version)
        RTLBackend.execute_node(simulated, context, graph)
        self.set_nodeattr("cycles_rtlsim", simulated.get_nodeattr("cycles_rtlsim"))


def operator_name(kind: type[HardwareNode]) -> str:
    """Return FINN's name of a kind of node, without the "_rtl" of the operator that is built."""
    return f"Zc{kind.__name__}"


def _operator(kind: type[HardwareNode], built: bool) -> type[NodeOperator]:
    bases = (_Generated, NodeOperator) if built else (NodeOperator,)
    name = operator_name(kind) + "_rtl" * built
    return type(name, bases, {"kind": kind, "__doc__": kind.__doc__, "__module__": __name__})


OPERATORS = {name: _operator(kind, built=False) for name, kind in NODES.items()}
"""FINN's abstract operators by kind of node."""

_BUILT = {name: _operator(kind, built=True) for name, kind in NODES.items()}


def register() -> None:
    """Make FINN know these operators, in this process; calling it again does nothing."""
    for name, operator in OPERATORS.items():
        if operator.__name__ not in fpgadataflow.custom_op:
            fpgadataflow.register_custom_op(operator)
            rtl.register_custom_op(_BUILT[name])


def _plain(value: Any) -> Any:
    """Return an attribute's value as Python has it: FINN's lists are numpy arrays or lists."""
    return [int(each) for each in value] if not isinstance(value, str | int) else value


def _folded(stream: Stream) -> tuple[int, ...]:
    """Return a stream's shape with its last axis split into words; flat where words do not divide that axis."""
    shape = stream.stock_shape
    if shape[-1] % stream.lanes == 0:
        return (*shape[:-1], shape[-1] // stream.lanes, stream.lanes)
    return (stream.words, stream.lanes)
