"""The entries that come with the package: small, loadable, and as accurate as they say."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from zerocross.hw_search.builds import steps
from zerocross.hw_search.builds.design import make_design
from zerocross.hw_search.builds.job import Job
from zerocross.hw_search.builds.layout import cache_folder
from zerocross.hw_search.builds.options import BuildOptions
from zerocross.hw_search.builds.stages import SilentBuild, Stages
from zerocross.hw_search.builds.subject import EntrySubject
from zerocross.hw_search.builds.targets import find_target
from zerocross.hw_search.config import load_config
from zerocross.hw_search.zoo.collection import PACKAGED, find
from zerocross.hw_search.zoo.listing import markdown
from zerocross.models.data import Split, load, load_test
from zerocross.models.training import accuracy

ROOT = Path(__file__).parents[3]
NAMES = sorted(path.stem for path in PACKAGED.glob("*.npz"))


def test_there_are_entries() -> None:
    assert {"tfc-digits", "tfc-mnist", "mlp64-fashion"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_small_and_complete(name: str, tmp_path: Path) -> None:
    assert (PACKAGED / f"{name}.npz").stat().st_size < 300_000
    entry = find(name, tmp_path)
    assert entry.name == name and entry.estimate is not None and not entry.plugins
    assert load_config(f"zoo:{name}").search.seed == entry.trainings[0].seed
    assert not Path(entry.data).is_absolute() and "/" not in entry.config["data"]["name"]
    with torch.no_grad():
        logits = entry.module()(torch.randint(0, 256, (8, *entry.input_shape)).float())
    assert logits.shape == (8, entry.classes) and bool(torch.isfinite(logits).all())
    for build in entry.builds:
        assert build.differences == 0 and build.images >= 300


def enlarged(split: Split) -> Split:
    """Return the digits, of 8x8 pixels, in the size and place of MNIST's, 20x20 pixels in 28x28."""
    images = torch.nn.functional.interpolate(split.x.float(), size=(20, 20), mode="bicubic").clamp(0, 255)
    return Split(torch.nn.functional.pad(images, [4] * 4).round().to(torch.uint8), split.y)


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_accuracy_is_plausible(name: str, tmp_path: Path) -> None:
    entry, digits = find(name, tmp_path), load_test("digits")
    assert entry.test_samples >= 359 and 0.5 < entry.test < 1
    if entry.data == "digits":
        assert accuracy(entry.module(), digits) == entry.trainings[0].test
    elif (
        entry.data == "mnist"
    ):  # other people's digits: far from the recorded accuracy, and farther from chance
        assert accuracy(entry.module(), enlarged(digits)) > 0.5


@pytest.mark.parametrize("page", ["docs/zoo.md", "README.md"])
def test_the_table_of_a_page_is_printed_by_the_command(page: str, tmp_path: Path) -> None:
    table, _, _ = markdown([find(name, tmp_path) for name in NAMES]).partition("\n\n")
    assert table in (ROOT / page).read_text(encoding="utf-8"), "zerocross zoo --markdown"


@pytest.mark.slow
def test_a_network_of_the_zoo_has_its_published_accuracy_in_rtl(tmp_path: Path) -> None:
    entry, test, train = find("tfc-digits"), load_test("digits"), load("digits").train
    x, y = (torch.cat(pair)[:1000] for pair in ((test.x, train.x), (test.y, train.y)))
    np.savez(tmp_path / "images.npz", x_test=x.numpy(), y_test=y.numpy())
    (tmp_path / "build").mkdir()
    subject, board = EntrySubject(entry, tmp_path / "images.npz"), find_target("ulx3s-85f")
    for images, expected in (
        (len(test), entry.trainings[0].test),  # the whole test set
        (1000, accuracy(entry.module(), Split(x, y))),
    ):
        options = BuildOptions("ulx3s-85f", images=images)
        job = Job(subject, options, tmp_path / "build", board, 25.0, cache_folder())
        stages = Stages(job.folder, SilentBuild())
        steps.export_model(job, stages)
        network, _ = steps.lower_model(job, stages)
        found = steps.simulate(job, network, make_design(job, network.net, stages), stages)
        assert found.images == images and sum(check.differences for check in found.checks) == 0
        assert found.accuracy == expected


def test_without_data_a_build_takes_what_is_at_hand() -> None:
    digits = EntrySubject(find("tfc-digits")).images(sys.maxsize)
    assert (digits.name, len(digits.x)) == ("digits, test set", 359) and digits.y is not None
    drawn = EntrySubject(find("tfc-mnist")).images(20)
    assert drawn.name == "random samples" and drawn.y is None and drawn.x.shape == (20, 1, 28, 28)
