"""The configuration's section `data`, the arguments of `zerocross.models.data.load`. This file does not import torch."""

from pydantic import BaseModel, Field


class DataConfig(BaseModel, extra="forbid", frozen=True):
    """What to learn from."""

    name: str = Field(
        "digits",
        description="`digits` (built in), `mnist`, `fashion_mnist`, `cifar10`, `cifar100` (downloaded by torchvision), "
        "or the path of an .npz file with x_train, y_train, x_test, y_test (relative to the configuration's folder).",
    )
    validation: float = Field(
        0.2, gt=0, lt=1, description="Share of the training data held out; it drives the search."
    )
    split_seed: int = Field(0, ge=0, description="Which samples are held out.")
    limit: int | None = Field(
        None,
        gt=0,
        description="Number of training samples used, validation included; null uses all.",
    )
    root: str = Field(
        "data", description="Folder of torchvision's downloads, relative to where the command is given."
    )
