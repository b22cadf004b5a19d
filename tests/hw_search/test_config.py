from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hw_search.conftest import CONTENT, merged
from zerocross.hw_search.choice import Choose
from zerocross.hw_search.config import Config, load_config, make_config
from zerocross.hw_search.config_reference import reference
from zerocross.hw_search.errors import UserError
from zerocross.reports.metrics import OBJECTIVES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"serach": {}}, "unknown field 'serach': did you mean search"),
        ({"search": {"populaton": 3}}, "unknown field 'search.populaton': did you mean population"),
        ({"search": {"population": "many"}}, "search.population: Input should be a valid integer"),
        (
            {"search": {"first_look": 0.25}, "training": {"epochs": {"choose": [8, 1]}}},
            "search.rungs[0]: 0.25 of 1 epochs on 100% of the samples is no shorter than the whole training",
        ),
        (
            {
                "search": {"rungs": [{"epochs": 0.5}, {"epochs": 0.75, "data": 0.5}]},
                "training": {"epochs": 8},
            },
            "search.rungs[0]: 0.5 of 8 epochs on 100% of the samples is no shorter than the next rung",
        ),
        (
            {"search": {"rungs": [{"epoch": 0.5}]}},
            "unknown field 'search.rungs.0.epoch': did you mean epochs",
        ),
        (
            {"search": {"rungs": [{"data": 1.5}]}},
            "search.rungs.0.data: it is a share of the whole training, above 0 and at most 1",
        ),
        (
            {"search": {"first_look": 0.25, "rungs": [{"epochs": 0.5}]}},
            "first_look: 0.25 means rungs: [{epochs: 0.25}], but rungs are given too: remove first_look",
        ),
        ({"search": {"first_look": 2}}, "first_look must be a share of the epochs"),
        ({"final": {"controls": ["polynomial", "polynomial"]}}, "final.controls: name each control once"),
        ({"final": {"controls": ["shift"]}}, "final.controls.0: Input should be 'shifted'"),
        ({"search": {"strategy": "magic"}}, "search.strategy: Input should be 'surrogate'"),
        ({"objectives": ["error", "error"]}, "objectives: name at least one objective, each once"),
        (
            {"objectives": ["luts"]},
            f"objectives.0: must be one of {', '.join(OBJECTIVES)}, found 'luts'",
        ),
        ({"objectives": ["lut"], "search": {"strategy": "gaaf"}}, "put error first in objectives"),
        ({"search": {"executor": "rey"}}, "search.executor: Input should be 'local' or 'ray'"),
        ({"search": {"ray_address": "ray://head:10001"}}, "search.ray_address: give auto, or the ip:port"),
        ({"search": {"worker_gpus": 1.5}}, "search.worker_gpus: give a share of one GPU"),
        (
            {"search": {"executor": "ray"}, "training": {"device": "cuda"}},
            "cuda on Ray: give each worker GPUs",
        ),
        ({"folding": {"target_fps": 5}}, "exactly one of target_cycles"),
        (
            {"folding": {"target_cycles": "fast"}},
            "folding.target_cycles: Input should be a valid integer, or {choose: [...]} of such, found 'fast'",
        ),
        ({"folding": {"target_cycles": 0}}, "folding.target_cycles: Input should be greater than 0"),
        (
            {"folding": {"target_cycles": None, "target_fps": float("nan")}},
            "folding.target_fps must be a finite number, found nan",
        ),
        (
            {"folding": {"target_cycles": {"choose": [64, None]}}},
            "folding.target_cycles.1: Input should be a valid integer",
        ),
        (
            {"training": {"learning_rate": float("inf")}},
            "training.learning_rate must be a finite number, found inf",
        ),
        (
            {"training": {"learning_rate": "fast"}},
            "training.learning_rate: Input should be a valid number",
        ),
        (
            {"training": {"learning_rate": {"choose": [0.1, True]}}},
            "training.learning_rate.1: Input should be a valid",
        ),
        (
            {"training": {"epochs": 0}},
            "epochs: Input should be greater than 0, or {choose: [...]} of such, found 0",
        ),
        ({"training": {"epochs": 2.5}}, "training.epochs: Input should be a valid integer"),
        (
            {"training": {"epochs": {"choose": [2, True]}}},
            "training.epochs.1: Input should be a valid integer, found True",
        ),
        (
            {"training": {"method": "self_binarising"}},
            "training.method: Input should be 'straight_through' or 'self_bin",
        ),
        (
            {"training": {"nu_start": {"choose": [1, 9]}, "nu_end": 8}},
            "nu must grow from nu_start to nu_end, not from 9",
        ),
        (
            {"training": {"surrogate": "tanh", "surrogate_width": 1.3}},
            "surrogate_width has no effect: it belongs to surrogate: polynomial or window. Remove it",
        ),
        (
            {"training": {"surrogate": {"choose": ["window", "polynomial"]}, "surrogate_sharpness": 2}},
            "surrogate_sharpness has no effect: it belongs to surrogate: tanh",
        ),
        (
            {"training": {"nu_end": 100}},
            "nu_end has no effect: it belongs to method: self_binarizing",
        ),
        (
            {"training": {"epochs": {"choose": []}}},
            "training.epochs: choose needs a list with at least one value",
        ),
        (
            {"training": {"epochs": {"choose": 3}}},
            "training.epochs: choose needs a list with at least one value, found 3",
        ),
        (
            {"training": {"epochs": {"choose": [3], "or": 4}}},
            "epochs: choose must stand alone, found 'or' beside it",
        ),
        ({"topology": {"hidden": [8, {"choose": []}]}}, "topology.hidden.1: choose needs a list"),
        ({"search": {"population": 10**5}}, "search.population: Input should be less than or equal to 10000"),
        ({"search": {"generations": 1e30}}, "search.generations: Unable to parse"),
        ({"search": {"children": 10**9}}, "search.children: Input should be less than or equal to 10000"),
        ({"search": {"seeds": 10**9}}, "search.seeds: Input should be less than or equal to 1000"),
        ({"search": {"audit": 10**9}}, "search.audit: Input should be less than or equal to 10000"),
        ({"search": {"workers": 10**9}}, "search.workers: Input should be less than or equal to 4096"),
        ({"final": {"seeds": 1e30}}, "final.seeds: Unable to parse"),
        ({"final": {"epochs": 10**9}}, "final.epochs: Input should be less than or equal to 100000"),
        ({"training": {"epochs": 10**9}}, "training.epochs: Input should be less than or equal to 100000"),
        ({"build": {"epochs": 10**9}}, "build.epochs: Input should be less than or equal to 100000"),
        ({"search": {"seed": 2**63}}, "search.seed: Input should be less than or equal to 92233720368547"),
        ({"search": {"seed": 2**64}}, "search.seed must be an integer of at most 64 bits, found 1844674407"),
        ({"search": {"seed": 16**5000}}, "must be an integer of at most 64 bits, found a very long number"),
        ({"search": {"price_weights": [float("nan")]}}, "search.price_weights.0 must be a finite number"),
        ({"search": {"price_weights": ["nan"]}}, "search.price_weights.0: Input should be a finite number"),
        ({"topology": {"scale": float("inf")}}, "topology.scale must be a finite number, found inf"),
        ({"device": {"clock_mhz": float("-inf")}}, "device.clock_mhz must be a finite number"),
        ({"data": {"limit": 10**30}}, "data.limit must be an integer of at most 64 bits"),
        ({"objectives": "x" * 5000}, f"found '{'x' * 96}..."),
        ({"name": "a/b"}, "name: "),
        ({"topology": {"name": 3}}, "topology needs a name"),
        ({"data": {"validation": 1.5}}, "data.validation"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_config(merged(CONTENT, change))
    assert message in str(caught.value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(UserError, match="the field 'folding' is missing"):
        make_config({key: value for key, value in CONTENT.items() if key != "folding"})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_config(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1, 2")
    with pytest.raises(UserError, match="not valid YAML"):
        load_config(broken)
    broken.write_text("- 1")
    with pytest.raises(UserError, match="must be a mapping"):
        load_config(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read|not valid YAML"):
        load_config(broken)


def test_overrides_reach_into_sections(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(CONTENT))
    assert load_config(path, {"search.seed": 7}).search.seed == 7
    with pytest.raises(UserError, match="is not a section"):
        load_config(path, {"name.x": 1})


def test_numbers_as_yaml_reads_them() -> None:
    assert (
        make_config(merged(CONTENT, {"training": {"learning_rate": "5e-3"}})).training.learning_rate == 0.005
    )
    rates = {"choose": ["5e-3", 1, 0.5]}
    training = make_config(merged(CONTENT, {"training": {"learning_rate": rates}})).training
    assert training.learning_rate == Choose([0.005, 1, 0.5])


def test_choices_are_written_as_they_were_read() -> None:
    content = {
        "folding": {"target_cycles": None, "target_fps": {"choose": [1000, 2500.5]}},
        "topology": {"hidden": [8, {"choose": [8, 16]}]},
        "training": {"method": {"choose": ["straight_through", "self_binarizing"]}},
    }
    config = make_config(merged(CONTENT, content))
    dumped = config.model_dump()
    assert (
        repr(dumped["folding"]["target_fps"]) == "{'choose': [1000, 2500.5]}"
    )  # a whole number stays an integer
    assert dumped["topology"] == {"name": "mlp", **merged(CONTENT["topology"], content["topology"])}
    assert dumped["training"]["method"] == content["training"]["method"]
    assert make_config(yaml.safe_load(yaml.safe_dump(dumped))) == config
    assert Config.model_validate_json(config.model_dump_json()) == config


def test_a_data_file_is_relative_to_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(merged(CONTENT, {"data": {"name": "mine.npz"}, "plugins": ["net.py"]})))
    config = load_config(path)
    assert config.data.name == str(tmp_path / "mine.npz")
    assert config.plugins == [str(tmp_path / "net.py")]


def test_the_examples_are_valid() -> None:
    paths = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
    assert len(paths) >= 5
    for path in paths:
        load_config(path)


def test_the_reference_in_the_docs_is_current() -> None:
    assert Path("docs/configuration.md").read_text() == reference()
