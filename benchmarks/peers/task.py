"""What a peer has to do."""

from dataclasses import dataclass

from zerocross.models.data import Data, Split


@dataclass(frozen=True)
class Task:
    """A training.

    Attributes:
        data: Training data, as bytes.
        test: Test samples.
        size: Size of the peer, in its own units.
        seed: Seed.
        epochs: Passes over the training data. Trees have rounds instead, as part of their size.
        augment: Augmentation of the peers that train by gradients, as in `zerocross.models.training_settings`.
    """

    data: Data
    test: Split
    size: tuple[float, ...]
    seed: int
    epochs: int
    augment: str = "none"

    @property
    def is_images(self) -> bool:
        """Whether samples are images."""
        return len(self.data.input_shape) == 3
