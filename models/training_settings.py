"""The settings of a training."""

from dataclasses import dataclass
from typing import Literal

import torch

from zerocross.models.self_binarizing import Schedule
from zerocross.models.surrogates import WINDOW, Polynomial, Surrogate, Tanh, Window


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training with Adam, cross entropy and a learning rate that decays along a half cosine.

    Attributes:
        epochs: Passes over the training data.
        batch_size: Samples per step, at most; batches have nearly equal sizes, and at least two samples.
        learning_rate: Initial learning rate.
        augment: "none", "flip" (left-right), "crop_flip" (also shifts by up to an eighth of the side) or "shift" (shifts by
            up to a sixteenth of the side).
        method: "straight_through" trains signs with a surrogate gradient. "self_binarizing" replaces them by
            tanh(nu x), where nu grows at every step (`zerocross.models.self_binarizing`), and restores them at the end.
        nu_start: First nu of self_binarizing; see `zerocross.models.self_binarizing.Schedule`.
        nu_end: Last nu of self_binarizing.
        nu_shape: Growth of nu, "geometric" or "linear".
        surrogate: Surrogate gradient of activations' signs; see `zerocross.models.surrogates`.
        surrogate_width: Width of the surrogate "polynomial" or "window"; None is 1 or 1.3.
        surrogate_sharpness: Last nu of the surrogate "tanh"; the first is 1.
        warmup: Share of the steps in which the learning rate rises linearly, at least 0 and below 1.
        label_smoothing: Share of each label that is spread over all classes, at least 0 and below 1.
        weight_decay: Decoupled weight decay of the weights of products (AdamW). Other parameters do not decay.
        clip_weights: Whether to clip the weights of products to -1..1 after every step, or to the smaller range in
            which those of few bits have a gradient. Weights that choose connections are not clipped.
        average: Horizon of an exponential average of all parameters, in epochs. It starts at the initial parameters, whose
            weight falls to exp(-epochs / average), so choose it much shorter than the training. The average replaces the
            parameters at the end. 0 does not average.
        precision: "float32", or "bfloat16" for products and activations in training. The parameters stay in float32, and the
            statistics of batch norms are read again in float32 at the end.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 5e-3
    augment: str = "none"
    method: Literal["straight_through", "self_binarizing"] = "straight_through"
    nu_start: float = 1.0
    nu_end: float = 1000.0
    nu_shape: Literal["geometric", "linear"] = "geometric"
    surrogate: Literal["window", "polynomial", "tanh"] = "polynomial"
    surrogate_width: float | None = None
    surrogate_sharpness: float = 4.0
    warmup: float = 0.0
    label_smoothing: float = 0.1
    weight_decay: float = 0.0
    clip_weights: bool = False
    average: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"

    def schedule(self) -> Schedule | None:
        """Return the schedule of nu; None for "straight_through".

        Raises:
            ModelError: If nu_start and nu_end are invalid.
        """
        if self.method == "straight_through":
            return None
        return Schedule(self.nu_start, self.nu_end, self.nu_shape)

    def surrogate_gradient(self, device: torch.device | None = None) -> Surrogate:
        """Return the surrogate gradient of activations' signs."""
        match self.surrogate:
            case "window":
                return Window(WINDOW if self.surrogate_width is None else self.surrogate_width)
            case "polynomial":
                return Polynomial(1.0 if self.surrogate_width is None else self.surrogate_width)
            case "tanh":
                return Tanh(self.surrogate_sharpness, device)
