"""Bit planes: the module against numpy. What an export computes in their place is in the tests of builds."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerocross.models.bit_planes import BitPlanes, PlaneEncoder


@given(st.integers(2, 8), st.integers(1, 4), st.sampled_from([(), (3, 2)]), st.integers(0, 1000))
def test_each_byte_becomes_its_highest_bits(planes, channels, side, seed):
    samples = np.random.default_rng(seed).integers(0, 256, (4, channels, *side))
    found = PlaneEncoder(channels, BitPlanes(planes))(torch.from_numpy(samples).float()).numpy()
    for channel in range(channels):
        for place in range(planes):
            expected = 2.0 * (samples[:, channel] >> (7 - place) & 1) - 1
            assert np.array_equal(found[:, channel * planes + place], expected)
