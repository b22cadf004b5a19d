"""Names of FINN's nodes, in the spelling of every release: their operator, number and partition.

FINN names a node by its operator and a number. The same operator has three names:

* `StreamingFCLayer_Batch_0` up to 0.7,
* `MatrixVectorActivation_0` in 0.8 and 0.9,
* `MVAU_hls_0` or `MVAU_rtl_0` from 0.10 on.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

KINDS: dict[str, str] = {
    "StreamingFCLayer": "product",
    "MatrixVectorActivation": "product",
    "MVAU": "product",
    "Vector_Vector_Activate": "product",
    "VectorVectorActivation": "product",
    "VVAU": "product",
    "Thresholding": "crossings",
    "ChannelwiseOp": "channelwise",
    "ConvolutionInputGenerator": "generator",
    "ConvolutionInputGenerator1D": "generator",
    "FMPadding": "padding",
    "FMPadding_Pixel": "padding",
    "Pad1D": "padding",
    "Pool": "pool",
    "StreamingMaxPool": "pool",
    "GlobalAccPool": "pool",
    "LabelSelect": "label",
    "AddStreams": "sum",
    "ElementwiseAdd": "sum",
    "StreamingEltwise": "elementwise",
    "DuplicateStreams": "fork",
    "ReplicateStream": "fork",
    "StreamingConcat": "concat",
    "StreamingSplit": "select",
    "Crop": "select",
    "SelectToken": "select",
    "DownSampler": "select",
    "UpsampleNearestNeighbour": "upsampling",
    "Lookup": "lookup",
    "Requant": "requantizer",
    "HWSoftmax": "softmax",
    "HWWhere": "elementwise",
    "LayerNorm": "normalisation",
    "PWPolyF": "function",
    "Shuffle": "transposition",
    "InnerShuffle": "transposition",
    "OuterShuffle": "transposition",
    "Reshape": "reshape",
    "Squeeze": "reshape",
    "Unsqueeze": "reshape",
    "ScaledDotProductAttention": "attention",
    "SplitMultiHeads": "attention",
    "MergeMultiHeads": "attention",
    "FINNLoop": "loop",
    "StreamingDataWidthConverter": "converter",
    "StreamingFIFO": "fifo",
    "IODMA": "dma",
    "TLastMarker": "marker",
    "CheckSum": "checksum",
}
# FINN inserts these for one board or one stream; their numbers differ between the files of one build.
INSERTED = ("converter", "fifo", "dma", "marker", "checksum")

_PARTITION = "StreamingDataflowPartition"
_NAME = re.compile(
    rf"(?:({_PARTITION}_\d+)_)?(?!{_PARTITION})([A-Za-z]\w*?)(?:_Batch)?(_hls|_rtl)?_(\d+)", re.ASCII
)


@dataclass(frozen=True)
class NodeName:
    """The parts of a node's name.

    Attributes:
        partition: Partition before the name, such as "StreamingDataflowPartition_1"; "" if none.
        operator: Operator, without `_Batch`, `_hls` and `_rtl`.
        backend: "_hls", "_rtl", or "" in releases before 0.10.
        number: Number among the nodes of that operator.
    """

    partition: str
    operator: str
    backend: str
    number: int

    @property
    def kind(self) -> str:
        """Function of the node, "" if the operator is unknown."""
        if self.operator.startswith("Zc"):  # this project's own operators are named after their kind
            return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.operator.removeprefix("Zc")).lower()
        if self.operator.startswith("Elementwise"):
            return KINDS.get(self.operator, "elementwise")
        return KINDS.get(self.operator, "")


def parse(name: str) -> NodeName | None:
    """Return the parts of a node's name, or None if it has another form."""
    found = _NAME.fullmatch(name)
    return NodeName(found[1] or "", found[2], found[3] or "", int(found[4])) if found else None


def is_node(name: str, listed: Collection[str] = ()) -> bool:
    """Return whether a name in a report of the whole chip is a node's, not that of another instance.

    Args:
        name: Name of an instance.
        listed: Names of the nodes in FINN's own reports, without partitions.
    """
    parts = parse(name)
    if parts is None:
        return name in listed
    short = name.removeprefix(f"{parts.partition}_")
    return bool(parts.kind or parts.backend) or name in listed or short in listed


def partitions(names: Iterable[str]) -> list[str]:
    """Return the partitions that hold nodes of the network, not only DMA engines, FIFOs and the like."""
    parsed = [parts for parts in map(parse, names) if parts]
    return list(
        dict.fromkeys(parts.partition for parts in parsed if parts.partition and parts.kind not in INSERTED)
    )


def as_estimated(names: Iterable[str]) -> dict[str, str]:
    """Return the name that FINN's estimates use for each node of a board's design.

    A board's design has the partition before each name, and numbers the nodes of each partition from 0. The numbers
    are those of the estimates only if one partition holds the network. Otherwise all names stay as they are.
    """
    names = list(names)
    holding = partitions(names)
    prefix = f"{holding[0]}_" if len(holding) == 1 else ""
    return {name: name.removeprefix(prefix) for name in names}
