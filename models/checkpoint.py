"""The checkpoint of a training: its whole state after an epoch, in a file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zerocross.models.errors import ModelError
from zerocross.models.machine import machine_failure
from zerocross.writing import replacing

LogEntry = dict[str, float | int | None]
"""What a caller notes of an epoch, by name."""


@dataclass
class Checkpoint:
    """The file that a training continues from.

    Attributes:
        file: The file.
        key: Identity of the training. A checkpoint of another one is refused.
        seconds: Time of the training so far, over all sittings.
        log: Entries of the caller, one for each epoch, from its `after_epoch`. They are saved with the state.
    """

    file: Path
    key: str = ""
    seconds: float = 0.0
    log: list[LogEntry] = field(default_factory=list)

    def save(self, state: dict[str, Any]) -> None:
        """Write the state of the training after an epoch.

        Raises:
            ModelError: If the file cannot be written.
        """
        content = {"key": self.key, "seconds": self.seconds, "log": self.log, "state": state}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.file) as temporary:
                torch.save(content, temporary)
        except (OSError, RuntimeError) as error:
            if machine_failure(error) is not None:
                raise
            raise ModelError(
                f"{self.file} cannot be written ({error}): check that the disk is not full"
            ) from None

    def load(self) -> dict[str, Any] | None:
        """Read the seconds and the log, and return the state, on the CPU; None without a file.

        Raises:
            ModelError: If the file cannot be read, is damaged, or belongs to another training.
        """
        if not self.file.exists():
            return None
        try:
            content = torch.load(self.file, map_location="cpu", weights_only=True)
        except (OSError, MemoryError) as error:
            raise ModelError(f"{self.file} cannot be read ({error})") from None
        except Exception:  # a damaged file raises many kinds of errors in zipfile and pickle
            raise ModelError(f"{self.file} is not a readable checkpoint: delete it to start again") from None
        if content.get("key") != self.key or "state" not in content:
            raise ModelError(
                f"{self.file} belongs to another training (other configuration, seed, data or code): delete it to "
                "start again"
            )
        self.seconds, self.log = content["seconds"], content["log"]
        state: dict[str, Any] = content["state"]
        return state
