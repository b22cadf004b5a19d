"""The file `accelerator.json` in a build's folder: the facts about the design that a host needs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from zerocross.finn_flows.chip.serial_line import PROTOCOL, SerialLink
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import Generated
from zerocross.hw_search.builds.layout import ACCELERATOR
from zerocross.hw_search.builds.pixels import PixelScaling
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import write_text
from zerocross.models.scaling import ByteScaling


@dataclass(frozen=True)
class HostFacts:
    """The facts about a built design that a host needs.

    Attributes:
        top: Top module of the design.
        files: Its files, relative to the RTL folder.
        link: Serial link between host and board.
        pixels: Scaling of an image file's pixels to samples; None takes them as they are.
        scaling: Scaling of the user's numbers to the bytes that the network was trained on; None if they are bytes.
    """

    top: str
    files: list[str]
    link: SerialLink
    pixels: PixelScaling | None
    scaling: ByteScaling | None


def save_accelerator(
    generated: Generated,
    link: SerialLink,
    folder: Path,
    pixels: PixelScaling | None = None,
    scaling: ByteScaling | None = None,
) -> None:
    """Write the facts about a design; for `pixels` and `scaling` see `HostFacts`."""
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
    }
    write_text(folder / ACCELERATOR, json.dumps(content, indent=1) + "\n")


def load_accelerator(folder: Path) -> HostFacts:
    """Return the contents of the file.

    Raises:
        UserError: If the file cannot be read.
    """
    try:
        content = json.loads((folder / ACCELERATOR).read_text(encoding="utf-8"))
        link = SerialLink(
            Stream(**content["source"]), Stream(**content["sink"]), content["design_id"], content["baud"]
        )
        pixels = TypeAdapter(PixelScaling | None).validate_python(content.get("pixels"))
        scaling = TypeAdapter(ByteScaling | None).validate_python(content.get("scaling"))
        return HostFacts(content["top"], content["files"], link, pixels, scaling)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / ACCELERATOR} cannot be read ({error}): build again") from None
