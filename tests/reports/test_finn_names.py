import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocross.reports import finn_names
from zerocross.reports.finn_names import KINDS, NodeName, parse


@pytest.mark.parametrize(
    ("name", "operator", "kind"),
    [
        ("StreamingFCLayer_Batch_0", "StreamingFCLayer", "product"),
        ("Vector_Vector_Activate_Batch_12", "Vector_Vector_Activate", "product"),
        ("MatrixVectorActivation_3", "MatrixVectorActivation", "product"),
        ("MVAU_hls_0", "MVAU", "product"),
        ("ConvolutionInputGenerator1D_0", "ConvolutionInputGenerator1D", "generator"),
        ("ConvolutionInputGenerator_rtl_1", "ConvolutionInputGenerator", "generator"),
        ("FMPadding_Pixel_hls_0", "FMPadding_Pixel", "padding"),
        ("ElementwiseMul_hls_0", "ElementwiseMul", "elementwise"),
        ("ZcWindowMaxPool_rtl_0", "ZcWindowMaxPool", "window max pool"),
        ("MyOwn_2D_rtl_4", "MyOwn_2D", ""),
    ],
)
def test_names_of_all_releases(name, operator, kind):
    for partition in ("", "StreamingDataflowPartition_1"):
        parts = parse(f"{partition}_{name}".lstrip("_"))
        assert (parts.partition, parts.operator, parts.kind) == (partition, operator, kind)


@given(
    st.sampled_from(["", "StreamingDataflowPartition_10"]),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([("", ""), ("_Batch", ""), ("_hls", "_hls"), ("_rtl", "_rtl")]),
    st.integers(0, 999),
)
def test_every_spelling_of_every_operator(partition, operator, suffix, number):
    prefix = f"{partition}_" if partition else ""
    assert parse(f"{prefix}{operator}{suffix[0]}_{number}") == NodeName(
        partition, operator, suffix[1], number
    )


def test_what_is_a_node_on_a_chip():
    assert finn_names.is_node("StreamingDataflowPartition_1_LabelSelect_Batch_0")
    assert finn_names.is_node("MyOwn_rtl_0")
    assert finn_names.is_node("StreamingDataflowPartition_1_MyOwn_0", ["MyOwn_0"])
    for other in (
        "StreamingDataflowPartition_1",
        "axi_interconnect_0",
        "top_smartconnect_0_0",
        "inst",
        "MyOwn_0",
    ):
        assert not finn_names.is_node(other)


def test_numbers_are_the_estimates_only_if_one_partition_holds_the_network():
    first, second = "StreamingDataflowPartition_1_", "StreamingDataflowPartition_2_"
    one = [f"{first}MVAU_hls_0", f"{first}StreamingFIFO_rtl_0", f"{second}IODMA_hls_0"]
    assert list(finn_names.as_estimated(one).values()) == ["MVAU_hls_0", "StreamingFIFO_rtl_0", one[2]]
    two = [f"{first}MVAU_hls_0", f"{second}MVAU_hls_0", f"{second}MVAU_hls_1"]
    assert list(finn_names.as_estimated(two).values()) == two
