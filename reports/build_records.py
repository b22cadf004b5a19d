"""The plain records of a build: one network made into hardware for one target, and what every step said of it.

Where a number comes from is part of its name: `estimate_finn` and `estimate_zerocross` are models, `synthesis` is
counted by the synthesiser, `routed` and `fmax_mhz` by place and route, `..._measured` by simulating the design
cycle by cycle. What nothing has said is None or left out, never 0.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

# Of a node or a whole design: "lut", "ff", "bram", "dsp", "carry", "uram"; those that are known. LUTs and block RAMs are the
# family's own (see `FamilyWords`); FINN's estimates are of 6-input LUTs and of block RAMs of 18 kbit.
Counts = dict[str, float]

# Who says a number of hardware: FINN's models, this project's, the maker's HLS compiler (an estimate too), the
# synthesiser, place and route, or the simulation of the design.
Source = Literal["finn", "zerocross", "hls", "synthesis", "routing", "simulation"]

STREAM_KINDS = ("converter", "fifo")

RESOURCES = ("lut", "ff", "bram", "dsp", "carry", "uram")


@dataclass(frozen=True)
class FamilyWords:
    """What a family of parts and its resources are called.

    Attributes:
        name: such as "ECP5".
        lut: its LUTs, such as "LUT4".
        bram: its block RAMs, such as "DP16KD (18 kbit)".
    """

    name: str
    lut: str
    bram: str


@dataclass(frozen=True)
class BuildNode:
    """One hardware node of a build.

    Attributes:
        name: unique in the build, such as "fc1_product".
        layer: the network's layer it serves; "" for what serves none, such as the serial port.
        kind: what it does, in the hardware node's own word: "product", "crossings", "fifo", ... The kinds of
            `STREAM_KINDS` are drawn on the stream that they stand in.
        implementation: how it is built: "comparators" or "table" for crossings, "weights in LUTs" for a product, ...;
            "" where there is no choice.
        pe: processing elements, 0 where the node has none.
        simd: inputs a cycle, 0 where the node has none.
        input_bits: width of the word it reads, 0 if unknown.
        output_bits: width of the word it writes, 0 if unknown.
        note: anything else worth knowing in a few words, such as "64 x 64, 1-bit inputs".
        reads: names of the nodes whose output it reads; empty for the one before it in the list.
        estimate_finn: {"lut", "bram", "dsp"} by stock FINN's models; empty if FINN has none for it.
        estimate_zerocross: the same by this project's models, by family: {"7-series": {...}, "ecp5": {...}}.
        estimate_hls: {"lut", "ff", "bram", "dsp"} by the maker's HLS compiler; empty for what it did not compile.
        synthesis: what the synthesiser counts for the node alone, by family.
        routed: what is left of it after place and route on the target, or None.
        ii_estimate: cycles between two images by formula, where nothing makes it wait.
        ii_measured: the same, measured in simulation.
        fifo_depth: words a FIFO holds, None for other nodes.
        fifo_peak: most words it ever held in simulation.
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
        name: such as "synthesis".
        state: what became of it.
        seconds: time it took; of an earlier sitting where its result was reused.
        note: a sentence: what came out, or why it was skipped or failed.
    """

    name: str
    state: Literal["done", "skipped", "failed"]
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Accuracy:
    """How often the network is right.

    Attributes:
        validation: share of the validation set, 0..1, or None.
        test: share of the test set, 0..1, or None.
        images: images in the test set.
        training: how it was trained, such as "final training, seed 3, 40 epochs".
    """

    validation: float | None = None
    test: float | None = None
    images: int = 0
    training: str = ""


@dataclass(frozen=True)
class Check:
    """Two forms of the network, given the same images.

    Attributes:
        left: such as "torch".
        right: such as "QONNX"; the left of the next check.
        images: how many were compared.
        compared: what was: "classes", "logits" or "bits".
        differences: how many of those differed.
        note: anything else, such as "under random stalls".
    """

    left: str
    right: str
    images: int
    compared: str
    differences: int
    note: str = ""


@dataclass(frozen=True)
class Certificate:
    """That the hardware is the network.

    Attributes:
        test_set: name of the data, such as "digits, test set".
        checks: from the trained network to the last form that was run, in order.
    """

    test_set: str
    checks: list[Check]


@dataclass(frozen=True)
class Timing:
    """How fast the whole design is.

    Attributes:
        ii_estimate: cycles between two images by formula.
        ii_measured: the same in simulation.
        latency_estimate: cycles from an image's first word to its class by formula.
        latency_measured: the same in simulation.
        fmax_mhz: highest clock, by place and route (or the maker's timing report).
        slack_ns: time to spare at the clock asked for, negative if it is missed.
        critical_path: the slowest path in words.
        estimated_by: whose formulas the estimated cycles are, the nodes' too.
    """

    ii_estimate: int | None = None
    ii_measured: int | None = None
    latency_estimate: int | None = None
    latency_measured: int | None = None
    fmax_mhz: float | None = None
    slack_ns: float | None = None
    critical_path: str = ""
    estimated_by: Literal["finn", "zerocross"] = "zerocross"


@dataclass(frozen=True)
class Usage:
    """One resource of the device.

    Attributes:
        resource: the device's own name for it: "LUT4", "DP16KD", ...
        used: how many the whole design takes.
        available: how many the device has.
        source: who counted; a model where nothing was synthesised.
    """

    resource: str
    used: float
    available: float
    source: Source


@dataclass(frozen=True)
class Build:
    """A build: its network, its target, and what came of every step.

    Attributes:
        name: the build's name, as its folder is called.
        network: the network's id in its run.
        run: the run it came from, as a path or name; "" if from none.
        expression: the activation, as text.
        trained: the expressions as they were trained, another spelling of the same function.
        choices: the network's genes by path.
        topology: the topology in a line.
        board: the target board, "" for a bare part.
        part: the target part.
        family: the part's family, such as "7-series" or "ecp5", or "" if unknown.
        words: what the families are called that are counted in, by family; Xilinx' may be left out.
        clock_mhz: the clock asked for.
        created: when, in ISO 8601.
        versions: versions of packages and tools.
        tools: {"synthesis", "routing", "simulation"}: the tool that served each, such as "Yosys 0.70".
        accuracy: how often the network is right.
        stages: the steps in order.
        nodes: the hardware nodes in the order of the stream.
        timing: of the whole design.
        utilisation: of the target's resources, by the last tool that counted.
        synthesis: what the synthesiser counts for the whole design, by family.
        routed: the same after place and route on the target, or None.
        certificate: the comparisons, or None if none was made.
        files: what was made: {label: path relative to the build's folder}.
        hints: what to do about what did not fit or was too slow.
        searched: what the search estimated, for which part, and where this build is made otherwise; "" where there was none.
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
    searched: str = ""
