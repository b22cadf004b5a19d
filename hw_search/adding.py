"""Adds trained networks to the zoo: from the folders of trainings to an entry, and from a build to its figures."""

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zerocross.hw_search.builds.builder import build
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.stages import BuildWatcher
from zerocross.hw_search.builds.subject import EntrySubject
from zerocross.hw_search.config import NAME, Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.evaluation import priced_numbers
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.network_training import DECIDING, only_candidate
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.pricing import Infeasible, Pricer
from zerocross.hw_search.space import Candidate, Space
from zerocross.hw_search.zoo.collection import PACKAGED, user_folder
from zerocross.hw_search.zoo.entry import SUFFIX, Entry, Estimate, Measured, Training, load_entry, save_entry
from zerocross.hw_search.zoo.packing import pack
from zerocross.hw_search.zoo.training_folder import CONFIG, TrainingFolder, read_training
from zerocross.models.data import AT_HAND, Data, Split, load, load_test, resembles
from zerocross.models.training import accuracy
from zerocross.reports.build_records import Build

_PACKAGES = ("zerocross", "torch", "brevitas", "numpy")
_ALIKE = (*(name for name in DECIDING if name != "seed"), "input_shape", "classes")
"""Fields of a record that are equal in all trainings of an entry."""

_BATCH = 1000
_OFF = 0.005
"""Largest difference between the recorded accuracy and that of the weights on this machine. A GPU rounds differently."""


def make_entry(folders: Sequence[Path], name: str, trust: bool = False) -> Entry:
    """Return the entry of a trained network, with estimates of its costs.

    Args:
        folders: Folders of trainings that differ only in their seeds. The entry has the weights of the one with the best
            validation accuracy.
        name: Name of the entry.
        trust: Whether files of the folders may have been changed since the trainings.

    Raises:
        UserError: If a folder holds no finished training or was changed, the trainings differ, or the data set is missing.
    """
    found = sorted(
        (read_training(folder, trust) for folder in folders), key=lambda each: -each.record["validation"]
    )
    best = found[0]
    _check_alike(found)
    config = make_config(best.config, str(best.folder / CONFIG))
    import_plugins(config.plugins)
    data, test = load(**config.data.model_dump()), load_test(config.data.name, config.data.root)
    candidate = only_candidate(config, data.input_shape, data.classes)
    model = best.module()
    record = best.record
    if record["data"] != data.fingerprint:
        raise UserError(
            f"{best.folder}: {config.data.name} holds other data than at the training: restore it, or train the "
            "network again"
        )
    measured = accuracy(model, test)
    if abs(measured - record["test"]) > _OFF:
        raise UserError(
            f"{best.folder}: its record says {100 * record['test']:.2f} % on the test set, but the weights have "
            f"{100 * measured:.2f} %: train the network again"
        )
    record["test"] = measured
    data_name = _data_name(config, data, test)
    entry = Entry(
        name=name,
        config=_portable(config, name, data_name, record),
        expressions=record["expressions"],
        topology=candidate.topology,
        folding=candidate.folding,
        input_shape=list(data.input_shape),
        classes=data.classes,
        data=data_name,
        data_digest=data.fingerprint,
        test_samples=len(test),
        scaling=None
        if data.scaling is None
        else {"low": list(data.scaling.low), "high": list(data.scaling.high)},
        trainings=[_training(each) for each in found],
        log=record["log"],
        versions=_versions(),
        weights=pack(model),
        estimate=_estimate(config, candidate, model, data.input_shape, data.classes),
    )
    _check_equal(model, entry.module(), test)
    return entry


def entry_file(name: str, folder: Path | None = None, replaces: bool = False) -> Path:
    """Return the file for a new entry.

    Args:
        name: Name of the entry.
        folder: Folder of the user's entries; None for the usual one.
        replaces: Whether it may replace an entry of the same name in that folder.

    Raises:
        UserError: If the name is taken or is no name.
    """
    if not re.fullmatch(NAME, name) or name.endswith(SUFFIX):
        raise UserError(
            f"--name {name}: use letters, digits, '-', '_' and '.', a letter or digit first, and no suffix {SUFFIX}"
        )
    folder = folder or user_folder()
    file = folder / f"{name}{SUFFIX}"
    if file.exists() and not replaces:
        raise UserError(f"{file} exists: choose another --name, or --replace it")
    if (PACKAGED / file.name).exists() and folder.resolve() != PACKAGED.resolve():
        raise UserError(f"zoo:{name} comes with the package: choose another --name")
    return file


def measure(
    entry: Entry,
    folder: Path,
    options: BuildOptions,
    watcher: BuildWatcher | None = None,
    data: Path | None = None,
) -> Entry:
    """Build an entry, and return it with the figures of the build, and with estimates by the same version.

    Args:
        entry: The entry.
        folder: Folder of the build.
        options: Options of the build.
        watcher: Receives a call for every step.
        data: File of the test set; None uses the data set of the entry if it comes with the package, else drawn samples.
    """
    result = build(EntrySubject(entry, data), options, folder, watcher)
    figures = _measured(result.build, options.target)
    others = [each for each in entry.builds if each.target != options.target]
    builds = sorted([*others, figures], key=lambda each: each.target)
    return replace(entry, builds=builds, estimate=estimated(entry))


def estimated(entry: Entry) -> Estimate:
    """Return the cost estimates of an entry.

    Raises:
        UserError: If its network cannot be built for the part of its configuration.
    """
    model, shape = entry.module(), tuple(entry.input_shape)  # it imports the entry's plugins
    config = make_config(entry.config, f"zoo:{entry.name}")
    return _estimate(config, only_candidate(config, shape, entry.classes), model, shape, entry.classes)


def add(
    folders: Sequence[Path],
    name: str,
    folder: Path | None = None,
    replaces: bool = False,
    trust: bool = False,
) -> tuple[Path, Entry]:
    """Add a trained network to the user's entries. Arguments as for `make_entry` and `entry_file`.

    An entry with the same weights that is replaced leaves the figures of its builds.

    Returns:
        The file, and the entry.
    """
    file = entry_file(name, folder, replaces)
    entry = make_entry(folders, name, trust)
    with suppress(UserError):  # none, or a damaged one
        known = load_entry(file)
        if known.identity == entry.identity:
            entry = replace(entry, builds=known.builds)
    save_entry(entry, file)
    return file, entry


def _check_alike(found: list[TrainingFolder]) -> None:
    first, *others = found
    for other in others:
        for name in _ALIKE:
            if _alike(other.record, name) != _alike(first.record, name):
                raise UserError(
                    f"{other.folder} and {first.folder} are not the same network with other seeds: {name} differs. Add them "
                    "under two names"
                )
        for section in ("folding", "device"):
            if other.config[section] != first.config[section]:
                raise UserError(
                    f"{other.folder} and {first.folder} have another {section} in their {CONFIG}: run `zerocross train` "
                    "with one configuration for both, which keeps what they trained"
                )
    seeds = [each.record["seed"] for each in found]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"two trainings have the same seed: give folders with different seeds, not {seeds}")


def _alike(record: dict[str, Any], name: str) -> Any:
    if name == "settings" and record["minutes"] is not None:  # the clock decided about epochs
        return {**record["settings"], "epochs": None}
    return record.get(name)  # earlier versions had no starting weights


def _check_equal(trained: nn.Module, restored: nn.Module, test: Split) -> None:
    """Check that the restored network has the logits of the trained one, bit by bit."""
    with torch.no_grad():
        for x in test.x.split(_BATCH):
            if not torch.equal(trained(x.float()), restored(x.float())):
                raise UserError(
                    "the network restored from the entry has other logits than the trained one: its topology has a layer "
                    "that zerocross.hw_search.zoo.packing does not store exactly"
                )


def _data_name(config: Config, data: Data, test: Split) -> str:
    """Return a name that other machines know: of a data set, or of a file without its folder."""
    path = Path(config.data.name)
    return path.stem if path.suffix == ".npz" and _is_official(path.stem, config, data, test) else path.name


def _is_official(name: str, config: Config, data: Data, test: Split) -> bool:
    """Return whether a file holds the data set of its name: a user's own file may have that name, too."""
    if name in AT_HAND:
        same = load(**{**config.data.model_dump(), "name": name})
        return same.fingerprint == data.fingerprint and torch.equal(load_test(name).x, test.x)
    return resembles(name, data, test)


def _portable(config: Config, name: str, data_name: str, record: dict[str, Any]) -> dict[str, Any]:
    content = config.model_dump(mode="json")
    content["name"], content["output"] = name, Config.model_fields["output"].default
    content["data"] |= {"name": data_name, "root": type(config.data).model_fields["root"].default}
    content["training"]["epochs"] = record["settings"]["epochs"]
    content["search"]["seed"] = record["seed"]
    return content


def _training(found: TrainingFolder) -> Training:
    record = found.record
    return Training(
        seed=record["seed"],
        epochs=record["settings"]["epochs"],
        validation=record["validation"],
        test=record["test"],
        seconds=record["seconds"],
        device=record["device"],
        versions=record["versions"],
    )


def _estimate(
    config: Config, candidate: Candidate, model: nn.Module, input_shape: tuple[int, ...], classes: int
) -> Estimate:
    pricer = Pricer(config, Space(config, input_shape, classes))
    integer = to_integer(model, describe(model, input_shape))
    try:
        cost = pricer.cost(candidate, *priced_numbers(integer))
    except Infeasible as reason:
        raise UserError(str(reason)) from None
    models = {model: pricer.metrics(cost, model) for model in ("zerocross", "finn")}
    return Estimate(pricer.part.name, config.device.clock_mhz, **models)


def _measured(made: Build, target: str) -> Measured:
    certificate = made.certificate
    if certificate is None:
        raise UserError(f"the build for {target} has no certificate: build it again")
    checks = certificate.checks
    return Measured(
        target=target,
        family=made.family,
        clock_mhz=made.clock_mhz,
        counted=made.synthesis,
        routed=made.routed,
        fmax_mhz=made.timing.fmax_mhz,
        ii=made.timing.ii_measured,
        latency=made.timing.latency_measured,
        test_set=certificate.test_set,
        images=max(check.images for check in checks),
        differences=sum(check.differences for check in checks),
        ties=sum(check.ties for check in checks),
        tools=made.tools,
    )


def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
