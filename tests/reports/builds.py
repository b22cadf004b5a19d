"""Made-up builds that look like real ones."""

from dataclasses import replace

from zerocross.reports.build_records import (
    Accuracy,
    Build,
    BuildNode,
    Certificate,
    Check,
    Exercise,
    FamilyWords,
    LayerExercise,
    Stage,
    Timing,
    Usage,
)

TOOLS = {"synthesis": "Yosys 0.70", "routing": "nextpnr-ecp5 0.11", "simulation": "Verilator 5.48"}


def make_node(name, layer, kind, lut, **fields):
    """A node with FINN's estimate 2.5 times too high, ours 5% too high, and Yosys' counts on both families."""
    bram = fields.pop("bram", 0)
    numbers = {
        "estimate_finn": {"lut": round(2.5 * lut), "bram": bram, "dsp": 0},
        "estimate_zerocross": {
            "ecp5": {"lut": round(1.05 * 1.6 * lut), "bram": bram, "dsp": 0},
            "7-series": {"lut": round(1.05 * lut), "bram": bram, "dsp": 0},
        },
        "synthesis": {
            "ecp5": {"lut": round(1.6 * lut), "ff": lut + 7, "bram": bram, "dsp": 0, "carry": lut // 9},
            "7-series": {"lut": lut, "ff": lut + 5, "bram": bram, "dsp": 0, "carry": lut // 12},
        },
    }
    return BuildNode(name, layer, kind, **{**numbers, **fields})


def fifo(name, layer, bits, depth, peak=None):
    return BuildNode(
        name,
        layer,
        "fifo",
        input_bits=bits,
        output_bits=bits,
        fifo_depth=depth,
        fifo_peak=peak,
        estimate_zerocross={"ecp5": {"lut": 9}},
        synthesis={"ecp5": {"lut": 11}},
    )


def mlp_nodes():
    nodes = []
    for index, (name, fan_in, channels, pe, simd) in enumerate(
        [("fc1", 64, 64, 8, 16), ("fc2", 64, 64, 8, 8), ("fc3", 64, 10, 1, 8)]
    ):
        cycles = fan_in // simd * channels // pe
        if index:
            nodes.append(
                make_node(f"{name}_converter", name, "converter", 14, input_bits=8, output_bits=simd)
            )
        nodes.append(fifo(f"{name}_fifo", name, simd, 32, 9 + index))
        nodes.append(
            make_node(
                f"{name}_product",
                name,
                "product",
                300 + 91 * index,
                bram=4,
                implementation="block",
                pe=pe,
                simd=simd,
                input_bits=simd,
                output_bits=7 * pe,
                note=f"{fan_in} x {channels}, 1-bit inputs",
                ii_estimate=cycles,
                ii_measured=cycles,
            )
        )
        if name != "fc3":
            nodes.append(
                make_node(
                    f"{name}_crossings",
                    name,
                    "crossings",
                    83 + index,
                    implementation="comparators",
                    pe=pe,
                    input_bits=7 * pe,
                    output_bits=pe,
                    ii_estimate=channels // pe,
                )
            )
    return [
        *nodes,
        make_node("label", "label", "label", 31, pe=1, input_bits=7, output_bits=8, ii_estimate=10),
    ]


def make_build(**changes):
    """An MLP on an ECP5 board, with every field filled."""
    build = Build(
        name="digits-k3-ulx3s",
        network="k3",
        run="runs/digits",
        expression="mul(sin(x), sigmoid(x))",
        trained=["mul(sigmoid(x), sin(x))"],
        choices={"topology.hidden": [64, 64], "folding.target_cycles": 64},
        topology="mlp 64-64-64-10",
        board="ulx3s-25f",
        part="lfe5u-25f",
        family="ecp5",
        words={"ecp5": FamilyWords("ECP5", "LUT4", "DP16KD (18 kbit)")},
        clock_mhz=50.0,
        created="2026-11-21T07:05:25",
        versions={"zerocross": "0.1.0", "finn-plus": "1.6.1"},
        tools=TOOLS,
        accuracy=Accuracy(0.9312, 0.9278, 360, "final training, seed 3, 40 epochs"),
        stages=[
            Stage("export", "done", 1.24, "QONNX, 14 nodes"),
            Stage("simulation", "done", 6.4, "360 images in 23,112 cycles"),
            Stage("synthesis", "done", 21.7, "2,411 LUT4"),
            Stage("place and route", "done", 83.2, "61.9 MHz"),
            Stage("vendor flow", "skipped", 0.0, "Vivado is not installed"),
        ],
        nodes=mlp_nodes(),
        timing=Timing(64, 66, 402, 417, 61.93, 3.85, "fc1_product.sum -> fc1_crossings.compare, 9 levels"),
        utilisation=[
            Usage("LUT4", 2417, 24288, "routing"),
            Usage("FF", 1633, 24288, "routing"),
            Usage("DP16KD", 12, 56, "routing"),
            Usage("MULT18X18D", 0, 28, "routing"),
        ],
        synthesis={
            "ecp5": {"lut": 2411, "ff": 1633, "bram": 12, "dsp": 0},
            "7-series": {"lut": 1502, "bram": 12},
        },
        routed={"lut": 2417, "ff": 1633, "bram": 12, "dsp": 0},
        certificate=Certificate(
            "digits, test set",
            [
                Check("torch", "QONNX", 360, "logits", 0),
                Check("QONNX", "integer network", 360, "classes", 0),
                Check("integer network", "SystemVerilog", 360, "classes", 0, "under random stalls"),
                Check("SystemVerilog", "netlist", 50, "classes", 0),
            ],
            Exercise(360, 359, 10, 10, 64, 61, [LayerExercise("fc1", 64, 63, 80, 77, 70)]),
        ),
        files={
            "bitstream": "design.bit",
            "SystemVerilog": "rtl/top.sv",
            "simulation log": "logs/simulation.log",
        },
    )
    return replace(build, **changes)


def make_long_build():
    """A convolutional network of forty nodes and their FIFOs, not routed, with a branch."""
    nodes = [fifo("in_fifo", "conv1", 8, 64, 60)]
    width = 8
    for index in range(1, 9):
        layer = f"conv{index}"
        for kind, lut, cycles in (
            ("padding", 22, 1024),
            ("generator", 160, 9216),
            ("product", 900 + 50 * index, 9216 * index),
            ("crossings", 140, 4096),
        ):
            out = 64 if kind == "product" else 8
            nodes.append(
                make_node(
                    f"{layer}_{kind}",
                    layer,
                    kind,
                    lut,
                    pe=8,
                    simd=0 if kind == "crossings" else 8,
                    input_bits=width,
                    output_bits=out,
                    ii_estimate=cycles,
                    bram=index if kind == "product" else 0,
                )
            )
            width = out
        if index % 2 == 0:
            nodes.append(make_node(f"{layer}_pool", layer, "pool", 40, pe=8, input_bits=8, output_bits=8))
        nodes.append(fifo(f"{layer}_fifo", layer, 8, 128))
    nodes.append(
        make_node(
            "skip_add", "add1", "sum", 60, input_bits=8, output_bits=9, reads=["conv8_fifo", "conv4_pool"]
        )
    )
    return make_build(
        name="cifar-cnv-7f-colorlight",
        nodes=nodes,
        timing=Timing(ii_estimate=73728),
        routed=None,
        synthesis={},
        utilisation=[Usage("LUT4", 31033, 24288, "synthesis"), Usage("DP16KD", 36, 56, "synthesis")],
        stages=[
            Stage("synthesis", "done", 312.0),
            Stage("place and route", "failed", 9.0, "31,033 LUT4 do not fit lfe5u-25f, which has 24,288"),
        ],
        hints=["Fold more: a target of 150000 cycles an image halves the products.", "Or take ulx3s-85f."],
        certificate=None,
    )
