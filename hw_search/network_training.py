"""The training of the one network of a configuration without choices, without a search."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import holding, replacing, write_digests, write_text
from zerocross.hw_search.first_pass import check_network
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.plugins import import_plugins, plugin_files
from zerocross.hw_search.space import Candidate, Space
from zerocross.hw_search.trainings import training_settings
from zerocross.hw_search.zoo.start import begin_from, start_digest
from zerocross.hw_search.zoo.training_folder import CHECKPOINT, CONFIG, RECORD, WEIGHTS
from zerocross.models.data import load, load_test
from zerocross.models.layers import install
from zerocross.models.training import TrainingFailure, accuracy, pick_device, train
from zerocross.reading import read_json

_LOOKS = 40
_DECIDING = ("expressions", "topology", "settings", "seed", "data", "minutes", "start")
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
) -> tuple[Path, Trained]:
    """Train the network of a configuration, or resume its training.

    Args:
        config: A configuration without choices. `search.seed` is the seed.
        minutes: Time for the training, which replaces `training.epochs`.
        report: Function called after each epoch with the record so far, the epoch and its loss.

    Returns:
        The folder (`output`/`name`), which holds the weights, the configuration and the record; and the record.

    Raises:
        UserError: If the user made a mistake, or the training fails.
    """
    started = time.monotonic()
    folder = Path(config.output) / config.name
    import_plugins(config.plugins)
    data = load(**config.data.model_dump())
    candidate = only_candidate(config, data.input_shape, data.classes)
    check_network(candidate.topology, data)
    settings, device, seed = (
        training_settings(candidate.training),
        pick_device(config.training.device),
        config.search.seed,
    )
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    record = Trained(
        [str(expression) for expression in candidate.expressions],
        candidate.topology,
        asdict(settings),
        seed,
        list(data.input_shape),
        data.classes,
        data.fingerprint,
        name,
        {"torch": torch.__version__},
        minutes,
    )
    start = config.training.start_from
    key = _key(record, start)
    with holding(folder, "give the training another --name"):
        _check_former(folder, record)
        write_text(folder / CONFIG, yaml.safe_dump(config.model_dump(), sort_keys=False))
        torch.manual_seed(seed)
        model = build_topology(candidate.topology, data.input_shape, data.classes, data.train.x)
        install(model, candidate.expressions)
        if start is not None:
            begin_from(model, start)
        checkpoint = folder / CHECKPOINT
        if checkpoint.exists():
            record.log = _logged(folder / RECORD)
        before = max((float(entry["seconds"] or 0) for entry in record.log), default=0.0)

        def after_epoch(epoch: int, loss: float) -> None:
            seconds = round(before + time.monotonic() - started, 2)
            # An earlier sitting may have logged epochs after its last checkpoint.
            record.log = [entry for entry in record.log if int(entry["epoch"] or 0) < epoch]
            looked = [entry for entry in record.log if entry["validation"] is not None]
            found = None
            share = seconds / (60 * minutes) if minutes is not None else epoch / settings.epochs
            if share >= len(looked) / _LOOKS:
                found = accuracy(model, data.validation, device)
                write_text(folder / RECORD, _text(record))
            record.log.append(
                {"epoch": epoch, "loss": round(loss, 5), "seconds": seconds, "validation": found}
            )
            record.seconds = seconds
            if report is not None:
                report(record, epoch, loss)

        left = None if minutes is None else 60 * minutes - (time.monotonic() - started)
        try:
            train(model, data, settings, seed, device, after_epoch, left, checkpoint, key)
        except TrainingFailure as failure:
            raise UserError(f"the training failed: {failure}") from None
        epochs = int(record.log[-1]["epoch"] or 0) if record.log else settings.epochs
        record.settings = asdict(replace(settings, epochs=epochs))
        record.validation = accuracy(model, data.validation, device)
        record.test = accuracy(model, load_test(config.data.name, config.data.root), device)
        record.seconds = round(before + time.monotonic() - started, 2)
        _leave(folder, model, record, config)
        checkpoint.unlink(missing_ok=True)
    return folder, record


def _check_former(folder: Path, record: Trained) -> None:
    """Check that the folder holds no finished training of something else, which this one would overwrite."""
    if not (folder / WEIGHTS).exists():
        return
    try:
        former, present = read_json(folder / RECORD), json.loads(_text(record))
        if present["minutes"] is not None:  # the clock decided about epochs
            present["settings"]["epochs"] = former["settings"]["epochs"]
        changed = [name for name in _DECIDING if former[name] != present[name]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if changed:
        raise UserError(
            f"{folder} holds a finished training of another network or with other settings ({', '.join(changed)}): give "
            "this one another --name, or delete the folder"
        )


def _leave(folder: Path, model: nn.Module, record: Trained, config: Config) -> None:
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    write_text(folder / RECORD, _text(record))
    write_digests(folder, [CONFIG, RECORD, WEIGHTS, *plugin_files(config.plugins)])


def _key(record: Trained, start: str | None) -> str:
    """Return the identity of a training for its checkpoint, and record the starting weights."""
    record.start = None if start is None else start_digest(start)
    identity = asdict(record)
    if start is None:
        del identity["start"]  # as before the field existed
    return hashlib.blake2b(repr(identity).encode(), digest_size=12).hexdigest()


def _text(record: Trained) -> str:
    return json.dumps(asdict(record), indent=1) + "\n"


def _logged(path: Path) -> list[dict[str, float | int | None]]:
    """Return the log of an interrupted training; none if its record is missing or damaged."""
    try:
        return list(read_json(path)["log"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
