"""The records of real builds: complete, and unchanged after saving and loading."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.hw_search.builds.stand_ins import no_simulation
from tests.models.test_residual import SMALL, settle
from zerocross.finn_flows.chip.cells import Cells
from zerocross.finn_flows.chip.synthesis import Synthesis
from zerocross.hw_search.builds import design, steps
from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.subject import FileSubject
from zerocross.models.topologies import build as topology
from zerocross.reports.build_diagram import steps as drawn
from zerocross.reports.build_storage import load_build

NETWORKS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "dense": ("mlp", {"hidden": [6]}, {"product", "crossings", "label"}),
    "convolutions": ("cnv", {"blocks": [[4]], "dense": [6]}, {"generator", "product", "crossings"}),
    "shortcuts": ("resnete", SMALL, {"fork", "sum", "padding"}),
    "dynamic": ("resnete", {**SMALL, "dynamic": "threshold", "reduction": 2}, {"fork", "sum", "pool"}),
    "depthwise": ("nasb", {"widths": [4], "operations": [["depthwise3", "pool", "dilated3"]]}, {"product"}),
}


@pytest.fixture
def unsimulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips simulation and synthesis: every FIFO holds two words, and every node is one LUT."""

    def synthesise(top: str, sources: Any, folder: Path, family: str, nodes: Any, **_: Any) -> Synthesis:
        by_node = {name: Cells(lut=1) for name in nodes}
        return Synthesis(top, family, Cells(lut=len(by_node)), by_node, folder, folder)

    def size_fifos(bare: Any, *_: Any) -> tuple[dict[str, int], float]:
        return {element.fifo_name(port): 2 for element in bare.elements for port in element.ports}, 1.0

    monkeypatch.setattr(design, "size_fifos", size_fifos)
    monkeypatch.setattr(design, "node_intervals", lambda bare, *_: bare.intervals())
    monkeypatch.setattr(steps, "certify", no_simulation)
    monkeypatch.setattr(steps, "synthesise", synthesise)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_build_of_any_network_is_opened_again_as_it_was_left(
    name: str, unsimulated: None, tmp_path: Path
) -> None:
    kind, parameters, words = NETWORKS[name]
    torch.manual_seed(0)
    shape = (1, 8, 8)
    export(settle(topology(kind, shape, 3, parameters)), shape, tmp_path / "mine.onnx")
    options = replace(BuildOptions("ulx3s-85f", route=False), cycles=2000)
    made = build(FileSubject(tmp_path / "mine.onnx"), options, tmp_path / "build").build
    assert load_build(tmp_path / "build") == made
    kinds = {node.kind for node in made.nodes}
    assert words | {"fifo"} <= kinds
    page = (tmp_path / "build" / "report.html").read_text(encoding="utf-8")
    assert all(node.name in page for node in made.nodes)
    on_streams = {"fifo", "converter"}
    assert [step.node.name for step in drawn(made) if step.node] == [
        node.name for node in made.nodes if node.kind not in on_streams
    ]
    for node in made.nodes:
        assert set(node.estimate_zerocross) == set(node.synthesis) == {"7-series", "ecp5"}
        assert node.ii_estimate and (node.fifo_depth == 2) == (node.kind == "fifo")
