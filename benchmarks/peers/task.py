"""What a peer has to do."""

from dataclasses import dataclass

from zerocross.models.data import Data, Split
from zerocross.models.training_settings import TrainingSettings


@dataclass(frozen=True)
class Task:
    """A training.

    Attributes:
        data: Training data, as bytes.
        test: Test samples.
        size: Size of the peer, in its own units.
        seed: Seed.
        epochs: Passes over the training data. Trees have rounds instead, as part of their size.
        augment: Augmentation, as in `zerocross.models.training_settings`; "none" for peers that have none.
        smoothing: Label smoothing, 0..1; 0 for peers without it.
    """

    data: Data
    test: Split
    size: tuple[float, ...]
    seed: int
    epochs: int
    augment: str = "none"
    smoothing: float = 0.0

    @property
    def settings(self) -> TrainingSettings:
        """Settings of a training by gradients."""
        return TrainingSettings(
            self.epochs, augment=self.augment, surrogate="window", label_smoothing=self.smoothing
        )

    @property
    def is_images(self) -> bool:
        """Whether samples are images."""
        return len(self.data.input_shape) == 3
