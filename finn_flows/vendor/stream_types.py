"""A stream's elements by FINN's names of datatypes, and back."""

from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.plan import Stream
from zerocross.finn_flows.rtl import nodes


def stream_type(stream: nodes.Stream) -> str:
    """Return FINN's name for the datatype of a stream's elements."""
    if stream.signed:
        return f"INT{stream.bits}"
    return "BINARY" if stream.bits == 1 else f"UINT{stream.bits}"


def record_stream(stream: Stream) -> nodes.Stream:
    """Return FINN's stream as a record has it."""
    signed = stream.datatype.startswith("INT")
    return nodes.Stream(stream.words * stream.lanes, stream.lanes, type_bits(stream.datatype), signed)
