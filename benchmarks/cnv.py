"""Times the stages of builds of FINN's CNV (1-bit weights and activations), from its QONNX file on.

    python benchmarks/cnv.py [--images 100] [--target ulx3s-85f] [--cycles 49152] [--clock MHZ] [--route] [--once]
                             [--folder FOLDER]

The network is CNV_1W1A from Brevitas' examples, untrained, with batch norms as after training. It is built three times, with
a cache of its own: the first time; with other lanes of one layer; and the first build in another folder. The table gives
seconds, and seconds of processor time of all processes, which other work on the machine lengthens less.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stages import Watch, print_times

from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.planner import plan
from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.subject import FileSubject

FASTER = "/conv_features.15/Conv"  # a layer that gets twice the lanes in the second build


def export_cnv(file: Path) -> None:
    """Write CNV_1W1A as QONNX. Its batch norms get statistics like those of a trained network."""
    from brevitas.export import export_qonnx
    from brevitas_examples.bnn_pynq.models import model_with_cfg

    torch.manual_seed(0)
    model, _ = model_with_cfg("CNV_1W1A", pretrained=False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-8, 8)
            module.running_var.uniform_(20, 60)
    export_qonnx(model.eval(), torch.rand(1, 3, 32, 32), str(file), dynamo=False)


def write_samples(file: Path, count: int) -> None:
    """Write random images with values from 0 to 1."""
    values = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32))
    np.savez(file, x_test=(values / 255).astype(np.float32))


@dataclass(frozen=True)
class Lanes(FileSubject):
    """A file with explicit lanes of its layers."""

    lanes: tuple[tuple[str, int, int], ...] = ()

    @property
    def folding(self) -> dict[str, Any]:
        """See `Subject`."""
        return {"layers": self.lanes}


def lanes_of(file: Path, cycles: int) -> dict[str, tuple[int, int]]:
    """Return the lanes of each product for a target."""
    products = plan(lower(file).network.network, Folding(target_cycles=cycles)).products
    return {name: product.lanes for name, product in products.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="images to simulate")
    parser.add_argument("--target", default="ulx3s-85f", help="board or part")
    parser.add_argument("--cycles", type=int, default=49_152, help="most cycles per image of any node")
    parser.add_argument("--clock", type=float, help="clock in MHz; by default the board's own")
    parser.add_argument("--once", action="store_true", help="only the first of the three builds")
    parser.add_argument("--route", action="store_true", help="also place and route the first build")
    parser.add_argument("--folder", type=Path, help="folder for the builds; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = options.folder or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        file, data = folder / "cnv.onnx", folder / "test.npz"
        export_cnv(file)
        write_samples(data, options.images)
        lanes = lanes_of(file, options.cycles)
        pe, simd = lanes[FASTER]
        folded = tuple((name, *pair) for name, pair in lanes.items())
        faster = tuple((name, *pair) for name, pair in (lanes | {FASTER: (2 * pe, simd)}).items())
        columns = []
        builds = {"first": folded, "one layer faster": faster, "first again": folded}
        for name, chosen in list(builds.items())[: 1 if options.once else None]:
            watch = Watch()
            wanted = BuildOptions(
                options.target,
                clock_mhz=options.clock,
                images=options.images,
                route=options.route and name == "first",
            )
            made = build(
                Lanes(file, data, lanes=chosen), wanted, folder / name.replace(" ", "_"), watch
            ).build
            assert made.certificate is not None
            wrong = sum(check.differences for check in made.certificate.checks)
            counts = ", ".join(f"{count['lut']:,} LUT ({family})" for family, count in made.synthesis.items())
            timing = f"II {made.timing.ii_measured}, latency {made.timing.latency_measured}"
            clock = f", {made.timing.fmax_mhz:.1f} MHz at most" if made.timing.fmax_mhz else ""
            print(f"{name}: {wrong} differences, {timing}, {counts}{clock}", flush=True)
            columns.append(watch.rows)
    print_times(tuple(builds)[: len(columns)], columns)


if __name__ == "__main__":
    main()
