"""Mutated records of a run and of a build, trusted by the user: each is read, or refused with one message."""

import copy
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attacks.attack import refused
from attacks.product import BUILD, RUN, reference
from zerocross.digests import DIGESTS
from zerocross.finn_flows.lowering.storage import load
from zerocross.hw_search.builds.accelerator_file import load_accelerator
from zerocross.hw_search.finalists import rebuild
from zerocross.hw_search.trust import check_build, check_run
from zerocross.reports.build_page import render_build
from zerocross.reports.build_storage import load_build
from zerocross.reports.page import render
from zerocross.reports.storage import load_run

_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 1e308, -1e308, float("nan"), float("inf"), 2**63, -(2**70), 10**400, 0.5),
    *(
        "",
        "a",
        "[/red]",
        "<script>",
        "../../etc/passwd",
        "/etc/passwd",
        "\x1b[31m",
        "\u202e",
        "x" * 10_000,
        "\x00",
    ),
    *([], {}, [[]], [0], {"a": 1}, [[[[[[]]]]]]),
)


class Records:
    """Changes values of one JSON record at random, takes them away, doubles them, or nests them; then reads the record."""

    unit, each, tries, cpu, patience = "records", 1, 10, 5.0, 120.0

    def __init__(self, folder: Path) -> None:
        place, base = reference(folder), folder / "records"
        shutil.rmtree(base, ignore_errors=True)
        run, build = (
            Path(shutil.copytree(place.folder / each, base / name))
            for each, name in ((RUN, "run"), (BUILD, "build"))
        )
        self.readers: dict[Path, Callable[[], Any]] = {
            run / "pareto.json": lambda: (render(load_run(run)), rebuild(run, "knee", trust=True)),
            run / "evaluations.jsonl": lambda: render(load_run(run)),
            run / DIGESTS: lambda: (check_run(run, ["pareto.json"]),),
            build / "build.json": lambda: render_build(load_build(build)),
            build / "accelerator.json": lambda: load_accelerator(build),
            build / "network.npz": lambda: load(build / "network.npz"),
            build / DIGESTS: lambda: (check_build(build),),
        }
        for reader in self.readers.values():
            reader()  # what is sound is read

    def attempt(self, seed: int) -> str:
        """See `Attack`."""
        draw = random.Random(seed)
        file = list(self.readers)[seed % len(self.readers)]
        sound = file.read_bytes()
        try:
            if file.suffix == ".npz":
                _damage_arrays(file, draw)
            elif file.suffix == ".jsonl":
                lines = [json.loads(line) for line in sound.splitlines()]
                file.write_text("".join(json.dumps(each) + "\n" for each in _changed(lines, draw)))
            else:
                file.write_text(json.dumps(_changed(json.loads(sound), draw)))
            found = refused(self.readers[file])
        finally:
            file.write_bytes(sound)
        return "refused with one message" if found is None else "read"


def _changed(record: Any, draw: random.Random) -> Any:
    record = copy.deepcopy(record)
    for _ in range(draw.choice([1, 1, 2, 4])):
        places: list[tuple[Any, Any]] = []
        _collect(record, places, draw)
        if not places:
            break
        parent, key = draw.choice(places)
        way = draw.randrange(5)
        if way == 0:
            del parent[key]
        elif way == 1 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        elif way == 2:
            parent[key] = [parent[key]]
        else:
            parent[key] = draw.choice(_VALUES)
    return record


def _collect(value: Any, places: list[tuple[Any, Any]], draw: random.Random) -> None:
    """Collect places of a record; of a long list only some, so that no list of numbers takes all the changes."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list) and value:
        keys = draw.sample(range(len(value)), min(3, len(value)))
    for key in keys:
        places.append((value, key))
        _collect(value[key], places, draw)


def _damage_arrays(file: Path, draw: random.Random) -> None:
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if draw.random() < 0.5:
        record = json.loads(arrays["network"].tobytes())
        arrays["network"] = np.frombuffer(json.dumps(_changed(record, draw)).encode(), np.uint8)
    else:
        name = draw.choice(sorted(arrays))
        array = arrays[name]
        way = draw.randrange(4)
        if way == 0:
            del arrays[name]
        elif way == 1:
            arrays[name] = array[: len(array) // 2]
        elif way == 2:
            arrays[name] = array.astype(draw.choice([np.float64, np.int8, np.uint64, np.complex64]))
        else:
            arrays[name] = np.full_like(array, draw.choice([0, 1, 100]))
    np.savez(file, **arrays)
