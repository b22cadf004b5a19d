"""The encodings of a network's input, `input_bits` of a topology: bytes, one bit, a thermometer or bit planes."""

from dataclasses import fields
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from torch import nn

from zerocross.models.bit_planes import BitPlanes, PlaneEncoder
from zerocross.models.errors import nearest
from zerocross.models.thermometer import Thermometer, ThermometerEncoder

Encoding = int | Thermometer | BitPlanes

_NAMES: dict[type, str] = {Thermometer: "a thermometer", BitPlanes: "an input of bit planes"}


def _checked(value: Any) -> Encoding:
    """Return a value of `input_bits`. A union would report a mistake once for each of its types."""
    if isinstance(value, Thermometer | BitPlanes):
        return value
    if value in (1, 8) and isinstance(value, int) and value is not True:
        return value
    if isinstance(value, dict):
        kind: type[Thermometer | BitPlanes] = BitPlanes if "planes" in value else Thermometer
        known = [each.name for each in fields(kind)]
        for key in value:
            if key not in known:
                raise ValueError(f"{_NAMES[kind]} has no {key!r}: {nearest(str(key), known)}")
        if any(isinstance(each, dict) for each in value.values()):
            raise ValueError("an encoding takes no choices inside: give a choice among whole encodings")
        try:
            return TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            message = first["msg"].removeprefix("Value error, ")
            raise ValueError(f"{place}: {message}" if place else message) from None
    raise ValueError(
        "give 8, 1, {planes: BITS}, or {thermometer: BITS, thresholds: quantiles, uniform or learned}"
    )


InputBits = Annotated[Encoding, BeforeValidator(_checked)]
"""The encoding of a network's input: 8 for bytes, 1 for one bit at 128, a thermometer, or bit planes."""


def quantizer_bits(input_bits: Encoding) -> int:
    """Return the bits of the input's quantizer, 8 or 1: encoders read bytes."""
    return input_bits if isinstance(input_bits, int) else 8


def input_channels(input_bits: Encoding, channels: int) -> int:
    """Return the channels, or features, that the first layer reads for so many of the input."""
    match input_bits:
        case Thermometer(bits) | BitPlanes(bits):
            return channels * bits
        case _:
            return channels


def input_padding(input_bits: Encoding) -> float:
    """Return the value with which a convolution pads the encoded input."""
    return 0.0 if input_bits == 8 else -1.0


def encoder(input_bits: Encoding, channels: int) -> tuple[str, nn.Module]:
    """Return the layer behind the input's quantizer, and its name. It does nothing for bytes and for one bit."""
    match input_bits:
        case Thermometer():
            return "thermometer", ThermometerEncoder(channels, input_bits)
        case BitPlanes():
            return "planes", PlaneEncoder(channels, input_bits)
        case _:
            return "encoder", nn.Identity()
