"""Results of the steps of a build: plain values, saved as JSON in the build's folder.

A result lists the files that it needs and summarises the step in one sentence. It is valid only while these files exist.
"""

from dataclasses import dataclass

from zerocross.finn_flows.chip.cells import Cells
from zerocross.hw_search.builds.layout import HOST, NETWORK, VECTORS
from zerocross.reports.build_records import Check, Exercise


@dataclass(frozen=True)
class StepResult:
    """The result of a step."""

    @property
    def note(self) -> str:
        """Summary in one sentence."""
        return ""

    @property
    def files(self) -> tuple[str, ...]:
        """Files that the step wrote, relative to the build's folder."""
        return ()


@dataclass(frozen=True)
class Exported(StepResult):
    """The trained network as QONNX.

    Attributes:
        training: Description of its training.
        written: Files of the step.
        validation: Accuracy on the validation set, 0..1, or None.
        test: Accuracy on the test set, 0..1, or None.
        images: Number of images in the test set.
        dropped: Outputs of the user's file that the written one lacks.
    """

    training: str
    written: tuple[str, ...]
    validation: float | None = None
    test: float | None = None
    images: int = 0
    dropped: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """See `StepResult`."""
        left = f", without the outputs {', '.join(self.dropped)}" if self.dropped else ""
        return f"{self.training}; written as QONNX{left}"

    @property
    def files(self) -> tuple[str, ...]:
        """See `StepResult`."""
        return self.written


@dataclass(frozen=True)
class Lowering(StepResult):
    """The network as integers.

    Attributes:
        layers: Number of layers.
        first_bits_left: Number of channels that start at 1 and could not be changed by negating weights.
        host: Nodes that the host computes, each with the reason if it is more than a normalisation or the quantizer.
        dropped: Outputs that no sample changes, which the network does not compute.
        saved: What sparse layers are built without, as a sentence; "" for nothing.
    """

    layers: int
    first_bits_left: int
    host: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    saved: str = ""

    @property
    def note(self) -> str:
        """See `StepResult`."""
        note = f"{self.layers} layers, every activation as crossings"
        return f"{note}. {self.saved.removesuffix('.')}" if self.saved else note

    @property
    def files(self) -> tuple[str, ...]:
        """See `StepResult`."""
        return NETWORK, HOST


@dataclass(frozen=True)
class Sampled(StepResult):
    """The samples that the forms of the network are compared on.

    Attributes:
        name: Source of the samples.
        samples: Number of samples.
        is_labelled: Whether they have labels.
        remarks: How the user's arrays were read, where that is not obvious; each names its file.
        shape: Shape of a sample in the QONNX file's input format.
    """

    name: str
    samples: int
    is_labelled: bool
    remarks: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()

    @property
    def note(self) -> str:
        """See `StepResult`."""
        return f"{self.name}: {self.samples} {'with' if self.is_labelled else 'without'} labels"


@dataclass(frozen=True)
class Sizing(StepResult):
    """FIFO depths from a simulation.

    Attributes:
        depths: Largest number of words in each FIFO, by name.
        interval: Cycles between two images.
        nodes: Number of nodes of the design, without FIFOs.
        intervals: Cycles between two images of each node alone, by name.
    """

    depths: dict[str, int]
    interval: float
    nodes: int
    intervals: dict[str, int]

    @property
    def note(self) -> str:
        """See `StepResult`."""
        return f"{self.nodes} nodes, and FIFOs where the schedule needs them"

    @property
    def needed(self) -> dict[str, int]:
        """Depths of the FIFOs to build. A depth of one word needs no FIFO."""
        return {name: depth for name, depth in self.depths.items() if depth > 1}


@dataclass(frozen=True)
class Simulated(StepResult):
    """Comparison of all forms of the network on the same images, and cycle counts from RTL simulation.

    Attributes:
        test_set: Source of the images.
        images: Number of images.
        checks: Comparison of each form with the one before it.
        interval: Cycles between two images, None for a single image.
        latency: Cycles from an image's first word to its class.
        cycles: Cycles for all images.
        accuracy: Accuracy of the hardware on the images, 0..1, None without labels.
        exercise: How much of the network the images exercised, None if it was not measured.
    """

    test_set: str
    images: int
    checks: tuple[Check, ...]
    interval: float | None
    latency: int
    cycles: int
    accuracy: float | None
    exercise: Exercise | None = None

    @property
    def note(self) -> str:
        """See `StepResult`."""
        differences = sum(check.differences for check in self.checks)
        ties = sum(check.ties for check in self.checks)
        found = f"{differences} differences" + (f" and {ties} ties" if ties else "")
        return f"{found} in {self.images} images of {self.test_set}"

    @property
    def files(self) -> tuple[str, ...]:
        """See `StepResult`."""
        return (VECTORS,)


@dataclass(frozen=True)
class Mapped:
    """Cells of a design mapped to one family: in total, and by node."""

    total: Cells
    nodes: dict[str, Cells]


@dataclass(frozen=True)
class Synthesised(StepResult):
    """Cell counts from synthesis, by family."""

    families: dict[str, Mapped]

    @property
    def note(self) -> str:
        """See `StepResult`."""
        return ", ".join(f"{mapped.total.lut:,} LUT ({name})" for name, mapped in self.families.items())


@dataclass(frozen=True)
class NetlistSimulated(StepResult):
    """Comparison of the mapped netlist with the integer network."""

    check: Check

    @property
    def note(self) -> str:
        """See `StepResult`."""
        return f"{self.check.differences} differences in {self.check.images} images"


@dataclass(frozen=True)
class Routing(StepResult):
    """A placed and routed design.

    Attributes:
        bitstream: File of the bitstream, relative to the build's folder.
        used: Used and available amount of each resource; names as in `zerocross.finn_flows.chip.place_route.Routed.used`.
        met: Whether the design meets its clock.
        timing: Sentence on timing, with its limit.
        fmax_mhz: Maximum frequency of the most critical clock, MHz.
        slack_ns: Slack of that clock in ns; None without a clock.
        critical_path: Description of the slowest path; "" if there is none.
        by_node: See `zerocross.finn_flows.chip.place_route.Routed`.
        hold_violations: Number of paths that are too fast for a flip-flop's hold time, at any clock.
    """

    bitstream: str
    used: dict[str, tuple[int, int]]
    met: bool
    timing: str
    fmax_mhz: float
    slack_ns: float | None
    critical_path: str
    by_node: dict[str, dict[str, int]]
    hold_violations: int = 0

    @property
    def note(self) -> str:
        """See `StepResult`."""
        return self.timing

    @property
    def files(self) -> tuple[str, ...]:
        """See `StepResult`."""
        return (self.bitstream,)


@dataclass(frozen=True)
class VivadoFolder(StepResult):
    """The folder for a machine with Vivado.

    Attributes:
        folder: Path relative to the build's folder.
        board: Board or part that FINN builds for.
        output: Output folder of FINN and Vivado; "" if Vivado is not installed.
    """

    folder: str
    board: str
    output: str = ""

    @property
    def note(self) -> str:
        """See `StepResult`."""
        return f"model, configuration and script for {self.board} in {self.folder}/"

    @property
    def files(self) -> tuple[str, ...]:
        """See `StepResult`."""
        return (self.folder,)
