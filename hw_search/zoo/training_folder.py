"""The folder that a training of one network leaves (`zerocross.hw_search.network_training`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zerocross.digests import Changed, check_digests
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.weights import load_weights
from zerocross.hw_search.yaml_text import read_yaml
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.reading import read_json, reason

WEIGHTS, RECORD, CHECKPOINT, CONFIG = "network.safetensors", "training.json", "checkpoint.pt", "config.yaml"


@dataclass(frozen=True)
class TrainingFolder:
    """A finished training.

    Attributes:
        folder: The folder.
        record: Content of `training.json`; see `zerocross.hw_search.network_training.Trained`.
        config: The configuration.
    """

    folder: Path
    record: dict[str, Any]
    config: dict[str, Any]

    def module(self) -> nn.Module:
        """Return the trained network in eval mode.

        Raises:
            UserError: If the weights cannot be read.
        """
        import_plugins(self.config["plugins"])
        with torch.random.fork_rng(devices=[]):
            model = build_topology(
                self.record["topology"], tuple(self.record["input_shape"]), self.record["classes"]
            )
            install(model, [parse(text) for text in self.record["expressions"]])
        load_weights(model, self.folder / WEIGHTS, "train the network again")
        return model.eval()


def read_training(folder: Path, trust: bool = False) -> TrainingFolder:
    """Read the record of a training.

    Args:
        folder: The folder.
        trust: Whether its files may have been changed since the training.

    Raises:
        UserError: If the folder holds no finished training, or a file of it was changed.
    """
    if (folder / CHECKPOINT).exists():
        raise UserError(
            f"the training in {folder} is not finished: run its `zerocross train` again to resume it"
        )
    if not (folder / RECORD).is_file():
        raise UserError(
            f"{folder} holds no finished training: name the folder that `zerocross train` wrote, or train to the end"
        )
    try:
        record = read_json(folder / RECORD)
        config = read_yaml((folder / CONFIG).read_text(encoding="utf-8"), str(folder / CONFIG))
        finished = record["test"] is not None  # earlier versions wrote a record in every training
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{folder / RECORD} cannot be read ({reason(error)}): train the network again"
        ) from None
    if not finished:
        raise UserError(
            f"the training in {folder} is not finished: run its `zerocross train` again to resume it"
        )
    if not trust:
        _check(folder)
    return TrainingFolder(folder, record, config)


def _check(folder: Path) -> None:
    """Raise a `UserError` if a file of a training was changed since it ended."""
    remedy = (
        "train the network again, or take it as it is: "
        f"`zerocross zoo add {folder} --trust --name NAME`, then zoo:NAME"
    )
    try:
        check_digests(folder, remedy)
    except Changed as error:
        raise UserError(str(error)) from None
