"""The plain records of a build: one network as hardware for one target, and the results of every step.

A number's name contains its source: `estimate_finn` and `estimate_zerocross` are estimates by models, `synthesis` are
counts by the synthesiser, `routed` and `fmax_mhz` come from place and route, and `..._measured` comes from a
cycle-by-cycle simulation of the design. A value that no tool reported is None or missing, never 0.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

# Known resources of a node or a whole design: "lut", "ff", "bram", "dsp", "carry", "uram". The family defines LUTs and
# block RAMs (see `FamilyWords`); FINN's estimates count 6-input LUTs and 18-kbit block RAMs.
Counts = dict[str, float]

# Source of a hardware number: FINN's models, this project's models, the vendor's HLS compiler (also an estimate), the
# synthesiser, place and route, or the simulation of the design.
Source = Literal["finn", "zerocross", "hls", "synthesis", "routing", "simulation"]

STREAM_KINDS = ("converter", "fifo")

RESOURCES = ("lut", "ff", "bram", "dsp", "carry", "uram")


@dataclass(frozen=True)
class FamilyWords:
    """The names of a family of parts and of its resources.

    Attributes:
        name: Name of the family, such as "ECP5".
        lut: Name of its LUTs, such as "LUT4".
        bram: Name of its block RAMs, such as "DP16KD (18 kbit)".
        cell: What place and route counts in place of LUTs, such as "logic cells"; "" for LUTs.
    """

    name: str
    lut: str
    bram: str
    cell: str = ""


@dataclass(frozen=True)
class BuildNode:
    """One hardware node of a build.

    Attributes:
        name: Name, unique in the build, such as "fc1_product".
        layer: Layer of the network that the node belongs to; "" if none, such as for the serial port.
        kind: Function of the node, as the hardware nodes name it: "product", "crossings", "fifo", ... Kinds in
            `STREAM_KINDS` are drawn on their stream.
        implementation: Implementation, such as "comparators" or "table" for crossings, "weights in LUTs" for a product;
            "" if there is only one.
        pe: Processing elements, 0 if the node has none.
        simd: Inputs per cycle, 0 if the node has none.
        input_bits: Width of the input word, 0 if unknown.
        output_bits: Width of the output word, 0 if unknown.
        note: Further details in a few words, such as "64 x 64, 1-bit inputs".
        reads: Names of the nodes whose output it reads; empty if it reads the node before it in the list.
        estimate_finn: {"lut", "bram", "dsp"} by stock FINN's models; empty if FINN has no model of the node.
        estimate_zerocross: The same by this project's models, by family: {"7-series": {...}, "ecp5": {...}}.
        estimate_hls: {"lut", "ff", "bram", "dsp"} by the vendor's HLS compiler; empty if it did not compile the node.
        synthesis: Counts of the synthesiser for the node alone, by family.
        routed: Counts for the node after place and route on the target, or None.
        ii_estimate: Estimated cycles between two images, without waiting for other nodes.
        ii_measured: Cycles between two images, measured in a simulation of the node alone, which waits for no other node.
        fifo_depth: Words a FIFO holds, None for other nodes.
        fifo_peak: Most words the FIFO held in simulation.
    """

    name: str
    layer: str
    kind: str
    implementation: str = ""
    pe: int = 0
    simd: int = 0
    input_bits: int = 0
    output_bits: int = 0
    note: str = ""
    reads: list[str] = field(default_factory=list)
    estimate_finn: Counts = field(default_factory=dict)
    estimate_zerocross: dict[str, Counts] = field(default_factory=dict)
    estimate_hls: Counts = field(default_factory=dict)
    synthesis: dict[str, Counts] = field(default_factory=dict)
    routed: Counts | None = None
    ii_estimate: int | None = None
    ii_measured: int | None = None
    fifo_depth: int | None = None
    fifo_peak: int | None = None


@dataclass(frozen=True)
class Stage:
    """One step of a build.

    Attributes:
        name: Name, such as "synthesis".
        state: Outcome.
        seconds: Time of the step, in seconds; the original time if the result was reused.
        note: Result, or reason for skipping or failing, in one sentence.
    """

    name: str
    state: Literal["done", "skipped", "failed"]
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of the network.

    Attributes:
        validation: Accuracy on the validation set, 0..1, or None.
        test: Accuracy on the test set, 0..1, or None.
        images: Number of images in the test set.
        training: Description of the training, such as "final training, seed 3, 40 epochs".
    """

    validation: float | None = None
    test: float | None = None
    images: int = 0
    training: str = ""


@dataclass(frozen=True)
class Check:
    """Comparison of two forms of the network on the same images.

    Attributes:
        left: Name of one form, such as "torch".
        right: Name of the other form, such as "QONNX"; usually `left` of the next check.
        images: Number of images compared.
        compared: Quantity compared: "classes", "logits" or "bits".
        differences: Number of images on which they differ, without ties.
        note: Further conditions, such as "under random stalls".
        ties: Number of images on which they differ only because classes have equal logits, up to float32's rounding.
    """

    left: str
    right: str
    images: int
    compared: str
    differences: int
    note: str = ""
    ties: int = 0


@dataclass(frozen=True)
class LayerExercise:
    """How much of an activation the samples of a certificate exercised.

    Attributes:
        name: Name of the activation's layer.
        channels: Channels that can change.
        changed: Those whose output was seen at two values or more.
        crossings: Crossings that some input can reach.
        both_sides: Those that accumulators were seen on both sides of.
        at_step: Those of which both neighbouring integers were seen.
    """

    name: str
    channels: int
    changed: int
    crossings: int
    both_sides: int
    at_step: int


@dataclass(frozen=True)
class Exercise:
    """How much of the network the samples of a certificate exercised. What they did not exercise may be wrong unseen.

    Attributes:
        samples: Number of samples.
        distinct: Number of different samples, behind the input's quantizer.
        classes: Number of classes.
        classes_seen: Number of classes that the network answered.
        inputs: Number of input elements of a sample.
        inputs_changed: Input elements that were seen at two values or more.
        layers: The activations, in order.
    """

    samples: int
    distinct: int
    classes: int
    classes_seen: int
    inputs: int
    inputs_changed: int
    layers: list[LayerExercise]

    def total(self, what: str) -> int:
        """Return the sum of a field of `LayerExercise` over all layers."""
        return sum(getattr(layer, what) for layer in self.layers)


@dataclass(frozen=True)
class Certificate:
    """Evidence that the hardware matches the network.

    Attributes:
        test_set: Name of the data, such as "digits, test set".
        checks: Comparisons in order, from the trained network to the last form.
        exercise: How much of the network the data exercised, or None if it was not measured.
    """

    test_set: str
    checks: list[Check]
    exercise: Exercise | None = None


@dataclass(frozen=True)
class Timing:
    """Speed of the whole design.

    Attributes:
        ii_estimate: Estimated cycles between two images.
        ii_measured: Cycles between two images in simulation.
        latency_estimate: Estimated cycles from an image's first word to its class.
        latency_measured: The same cycles in simulation.
        fmax_mhz: Highest clock in MHz, from place and route (or the vendor's timing report).
        slack_ns: Slack at the requested clock in ns; negative if the clock is missed.
        critical_path: Description of the slowest path.
        estimated_by: Source of all estimated cycles, including those of the nodes.
        timed_after: Step after which the clock was determined. Before routing, the delays of wires are estimates.
        violated: What is violated besides setup, such as "hold by 0.41 ns, which no slower clock mends".
    """

    ii_estimate: int | None = None
    ii_measured: int | None = None
    latency_estimate: int | None = None
    latency_measured: int | None = None
    fmax_mhz: float | None = None
    slack_ns: float | None = None
    critical_path: str = ""
    estimated_by: Literal["finn", "zerocross"] = "zerocross"
    timed_after: Literal["synthesis", "placement", "routing"] = "routing"
    violated: tuple[str, ...] = ()


@dataclass(frozen=True)
class WiredNeuron:
    """A neuron whose inputs are wires.

    Attributes:
        number: Number in its layer, from 0.
        elements: Numbers of the elements that it reads, from 0; one that it reads twice stands there twice.
        conditions: What it asks of each element, such as "≥ 128" or "bit 6"; "" if the element is a bit.
        signs: "+" or "-" for each input: whether a bit of 1, or of 0, counts.
        row: Its answer, "0" or "1", if none of its inputs count, if one does, ..., if all do. In a layer of tables: its
            answer to each binary number that its inputs form, the first one lowest; an input is 1 if it counts.
    """

    number: int
    elements: list[int]
    conditions: list[str]
    signs: str
    row: str


@dataclass(frozen=True)
class WiredLayer:
    """The neurons of a wired layer.

    Attributes:
        name: Name of the layer.
        source: Name of the layer that it reads, or "input".
        shape: Shape of what it reads: (features,) or (height, width, channels).
        neurons: Neurons that are built.
        of_tables: Whether a neuron is any function of its inputs.
    """

    name: str
    source: str
    shape: list[int]
    neurons: list[WiredNeuron]
    of_tables: bool = False


@dataclass(frozen=True)
class Usage:
    """Use of one resource of the device.

    Attributes:
        resource: Name of the resource on the device: "LUT4", "DP16KD", ...
        used: Amount that the whole design uses.
        available: Amount that the device has.
        source: Source of `used`; a model if nothing was synthesised.
    """

    resource: str
    used: float
    available: float
    source: Source


@dataclass(frozen=True)
class Build:
    """A build: its network, its target, and the results of every step.

    Attributes:
        name: Name of the build, which is the name of its folder.
        network: Id of the network in its run.
        run: Path or name of the run that the network comes from; "" if none.
        expression: Activation, as text.
        trained: Expressions that were trained; they may spell the same functions differently.
        choices: Genes of the network, by path.
        topology: Topology in one line.
        board: Target board, "" for a bare part.
        part: Target part.
        family: Family of the part, such as "7-series" or "ecp5"; "" if unknown.
        words: Names of the families that have counts, by family; Xilinx families may be left out.
        clock_mhz: Requested clock in MHz.
        created: Time of creation, in ISO 8601.
        versions: Versions of packages and tools.
        tools: {"synthesis", "routing", "simulation"}: tool used for each, such as "Yosys 0.70".
        accuracy: Accuracy of the network.
        stages: Steps in order.
        nodes: Hardware nodes in the order of the stream.
        timing: Speed of the whole design.
        utilisation: Use of the target's resources, from the last tool that counted them.
        synthesis: Counts of the synthesiser for the whole design, by family.
        routed: Counts for the whole design after place and route on the target, or None.
        certificate: Comparisons of all forms, or None if there are none.
        files: Files of the build: {label: path relative to the build's folder}.
        hints: Remedies if the design did not fit or was too slow.
        load: Command that loads the bitstream onto the board; "" without a bitstream.
        searched: Estimates of the search, their part, and how this build differs; "" without a search.
        host: Nodes ahead of the hardware, which the host computes; with a reason for those that are more than a
            normalisation or the input's quantizer.
        dropped: Outputs of the file that the hardware does not compute.
        data: Path of the test set that a file was given; "" if there is none.
        pixels: How an image file's pixels become the network's input; "" if they are taken as they are.
        notes: Choices that the build made by itself.
        wired: Layers whose inputs are wires, in order.
        line_rate: Samples a second that the board's serial line carries, or None without a bitstream.
        left_out: Names and files that a reader of FINN's or Vivado's reports found and does not show, each with the
            reason.
    """

    name: str
    network: str
    run: str = ""
    expression: str = ""
    trained: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    topology: str = ""
    board: str = ""
    part: str = ""
    family: str = ""
    words: dict[str, FamilyWords] = field(default_factory=dict)
    clock_mhz: float | None = None
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    accuracy: Accuracy = field(default_factory=Accuracy)
    stages: list[Stage] = field(default_factory=list)
    nodes: list[BuildNode] = field(default_factory=list)
    timing: Timing = field(default_factory=Timing)
    utilisation: list[Usage] = field(default_factory=list)
    synthesis: dict[str, Counts] = field(default_factory=dict)
    routed: Counts | None = None
    certificate: Certificate | None = None
    files: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    load: str = ""
    searched: str = ""
    host: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    data: str = ""
    pixels: str = ""
    notes: list[str] = field(default_factory=list)
    wired: list[WiredLayer] = field(default_factory=list)
    line_rate: float | None = None
    left_out: list[str] = field(default_factory=list)
