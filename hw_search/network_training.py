"""The training of the one network of a configuration without choices, without a search."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import TypeAdapter

from zerocross.hw_search.code_digest import code_digest
from zerocross.hw_search.config import Config
from zerocross.hw_search.data_set import check_augment, read_data
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.code_version import plugin_digests
from zerocross.hw_search.files import holding, write_digests, write_text
from zerocross.hw_search.first_pass import check_network
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.plugins import plugin_files
from zerocross.hw_search.space import Candidate, Space
from zerocross.hw_search.trainings import training_settings
from zerocross.hw_search.weights import save_weights
from zerocross.hw_search.zoo.start import begin_from, start_digest
from zerocross.hw_search.zoo.training_folder import CHECKPOINT, CONFIG, RECORD, WEIGHTS, read_training
from zerocross.models.checkpoint import Checkpoint
from zerocross.models.data import load_test
from zerocross.models.errors import first_line
from zerocross.models.layers import install
from zerocross.models.machine import machine_failure
from zerocross.models.training import TrainingFailure, accuracy, pick_device, train
from zerocross.reading import Unreadable, as_record, read_json

_LOOKS = 40
_CODE = ("zerocross.models.training", "zerocross.hw_search.networks", "zerocross.hw_search.zoo.start")
"""Modules that, with all that they import, decide about the weights. A checkpoint belongs to their present code."""

DECIDING = ("expressions", "topology", "settings", "seed", "data", "minutes", "start")
"""Fields of a record that decide about the weights."""


@dataclass
class Trained:
    """The record of a training, the content of `training.json`.

    Attributes:
        expressions: Activations of the network: one, or one for each slot.
        topology: Name and parameters.
        settings: Training settings, with the number of epochs that were trained.
        seed: Seed of the initial weights, the order of samples and augmentation.
        input_shape: Shape of a sample.
        classes: Number of classes.
        data: Digest of training and validation samples.
        device: Name of the device.
        versions: Version of torch.
        minutes: Budget of time; None for a number of epochs.
        seconds: Duration of the training, over all sittings.
        log: One entry for each epoch: epoch, loss, seconds since the start, validation accuracy 0..1 (None for most epochs).
        validation: Validation accuracy of the result, 0..1.
        test: Accuracy on the whole test set, 0..1.
        start: Digest of the starting weights; None if they are new.
    """

    expressions: list[str]
    topology: dict[str, Any]
    settings: dict[str, Any]
    seed: int
    input_shape: list[int]
    classes: int
    data: str
    device: str
    versions: dict[str, str]
    minutes: float | None = None
    seconds: float = 0.0
    log: list[dict[str, float | int | None]] = field(default_factory=list)
    validation: float | None = None
    test: float | None = None
    start: str | None = None


def only_candidate(config: Config, input_shape: tuple[int, ...], classes: int) -> Candidate:
    """Return the candidate of a configuration without choices.

    Raises:
        UserError: If the configuration leaves a choice.
    """
    space = Space(config, input_shape, classes)
    if space.encoding or space.size != 1:
        open_choices = [choice.name for choice in space.choices]
        reason = (
            f"the configuration leaves {', '.join(open_choices)} open"
            if open_choices
            else "it names no single activation"
        )
        raise UserError(
            f"training needs a single network, but {reason}: give one value each, and activation.encoding list with one "
            "expression, such as --set activation.encoding=list --set 'activation.expressions=[x]'"
        )
    return space.candidate((0,) * len(space.sizes))


def train_network(
    config: Config,
    minutes: float | None = None,
    report: Callable[[Trained, int, float], None] | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> tuple[Path, Trained]:
    """Train the network of a configuration, or resume its training. A finished training is returned as it is.

    Args:
        config: A configuration without choices. `search.seed` is the seed.
        minutes: Time for the training, which replaces `training.epochs`.
        report: Function called after each epoch with the record so far, the epoch and its loss.
        note: Receives what the user must know before the training begins.

    Returns:
        The folder (`output`/`name`), which holds the weights, the configuration and the record; and the record.

    Raises:
        UserError: If the user made a mistake, or the training fails.
    """
    if minutes is not None and not (math.isfinite(minutes) and minutes > 0):
        raise UserError(f"minutes: give a positive number, not {minutes}")
    started = time.monotonic()
    folder = Path(config.output) / config.name
    data, _ = read_data(config)
    candidate = only_candidate(config, data.input_shape, data.classes)
    check_network(candidate.topology, data)
    settings, start = training_settings(candidate.training), config.training.start_from
    device, seed = pick_device(config.training.device), config.search.seed
    record = Trained(
        [str(expression) for expression in candidate.expressions],
        candidate.topology,
        asdict(settings),
        seed,
        list(data.input_shape),
        data.classes,
        data.fingerprint,
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        {"torch": torch.__version__},
        minutes,
        start=None if start is None else start_digest(start),
    )
    with holding(folder, "give the training another --name"):
        if (former := _former(folder, record, note)) is not None:
            _leave(folder, former, config)  # with the present device and folding
            return folder, former
        check_augment(config, data.input_shape)
        torch.manual_seed(seed)
        model = build_topology(candidate.topology, data.input_shape, data.classes, data.train.x)
        install(model, candidate.expressions)
        if start is not None:
            begin_from(model, start)
        checkpoint = Checkpoint(folder / CHECKPOINT, _key(record, config))

        def after_epoch(epoch: int, loss: float) -> None:
            log, seconds = checkpoint.log, checkpoint.seconds
            looks = sum(entry["validation"] is not None for entry in log)
            share = seconds / (60 * minutes) if minutes is not None else epoch / settings.epochs
            found = accuracy(model, data.validation, device) if share >= looks / _LOOKS else None
            log.append(
                {"epoch": epoch, "loss": round(loss, 5), "seconds": round(seconds, 2), "validation": found}
            )
            record.log, record.seconds = log, seconds
            if report is not None:
                report(record, epoch, loss)

        left = None if minutes is None else 60 * minutes - (time.monotonic() - started)
        try:
            train(model, data, settings, seed, device, after_epoch, left, checkpoint)
            record.validation = accuracy(model, data.validation, device)
            record.test = accuracy(model, load_test(config.data.name, config.data.root), device)
        except TrainingFailure as failure:
            raise UserError(f"the training failed: {failure}") from None
        except (MemoryError, RuntimeError) as error:
            if (reason := machine_failure(error)) is None:
                raise
            raise UserError(f"the training failed: {reason}") from None
        record.log = checkpoint.log
        record.settings = asdict(replace(settings, epochs=int(record.log[-1]["epoch"] or 0)))
        record.seconds = round(checkpoint.seconds, 2)
        save_weights(model, folder / WEIGHTS)
        _leave(folder, record, config)
        checkpoint.file.unlink(missing_ok=True)
    return folder, record


def _leave(folder: Path, record: Trained, config: Config) -> None:
    """Write the record and the configuration of a finished training, and the list of digests."""
    write_text(folder / RECORD, _text(record))
    write_text(folder / CONFIG, yaml.safe_dump(config.model_dump(), sort_keys=False))
    write_digests(folder, [CONFIG, RECORD, WEIGHTS, *plugin_files(config.plugins)])


def _former(folder: Path, record: Trained, note: Callable[[str], None]) -> Trained | None:
    """Return the finished training that the folder holds, if it is this one; None if there is none, or it is damaged.

    Raises:
        UserError: If it is another one, or a file of it was changed: this training would overwrite it.
    """
    if not (folder / WEIGHTS).exists() or (folder / CHECKPOINT).exists():
        return None
    try:
        former, present = read_json(folder / RECORD), json.loads(_text(record))
        if present["minutes"] is not None:  # the clock decided about epochs
            present["settings"]["epochs"] = former["settings"]["epochs"]
        changed = [name for name in DECIDING if former.get(name) != present[name]]
        found = as_record(TypeAdapter(Trained), former)
        weights = read_training(folder, trust=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Unreadable, UserError) as error:
        note(f"{folder} holds a damaged training ({first_line(error)}): it starts again.")
        return None
    if changed:
        raise UserError(
            f"{folder} holds a finished training of another network or with other settings ({', '.join(changed)}): give "
            "this one another --name, or delete the folder"
        )
    try:
        weights.module()
    except UserError as error:
        note(f"{error}. It starts again.")
        return None
    try:
        read_training(folder)
    except UserError as error:
        raise UserError(f"{error}; delete {folder} to train again") from None
    note(f"{folder} holds this training, finished. Delete the folder to train again.")
    return found


def _key(record: Trained, config: Config) -> str:
    """Return the identity of a training for its checkpoint."""
    code = [code_digest(*_CODE), *plugin_digests(tuple(config.plugins)).values()]
    identity = (asdict(record), code)
    return hashlib.blake2b(repr(identity).encode(), digest_size=12).hexdigest()


def _text(record: Trained) -> str:
    return json.dumps(asdict(record), indent=1) + "\n"
