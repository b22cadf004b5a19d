"""FINN's own flow, from an exported network of plain signs to folded hardware nodes and their estimates.

Every FINN user takes these steps: clean up, streamline, convert to hardware layers, specialise, fold. They are the
reference for `planner.py`, which results in the same nodes without a trained network.

Reference for tests and benchmarks; no command uses it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.util.basic import get_by_name

from zerocross.finn_flows.accumulators import accumulator_range, accumulator_type, threshold_type
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.finn_patches import prepare_finn
from zerocross.finn_flows.network import Input

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


class StockFlowError(FlowError):
    """FINN's flow cannot convert a node of the network; the message names the node."""


class AbsorbBipolarPad(Transformation):
    """Move a constant padding with -1 of bipolar data into the following convolution.

    FINN pads with 0 only, which is not a bipolar value. But the hardware encodes -1 as bit 0: after the products have
    become XNOR-popcounts, padding with 0 is padding with -1. So `Pad(-1) -> Conv` becomes a `Conv` with pads. The two are
    equivalent only after `ConvertBipolarMatMulToXnorPopcount`. Padding with 0 of other data is moved too, and is
    equivalent at once.
    """

    def apply(self, model: "ModelWrapper") -> tuple["ModelWrapper", bool]:
        """Return the model with such paddings moved, and False, because one pass moves all."""
        for pad in model.get_nodes_by_op_type("Pad"):
            conv = model.find_consumer(pad.output[0])
            amounts = model.get_initializer(pad.input[1])
            value = (
                model.get_initializer(pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(())
            )
            bipolar = model.get_tensor_datatype(pad.input[0]) == DataType["BIPOLAR"]
            if conv is None or conv.op_type != "Conv" or amounts is None or value is None:
                continue
            if float(value) != (-1.0 if bipolar else 0.0):
                raise StockFlowError(
                    f"{pad.name} pads with {float(value)}; bipolar data can only be padded with -1"
                )
            top, left, bottom, right = (int(amounts[axis]) for axis in (2, 3, 6, 7))
            pads = get_by_name(conv.attribute, "pads")
            pads.ints[:] = [old + new for old, new in zip(pads.ints, (top, left, bottom, right), strict=True)]
            conv.input[0] = pad.input[0]
            model.graph.node.remove(pad)
        return model, False


class RemoveInputThreshold(Transformation):
    """Remove a sign at the graph's input, because the input stream already holds bits.

    The input's datatype becomes BINARY, in which 0 stands for -1.
    """

    def apply(self, model: "ModelWrapper") -> tuple["ModelWrapper", bool]:
        """Return the model without its first threshold, and False."""
        name = model.graph.input[0].name
        node = model.find_consumer(name)
        if node is not None and node.op_type in ("MultiThreshold", "Thresholding"):
            _bypass(model, node)
            model.set_tensor_datatype(name, DataType["BINARY"])
        return model, False


class RemoveInputQuant(Transformation):
    """Remove a quantizer of scale 1 and a flatten at the graph's input, because the input stream already holds integers.

    A network with 1-bit inputs has a sign there instead, which `RemoveInputThreshold` removes.
    """

    def apply(self, model: "ModelWrapper") -> tuple["ModelWrapper", bool]:
        """Return the model without such first nodes, and False."""
        name = model.graph.input[0].name
        node = model.find_consumer(name)
        while node is not None and node.op_type in ("Quant", "Flatten"):
            if node.op_type == "Quant":
                scale, offset = (model.get_initializer(tensor) for tensor in node.input[1:3])
                if scale is None or offset is None or np.any(scale != 1) or np.any(offset != 0):
                    raise StockFlowError(f"{node.name}: the input quantizer must have scale 1 and offset 0")
            _bypass(model, node)
            node = model.find_consumer(name)
        return model, False


class RemoveInputTranspose(Transformation):
    """Remove a layout change or flatten at the graph's input, because images arrive as (height, width, channels)."""

    def apply(self, model: "ModelWrapper") -> tuple["ModelWrapper", bool]:
        """Return the model without its first transposition, and False."""
        name = model.graph.input[0].name
        node = model.find_consumer(name)
        if node is not None and node.op_type in ("Transpose", "Flatten"):
            _bypass(model, node)
        return model, False


def _bypass(model: "ModelWrapper", node: Any) -> None:
    """Remove a node that reads the graph's input; the input gets the shape of the node's output."""
    name, output = model.graph.input[0].name, node.output[0]
    shape, datatype = model.get_tensor_shape(output), model.get_tensor_datatype(name)
    for consumer in model.find_consumers(output):
        consumer.input[list(consumer.input).index(output)] = name
    model.graph.node.remove(node)
    model.set_tensor_shape(name, shape)
    model.set_tensor_datatype(name, datatype)


class FixAccumulators(Transformation):
    """Set the datatype of every product's accumulator, and make its thresholds integers of a fitting datatype.

    An accumulator a in low..high passes the threshold t if a >= t. Thresholds are rounded up, which has no effect for
    integers a, and clipped to low..high+1: every a passes low, and no a passes high+1.
    """

    def apply(self, model: "ModelWrapper") -> tuple["ModelWrapper", bool]:
        """Return the model with fixed datatypes, and False."""
        for node in model.get_nodes_by_op_type("MVAU"):
            product = getCustomOp(node)
            fan_in, bits = product.get_nodeattr("MW"), product.get_input_datatype(0).bitwidth()
            accumulator = accumulator_type(fan_in, bits)
            product.set_nodeattr("accDataType", accumulator)
            product.set_nodeattr("outputDataType", accumulator)
            model.set_tensor_datatype(node.output[0], DataType[accumulator])
            following = model.find_consumer(node.output[0])
            if following is None or following.op_type != "Thresholding":
                continue
            low, high = accumulator_range(fan_in, bits)
            thresholds = np.clip(np.ceil(model.get_initializer(following.input[1])), low, high + 1)
            model.set_initializer(following.input[1], thresholds)
            model.set_tensor_datatype(following.input[1], DataType[threshold_type(fan_in, bits)])
            getCustomOp(following).set_nodeattr("inputDataType", accumulator)
            getCustomOp(following).set_nodeattr("weightDataType", threshold_type(fan_in, bits))
        return model, False


def stock_layers(source: "ModelWrapper | str | Path", network_input: Input) -> "ModelWrapper":
    """Run FINN's flow on a QONNX network of plain signs up to hardware layers.

    The result holds FINN's abstract layers, which still run in Python (`qonnx.core.onnx_exec.execute_onnx`). Its bits are
    0 and 1, its images have shape (1, height, width, channels), and its output is the index of the largest logit.

    Args:
        source: Exported network, a model or a file, with one input, one output of logits, and binary weights of scale 1.
        network_input: Input stream: bits (bipolar, 0 for -1) or unsigned bytes.

    Raises:
        StockFlowError: If FINN has no hardware layer for a node.
    """
    prepare_finn()
    return _hardware_layers(_streamlined(_finn_onnx(source, network_input)))


def stock_graph(
    layers: "ModelWrapper",
    foldings: Mapping[str, Mapping[str, int]] | None = None,
    part: str = "xc7z020clg400-1",
) -> "ModelWrapper":
    """Specialise and fold hardware layers to the nodes that FINN builds.

    Args:
        layers: Result of `stock_layers`; it is not changed.
        foldings: Attributes (PE, SIMD, parallel_window) by FINN's node names: `MVAU_hls_0`, ...
        part: FINN's full part name, which decides between RTL and HLS nodes.

    Returns:
        The model with FINN's `_rtl` and `_hls` nodes only, without width converters or FIFOs.
    """
    prepare_finn()
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveUniqueNodeNames

    model = layers.transform(SpecializeLayers(part)).transform(GiveUniqueNodeNames())
    for name, attributes in (foldings or {}).items():
        node = getCustomOp(model.get_node_from_name(name))
        for attribute, value in attributes.items():
            node.set_nodeattr(attribute, value)
    return model


def with_streams(model: "ModelWrapper", part: str = "xc7z020clg400-1") -> "ModelWrapper":
    """Return a folded graph with the width converters and FIFOs that FINN inserts between its nodes."""
    prepare_finn()
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveUniqueNodeNames

    for transformation in (
        InsertDWC(),
        SpecializeLayers(part),
        InsertFIFO(create_shallow_fifos=True),
        SpecializeLayers(part),
        GiveUniqueNodeNames(),
    ):
        model = model.transform(transformation)
    return model


def node_estimates(model: "ModelWrapper", part: str = "xc7z020clg400-1") -> list[dict[str, Any]]:
    """Return FINN's estimate of each node in order: op_type, cycles, LUT, BRAM_18K, DSP."""
    answers = []
    for node in model.graph.node:
        instance = getCustomOp(node)
        resources = instance.node_res_estimation(part)
        answers.append(
            {"op_type": node.op_type, "cycles": int(instance.get_exp_cycles())}
            | {kind: int(resources[kind]) for kind in ("LUT", "BRAM_18K", "DSP")}
        )
    return answers


def _finn_onnx(source: "ModelWrapper | str | Path", network_input: Input) -> "ModelWrapper":
    """Read a QONNX network and convert it to FINN's dialect, with a TopK at its end."""
    from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.fold_constants import FoldConstants
    from qonnx.transformation.general import (
        GiveReadableTensorNames,
        GiveUniqueNodeNames,
        RemoveStaticGraphInputs,
    )
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.transformation.insert_topk import InsertTopK
    from qonnx.util.cleanup import cleanup_model

    model = ModelWrapper(str(source)) if isinstance(source, str | Path) else source
    model = cleanup_model(model)
    if network_input.bits != 1:
        model = model.transform(RemoveInputQuant())
        model.set_tensor_datatype(model.graph.input[0].name, DataType[f"UINT{network_input.bits}"])
    for transformation in (
        ConvertQONNXtoFINN(),
        InferShapes(),
        FoldConstants(),
        InsertTopK(k=1),
        InferShapes(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
        InferDataTypes(),
        RemoveStaticGraphInputs(),
        AbsorbBipolarPad(),
        InferShapes(),
    ):
        model = model.transform(transformation)
    return model


def _streamlined(model: "ModelWrapper") -> "ModelWrapper":
    """Move scales into thresholds, lower convolutions, and convert products of bits to XNOR-popcounts."""
    from finn.transformation.streamline import Streamline, absorb
    from finn.transformation.streamline.reorder import MakeMaxPoolNHWC
    from qonnx.transformation.bipolar_to_xnor import ConvertBipolarMatMulToXnorPopcount
    from qonnx.transformation.general import RemoveUnusedTensors
    from qonnx.transformation.infer_data_layouts import InferDataLayouts
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul

    for transformation in (
        absorb.AbsorbScalarBiasIntoMultiThreshold(),
        Streamline(),
        LowerConvsToMatMul(),
        MakeMaxPoolNHWC(),
        absorb.AbsorbTransposeIntoMultiThreshold(),
        MakeMaxPoolNHWC(),
        absorb.AbsorbConsecutiveTransposes(),
        ConvertBipolarMatMulToXnorPopcount(),
        Streamline(),
        absorb.AbsorbScalarMulAddIntoTopK(),
        InferDataLayouts(),
        RemoveUnusedTensors(),
        RemoveInputThreshold(),
        RemoveInputTranspose(),
        InferShapes(),
        InferDataTypes(),
    ):
        model = model.transform(transformation)
    return model


def _hardware_layers(model: "ModelWrapper") -> "ModelWrapper":
    """Convert to hardware layers, with thresholds separate from products, and fix their datatypes."""
    from finn.transformation.fpgadataflow.convert_to_hw.binary_matrix_vector_activation import (
        InferBinaryMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
    from finn.transformation.fpgadataflow.convert_to_hw.label_select import InferLabelSelectLayer
    from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
    from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
        InferQuantizedMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
    from finn.transformation.move_reshape import RemoveCNVtoFCFlatten
    from finn.transformation.streamline import absorb
    from qonnx.transformation.general import GiveUniqueNodeNames, RemoveUnusedTensors
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes

    for transformation in (
        InferThresholdingLayer(),
        InferBinaryMatrixVectorActivation(),
        InferQuantizedMatrixVectorActivation(),
        InferLabelSelectLayer(),
        InferPool(),
        InferConvInpGen(),
        RemoveCNVtoFCFlatten(),
        absorb.AbsorbConsecutiveTransposes(),
        RemoveUnusedTensors(),
        FixAccumulators(),
        GiveUniqueNodeNames(),
        InferShapes(),
        InferDataTypes(),
    ):
        model = model.transform(transformation)
    foreign = [node.name for node in model.graph.node if node.domain != "finn.custom_op.fpgadataflow"]
    if foreign:
        raise StockFlowError(f"FINN has no hardware layers for: {', '.join(foreign)}")
    return model
