"""The configuration's section `data`, which `zerocross.models.data.load` reads. This module does not import torch."""

from pydantic import BaseModel, Field


class DataConfig(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Data set."""

    name: str = Field(
        "digits",
        description="`digits` or `breast_cancer` (a table of numbers), which are built in; `mnist`, `fashion_mnist`, "
        "`cifar10`, `cifar100` (downloaded by torchvision); or the path of an .npz file with x_train, y_train, x_test, "
        "y_test, relative to the configuration's folder.",
    )
    validation: float = Field(
        0.2, gt=0, lt=1, description="Share of the training data for validation, which guides the search."
    )
    split_seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed that selects the validation samples.")
    limit: int | None = Field(
        None,
        gt=0,
        description="Number of training samples to use, including validation. null: all.",
    )
    root: str = Field(
        "data", description="Folder of torchvision's downloads, relative to the working directory."
    )
