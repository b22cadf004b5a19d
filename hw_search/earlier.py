"""Results of earlier configurations of a run.

A run's folder holds the results of one configuration. Before those of another one replace them, they move to the folder
`earlier/DIGEST`, which is a run's folder too: it has its page, and its networks can be built. DIGEST names the
configuration. Trainings stay in the run's store, so a search with the former configuration finds them again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zerocross.digests import DIGESTS
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.code_version import plugin_digests
from zerocross.hw_search.files import write_text
from zerocross.reports.configurations import NOT_GIVEN, PLACES, UNRECORDED, differing, with_digests
from zerocross.reports.records import Run
from zerocross.reports.storage import (
    EARLIER,
    EVALUATIONS,
    PARETO,
    REPORT,
    RETRAINED,
    TABLE,
    UnreadableRun,
    load_run,
)

_EXECUTION = ("executor", "workers", "worker_memory_gb", "worker_cpus", "worker_gpus", "ray_address")
"""Fields of `search` that decide where networks train, but not their results."""

_MOST_SHOWN = 6
_CONFIG = "config.yaml"
_FILES = (EVALUATIONS, TABLE, REPORT, _CONFIG, RETRAINED, DIGESTS)


def deciding(config: Config) -> dict[str, Any]:
    """Return the fields of a configuration that decide a search's results."""
    content = config.model_dump(mode="json", exclude=set(PLACES))
    content["search"] = {name: value for name, value in content["search"].items() if name not in _EXECUTION}
    return content


def digest(config: Config) -> str:
    """Return the name of a configuration, eight hexadecimal digits; see `deciding`."""
    text = json.dumps(deciding(config), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def differences(
    before: Config,
    after: Config,
    plugins: Mapping[str, str] | None = None,
    now: Mapping[str, str] | None = None,
) -> list[str]:
    """Return what differs between two configurations: "search.generations 8, now 20", "the code of my_ops.py".

    Args:
        before: Former configuration.
        after: Present configuration.
        plugins: Digest of the code of each former plugin, by its name; those that are not recorded count as unchanged.
        now: The same of the present ones.
    """
    rows = differing(
        [with_digests(deciding(before), plugins or {}), with_digests(deciding(after), now or {})]
    )
    found = []
    for path, (one, other) in rows.items():
        section, _, plugin = path.partition(".")
        if section != "plugins":
            found.append(f"{path} {one}, now {other}")
        elif NOT_GIVEN in (one, other):
            found.append(f"now {'without' if other == NOT_GIVEN else 'with'} the plugin {plugin}")
        elif UNRECORDED not in (one, other):
            found.append(f"the code of {plugin}")
    return found


def _changes(former: Run, before: Config | None, config: Config) -> list[str]:
    """Return what differs between a run and the present configuration, with the code of its plugins."""
    if before is None:
        return []
    return differences(before, config, former.plugins, plugin_digests(tuple(config.plugins)))


def set_aside(folder: Path, config: Config) -> str | None:
    """Move the results of another configuration out of the way.

    Args:
        folder: Folder of the run.
        config: The configuration to search now.

    Returns:
        What changed and where the former results are, in sentences; None if nothing had to move.

    Raises:
        UserError: If the files cannot be moved.
    """
    try:
        former = load_run(folder)
    except UnreadableRun:
        return None
    before = _configuration(former)
    changed = _changes(former, before, config)
    if before is not None and digest(before) == digest(config):
        # Its front moves when it is known to differ: a retraining that trusts the change keeps the front.
        what = " and ".join(changed)
        return f"Since {folder} was made, {what} changed: networks train again." if changed else None
    place = _move(folder, former, before)
    unnamed = "fields that this version does not know" if before is None else "the paths of its plugins"
    what = "; ".join(changed[:_MOST_SHOWN]) or unnamed
    more = f"; and {len(changed) - _MOST_SHOWN} more" if len(changed) > _MOST_SHOWN else ""
    return (
        f"The configuration of {folder} changed: {what}{more}. The former results are kept in {place}: `zerocross report "
        f"{place}` shows them. Trainings that both configurations share are not repeated."
    )


def keep_other_front(folder: Path, run: Run) -> str | None:
    """Move a finished front of the same configuration out of the way, if the new one differs from it.

    A change of the data, the code or a library changes a front without any change of the configuration.

    Args:
        folder: Folder of the run.
        run: The finished run that is about to be written there.

    Returns:
        What happened, in a sentence; None if the front is the same, or there was none.

    Raises:
        UserError: If the files cannot be moved.
    """
    try:
        former = load_run(folder)
    except UnreadableRun:
        return None
    if not former.finished or _results(former) == _results(run):
        return None
    before = _configuration(former)
    changed = _changes(former, before, make_config(run.config))
    place = _move(folder, former, before)
    return (
        f"The front in {folder} differs from the former one of the same configuration "
        f"({' and '.join(changed) or 'the data, the code or a library'} changed). The former one is kept in {place}."
    )


def _results(run: Run) -> list[tuple[Any, ...]]:
    """Return what a front consists of. The command of a build depends on the folder, and counts not."""
    return [
        (net.id, net.seeds, net.validation, net.test, net.metrics) for net in [*run.front, *run.references]
    ]


def _configuration(run: Run) -> Config | None:
    """Return the configuration of a run; None if this version does not read it."""
    try:
        return make_config(run.config)
    except UserError:
        return None


def _move(folder: Path, run: Run, config: Config | None) -> Path:
    """Move a run's results to `earlier/` and return their new folder.

    The weights stay in place too, as hard links: the store names them. pareto.json goes last, so that a process killed in
    between leaves the old run as it was.
    """
    name = (
        digest(config)
        if config is not None
        else hashlib.blake2b(repr(run.config).encode(), digest_size=4).hexdigest()
    )
    place = _free(folder / EARLIER, name, run)
    making = place.with_name(f".{place.name}.tmp")
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for file in (*_FILES, PARETO):
            if (folder / file).exists():
                shutil.copy2(folder / file, making / file)
        for net in [*run.front, *run.references, *run.retrained]:
            _link(folder / net.weights, making / net.weights)
        shutil.rmtree(place, ignore_errors=True)
        os.replace(making, place)
        write_text(place / REPORT, _page(run, place))
        for file in (PARETO, *_FILES):
            (folder / file).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"the former results in {folder} cannot be kept in {place} ({error.strerror or error}): give the run another "
            "--name, or free some space"
        ) from None
    return place


def _page(run: Run, place: Path) -> str:
    """Return a run's page for its new folder, which its commands name."""
    from zerocross.reports.page import render  # imported here because plotly is slow to import

    return render(run, folder=place)


def _free(parent: Path, name: str, run: Run) -> Path:
    """Return a folder that is free, or holds the same results already."""
    number, place = 1, parent / name
    while place.exists():
        try:
            known = load_run(place)
            if not known.finished or _results(known) == _results(run):
                break
        except UnreadableRun:
            break
        number += 1
        place = parent / f"{name}-{number}"
    return place


def _link(source: Path, target: Path) -> None:
    if not source.exists() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def earlier_results(folder: str | Path) -> list[Path]:
    """Return the folders of a run's earlier results, oldest first. Each can be read and built like a run."""
    found = [path.parent for path in (Path(folder) / EARLIER).glob(f"[!.]*/{PARETO}")]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def remark(folder: Path, config: Config) -> list[str]:
    """Return a sentence that names a run's earlier results and what was different then; none without such results."""
    found = []
    for place in earlier_results(folder)[-_MOST_SHOWN:]:
        try:
            former = load_run(place)
        except UnreadableRun:
            continue
        before = _configuration(former)
        changed = _changes(former, before, config)
        unnamed = "fields that this version does not know" if before is None else "the same configuration"
        found.append(f"{place.name} ({'; '.join(changed[:_MOST_SHOWN]) or unnamed})")
    return (
        [f"Results of earlier configurations are in {folder / EARLIER}: {', '.join(found)}."] if found else []
    )
