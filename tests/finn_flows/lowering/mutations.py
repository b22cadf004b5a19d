"""Damage to ONNX files, drawn by seeds: the same seed damages a file in the same way.

`MUTATIONS` lists all kinds. Each changes a graph in place, at a place that is drawn, or does nothing if there is none.
"""

import copy
import random
from collections.abc import Callable

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

Mutation = Callable[[ModelProto, random.Random], None]

MUTATIONS: dict[str, Mutation] = {}

_NUMBERS = [0, -1, 1, 2, 3, 7, 127, 10**6, 2**31 - 1, 10**12, -(10**12), 2**63 - 1]
_FLOATS = [0.0, -1.0, 0.5, 1e-30, 1e30, -3.7, 2.5, 17.0, 1e9, float("nan"), float("inf"), -float("inf")]


def mutated(model: ModelProto, seed: int, kind: str | None = None) -> tuple[str, bytes]:
    """Damage a copy of a model in one or two ways; return their names, and the file's content."""
    draw = random.Random(seed)
    damaged = copy.deepcopy(model)
    kinds = [kind] if kind else draw.choices([*MUTATIONS], k=draw.choice([1, 1, 1, 2]))
    for each in kinds:
        if damaged.graph.node:
            MUTATIONS[each](damaged, draw)
    content = damaged.SerializeToString()
    if draw.random() < 0.06:
        kinds.append("bytes")
        content = _damaged_bytes(content, draw)
    return ", ".join(kinds), content


def _damaged_bytes(content: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.5:
        return content[: draw.randrange(len(content))]
    damaged = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        damaged[draw.randrange(len(damaged))] = draw.randrange(256)
    return bytes(damaged)


def _mutation(function: Mutation) -> Mutation:
    MUTATIONS[function.__name__] = function
    return function


def _shape(value: "helper.ValueInfoProto", dims: list[int | str | None]) -> None:  # type: ignore[name-defined]
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for size in dims:
        dim = shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        elif size is not None:
            dim.dim_value = size


def _dims(value: "helper.ValueInfoProto") -> list[int | str | None]:  # type: ignore[name-defined]
    return [
        each.dim_value if each.HasField("dim_value") else (each.dim_param or None)
        for each in value.type.tensor_type.shape.dim
    ]


def _tensors(graph: GraphProto) -> list[str]:
    return [each.name for each in graph.initializer] + [name for node in graph.node for name in node.output]


def _constant(graph: GraphProto, draw: random.Random) -> TensorProto | None:
    return draw.choice(graph.initializer) if graph.initializer else None


def _node(graph: GraphProto, draw: random.Random) -> NodeProto:
    return draw.choice(graph.node)


# ---- nodes and edges


@_mutation
def node_is_gone(model: ModelProto, draw: random.Random) -> None:
    del model.graph.node[draw.randrange(len(model.graph.node))]


@_mutation
def nodes_are_gone(model: ModelProto, draw: random.Random) -> None:
    del model.graph.node[:]


@_mutation
def input_reads_another_tensor(model: ModelProto, draw: random.Random) -> None:
    node = _node(model.graph, draw)
    if node.input:
        node.input[draw.randrange(len(node.input))] = draw.choice([*_tensors(model.graph), "nowhere", ""])


@_mutation
def inputs_are_swapped(model: ModelProto, draw: random.Random) -> None:
    inputs = _node(model.graph, draw).input
    given = list(inputs)
    draw.shuffle(given)
    del inputs[:]
    inputs.extend(given)


@_mutation
def input_is_gone_or_added(model: ModelProto, draw: random.Random) -> None:
    node = _node(model.graph, draw)
    if node.input and draw.random() < 0.6:
        del node.input[draw.randrange(len(node.input)) :]
    else:
        node.input.append(draw.choice(_tensors(model.graph)))


@_mutation
def cycle(model: ModelProto, draw: random.Random) -> None:
    nodes = model.graph.node
    late = draw.randrange(len(nodes))
    early = nodes[draw.randint(0, late)]
    if early.input:
        early.input[0] = nodes[late].output[0]


@_mutation
def order_of_nodes(model: ModelProto, draw: random.Random) -> None:
    nodes = [copy.deepcopy(node) for node in model.graph.node]
    draw.shuffle(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@_mutation
def two_nodes_make_a_tensor(model: ModelProto, draw: random.Random) -> None:
    one, other = _node(model.graph, draw), _node(model.graph, draw)
    if one.output and other.output:
        one.output[0] = other.output[0]


@_mutation
def node_is_doubled(model: ModelProto, draw: random.Random) -> None:
    model.graph.node.append(copy.deepcopy(_node(model.graph, draw)))


@_mutation
def output_is_gone_or_empty(model: ModelProto, draw: random.Random) -> None:
    node = _node(model.graph, draw)
    if draw.random() < 0.5:
        del node.output[:]
    else:
        node.output[0] = ""


@_mutation
def more_outputs(model: ModelProto, draw: random.Random) -> None:
    _node(model.graph, draw).output.append("more")


@_mutation
def names_of_nodes(model: ModelProto, draw: random.Random) -> None:
    for node in model.graph.node:
        node.name = draw.choice(["", "same", "a/b c", "x" * 300, "\n", "[/red]"])


@_mutation
def operator(model: ModelProto, draw: random.Random) -> None:
    others = "NoSuchNode Relu Conv MatMul Concat Reshape Softmax Loop If Scan LSTM Identity Transpose TopK Shape Gather"
    _node(model.graph, draw).op_type = draw.choice([*others.split(), "Quant", "MultiThreshold", "", "é"])


@_mutation
def domain(model: ModelProto, draw: random.Random) -> None:
    _node(model.graph, draw).domain = draw.choice(
        ["no.such", "com.microsoft", "ai.onnx.ml", "qonnx.custom_op.general", "finn"]
    )


# ---- attributes


@_mutation
def attribute_is_gone(model: ModelProto, draw: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if nodes:
        node = draw.choice(nodes)
        del node.attribute[draw.randrange(len(node.attribute))]


@_mutation
def attribute_of_another_type(model: ModelProto, draw: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if nodes:
        attribute = draw.choice(draw.choice(nodes).attribute)
        value = draw.choice([1, 1.5, "text", [1, 2], [0.5], ["a"], np.ones(3, np.float32)])
        made = numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        attribute.CopyFrom(helper.make_attribute(attribute.name, made))


@_mutation
def attribute_without_a_type(model: ModelProto, draw: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if nodes:
        attribute = draw.choice(draw.choice(nodes).attribute)
        attribute.type = draw.choice(
            [AttributeProto.UNDEFINED, AttributeProto.GRAPH, AttributeProto.INTS, AttributeProto.TENSOR]
        )


@_mutation
def number_in_an_attribute(model: ModelProto, draw: random.Random) -> None:
    found = [
        attribute
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.type in (AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOAT)
    ]
    if found:
        attribute = draw.choice(found)
        if attribute.type == AttributeProto.FLOAT:
            attribute.f = draw.choice(_FLOATS)
        elif attribute.type == AttributeProto.INT:
            attribute.i = draw.choice(_NUMBERS)
        elif attribute.ints:
            attribute.ints[draw.randrange(len(attribute.ints))] = draw.choice(_NUMBERS)


@_mutation
def length_of_an_attribute(model: ModelProto, draw: random.Random) -> None:
    found = [each for node in model.graph.node for each in node.attribute if each.ints]
    if found:
        attribute = draw.choice(found)
        if draw.random() < 0.5:
            del attribute.ints[draw.randrange(len(attribute.ints)) :]
        else:
            attribute.ints.append(1)


# ---- constants


@_mutation
def constant_is_gone(model: ModelProto, draw: random.Random) -> None:
    if model.graph.initializer:
        del model.graph.initializer[draw.randrange(len(model.graph.initializer))]


@_mutation
def constant_is_doubled(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        other = numpy_helper.to_array(constant)
        model.graph.initializer.append(
            numpy_helper.from_array(other * np.array(-1, other.dtype), constant.name)
        )


@_mutation
def number_in_a_constant(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        value = numpy_helper.to_array(constant).copy()
        if value.size and value.dtype.kind == "f":
            value.reshape(-1)[draw.randrange(value.size)] = draw.choice(_FLOATS)
        elif value.size:
            with np.errstate(all="ignore"):
                value.reshape(-1)[draw.randrange(value.size)] = np.array(draw.choice(_NUMBERS)).astype(
                    value.dtype
                )
        constant.CopyFrom(numpy_helper.from_array(value, constant.name))


@_mutation
def all_numbers_of_a_constant(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        value = numpy_helper.to_array(constant)
        with np.errstate(all="ignore"):
            made = np.full(value.shape, draw.choice(_FLOATS)).astype(value.dtype)
        constant.CopyFrom(numpy_helper.from_array(made, constant.name))


@_mutation
def scalar_constant(model: ModelProto, draw: random.Random) -> None:
    """Scales, zero points and bit widths of quantizers."""
    found = [each for each in model.graph.initializer if len(each.dims) == 0]
    if found:
        constant = draw.choice(found)
        dtype = numpy_helper.to_array(constant).dtype
        with np.errstate(all="ignore"):
            constant.CopyFrom(
                numpy_helper.from_array(np.array(draw.choice(_FLOATS)).astype(dtype), constant.name)
            )


@_mutation
def shape_of_a_constant(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        value = numpy_helper.to_array(constant)
        shapes = [
            value.reshape(-1),
            value.reshape(1, *value.shape),
            value[..., None],
            value.reshape(-1)[:0],
            value.reshape(-1)[:1],
        ]
        constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(draw.choice(shapes)), constant.name))


@_mutation
def dims_of_a_constant_lie(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        if constant.dims and draw.random() < 0.8:
            constant.dims[draw.randrange(len(constant.dims))] = draw.choice(_NUMBERS)
        else:
            constant.dims.append(draw.choice(_NUMBERS))


@_mutation
def type_of_a_constant(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        if draw.random() < 0.5:
            constant.data_type = draw.choice(
                [0, TensorProto.STRING, TensorProto.INT8, TensorProto.DOUBLE, TensorProto.FLOAT16, 99]
            )
        else:
            dtype = draw.choice([np.float64, np.float16, np.int8, np.int64, np.bool_])
            with np.errstate(all="ignore"):
                value = numpy_helper.to_array(constant).astype(dtype)
            constant.CopyFrom(numpy_helper.from_array(value, constant.name))


@_mutation
def name_of_a_constant(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        constant.name = draw.choice(["", "other", *_tensors(model.graph)])


@_mutation
def constant_lies_elsewhere(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        constant.data_location = TensorProto.EXTERNAL
        constant.ClearField("raw_data")
        if draw.random() < 0.7:
            entry = constant.external_data.add()
            entry.key, entry.value = "location", draw.choice(["/etc/hostname", "../x", "no", "", ".", "\0"])


# ---- shapes, inputs, outputs


@_mutation
def shape_of_the_input(model: ModelProto, draw: random.Random) -> None:
    if model.graph.input:
        value = model.graph.input[0]
        dims = _dims(value)
        change = draw.randrange(5)
        if change == 0 and dims:
            dims[draw.randrange(len(dims))] = draw.choice([*_NUMBERS, "n", None])
        elif change == 1:
            dims = ["n"] * len(dims)
        elif change == 2:
            dims = dims[:-1]
        elif change == 3:
            dims = [*dims, 3]
        else:
            value.type.tensor_type.ClearField("shape")
            return
        _shape(value, dims)


@_mutation
def shape_inside_lies(model: ModelProto, draw: random.Random) -> None:
    node = _node(model.graph, draw)
    if node.output:
        dims = [draw.choice([1, 1, 2, 4, 10, *_NUMBERS]) for _ in range(draw.randint(0, 4))]
        for value in [*model.graph.value_info, *model.graph.output]:
            if value.name == node.output[0]:
                _shape(value, list(dims))
                return
        model.graph.value_info.append(helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, dims))


@_mutation
def type_of_the_input(model: ModelProto, draw: random.Random) -> None:
    if model.graph.input:
        kind = [
            0,
            TensorProto.STRING,
            TensorProto.DOUBLE,
            TensorProto.INT64,
            TensorProto.BOOL,
            TensorProto.COMPLEX64,
            99,
        ]
        model.graph.input[0].type.tensor_type.elem_type = draw.choice(kind)


@_mutation
def input_is_no_tensor(model: ModelProto, draw: random.Random) -> None:
    if model.graph.input:
        value = model.graph.input[0]
        value.ClearField("type")
        if draw.random() < 0.5:
            value.type.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT


@_mutation
def inputs_of_the_graph(model: ModelProto, draw: random.Random) -> None:
    if draw.random() < 0.5:
        del model.graph.input[:]
    else:
        model.graph.input.append(
            helper.make_tensor_value_info(draw.choice(["other", *_tensors(model.graph)]), 1, [1, 4])
        )


@_mutation
def outputs_of_the_graph(model: ModelProto, draw: random.Random) -> None:
    change = draw.randrange(4)
    if change == 0 or not model.graph.output:
        del model.graph.output[:]
    elif change == 1:
        model.graph.output[0].name = draw.choice(["", "nowhere", *_tensors(model.graph)])
    elif change == 2:
        model.graph.output.append(helper.make_tensor_value_info(draw.choice(_tensors(model.graph)), 1, None))
    else:
        model.graph.output.append(copy.deepcopy(model.graph.output[0]))


@_mutation
def opsets(model: ModelProto, draw: random.Random) -> None:
    change = draw.randrange(4)
    if change == 0 or not model.opset_import:
        del model.opset_import[:]
    elif change == 1:
        del model.opset_import[draw.randrange(len(model.opset_import))]
    elif change == 2:
        model.opset_import[0].version = draw.choice(_NUMBERS)
    else:
        model.opset_import.append(helper.make_opsetid("", draw.choice([1, 6, 9, 21, 99])))


@_mutation
def version(model: ModelProto, draw: random.Random) -> None:
    model.ir_version = draw.choice([0, 1, 3, 99, -1])


@_mutation
def subgraph(model: ModelProto, draw: random.Random) -> None:
    inner = helper.make_graph([copy.deepcopy(_node(model.graph, draw))], "inner", [], [])
    _node(model.graph, draw).attribute.append(helper.make_attribute("then_branch", inner))


@_mutation
def sparse_constant(model: ModelProto, draw: random.Random) -> None:
    constant = _constant(model.graph, draw)
    if constant is not None:
        sparse = model.graph.sparse_initializer.add()
        sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), constant.name))
        sparse.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64)))
        sparse.dims.extend([3, 4])
        if draw.random() < 0.5:
            model.graph.initializer.remove(constant)


@_mutation
def function(model: ModelProto, draw: random.Random) -> None:
    node = _node(model.graph, draw)
    made = helper.make_function(
        "mine", "Mine", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 13)]
    )
    model.functions.append(made)
    if len(node.input) == 1:
        node.op_type, node.domain = "Mine", "mine"
        model.opset_import.append(helper.make_opsetid("mine", 1))


@_mutation
def annotation(model: ModelProto, draw: random.Random) -> None:
    note = model.graph.quantization_annotation.add()
    note.tensor_name = draw.choice(
        [*_tensors(model.graph), *(each.name for each in model.graph.input), "nowhere"]
    )
    entry = note.quant_parameter_tensor_names.add()
    entry.key, entry.value = (
        "finn_datatype",
        draw.choice(["INT99", "no", "", "UINT8", "BIPOLAR", "FIXED<3,99>", "INT2"]),
    )
