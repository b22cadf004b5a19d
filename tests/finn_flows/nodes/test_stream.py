"""Streams: the bits of their words, their ranges and FINN's names for them."""

import numpy as np
import pytest

from zerocross.finn_flows.nodes.stream import Stream, from_bits, to_bits


def test_bits_and_integers_are_laid_out_lowest_first():
    assert to_bits(np.array([[1, -2]]), 3).tolist() == [[1, 0, 0, 0, 1, 1]]
    assert from_bits(np.array([[1, 0, 0, 0, 1, 1]]), 3, signed=True).tolist() == [[1, -2]]
    values = np.random.default_rng(0).integers(-128, 128, (5, 6))
    assert (from_bits(to_bits(values, 8), 8, signed=True) == values).all()


def test_an_images_words_are_those_of_all_its_pixels():
    image = Stream((3, 4, 6), 2, 5)
    assert (image.elements, image.words, image.width, image.vectors) == (72, 36, 10, 12)
    vector = Stream((6,), 3, 1)
    assert (vector.elements, vector.words, vector.width, vector.vectors) == (6, 2, 3, 1)
    assert image.stock_shape == (1, 3, 4, 6)


@pytest.mark.parametrize(
    ("bits", "signed", "span", "datatype"),
    [(1, False, (0, 1), "BINARY"), (3, False, (0, 7), "UINT3"), (3, True, (-4, 3), "INT3")],
)
def test_ranges_and_datatypes_follow_from_the_bits(bits, signed, span, datatype):
    stream = Stream((4,), 2, bits, signed)
    assert (stream.range, stream.datatype, stream.stock_datatype) == (span, datatype, datatype)


def test_stock_finn_may_have_another_range_of_which_equality_knows_nothing():
    stream = Stream((4,), 2, 3, finn_range=(-5, 2))
    assert stream.stock_datatype == "INT4" and stream.datatype == "UINT3"
    assert stream == Stream((4,), 2, 3) and hash(stream) == hash(Stream((4,), 2, 3))


def test_a_stream_carries_what_has_its_words_whatever_the_shape():
    image = Stream((2, 3, 4), 2, 3)
    assert image.carries(Stream((24,), 2, 3))
    others = Stream((24,), 4, 3), Stream((24,), 2, 4), Stream((12,), 2, 3), Stream((24,), 2, 3, signed=True)
    assert not any(image.carries(other) for other in others)
    assert image.in_words_of(4) == Stream((2, 3, 4), 4, 3)
