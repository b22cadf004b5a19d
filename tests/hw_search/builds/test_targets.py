"""Targets of builds, before anything is built."""

import pytest

from zerocross.finn_flows.errors import FlowError
from zerocross.hw_search.builds.targets import check_target


def test_the_rate_of_the_serial_line_is_checked_before_a_build() -> None:
    assert check_target("icebreaker", None) == "icebreaker"
    with pytest.raises(
        FlowError, match="9000000 baud is too fast for a clock of 12 MHz: use at most 1500000 baud"
    ):
        check_target("icebreaker", None, 9_000_000)
    with pytest.raises(FlowError, match="115200 baud is too fast for a clock of 0.5 MHz"):
        check_target("lfe5u-25f", 0.5)
