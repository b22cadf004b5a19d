"""The index of the largest value: `zc_labelselect`, or `zc_label_at_once` for all values in one word."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.nodes.flow import Flow
from zerocross.finn_flows.nodes.node import HardwareNode, Instance, StockNode, check_folding
from zerocross.finn_flows.nodes.stream import Stream


@dataclass(frozen=True)
class LabelSelect(HardwareNode):
    """The index of the largest value; the lowest index among equal values.

    If all values are in one word, a tree compares them, with a register behind each level. Otherwise the largest value of
    a word is compared with the largest one so far.

    Attributes:
        values: Stream with one value per label.
    """

    word: ClassVar[str] = "label"
    module: ClassVar[str] = "zc_labelselect"  # for a tree, `generate` uses zc_label_at_once

    values: Stream

    def __post_init__(self) -> None:
        check_folding("labels", self.values.elements, self.values.lanes)

    @property
    def labels(self) -> int:
        """Number of labels."""
        return self.values.elements

    @property
    def is_tree(self) -> bool:
        """Whether all values are in one word, and there are several."""
        return self.values.lanes == self.labels > 1

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.values.lanes, 1

    @property
    def inputs(self) -> dict[str, Stream]:
        """One value per label."""
        return {"s": self.values}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One index."""
        return {"m": Stream((1,), 1, max(1, (self.labels - 1).bit_length()))}

    @property
    def latency(self) -> int:
        """Cycles from the last word of values to the index."""
        return (self.labels - 1).bit_length() if self.is_tree else 2

    def flow(self, reads: Sequence[Flow]) -> Flow:
        """See `HardwareNode`."""
        return reads[0].flat().later(self.latency)

    def price(self) -> Price:
        """Price the tree or the running maximum.

        Each comparison of a tree needs a comparator and a multiplexer: base + (labels - 1) (a bits + b index bits). In a
        running maximum, each value of a word after the first needs a comparator and multiplexers for value and index:
        base + (PE - 1) (a bits + index bits) + bits / 2 + b index bits.
        """
        k, index = cost_model.CONSTANTS, math.ceil(math.log2(max(2, self.labels)))
        bits, pe = self.values.bits, self.values.lanes
        if self.is_tree:
            compared = k.label_tree_bit * bits + k.label_tree_index * index
            return Price(k.label_tree_base + (self.labels - 1) * compared, implementation="tree")
        lut = k.label_base + (pe - 1) * (k.label_compare * bits + index) + bits / 2 + k.label_index * index
        return Price(lut, implementation="running maximum")

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's label select, whose index is a whole number of bytes."""
        index_bits = 8 * math.ceil(self.outputs["m"].bits / 8)
        attributes = (
            ("Labels", self.labels),
            ("PE", self.values.lanes),
            ("K", 1),
            ("inputDataType", self.values.stock_datatype),
            ("outputDataType", f"UINT{index_bits}"),
            ("numInputVectors", (1,)),
        )
        return (StockNode("LabelSelect_hls", attributes, Stream((1,), 1, index_bits)),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute indices (N, 1) from values (N, labels)."""
        return (np.asarray(samples[0]).argmax(axis=1)[:, None],)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Return the instance; the node has no memory files."""
        values = self.values
        parameters: dict[str, int | str] = {
            "LABELS": self.labels,
            "PE": values.lanes,
            "BITS": values.bits,
            "SIGNED": int(values.signed),
        }
        if self.is_tree:
            del parameters["PE"]
        return Instance("zc_label_at_once" if self.is_tree else self.module, parameters)
