"""The hardware nodes, one file each: shape, folding, numpy reference, timing, price and FINN's name.

Each node's SystemVerilog is in this folder too.

`node.py` defines the interface of every node. A plan holds nodes without numbers; assembly attaches weights and crossings.
"""

from zerocross.finn_flows.nodes.add import Add
from zerocross.finn_flows.nodes.add_vector import AddVector
from zerocross.finn_flows.nodes.bias import Bias
from zerocross.finn_flows.nodes.bit_planes import BitPlanes
from zerocross.finn_flows.nodes.concat import Concat
from zerocross.finn_flows.nodes.crossing_site import CrossingSite
from zerocross.finn_flows.nodes.duplicate import Duplicate
from zerocross.finn_flows.nodes.fifo import Fifo
from zerocross.finn_flows.nodes.grouped_product import GroupedProduct
from zerocross.finn_flows.nodes.input_generator import InputGenerator
from zerocross.finn_flows.nodes.label_select import LabelSelect
from zerocross.finn_flows.nodes.max_pool import MaxPool
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.nodes.padding import Padding
from zerocross.finn_flows.nodes.product import Product
from zerocross.finn_flows.nodes.select import Select
from zerocross.finn_flows.nodes.sum_pool import SumPool
from zerocross.finn_flows.nodes.thermometer import Thermometer
from zerocross.finn_flows.nodes.width_converter import WidthConverter
from zerocross.finn_flows.nodes.window_max_pool import WindowMaxPool
from zerocross.finn_flows.nodes.window_sum_pool import WindowSumPool
from zerocross.finn_flows.nodes.wired import Wired
from zerocross.finn_flows.nodes.wired_count import WiredCount

NODES: dict[str, type[HardwareNode]] = {
    kind.__name__: kind
    for kind in (
        *(Product, GroupedProduct, CrossingSite, Thermometer, BitPlanes, Bias, LabelSelect),
        *(Wired, WiredCount),
        *(InputGenerator, Padding, MaxPool, WindowMaxPool, SumPool, WindowSumPool),
        *(Duplicate, Add, AddVector, Concat, Select, WidthConverter, Fifo),
    )
}
"""Every kind of node by its name."""
