"""What would fit, in the message about a design that turned out too large."""

import re
from collections.abc import Mapping

import numpy as np
import pytest

from tests.finn_flows.finn_networks import chain
from tests.finn_flows.integer_networks import random_network
from zerocross.finn_flows.assembly import Styles, assemble
from zerocross.finn_flows.boards import get_target
from zerocross.finn_flows.chip.place_route import DoesNotFit
from zerocross.finn_flows.families.part import Part
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import Dense, Input, LabelSelect
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design
from zerocross.hw_search.builds.fit import needs, with_remedies

NET = random_network(chain(Input((512,), 1), Dense(16), LabelSelect()), np.random.default_rng(0))
BOARD = get_target("icebreaker")
CYCLES = 32


def redesign(cycles: int | None, part: Part, weights: Mapping[str, str]) -> Design:
    planned = plan(NET.network, Folding(target_cycles=cycles or CYCLES))
    return assemble(planned, NET, Styles(weights=dict(weights)))


def said(used: int, available: int, resource: str = "lut") -> str:
    error = DoesNotFit("the design is too large", resource, used, available, "build with more --cycles")
    return str(with_remedies(error, redesign(None, BOARD.part, {}), BOARD, redesign))


def numbers(text: str) -> tuple[int, int]:
    found = re.search(r"--cycles (\d+) \(about ([\d,]+) logic cells\)", text)
    assert found is not None, text
    return int(found.group(1)), int(found.group(2).replace(",", ""))


@pytest.mark.parametrize("factor", [3.0, 5.0])
def test_the_remedy_is_the_estimate_times_what_the_design_needed_of_its_own(factor: float) -> None:
    estimate = needs(redesign(None, BOARD.part, {}), BOARD)[0].amount
    used = round(factor * estimate)
    cycles, amount = numbers(said(used, BOARD.part.luts))
    slower = needs(redesign(cycles, BOARD.part, {}), BOARD)[0].amount
    assert cycles > CYCLES
    assert amount == pytest.approx(factor * slower, rel=0.06)  # two digits
    assert amount <= BOARD.part.luts


def test_a_design_that_could_not_be_placed_needs_more_than_a_little_room() -> None:
    nearly = round(0.99 * BOARD.part.luts)
    _, amount = numbers(said(nearly, BOARD.part.luts))
    assert amount <= 0.95 * BOARD.part.luts


def test_weights_move_to_luts_where_block_ram_is_short() -> None:
    design = redesign(None, BOARD.part, {})
    logic, blocks = needs(design, BOARD)
    text = said(2 * BOARD.part.brams, BOARD.part.brams, "bram")
    moved = re.search(r"(--weights \S+=distributed)+ \(about ([\d,]+) logic cells\)", text)
    assert moved is not None, text
    after = needs(redesign(None, BOARD.part, {"dense0": "distributed"}), BOARD)
    assert after[0].amount > logic.amount and after[1].amount < blocks.amount
    assert "distributed" not in said(2 * BOARD.part.luts, BOARD.part.luts)  # logic is short


def test_what_no_estimate_covers_keeps_nextpnrs_remedy() -> None:
    assert said(200, 100, "pin") == "the design is too large: build with more --cycles"
