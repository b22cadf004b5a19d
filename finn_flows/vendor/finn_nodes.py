"""This project's hardware nodes, made known to FINN.

Each is named for its record in `zerocross.finn_flows.rtl`, with `Zc` before it so that no operator of FINN's has the name.
Registered, FINN's passes take them: estimates, FIFOs and width converters, partitions, code, Vivado's block design.
Attributes have FINN's names where FINN has the attribute.
"""

from finn.custom_op import fpgadataflow
from finn.custom_op.fpgadataflow import rtl

from zerocross.finn_flows.finn_setup import prepare_finn
from zerocross.finn_flows.vendor.crossings_node import ZcCrossings
from zerocross.finn_flows.vendor.elementwise_nodes import ZcAdd, ZcAddVector, ZcDuplicate, ZcLabelSelect
from zerocross.finn_flows.vendor.grouped_product_node import ZcGroupedProduct
from zerocross.finn_flows.vendor.input_generator_node import ZcInputGenerator
from zerocross.finn_flows.vendor.pool_nodes import ZcMaxPool, ZcSumPool, ZcWindowMaxPool, ZcWindowSumPool
from zerocross.finn_flows.vendor.product_node import ZcProduct
from zerocross.finn_flows.vendor.stream_node import StreamNode, specialised

NODES: tuple[type[StreamNode], ...] = (
    ZcProduct,
    ZcGroupedProduct,
    ZcCrossings,
    ZcInputGenerator,
    ZcMaxPool,
    ZcWindowMaxPool,
    ZcSumPool,
    ZcWindowSumPool,
    ZcLabelSelect,
    ZcDuplicate,
    ZcAdd,
    ZcAddVector,
)


def register() -> None:
    """Make FINN know these operators, in this process; calling it again does nothing."""
    prepare_finn()
    for node in NODES:
        if node.__name__ not in fpgadataflow.custom_op:
            fpgadataflow.register_custom_op(node)
            rtl.register_custom_op(specialised(node))
