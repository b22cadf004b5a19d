"""Records as plain values: there and back for every kind, through files and through FINN's graphs."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from onnx import helper
from qonnx.custom_op.registry import getCustomOp

from tests.finn_flows.nodes.test_node import bare, random_node, seeds
from zerocross.finn_flows.nodes import NODES
from zerocross.finn_flows.nodes.form import from_values, to_values
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.vendor.operators import attributes, operator_name, register


def ranged(node: HardwareNode, span: tuple[int, int]) -> HardwareNode:
    """The node, its streams of another range in stock FINN."""
    streams = {
        field.name: replace(getattr(node, field.name), finn_range=span)
        for field in fields(node)
        if isinstance(getattr(node, field.name), Stream)
    }
    return replace(bare(node), **streams)


def assert_same(found: HardwareNode, node: HardwareNode) -> None:
    assert type(found) is type(node)
    assert found == node and repr(found) == repr(bare(node))  # which shows what equality ignores, and types


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
@given(seed=seeds)
@settings(max_examples=25)
def test_a_record_comes_back_from_its_values_in_a_file(kind, seed):
    for node in (random_node(kind, seed), ranged(random_node(kind, seed), (-seed, 7))):
        assert_same(from_values(kind, json.loads(json.dumps(to_values(node)))), node)


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
@given(seed=seeds)
@settings(max_examples=25)
def test_a_record_comes_back_from_finns_attributes(kind, seed):
    register()
    for node in (random_node(kind, seed), ranged(random_node(kind, seed), (-5, 7))):
        for suffix, domain in (
            ("", "finn.custom_op.fpgadataflow"),
            ("_rtl", "finn.custom_op.fpgadataflow.rtl"),
        ):
            op_type = operator_name(kind) + suffix
            made = helper.make_node(
                op_type, ["in"], ["out"], domain=domain, backend="fpgadataflow", **attributes(node)
            )
            assert_same(getCustomOp(made).node, node)


def test_values_are_plain_and_leave_numbers_out():
    values = to_values(random_node(NODES["Product"], 5))
    assert "weights" not in values
    assert all(isinstance(value, int | str | list) for value in values.values())
