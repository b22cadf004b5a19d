"""`zerocross export`."""

from pathlib import Path
from typing import Annotated

import typer

from zerocross.hw_search.commands.building import TRUST
from zerocross.hw_search.commands.output import stoppable


def export(
    build: Annotated[Path, typer.Argument(help="Folder of the build.")],
    form: Annotated[
        str,
        typer.Option(
            "--as",
            help="axi-stream (SystemVerilog), verilog (one file of Verilog-2005), litex, fusesoc or vivado-ip (that file, "
            "and what the tool reads).",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: cores/<form> in the build's folder.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the top module. Default: the network's name.")
    ] = None,
    word_bytes: Annotated[
        int, typer.Option("--bytes", min=1, max=128, help="Bytes of a word of the AXI4-Streams.")
    ] = 1,
    samples: Annotated[int, typer.Option(min=1, max=200, help="Most samples of the testbench.")] = 20,
    check: Annotated[bool, typer.Option(help="Run the testbench in Verilator.")] = True,
    trust: TRUST = False,
) -> None:
    """Write the accelerator of a build as a core with AXI4-Stream for other projects."""
    with stoppable("Nothing was written; run the same command again."):
        from zerocross.hw_search.builds.core_export import export_core

        typer.echo("writing the core" + (", and simulating its testbench" if check else ""), err=True)
        done = export_core(build, form, name, output, word_bytes, samples, check, trust)
    for line in done.checked:
        typer.echo(line)
    core = done.core
    typer.echo(
        f"{core.name}: a sample is {core.sample_words:,} words of {core.width} bits, an answer {core.answer_words:,}; "
        "ports, drivers and commands are described in README.md"
    )
    typer.echo(f"Core: {done.folder}")
