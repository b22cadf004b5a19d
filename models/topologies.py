"""Network topologies by name; each is a function that returns a Brevitas module with activation slots.

A topology is any function

    def my_net(input_shape: tuple[int, ...], classes: int, width: int = 64) -> nn.Module

registered with `register_topology("my_net")`. A configuration may set and search its further parameters, which need type
annotations. `input_shape` is (features,) or (channels, height, width); inputs are pixels 0..255.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from zerocross.models.dynamic import Dynamic
from zerocross.models.errors import ModelError, nearest, shown
from zerocross.models.input_encoding import InputBits, encoder, input_channels, input_padding, quantizer_bits
from zerocross.models.layers import ActivationSlot, InputQuant, LogitScale, conv2d, linear
from zerocross.models.nasb import nasb as network_of_cells
from zerocross.models.residual import (
    BIREAL,
    REACTNET,
    REACTNET_MOBILENET,
    RESNETE,
    Backbone,
    ResidualStream,
    Style,
)
from zerocross.models.residual import stream_scale as automatic_scale
from zerocross.models.sparse import Connections, GroupSum, SparseLinear
from zerocross.models.table_neurons import TableLinear, TableSlot
from zerocross.models.thermometer import Thermometer, set_thresholds

Topology = Callable[..., nn.Module]
WeightBits = Annotated[int, Field(strict=True, ge=1, le=8)]
Module = TypeVar("Module", bound=nn.Module)

_BITS = Thermometer(3, "uniform")
"""Thresholds of 64, 128 and 192, which look at two bits of a byte."""

TOPOLOGIES: dict[str, Topology] = {}


def register_topology(name: str) -> Callable[[Topology], Topology]:
    """Register a topology by name (decorator). A later topology with the same name replaces it."""

    def register(topology: Topology) -> Topology:
        TOPOLOGIES[name] = topology
        return topology

    return register


def get_topology(name: str) -> Topology:
    """Return a topology by name.

    Raises:
        ModelError: For an unknown name; the message has the nearest known names.
    """
    if name in TOPOLOGIES:
        return TOPOLOGIES[name]
    raise ModelError(
        f"unknown topology {shown(name)}: {nearest(name, TOPOLOGIES)} (a topology of your own: list its file under "
        "`plugins` in the configuration)"
    )


def own_file(name: str) -> str | None:
    """Return the file of a user's topology, or its module if it has no file; None for a topology of this package."""
    topology = inspect.unwrap(get_topology(name))
    module = getattr(topology, "__module__", "")
    if module.startswith(f"{__package__.partition('.')[0]}."):
        return None
    try:
        return inspect.getsourcefile(topology) or module
    except TypeError:  # an object that is called
        return module or name


def check_parameters(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Check a topology's parameters against its signature.

    Returns:
        All parameters, including defaults, converted to their annotated types.

    Raises:
        ModelError: For an unknown parameter (the message has the nearest names), a missing one or a wrong type.
    """
    signature = inspect.signature(get_topology(name))
    known = {
        key: parameter
        for key, parameter in signature.parameters.items()
        if key not in ("input_shape", "classes")
    }
    for key in parameters:
        if key not in known:
            raise ModelError(f"topology {name!r} has no parameter {shown(key)}: {nearest(key, known)}")
    checked = {}
    for key, parameter in known.items():
        if key not in parameters and parameter.default is inspect.Parameter.empty:
            raise ModelError(f"topology {name!r} needs the parameter {key!r}")
        given = parameters.get(key, parameter.default)
        annotation = Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
        try:
            checked[key] = TypeAdapter(
                annotation, config=ConfigDict(strict=False, allow_inf_nan=False)
            ).validate_python(given)
        except ValidationError as error:
            first = error.errors()[0]
            place, message = (
                "".join(f"[{part}]" for part in first["loc"]),
                first["msg"].removeprefix("Value error, "),
            )
            raise ModelError(
                f"topology {name!r}, {key}{place}: {message}, found {shown(first['input'])}"
            ) from None
    return checked


def build(
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    parameters: dict[str, Any],
    samples: Tensor | None = None,
) -> nn.Module:
    """Build a topology with plain signs in its slots.

    Args:
        name: Name of a registered topology.
        input_shape: Shape of a sample, (features,) or (channels, height, width).
        classes: Number of logits.
        parameters: Parameters of the topology.
        samples: Training samples, (N, *input_shape), from which a thermometer at the input reads its thresholds; None leaves
            them uniform, for weights that will be loaded.

    Raises:
        ModelError: If the network cannot be built.
    """
    model = get_topology(name)(input_shape, classes, **check_parameters(name, parameters))
    if samples is not None:
        set_thresholds(model, samples)
    return model


def _positive(name: str, values: list[int]) -> None:
    for index, entry in enumerate(values):
        if entry < 1:
            raise ModelError(f"{name}[{index}] must be at least 1, not {entry}")


@register_topology("mlp")
def mlp(
    input_shape: tuple[int, ...],
    classes: int,
    hidden: list[int],
    input_bits: InputBits = 8,
    dropout: float = 0.0,
    weight_bits: WeightBits = 1,
) -> nn.Module:
    """A fully connected network.

    Args:
        input_shape: Shape of a sample, (features,) or (channels, height, width).
        classes: Number of logits.
        hidden: Width of each hidden layer.
        input_bits: Encoding of the input: 8 (bytes), 1 (one bit at 128), {planes: z}: its z highest bits (2..8), or
            {thermometer: z, thresholds: quantiles, step: 1}: z bits (1..16) of each feature or channel, at quantiles of its
            training values, at `uniform` or at `learned` thresholds, which are multiples of `step` (1, 2, 4, ... 128).
        dropout: Share of the input dropped in training, at least 0 and below 1.
        weight_bits: Bits of the weights of all products: 1 (-1 and +1), 2 (-1, 0 and +1), or up to 8.
    """
    if not hidden:
        raise ModelError("hidden names no layer, so the network has no activation: give at least one width")
    _positive("hidden", hidden)
    if not 0 <= dropout < 1:
        raise ModelError(f"dropout must be at least 0 and below 1, not {dropout}")
    fan_in = math.prod(input_shape)
    net = nn.Sequential()
    net.add_module("input", InputQuant(quantizer_bits(input_bits)))
    net.add_module("flatten", nn.Flatten())
    net.add_module(*encoder(input_bits, fan_in))  # each feature has thresholds of its own
    fan_in = input_channels(input_bits, fan_in)
    if dropout:
        net.add_module("dropout", nn.Dropout(dropout))
    return _head(net, fan_in, hidden, classes, weight_bits)


def _head(
    net: nn.Sequential, fan_in: int, widths: list[int], classes: int, weight_bits: int
) -> nn.Sequential:
    """Append hidden fully connected layers and the classifier."""
    for index, width in enumerate(widths, start=1):
        net.add_module(f"dense{index}", linear(fan_in, width, weight_bits))
        net.add_module(f"dense{index}_sign", ActivationSlot(width))
        fan_in = width
    net.add_module("classifier", linear(fan_in, classes, weight_bits))
    net.add_module("scale", LogitScale(fan_in))
    return net


def _preset(width: int) -> Topology:
    def preset(
        input_shape: tuple[int, ...],
        classes: int,
        input_bits: InputBits = 1,
        dropout: float = 0.0,
        weight_bits: WeightBits = 1,
    ) -> nn.Module:
        return mlp(input_shape, classes, [width] * 3, input_bits, dropout, weight_bits)

    preset.__doc__ = f"""FINN's fully connected network with three hidden layers of {width}.

    Args:
        input_shape: Shape of a sample, (features,) or (channels, height, width).
        classes: Number of logits.
        input_bits: Encoding of the input: 8 (bytes), 1 (one bit at 128), {{planes: z}}: its z highest bits (2..8), or
            {{thermometer: z, thresholds: quantiles, step: 1}}: z bits (1..16) of each feature or channel, at quantiles of
            its training values, at `uniform` or at `learned` thresholds, which are multiples of `step` (1, 2, 4, ... 128).
        dropout: Share of the input dropped in training, at least 0 and below 1.
        weight_bits: Bits of the weights of all products: 1 (-1 and +1), 2 (-1, 0 and +1), or up to 8.
    """
    return preset


register_topology("tfc")(_preset(64))
register_topology("sfc")(_preset(256))
register_topology("lfc")(_preset(1024))


Neurons = Literal["sums", "tables"]
"""Kinds of neurons of a hard-wired layer."""


@register_topology("hardwired")
def hardwired(
    input_shape: tuple[int, ...],
    classes: int,
    widths: list[int],
    inputs: int | list[int] = 6,
    input_bits: InputBits = _BITS,
    neurons: Neurons | list[Neurons] = "sums",
    connections: Connections = "learned",
    norm: bool = True,
    head: Literal["groups", "sparse"] = "groups",
    head_inputs: int | None = None,
) -> nn.Module:
    """Sparse layers whose hardware is wired and takes a sample in every cycle (`zerocross.models.sparse`).

    Args:
        input_shape: Shape of a sample, (features,) or (channels, height, width).
        classes: Number of logits.
        widths: Neurons of each layer.
        inputs: Inputs of a neuron, for each layer or for all. Up to 6 inputs, a neuron is one 6-input lookup table.
        input_bits: Encoding of the input: 1 (one bit at 128), {planes: z}: its z highest bits (2..8), or
            {thermometer: z, thresholds: uniform, step: 1}: z bits (1..16) of each feature, at `uniform` thresholds, at
            `quantiles` of its training values, or at `learned` ones. All are multiples of `step` (1, 2, 4, ... 128).
        neurons: Kind of the neurons, for each layer or for all. "sums": an activation of the number of agreeing inputs.
            "tables": any function of up to 6 inputs, learned as a table, without an activation.
        connections: "learned", or "random": drawn before the training, which then learns signs, activations and tables.
        norm: Whether a batch norm precedes each activation.
        head: "groups": the neurons of the last layer vote for one class each. "sparse": every class adds `head_inputs` of
            them, with learned signs.
        head_inputs: Neurons that a class reads with the head "sparse"; null is as many as with "groups".
    """
    _positive("widths", widths)
    if not widths:
        raise ModelError("widths needs at least one layer")
    if input_bits == 8:
        raise ModelError("hardwired reads bits: set input_bits to 1, a thermometer or bit planes, not 8")
    counts = [inputs] * len(widths) if isinstance(inputs, int) else inputs
    kinds = [neurons] * len(widths) if isinstance(neurons, str) else neurons
    for field, entries, one in (("inputs", counts, "a number"), ("neurons", kinds, "a kind")):
        if len(entries) != len(widths):
            raise ModelError(
                f"{field} has {len(entries)} entries for {len(widths)} layers: give {one}, or a list of {len(widths)}"
            )
    fan_in = math.prod(input_shape)
    net = nn.Sequential()
    net.add_module("input", InputQuant(quantizer_bits(input_bits)))
    net.add_module("flatten", nn.Flatten())
    net.add_module(*encoder(input_bits, fan_in))
    fan_in = input_channels(input_bits, fan_in)
    for index, (width, count, kind) in enumerate(zip(widths, counts, kinds, strict=True), start=1):
        field = "inputs" if len(widths) == 1 else f"inputs of layer {index}"
        layer = _sparse(field, fan_in, width, count, connections, kind)
        slot = TableSlot(layer) if isinstance(layer, TableLinear) else ActivationSlot(width, norm=norm)
        net.add_module(f"sparse{index}", layer)
        net.add_module(f"sparse{index}_sign", slot)
        fan_in = width
    votes = math.ceil(fan_in / classes) if head_inputs is None else head_inputs
    if head == "sparse":
        net.add_module("classifier", _sparse("head_inputs", fan_in, classes, votes, connections))
    elif classes <= fan_in:
        net.add_module("classifier", GroupSum(fan_in, classes))
    else:
        raise ModelError(f"widths: {fan_in} neurons cannot vote for {classes} classes: use {classes} or more")
    net.add_module("scale", LogitScale(1))
    return net


SLOT_FIELDS = ("name", "neurons")
"""Fields of a topology that `has_slots` reads."""


def has_slots(name: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether a network has slots for activations. Only a hard-wired one of tables alone has none."""
    neurons = parameters.get("neurons", "sums") if name == "hardwired" else "sums"
    return "sums" in ([neurons] if isinstance(neurons, str) else neurons)


def _sparse(
    field: str,
    fan_in: int,
    channels: int,
    inputs: int,
    connections: Connections,
    kind: Neurons = "sums",
) -> SparseLinear | TableLinear:
    layer = SparseLinear if kind == "sums" else TableLinear
    try:
        return layer(fan_in, channels, inputs, connections)
    except ModelError as error:
        raise ModelError(f"{field}: {error}") from None


@register_topology("cnv")
def cnv(
    input_shape: tuple[int, ...],
    classes: int,
    blocks: list[list[int]] | None = None,
    dense: list[int] | None = None,
    pool: list[bool] | None = None,
    kernel: int = 3,
    padding: int = 0,
    input_bits: InputBits = 8,
    weight_bits: WeightBits = 1,
) -> nn.Module:
    """A convolutional network like FINN's CNV; with its defaults it is CNV.

    Args:
        input_shape: Shape of a sample, (channels, height, width).
        classes: Number of logits.
        blocks: Output channels of the convolutions in each block; null is CNV's [[64, 64], [128, 128], [256, 256]].
        dense: Widths of the hidden fully connected layers; null is CNV's [512, 512].
        pool: Whether a 2x2 max pool ends each block; null is CNV's choice, all blocks except the last.
        kernel: Side of the square kernels.
        padding: Pixels on each side of every convolution.
        input_bits: Encoding of the input: 8 (bytes), 1 (one bit at 128), {planes: z}: its z highest bits (2..8), or
            {thermometer: z, thresholds: quantiles, step: 1}: z bits (1..16) of each feature or channel, at quantiles of its
            training values, at `uniform` or at `learned` thresholds, which are multiples of `step` (1, 2, 4, ... 128).
        weight_bits: Bits of the weights of all products: 1 (-1 and +1), 2 (-1, 0 and +1), or up to 8.
    """
    if len(input_shape) != 3:
        raise ModelError(f"cnv needs images, but the data has samples of shape {input_shape}: use mlp")
    blocks = [[64, 64], [128, 128], [256, 256]] if blocks is None else blocks
    dense = [512, 512] if dense is None else dense
    pool = [index < len(blocks) - 1 for index in range(len(blocks))] if pool is None else pool
    if len(pool) != len(blocks):
        raise ModelError(
            f"cnv has {len(blocks)} blocks and {len(pool)} entries in pool: give one entry for each block"
        )
    _positive("dense", dense)
    if kernel < 1 or padding < 0:
        raise ModelError(f"kernel must be at least 1 and padding at least 0, not {kernel} and {padding}")
    channels, height, width = input_shape
    net = nn.Sequential()
    net.add_module("input", InputQuant(quantizer_bits(input_bits)))
    net.add_module(*encoder(input_bits, channels))
    channels, pad_value = input_channels(input_bits, channels), input_padding(input_bits)
    count = 0
    for index, block in enumerate(blocks):
        _positive(f"blocks[{index}]", block)
        for out in block:
            height, width = height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1
            if min(height, width) < 1:
                raise ModelError(
                    f"cnv blocks[{index}]: the image is smaller than the {kernel}x{kernel} kernel: "
                    "use fewer blocks, padding, or no pool"
                )
            count += 1
            product = conv2d(channels, out, weight_bits, kernel=kernel, padding=padding, pad_value=pad_value)
            net.add_module(f"conv{count}", product)
            net.add_module(f"conv{count}_sign", ActivationSlot(out))
            channels, pad_value = out, -1.0
        if pool[index]:
            if min(height, width) < 2:
                raise ModelError(
                    f"cnv pool[{index}]: a {height}x{width} image cannot be pooled by 2: set it to false"
                )
            net.add_module(f"pool{index + 1}", nn.MaxPool2d(2))
            height, width = height // 2, width // 2
    net.add_module("flatten", nn.Flatten())
    return _head(net, channels * height * width, dense, classes, weight_bits)


def _backbone(style: Style, full_widths: list[int], full_blocks: list[int], doc: str) -> Topology:
    def topology(
        input_shape: tuple[int, ...],
        classes: int,
        widths: list[int] | None = None,
        blocks: list[int] | None = None,
        stream_bits: int = 4,
        stream_scale: float | None = None,
        input_bits: InputBits = 8,
        weight_bits: WeightBits = 8,
        shortcut_bits: int = 1,
        stem_kernel: int = 3,
        stem_stride: int = 1,
        dynamic: Dynamic = "none",
        reduction: int = 8,
        dynamic_bits: int = 4,
    ) -> nn.Module:
        if len(input_shape) != 3:
            raise ModelError(
                f"residual backbones need images, but the data has samples of shape {input_shape}: use mlp"
            )
        scale = automatic_scale(stream_bits) if stream_scale is None else stream_scale
        stream = ResidualStream(stream_bits, scale, shortcut_bits, dynamic, reduction, dynamic_bits)
        return Backbone(
            input_shape,
            classes,
            style,
            stream,
            full_widths if widths is None else widths,
            full_blocks if blocks is None else blocks,
            input_bits,
            weight_bits,
            stem_kernel,
            stem_stride,
        )

    topology.__doc__ = f"""{doc} Published: widths {full_widths}, blocks {full_blocks}.

    Args:
        input_shape: Shape of a sample, (channels, height, width).
        classes: Number of logits.
        widths: Channels of each stage; null uses the published widths.
        blocks: Number of blocks in each stage, each with one 3x3 convolution; null uses the published numbers.
        stream_bits: Bits of the residual stream's quantizers, 2..8.
        stream_scale: Scale of the stream, a power of two; null uses the best scale for a standard normal value.
        input_bits: Encoding of the input: 8 (bytes), 1 (one bit at 128), {{planes: z}}: its z highest bits (2..8), or
            {{thermometer: z, thresholds: quantiles, step: 1}}: z bits (1..16) of each feature or channel, at quantiles of
            its training values, at `uniform` or at `learned` thresholds, which are multiples of `step` (1, 2, 4, ... 128).
        weight_bits: Bits of the weights in the stem and the classifier, 1..8.
        shortcut_bits: Bits of the weights in 1x1 shortcuts, 1..8.
        stem_kernel: Side of the stem's kernel, odd.
        stem_stride: Stride of the stem.
        dynamic: DyBNN's thresholds for each sample: none, threshold, or (with PReLUs only) threshold_and_shift.
        reduction: Factor by which a hyper-function squeezes its channels.
        dynamic_bits: Bits of weights and levels inside a hyper-function, 1..8.
    """
    return topology


@register_topology("nasb")
def nasb(
    input_shape: tuple[int, ...],
    classes: int,
    operations: list[list[str]],
    widths: list[int] | None = None,
    cells: list[int] | None = None,
    stream_bits: int = 4,
    stream_scale: float | None = None,
    input_bits: InputBits = 8,
    weight_bits: WeightBits = 8,
    stem_kernel: int = 3,
    stem_stride: int = 1,
) -> nn.Module:
    """NASB's cells, whose edges choose among binary operations, within a fixed backbone (`zerocross.models.nasb`).

    Args:
        input_shape: Shape of a sample, (channels, height, width).
        classes: Number of logits.
        operations: Operations of a cell's edges, ordered by the node they lead to; one list for each stage, or one for
            all. Each is conv1, conv3, conv5, dilated3, depthwise3, pool, skip or none. A cell of 1 node has 1 edge, of 2
            nodes 3, of 3 nodes 6, of 4 nodes 10.
        widths: Channels of each stage; every stage except the first halves the image. Null is [16, 32].
        cells: Number of cells in each stage; null is one.
        stream_bits: Bits of the residual stream's quantizers, 2..8.
        stream_scale: Scale of the stream, a power of two; null uses the best scale for a standard normal value.
        input_bits: Encoding of the input: 8 (bytes), 1 (one bit at 128), {planes: z}: its z highest bits (2..8), or
            {thermometer: z, thresholds: quantiles, step: 1}: z bits (1..16) of each feature or channel, at quantiles of its
            training values, at `uniform` or at `learned` thresholds, which are multiples of `step` (1, 2, 4, ... 128).
        weight_bits: Bits of the weights in the stem and the classifier, 1..8.
        stem_kernel: Side of the stem's kernel, odd.
        stem_stride: Stride of the stem.
    """
    return cells_of(
        network_of_cells,
        input_shape,
        classes,
        operations,
        widths=widths,
        cells=cells,
        stream_bits=stream_bits,
        stream_scale=stream_scale,
        input_bits=input_bits,
        weight_bits=weight_bits,
        stem_kernel=stem_kernel,
        stem_stride=stem_stride,
    )


def cells_of(
    make: Callable[..., Module],
    input_shape: tuple[int, ...],
    classes: int,
    operations: Any,
    *,
    widths: list[int] | None,
    cells: list[int] | None,
    stream_bits: int,
    stream_scale: float | None,
    **settings: Any,
) -> Module:
    """Return what `make` builds from the parameters of `nasb`: NASB's network of cells, or a mixture (`Supernet`)."""
    widths = [16, 32] if widths is None else widths
    stream = ResidualStream(
        stream_bits, automatic_scale(stream_bits) if stream_scale is None else stream_scale
    )
    counts = [1] * len(widths) if cells is None else cells
    return make(input_shape, classes, operations, stream, widths, counts, **settings)


register_topology("resnete")(
    _backbone(
        RESNETE,
        [64, 128, 256, 512],
        [4, 4, 4, 4],
        """ResNetE18, GAAF's backbone (Bethge et al., 2019), for images of CIFAR's size: a block is one 3x3 convolution.

    A batch norm and the activation precede every sign. (In the published network the shortcuts and the first and last layers
    have full precision.)""",
    )
)
register_topology("bireal")(
    _backbone(
        BIREAL,
        [64, 128, 256, 512],
        [4, 4, 4, 4],
        """Bi-Real-Net 18 (Liu et al., 2018, arXiv:1808.00278): like `resnete`, but signs read the stream directly.

    No batch norm precedes a sign. Its piecewise polynomial gradient is `training.surrogate: polynomial`, the default of all
    topologies.""",
    )
)
register_topology("reactnet_resnet")(
    _backbone(
        REACTNET,
        [64, 128, 256, 512],
        [4, 4, 4, 4],
        """ReActNet on ResNet-18 (Liu et al., 2020, arXiv:2003.03488): `bireal` with RSign and RPReLU.

    RSign, a learnable threshold for each channel, is the activation of the slots unless a search installs another (the
    preset `rsign` is the same). RPReLU, a PReLU with learnable shifts, follows every sum; its result is quantized again.""",
    )
)
register_topology("reactnet_mobilenet")(
    _backbone(
        REACTNET_MOBILENET,
        [64, 128, 256, 512, 1024],
        [1, 2, 2, 6, 2],
        """ReActNet on MobileNetV1 (Liu et al., 2020): a block is a 3x3 and a 1x1 convolution, each with its shortcut.

    The published network doubles its channels by concatenating two 1x1 convolutions with the same shortcut. Concatenation
    has no hardware here: one 1x1 convolution doubles the channels, and so does its shortcut.""",
    )
)
