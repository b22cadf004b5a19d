"""Mutated ONNX files: each lowers to integers that agree with qonnx's executor, or is refused with one message."""

from pathlib import Path

import onnx
import torch

from attacks.attack import Wrong, refused
from tests.finn_flows.lowering.mutations import mutated
from tests.finn_flows.lowering.test_validity import NETWORKS, assert_agrees
from tests.hw_search.extraction.test_extraction import settle
from tests.models.test_residual import settle as settle_streams
from zerocross.finn_flows.lowering.lower import lower
from zerocross.hw_search.builds.export import export
from zerocross.models.topologies import build


class OnnxFiles:
    """Damages the graph of an exported network (see `tests/finn_flows/lowering/mutations.py`), or its bytes."""

    unit, each, tries, cpu, patience = "ONNX files", 1, 10, 20.0, 180.0

    def __init__(self, folder: Path) -> None:
        self.file, self.models = folder / "mutated.onnx", []
        for name, (topology, parameters, shape) in NETWORKS.items():
            torch.manual_seed(0)
            model = build(topology, shape, 4, parameters)
            export((settle_streams if name == "resnete" else settle)(model), shape, folder / "sound.onnx")
            self.models.append(onnx.load(folder / "sound.onnx"))

    def attempt(self, seed: int) -> str:
        """See `Attack`."""
        kinds, content = mutated(self.models[seed % len(self.models)], 1_000_000 + seed)
        self.file.write_bytes(content)
        lowered = refused(lambda: lower(self.file, host_part=True))
        if lowered is None:
            return "refused with one message"
        try:
            assert_agrees(lowered, kinds)
        except AssertionError:
            raise Wrong(f"{kinds}: other classes than qonnx's executor, and no word") from None
        return "lowered, and agrees with qonnx"
