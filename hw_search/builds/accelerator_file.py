"""The file `accelerator.json` in a build's folder: the facts about the design that a host needs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter

from zerocross.finn_flows.chip.serial_line import PROTOCOL, SerialLink
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import Generated
from zerocross.finn_flows.rtl.logits import ScoreScale
from zerocross.hw_search.builds.layout import ACCELERATOR, RTL
from zerocross.hw_search.builds.pixels import PixelScaling
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import write_text
from zerocross.models.scaling import ByteScaling
from zerocross.reading import Unreadable, as_record, read_json


@dataclass(frozen=True)
class HostFacts:
    """The facts about a built design that a host needs.

    Attributes:
        top: Top module of the design.
        files: Its files, relative to the RTL folder.
        link: Serial link between host and board.
        pixels: Scaling of an image file's pixels to samples; None takes them as they are.
        scaling: Scaling of the user's numbers to the bytes that the network was trained on; None if they are bytes.
        scores: Unit of the scores that the design answers; None if it answers the class.
    """

    top: str
    files: list[str]
    link: SerialLink
    pixels: PixelScaling | None
    scaling: ByteScaling | None
    scores: ScoreScale | None = None


def save_accelerator(
    generated: Generated,
    link: SerialLink,
    folder: Path,
    pixels: PixelScaling | None = None,
    scaling: ByteScaling | None = None,
    scores: ScoreScale | None = None,
) -> None:
    """Write the facts about a design; for `pixels`, `scaling` and `scores` see `HostFacts`."""
    content = {
        "protocol": PROTOCOL,
        "top": generated.top,
        "files": [path.relative_to(generated.folder).as_posix() for path in generated.sources],
        "source": asdict(link.source),
        "sink": asdict(link.sink),
        "design_id": link.design_id,
        "baud": link.baud,
        "pixels": pixels and asdict(pixels),
        "scaling": scaling and asdict(scaling),
        "scores": scores and asdict(scores),
    }
    write_text(folder / ACCELERATOR, json.dumps(content, indent=1) + "\n")


def load_accelerator(folder: Path) -> HostFacts:
    """Return the contents of the file.

    Raises:
        UserError: If the file cannot be read.
    """
    path = folder / ACCELERATOR
    try:
        content = read_json(path)
        protocol = content.get("protocol", 1) if isinstance(content, dict) else PROTOCOL
        if protocol != PROTOCOL:
            raise Unreadable(
                f"its design speaks protocol {ascii(protocol)[:40]} of the serial line, this version of zerocross protocol "
                f"{PROTOCOL}"
            )
        record = as_record(_CONTENT, content)
        for file in record.files:
            if not (folder / RTL / file).resolve().is_relative_to((folder / RTL).resolve()):
                raise Unreadable(f"files: {file!r} lies outside {RTL}/")
    except (OSError, Unreadable) as error:
        raise UserError(f"{path} cannot be read ({error}): build again") from None
    link = SerialLink(record.source.stream(), record.sink.stream(), record.design_id, record.baud)
    return HostFacts(record.top, record.files, link, record.pixels, record.scaling, record.scores)


@dataclass(frozen=True)
class _Side:
    """A stream in the file; see `Stream`."""

    shape: Annotated[list[PositiveInt], Field(min_length=1)]
    lanes: PositiveInt
    bits: Annotated[int, Field(ge=1, le=64)]
    signed: bool = False
    finn_range: tuple[int, int] | None = None

    def stream(self) -> Stream:
        return Stream(tuple(self.shape), self.lanes, self.bits, self.signed, self.finn_range)


@dataclass(frozen=True)
class _Content:
    """The content of the file; see `HostFacts`."""

    top: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    files: list[str]
    source: _Side
    sink: _Side
    design_id: NonNegativeInt
    baud: PositiveInt
    pixels: PixelScaling | None = None
    scaling: ByteScaling | None = None
    scores: ScoreScale | None = None


_CONTENT = TypeAdapter(_Content)
