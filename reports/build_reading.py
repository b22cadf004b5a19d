"""Reader of everything that can be shown as a build: a build's folder, FINN's output, a folder of Vivado's reports."""

from pathlib import Path

from zerocross.reports import finn_output, vivado_output
from zerocross.reports.build_records import Build
from zerocross.reports.build_storage import BUILD, UnreadableBuild, load_build


def read_build(path: Path) -> Build:
    """Read a build.

    Args:
        path: One of:
            * the folder of a `zerocross build`, or its `build.json`;
            * the output folder of a FINN build;
            * a folder with Vivado's utilisation and timing reports (`*.rpt`), a Vivado project, or one such report.

    Raises:
        UnreadableBuild: If it is none of these, or another version wrote it.
        vendor_reports.UnreadableReport: If one of FINN's or Vivado's reports is damaged.
    """
    if path.name == BUILD or (path / BUILD).is_file():
        return load_build(path)
    if finn_output.holds_finn_output(path):
        return finn_output.read_finn_output(path)
    build = vivado_output.read_vivado_output(path)
    if build is None:
        raise UnreadableBuild(
            f"{path} holds no search and no build. Name a folder with pareto.json (from `zerocross search`), {BUILD} "
            "(from `zerocross build`), FINN's reports, or Vivado's utilisation or timing reports (*.rpt)"
        )
    return build
