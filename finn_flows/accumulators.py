"""The ranges of a product's integers, and FINN's names of their datatypes."""

MOST_INPUT_BITS = 16
"""Bits of the widest levels that a product reads, such as the sums of an image."""


def accumulator_range(fan_in: int, input_bits: int, weight_bits: int = 1) -> tuple[int, int]:
    """Return the least and the largest accumulator of a product in FINN's graph.

    - For 1-bit inputs and weights, the accumulator is a popcount in 0..fan_in.
    - Otherwise it is the sum of w x. An input x is -1 or +1, or an unsigned integer. A weight w is -1 or +1, or an
      integer of -2**(weight_bits - 1) to 2**(weight_bits - 1).
    """
    if input_bits == weight_bits == 1:
        return 0, fan_in
    reach = fan_in * (2**input_bits - 1) * (1 if weight_bits == 1 else 1 << (weight_bits - 1))
    return -reach, reach


def accumulator_type(fan_in: int, input_bits: int, weight_bits: int = 1) -> str:
    """Return the datatype of a product's accumulator, for any weights.

    FINN's own minimiser is one bit too narrow for 1-bit inputs: it assumes weights of -1 and +1 with inputs of 0 and 1.
    """
    return integer_type(*accumulator_range(fan_in, input_bits, weight_bits))


def threshold_type(fan_in: int, input_bits: int, weight_bits: int = 1) -> str:
    """Return the datatype of thresholds of a product's accumulator, including the threshold that is never reached."""
    low, high = accumulator_range(fan_in, input_bits, weight_bits)
    return integer_type(low, high + 1)


def integer_type(low: int, high: int) -> str:
    """Return FINN's name of the narrowest integer datatype that holds low..high."""
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{1 + max((-low - 1).bit_length(), high.bit_length())}"


def type_bits(datatype: str) -> int:
    """Return the width of a datatype by its name: `BINARY`, `BIPOLAR`, `UINT7`, `INT15`, ..."""
    return 1 if datatype in ("BINARY", "BIPOLAR") else int(datatype.removeprefix("U").removeprefix("INT"))
