"""What each step of a build found out: plain values, kept as JSON in the build's folder.

A result names the files that must still be there for it to hold, and says in a sentence what came out.
"""

from dataclasses import dataclass

from zerocross.finn_flows.chip.cells import Cells
from zerocross.hw_search.builds.layout import NETWORK
from zerocross.reports.build_records import Check


@dataclass(frozen=True)
class Result:
    """What a step found out."""

    @property
    def note(self) -> str:
        """What came out, in a sentence."""
        return ""

    @property
    def files(self) -> tuple[str, ...]:
        """Files that the step left, relative to the build's folder."""
        return ()


@dataclass(frozen=True)
class Exported(Result):
    """The trained network as QONNX.

    Attributes:
        training: how it was trained.
        written: the files.
        validation: share of the validation set that it classifies right, or None.
        test: the same of the test set.
        images: images in the test set.
    """

    training: str
    written: tuple[str, ...]
    validation: float | None = None
    test: float | None = None
    images: int = 0

    @property
    def note(self) -> str:
        """See `Result`."""
        return f"{self.training}; written as QONNX"

    @property
    def files(self) -> tuple[str, ...]:
        """See `Result`."""
        return self.written


@dataclass(frozen=True)
class Integers(Result):
    """The network as integers.

    Attributes:
        layers: how many it has.
        first_bits_left: crossings that start at 1 and that no negated weight could absorb.
    """

    layers: int
    first_bits_left: int

    @property
    def note(self) -> str:
        """See `Result`."""
        return f"{self.layers} layers, every activation as crossings"

    @property
    def files(self) -> tuple[str, ...]:
        """See `Result`."""
        return (NETWORK,)


@dataclass(frozen=True)
class Sizing(Result):
    """What a simulation says FIFOs must hold.

    Attributes:
        depths: most words each ever held, by name.
        interval: cycles between two images.
        nodes: nodes of the design, without FIFOs.
    """

    depths: dict[str, int]
    interval: float
    nodes: int

    @property
    def note(self) -> str:
        """See `Result`."""
        return f"{self.nodes} nodes; a FIFO where the schedule needs one"

    @property
    def needed(self) -> dict[str, int]:
        """Depths of the FIFOs that are built: a single word is no FIFO."""
        return {name: depth for name, depth in self.depths.items() if depth > 1}


@dataclass(frozen=True)
class Simulated(Result):
    """Every form of the network on the same images, and the design cycle by cycle.

    Attributes:
        test_set: where the images are from.
        images: how many.
        checks: each form compared with the one before it.
        interval: cycles between two images, None for a single image.
        latency: cycles from an image's first word to its class.
        cycles: of all images.
        accuracy: share of the images that the hardware classifies right, None without labels.
    """

    test_set: str
    images: int
    checks: tuple[Check, ...]
    interval: float | None
    latency: int
    cycles: int
    accuracy: float | None

    @property
    def note(self) -> str:
        """See `Result`."""
        differences = sum(check.differences for check in self.checks)
        return f"{differences} differences in {self.images} images of {self.test_set}"


@dataclass(frozen=True)
class Mapped:
    """A design mapped to one family: the whole of it, and its nodes by name."""

    total: Cells
    nodes: dict[str, Cells]


@dataclass(frozen=True)
class Synthesised(Result):
    """What the synthesiser counts, by family."""

    families: dict[str, Mapped]

    @property
    def note(self) -> str:
        """See `Result`."""
        return ", ".join(f"{mapped.total.lut:,} LUT ({name})" for name, mapped in self.families.items())


@dataclass(frozen=True)
class NetlistSimulated(Result):
    """The mapped netlist compared with the integer network."""

    check: Check

    @property
    def note(self) -> str:
        """See `Result`."""
        return f"{self.check.differences} differences in {self.check.images} images"


@dataclass(frozen=True)
class Routed(Result):
    """A placed and routed design.

    Attributes:
        bitstream: its file, relative to the build's folder.
        used: used and available of each resource, by the names of `zerocross.finn_flows.chip.place_route.Routed.used`.
        met: whether the clock is met.
        timing: the same in a sentence, with what limits it.
        fmax_mhz: what the tightest clock reaches.
        slack_ns: what is left of its period; None without a clock.
        critical_path: the slowest path in words; "" if there is none.
    """

    bitstream: str
    used: dict[str, tuple[int, int]]
    met: bool
    timing: str
    fmax_mhz: float
    slack_ns: float | None
    critical_path: str

    @property
    def note(self) -> str:
        """See `Result`."""
        return self.timing

    @property
    def files(self) -> tuple[str, ...]:
        """See `Result`."""
        return (self.bitstream,)


@dataclass(frozen=True)
class VivadoFolder(Result):
    """The folder for a machine with Vivado.

    Attributes:
        folder: relative to the build's.
        board: the board or part that FINN builds for.
        output: what FINN and Vivado made here; "" if Vivado is not installed.
    """

    folder: str
    board: str
    output: str = ""

    @property
    def note(self) -> str:
        """See `Result`."""
        return f"model, configuration and script for {self.board} in {self.folder}/"

    @property
    def files(self) -> tuple[str, ...]:
        """See `Result`."""
        return (self.folder,)
