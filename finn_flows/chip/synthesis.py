"""Synthesis of a design, node by node: SystemVerilog to a mapped netlist, and the resources of each node.

Synthesis has three steps, each in child processes (`yosys.py`):

- *Elaborate*: the design is read once and cut at its nodes.
- *Map*: each node, and the rest of the top, is mapped to the family's cells, equal nodes once. Nodes that follow each
  other are mapped by one process, because each start of a flow takes up to 5 seconds. Yosys' results depend a little on
  what else a process has read, so the cache holds batches of nodes, and a batch does not depend on the number of cores.
- *Link*: the mapped parts are joined and flattened, with cells named <node>.<cell>, and written for place and route (JSON)
  and for simulation (Verilog).
"""

import importlib.metadata
import importlib.util
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zerocross.finn_flows.chip.cells import Cells, count_cells
from zerocross.finn_flows.chip.yosys import Script, SynthesisError, quoted, run_scripts
from zerocross.finn_flows.content_cache import ContentCache, digest
from zerocross.finn_flows.families import get_family

# Mapping node by node uses 1 to 3% more LUTs than mapping a flat design, at no loss of frequency. Six nodes, flat and by
# node: 1828 and 1847 LUT4 on ECP5, 1286 and 1297 LUT6 on 7-series; on ECP5, placed and routed with two seeds, 66.0 to 66.6
# and 66.8 to 71.0 MHz.
_LARGE = 300_000  # characters of an elaborated part that ends a batch: some 2,000 LUTs
_STEPS = 10_000_000  # of generate loops: a layer of many thresholds has more than slang's limit of 131,072
_PART = "part"  # name of every part of a design while it is mapped


@dataclass(frozen=True)
class Synthesis:
    """A mapped design.

    Attributes:
        top: Top module.
        family: Family of the cells.
        total: Resources of the design.
        by_node: Resources of each node by name; "" is the rest of the design.
        netlist: JSON file for place and route.
        verilog: The same netlist for simulation; see `zerocross.finn_flows.chip.netlist`.
    """

    top: str
    family: str
    total: Cells
    by_node: dict[str, Cells]
    netlist: Path
    verilog: Path


def synthesise(
    top: str,
    sources: Sequence[Path],
    folder: Path,
    family: str,
    nodes: Sequence[str] = (),
    *,
    part: str = "",
    parameters: dict[str, int | str] | None = None,
    pads: bool = False,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Synthesis:
    """Map a design to the cells of a family.

    Args:
        top: Top module.
        sources: SystemVerilog files.
        folder: Folder of the memory files. All output is written to its subfolder synthesis/<family>.
        family: One of `zerocross.finn_flows.families.FAMILIES`.
        nodes: Instances to map and count separately, by their path below the top: "conv1", "design.conv1".
        part: Name of the part, for families whose parts need different flows (gw2..., ice40up...).
        parameters: Parameters of the top.
        pads: Whether the netlist has the pads that place and route of some families needs (Gowin).
        cache: Folder of mapped parts that later calls reuse, for any design; by default, a folder of the design.
        workers: Parallel processes; by default, the number of processor cores.
        progress: Called with the number of mapped parts and the number of all parts to map.

    Raises:
        ToolMissing: If pyosys is not installed.
        SynthesisError: If the design cannot be synthesised.
        UnknownFamily: If the family is unknown.
    """
    known = get_family(family)
    work = (folder / "synthesis" / family).resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    kept = ContentCache((cache or folder / "synthesis" / "mapped").resolve())

    parts = _elaborate(top, sources, folder, nodes, parameters or {}, work)
    flow = known.synthesis.flow(part)
    if known.lut_ram is None:  # lets Yosys choose between block RAM and flip-flops
        parts = [replace(part, text=_wish("distributed").sub("", part.text)) for part in parts]
    bare = f"{flow} {known.synthesis.no_pads}".rstrip()
    mapped = _map(parts, bare, flow if pads else bare, kept, work, workers, progress)
    _link(top, mapped, flow, known.synthesis.link_until, work)
    netlist = work / "netlist.json"
    by_node = _counts(netlist, top, nodes, family)
    return Synthesis(top, family, _sum(by_node, family), by_node, netlist, work / "netlist.v")


@dataclass(frozen=True)
class _Part:
    """A node, or the top around the nodes: its name, module and elaborated text."""

    name: str
    module: str
    text: str


def _elaborate(
    top: str,
    sources: Sequence[Path],
    folder: Path,
    nodes: Sequence[str],
    parameters: dict[str, int | str],
    work: Path,
) -> list[_Part]:
    """Read a design and cut it at its nodes. The last part is the top."""
    options = ["--ignore-assertions", f"--max-generate-steps {_STEPS}", f"--top {top}"]
    if nodes:
        options.append("--best-effort-hierarchy")  # modules are named <module>$<top>.<path>
    for name, value in parameters.items():
        text = f'\\"{value}\\"' if isinstance(value, str) else value
        options.append(f'-G "{name}={text}"')
    options += [f'"{Path(source).resolve()}"' for source in sources]
    listing = work / "sources.f"  # a file, because its names may contain spaces
    listing.write_text("\n".join(options) + "\n")
    modules = [f"*${top}.{node}" for node in nodes]
    commands = [f"read_slang -f {listing.relative_to(folder.resolve())}"]
    commands += [f"setattr -mod -set keep_hierarchy 1 {module}" for module in modules]
    commands += [f"hierarchy -top {top}", "flatten -noscopeinfo"]
    # Remove everything except the logic, so that equal nodes have equal texts.
    commands += ["setattr -unset src -unset hdlname */*", "rename -enumerate -pattern _%_ */*"]
    commands += ["setattr -mod -unset src -unset hdlname -unset keep_hierarchy *"]
    for index, module in enumerate(modules):
        commands += [
            f"select {module}",
            f"write_rtlil -selected {quoted(work / f'{index}.il')}",
            "select -clear",
        ]
    commands += [f"blackbox {module}" for module in modules]
    commands += [f"write_rtlil {quoted(work / 'top.il')}"]
    run_scripts([Script(top, tuple(commands), work / "elaborate.ys")], folder)
    parts = []
    for index, node in enumerate(nodes):
        text = (work / f"{index}.il").read_text()
        found = re.search(r"^module \\(\S+)$", text, re.MULTILINE)
        if not found:
            raise SynthesisError(
                f"{top} has no instance {node!r}: correct the names of nodes to count separately"
            )
        parts.append(_part(node, found.group(1), text))
    return [*parts, _part("", top, (work / "top.il").read_text())]


def _wish(style: str) -> re.Pattern[str]:
    """Return a pattern for the attribute with a memory's style, which RTLIL writes as a string or as bits."""
    bits = "".join(f"{byte:08b}" for byte in style.encode())
    return re.compile(rf"""^ *attribute .ram_style (?:"{style}"|{len(bits)}'{bits})\n""", re.MULTILINE)


def _part(name: str, module: str, text: str) -> _Part:
    text = re.sub(r"^(#|autoidx).*\n", "", text, flags=re.MULTILINE)
    return _Part(name, module, text.replace(f"module \\{module}\n", f"module \\{_PART}\n"))


def _map(
    parts: Sequence[_Part],
    node_flow: str,
    top_flow: str,
    cache: ContentCache,
    work: Path,
    workers: int | None,
    progress: Callable[[int, int], None],
) -> list[tuple[_Part, Path]]:
    """Map the batches that are not in the cache; return the file of each part."""
    version = importlib.metadata.version("pyosys") if importlib.util.find_spec("pyosys") else ""
    results: dict[str, Path] = {}  # by the part's text
    scripts: dict[Script, list[Path]] = {}
    *nodes, top = parts
    for batch, flow in [*((batch, node_flow) for batch in _batches(nodes)), ([top], top_flow)]:
        key = digest([version, flow, top.module if top in batch else "", *(part.text for part in batch)])
        files = [work / f"{key}-{index}.il" for index in range(len(batch))]
        results |= {part.text: file for part, file in zip(batch, files, strict=True)}
        if not all(cache.take(file.name, file) for file in files):
            names = dict(zip(files, batch, strict=True))
            scripts[_batch_script(len(scripts), names, flow, work)] = files
    total, ended = sum(map(len, scripts.values())), 0

    def keep(script: Script) -> None:
        nonlocal ended
        for result in scripts[script]:
            cache.put(result.name, result)
            ended += 1
            progress(ended, total)

    run_scripts(scripts, work, workers, keep)
    return [(part, results[part.text]) for part in parts]


def _batches(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Return the distinct parts in batches of neighbours, the largest batch first.

    A large part ends a batch. A change of one layer therefore changes few batches.
    """
    batches: list[list[_Part]] = [[]]
    for part in {part.text: part for part in reversed(parts)}.values():
        if len(part.text) >= _LARGE and batches[-1]:
            batches.append([])
        batches[-1].append(part)
    return sorted(filter(None, batches), key=lambda batch: -sum(len(part.text) for part in batch))


def _batch_script(index: int, batch: dict[Path, _Part], flow: str, work: Path) -> Script:
    """Return a script that maps several parts as separate modules, because each start of a flow takes seconds."""
    modules = [f"node{index}" if part.name else part.module for index, part in enumerate(batch.values())]
    commands: list[str] = []
    for module, part in zip(modules, batch.values(), strict=True):
        source = work / f"batch{index}.{len(commands)}.il"
        source.write_text(part.text.replace(f"module \\{_PART}\n", f"module \\{module}\n"))
        commands += [f"read_rtlil {quoted(source)}"]
    if len(modules) == 1:
        commands += [f"{flow} -top {modules[0]}"]
    else:
        around = work / f"batch{index}.il"
        cells = [f"  attribute \\keep 1\n  cell \\{module} \\i{n}\n  end" for n, module in enumerate(modules)]
        around.write_text("\n".join(["module \\around", *cells, "end"]) + "\n")
        commands += [f"setattr -mod -set keep_hierarchy 1 {module}" for module in modules]
        commands += [f"read_rtlil {quoted(around)}", f"{flow} -top around"]
    commands += ["setattr -unset src */*", "setattr -mod -unset src -unset keep_hierarchy *"]
    for module, result in zip(modules, batch, strict=True):
        commands += [f"rename {module} {_PART}", f"select {_PART}"]
        commands += [
            f"write_rtlil -selected {quoted(work / result.name)}",
            "select -clear",
            f"delete {_PART}",
        ]
    return Script(
        ", ".join(part.name or part.module for part in batch.values()),
        tuple(commands),
        work / f"batch{index}.ys",
    )


def _link(top: str, mapped: Sequence[tuple[_Part, Path]], flow: str, until: str, work: Path) -> None:
    commands = []
    for part, result in mapped:
        commands += [f"read_rtlil {quoted(result)}", f"rename {_PART} {part.module}"]
    # The netlist includes the cell library, because place and route needs the directions of ports.
    commands += [f"{flow} -top {top} -run begin:{until}", "flatten -noscopeinfo", "clean"]
    commands += ["blackbox =A:whitebox", f"write_json {quoted(work / 'netlist.json')}"]
    commands += [f"write_verilog -noattr -noexpr {quoted(work / 'netlist.v')}"]
    run_scripts([Script(top, tuple(commands), work / "link.ys")], work)


def _counts(netlist: Path, top: str, nodes: Sequence[str], family: str) -> dict[str, Cells]:
    """Count the cells of each node and of the rest, by the cells' names."""
    cells = json.loads(netlist.read_text())["modules"][top]["cells"]
    found: dict[str, Counter[str]] = {name: Counter() for name in (*nodes, "")}
    for name, cell in cells.items():
        path = name.removeprefix("$flatten\\").split(".")
        node = next((head for end in range(len(path)) if (head := ".".join(path[:end])) in found and end), "")
        found[node][cell["type"]] += 1
    return {name: count_cells(types, family) for name, types in found.items()}


def _sum(by_node: dict[str, Cells], family: str) -> Cells:
    types: Counter[str] = Counter()
    for cells in by_node.values():
        types.update(cells.by_type)
    return count_cells(types, family)
