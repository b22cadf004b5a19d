"""What a process remembers between two evaluations."""

from pathlib import Path

import numpy as np

from zerocross.hw_search.execution.evaluation import load_data
from zerocross.models.data_config import DataConfig


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "own.npz"
    section = DataConfig(name=str(file))
    found = []
    for value in (0, 255):
        x = np.full((20, 4), value, np.uint8)
        y = np.arange(20) % 2
        np.savez(file, x_train=x, y_train=y, x_test=x, y_test=y)
        found.append(load_data(section))
        assert load_data(section) is found[-1]
    assert found[0].fingerprint != found[1].fingerprint
    assert int(found[1].train.x.min()) == 255
