"""The file `accelerator.json` in a build's folder: the facts about the design that a host needs."""

import json
from dataclasses import asdict
from pathlib import Path

from zerocross.finn_flows.chip.serial_line import SerialLink
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.design import Generated
from zerocross.hw_search.builds.layout import ACCELERATOR
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import write_text


def save_accelerator(generated: Generated, link: SerialLink, folder: Path) -> None:
    """Write a design's top module, files and serial link."""
    content = {
        "top": generated.top,
        "files": [path.relative_to(generated.folder).as_posix() for path in generated.sources],
        "source": asdict(link.source),
        "sink": asdict(link.sink),
        "design_id": link.design_id,
        "baud": link.baud,
    }
    write_text(folder / ACCELERATOR, json.dumps(content, indent=1) + "\n")


def load_accelerator(folder: Path) -> tuple[str, list[str], SerialLink]:
    """Return the contents of the file: the top module, its files (relative to the RTL folder) and the serial link.

    Raises:
        UserError: If the file cannot be read.
    """
    try:
        content = json.loads((folder / ACCELERATOR).read_text(encoding="utf-8"))
        source, sink = Stream(**content["source"]), Stream(**content["sink"])
        return (
            content["top"],
            content["files"],
            SerialLink(source, sink, content["design_id"], content["baud"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / ACCELERATOR} cannot be read ({error}): build again") from None
