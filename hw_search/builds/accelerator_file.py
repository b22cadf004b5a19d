"""What a host needs to know of a built design: `accelerator.json` in the build's folder."""

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
    """Write what a host needs to know of a design: its top, its files and its link."""
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
    """Return what `save_accelerator` wrote: the top module, its files (relative to the folder of the RTL) and its link.

    Raises:
        UserError: if it cannot be read.
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
