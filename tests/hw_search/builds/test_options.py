"""Which memories a build chooses for weights, by what else the design puts in block RAM."""

import numpy as np
import pytest

from tests.finn_flows.finn_networks import chain, signs
from tests.finn_flows.integer_networks import random_network
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import Dense, Input, LabelSelect
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.planner import plan
from zerocross.hw_search.builds.fit import needs
from zerocross.hw_search.builds.options import BuildOptions, choose_styles

LAYERS = [Dense(64), signs(64), Dense(64), signs(64), Dense(64), signs(64), Dense(10), LabelSelect()]


@pytest.mark.parametrize("part", ["ice40up5k", "ice40hx8k", "lfe5u-12f", "gw1nr-9", "xc7z020"])
@pytest.mark.parametrize("cycles", [64, 256, 1024])
@pytest.mark.parametrize("bits", [1, 8])
def test_weights_leave_block_ram_for_all_else(part: str, cycles: int, bits: int) -> None:
    chosen, net = (
        get_part(part),
        random_network(chain(Input((256,), bits), *LAYERS), np.random.default_rng(0)),
    )
    planned = plan(net.network, Folding(target_cycles=cycles))
    styles = choose_styles(BuildOptions(part), net, planned, chosen)
    design = assemble(planned, net, styles)
    _, blocks = needs(design, chosen)
    # The buffers of some inputs exceed an iCE40 by themselves: then no weights take what is left.
    assert blocks.share <= 1 or "block" not in styles.weights.values()
    in_luts = [name for name, style in styles.weights.items() if style == "distributed"]
    if part == "xc7z020":  # with 280 blocks, only what is hardly worth one is in LUTs
        assert all(planned.products[name].folds <= 4 for name in in_luts)
