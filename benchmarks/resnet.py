"""Takes a ResNetE18 for CIFAR's images from a search's export to the counts of its cells.

    python benchmarks/resnet.py [--cycles 1000000 300000 100000] [--images 3] [--target xczu9eg] [--synthesise]
        [--folder FOLDER]

The network is the topology `resnete`, untrained, with the batch norm statistics of random images. The script

- exports it as a search does, and lowers the file;
- plans and prices it at each pace, and names the parts that hold it;
- builds it at the last pace, and compares torch, qonnx's executor, the integers, the FINN graph and the RTL;
- with `--synthesise`, counts the cells.

The table gives seconds, and seconds of processor time of all processes, which other work on the machine lengthens less.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
from stages import Watch, peak_memory, print_times, processor_time
from torch import Tensor, nn

from zerocross.finn_flows.cost import Cost, estimate_plan
from zerocross.finn_flows.families import PARTS
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import Network
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.planner import plan
from zerocross.hw_search.builds import steps
from zerocross.hw_search.builds.design import make_design
from zerocross.hw_search.builds.export import export
from zerocross.hw_search.builds.forms import torch_logits
from zerocross.hw_search.builds.job import Job
from zerocross.hw_search.builds.layout import cache_folder
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.stages import Stages
from zerocross.hw_search.builds.subject import FileSubject
from zerocross.hw_search.builds.targets import clock_of, find_target
from zerocross.models.layers import BatchNorm
from zerocross.models.topologies import build

SHAPE = (3, 32, 32)
CLOCK_MHZ = 100.0
_CALIBRATION = 64  # images whose statistics the batch norms take


@dataclass(frozen=True)
class Trained(FileSubject):
    """A file with the module that it was exported from."""

    module: nn.Module | None = None

    def logits(self, folder: Path, samples: Tensor) -> np.ndarray:
        """See `Subject`."""
        assert self.module is not None
        return torch_logits(self.module, samples)


def random_images(count: int, seed: int) -> Tensor:
    """Return random images with values from 0 to 255, (count, channels, height, width)."""
    return torch.randint(0, 256, (count, *SHAPE), generator=torch.Generator().manual_seed(seed)).float()


@torch.no_grad()
def untrained(widths: Sequence[int], blocks: Sequence[int]) -> nn.Module:
    """Return the network in eval mode. Its batch norms normalise random images, and are moved a little off them."""
    torch.manual_seed(0)
    model = build("resnete", SHAPE, 10, {"widths": list(widths), "blocks": list(blocks)})
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the mean over all batches
    for batch in random_images(_CALIBRATION, seed=1).split(32):
        model.train()(batch)
    for norm in norms:
        norm.weight.uniform_(0.7, 1.3)
        norm.bias.uniform_(-0.3, 0.3)
    return model.eval()


def holders(network: Network, cycles: int) -> list[str]:
    """Return the parts that hold the network at a pace, by the estimates of LUTs and block RAM."""
    design, found = plan(network, Folding(target_cycles=cycles)), []
    for part in PARTS.values():
        cost = estimate_plan(design, part).zerocross
        if cost.lut <= part.luts and cost.bram_kbit <= part.bram_kbit:
            found.append(part.name)
    return found


def print_paces(network: Network, paces: Sequence[int]) -> None:
    """Print estimates for each pace, and the parts that hold the network."""
    print(f"\n{'cycles':>9} {'II':>8} {'latency':>9} {'LUT6':>8} {'BRAM18':>7} {'images/s':>9}")
    for cycles in paces:
        cost = estimate_plan(plan(network, Folding(target_cycles=cycles)), clock_mhz=CLOCK_MHZ)
        lut, blocks = cost.zerocross.lut, cost.zerocross.bram18
        print(f"{cycles:9,} {cost.ii:8,} {cost.latency:9,} {lut:8,} {blocks:7,} {cost.fps:9,.0f}")
        print(f"{'':9} held by {', '.join(holders(network, cycles)) or 'no part'}")
        _print_kinds(cost)


def _print_kinds(cost: Cost) -> None:
    lut, blocks = Counter[str](), Counter[str]()
    for node in cost.nodes:
        lut[node.kind] += node.zerocross.lut
        blocks[node.kind] += node.zerocross.bram18
    shares = (f"{kind} {lut[kind]:,}/{blocks[kind]:,}" for kind, _ in lut.most_common() if lut[kind])
    print(f"{'':9} LUT6/BRAM18 by kind: {', '.join(shares)}", flush=True)


def print_layers(cost: Cost) -> None:
    """Print the estimates of each layer."""
    lut, blocks = Counter[str](), Counter[str]()
    for node in cost.nodes:
        lut[node.layer] += node.zerocross.lut
        blocks[node.layer] += node.zerocross.bram18
    print(f"\n{'layer':30} {'LUT6':>8} {'BRAM18':>7}")
    for layer in lut:
        print(f"{layer:30} {lut[layer]:8,} {blocks[layer]:7,}")


def qonnx_logits(file: Path, images: Tensor) -> np.ndarray:
    """Return the logits (N, classes) that qonnx's own executor gives, image by image."""
    model = ModelWrapper(str(file)).transform(InferShapes())
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    return np.concatenate([execute_onnx(model, {source: image[None].numpy()})[sink] for image in images])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, nargs="+", default=[1_000_000, 300_000, 100_000], help="paces")
    parser.add_argument(
        "--widths", type=int, nargs="+", default=[64, 128, 256, 512], help="channels of the stages"
    )
    parser.add_argument("--blocks", type=int, nargs="+", default=[4, 4, 4, 4], help="blocks of the stages")
    parser.add_argument("--images", type=int, default=3, help="images to simulate")
    parser.add_argument("--target", default="xczu9eg", help="board or part of the build")
    parser.add_argument("--synthesise", action="store_true", help="also count the cells")
    parser.add_argument("--folder", type=Path, help="folder for the build; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = options.folder or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        file, data = folder / "resnet.onnx", folder / "test.npz"
        begun, watch = (time.monotonic(), processor_time()), Watch()
        model, images = untrained(options.widths, options.blocks), random_images(options.images, seed=2)
        export(model, SHAPE, file)
        np.savez(data, x_test=images.numpy())
        watch.rows["export"] = time.monotonic() - begun[0], processor_time() - begun[1]
        weights = sum(each.numel() for each in model.parameters() if each.dim() > 1)
        print(f"{weights:,} weights; {file.stat().st_size / 1e6:.0f} MB of QONNX", flush=True)

        target = find_target(options.target)
        wanted = BuildOptions(options.target, cycles=options.cycles[-1], images=options.images, route=False)
        subject = Trained(file, data, module=model)
        job = Job(subject, wanted, folder / "build", target, clock_of(target, None), cache_folder())
        job.folder.mkdir(exist_ok=True)
        stages = Stages(job.folder, watch)
        steps.export_model(job, stages)
        network, _ = steps.lower_model(job, stages)
        print_paces(network.net.network, options.cycles)

        steps.take_samples(job, network, stages)
        design = make_design(job, network.net, stages)
        print_layers(estimate_plan(design.plan, get_part(options.target)))
        deep = sorted(((depth, name) for name, depth in design.sizing.needed.items()), reverse=True)
        print(
            f"\n{len(deep)} FIFOs; the deepest: {', '.join(f'{name} {depth:,}' for depth, name in deep[:8])}"
        )
        simulated = steps.simulate(job, network, design, stages)
        for check in simulated.checks:
            print(
                f"{check.left} = {check.right} ({check.compared}): {check.differences} of {check.images} differ"
            )
        trained, executed = torch_logits(model, images), qonnx_logits(file, images)
        differ = int((trained.argmax(axis=1) != executed.argmax(axis=1)).sum())
        far = np.abs(trained - executed).max()
        print(
            f"torch = qonnx's executor (classes): {differ} of {len(images)} differ; logits by at most {far:.1e}"
        )
        seen = simulated.exercise
        if seen is not None:
            print(f"classes seen: {seen.classes_seen} of {seen.classes}")
        print(f"II {simulated.interval}, latency {simulated.latency}", flush=True)
        if options.synthesise:
            for family, mapped in steps.count_cells(job, design, stages).families.items():
                print(f"{family}: {mapped.total}")
    print_times(("seconds (processor)",), [watch.rows])
    own, child = peak_memory()
    print(f"most memory: {own:.1f} GB of this process, {child:.1f} GB of a child")


if __name__ == "__main__":
    main()
