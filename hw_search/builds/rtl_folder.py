"""The folder with a design's SystemVerilog. It is complete, so that it can be copied to another machine."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

from zerocross.finn_flows.boards import Board
from zerocross.finn_flows.chip.serial_line import SerialLink, serial_top
from zerocross.finn_flows.rtl.design import Design, Generated, generate
from zerocross.finn_flows.rtl.library import library, library_of
from zerocross.hw_search.builds.layout import BOARD_SOURCES, LIBRARY, RTL, SOURCES

_SERIAL = ("zc_serial", "zc_serial_reset", "zc_uart_rx", "zc_uart_tx")  # for real and simulated boards


def write_rtl(design: Design, folder: Path) -> Generated:
    """Write a design, the library modules that it uses, and a list of its files for other tools.

    Args:
        design: Design to write.
        folder: Folder to write to. SystemVerilog and memory files from an earlier design are removed.

    Returns:
        The design's files, all in the folder.
    """
    for file in (*folder.glob("*.mem"), *folder.glob("*.sv")):
        file.unlink()
    shutil.rmtree(folder / LIBRARY, ignore_errors=True)
    (folder / LIBRARY).mkdir(parents=True)
    generated = generate(design, folder)
    known = set(library())
    own = [source for source in generated.sources if source not in known]
    text = " ".join(source.read_text(encoding="utf-8") for source in own)
    used = set(re.findall(r"\bzc_\w+", text)) & {path.stem for path in known}
    copies = [Path(shutil.copy(path, folder / LIBRARY)) for path in library_of(*used, *_SERIAL)]
    sources = (*copies, *own)
    names = [str(source.relative_to(folder)) for source in sources if source.stem not in _SERIAL]
    (folder / SOURCES).write_text("\n".join(names) + "\n", encoding="utf-8")
    return replace(generated, sources=sources)


def design_files(folder: Path) -> list[Path]:
    """Return the files of a build that simulators and synthesis read: SystemVerilog and memory files."""
    rtl = folder / RTL
    return sorted([*rtl.glob("*.sv"), *rtl.glob("*.mem"), *(rtl / LIBRARY).glob("*")])


def write_board_top(generated: Generated, link: SerialLink, board: Board, clock_mhz: float) -> Path:
    """Write the top module for a board, and a list of all files: the design, its serial line and its clock. Return the top.

    Raises:
        zerocross.finn_flows.errors.FlowError: If the serial line does not work with this board and clock.
    """
    path = generated.folder / f"{generated.top}_board.sv"
    path.write_text(serial_top(path.stem, generated.top, link, board, clock_mhz), encoding="utf-8")
    names = [str(source.relative_to(generated.folder)) for source in (*generated.sources, path)]
    (generated.folder / BOARD_SOURCES).write_text("\n".join(names) + "\n", encoding="utf-8")
    return path
