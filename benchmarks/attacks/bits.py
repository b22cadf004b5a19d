"""Flipped bits in the files of a run, its store and a build: what is read afterwards is the same, or it is refused."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attacks.attack import Wrong, refused
from attacks.product import BUILD, RUN, reference
from zerocross.digests import DIGESTS
from zerocross.hw_search.builds import host
from zerocross.hw_search.builds.stages import SilentBuild, Stages
from zerocross.hw_search.execution.store import Store
from zerocross.hw_search.finalists import open_finalist, with_weights

_STEPS = "stages"


class Board:
    """Stands in for a board: it answers 0, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked = np.empty(0)

    def run(self, flat: np.ndarray, progress: Any) -> np.ndarray:
        """Keep the samples."""
        self.asked = flat
        return np.zeros((len(flat), 1), np.int64)

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing."""


class Bits:
    """Flips one bit, or a few, of one file, and reads all that the file bears on."""

    unit, each, tries, cpu, patience = "flipped bits", 1, 40, 5.0, 120.0

    def __init__(self, folder: Path) -> None:
        place = reference(folder)
        self.run, self.build = folder / "bits" / "run", folder / "bits" / "build"
        shutil.rmtree(folder / "bits", ignore_errors=True)
        shutil.copytree(place.folder / RUN, self.run)
        shutil.copytree(place.folder / BUILD, self.build)
        self.board = Board()
        host.open_board = lambda *_: self.board  # type: ignore[assignment]
        self.sample = folder / "bits" / "sample.npy"
        np.save(self.sample, np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8))
        with Store(self.run) as store:
            self.rows = {key: store.get(key) for key in self._keys()}
        self.network, self.inferred = self._network(), self._inferred()
        self.steps = self._steps()
        assert self.network is not None and self.inferred is not None and all(self.steps.values())
        with_store = [
            self.run / name for name in ("store.sqlite", "pareto.json", "evaluations.jsonl", DIGESTS)
        ]
        self.files = [
            *with_store,
            *sorted((self.run / "front").iterdir()),
            *(
                self.build / name
                for name in ("build.json", "accelerator.json", "host.onnx", "network.npz", DIGESTS)
            ),
            *(self.build / name for name in ("model.onnx", "weights.safetensors")),
            *sorted((self.build / "rtl").rglob("*.sv")),
            *sorted((self.build / "rtl").glob("*.mem")),
            *sorted((self.build / _STEPS).iterdir()),
        ]

    def attempt(self, seed: int) -> str:
        """See `Attack`."""
        draw = random.Random(seed)
        file = draw.choice(self.files) if seed % 3 else self.run / "store.sqlite"
        sound = file.read_bytes()
        damaged = bytearray(sound)
        for _ in range(draw.choice([1, 1, 1, 4])):
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        try:
            return f"{file.relative_to(self.run.parent).parts[0]}: {self._read(file)}"
        except Wrong as wrong:
            raise Wrong(f"{file.relative_to(self.run.parent)}: {wrong}") from None
        finally:
            file.write_bytes(sound)
            for other in ("store.sqlite-journal", "store.sqlite-wal"):
                (self.run / other).unlink(missing_ok=True)

    def _read(self, file: Path) -> str:
        if file.name == "store.sqlite":
            return self._read_store()
        if file.parent.name == _STEPS or file.name in ("model.onnx", "weights.safetensors"):
            found = self._steps()
            if any(result not in (None, self.steps[name]) for name, result in found.items()):
                raise Wrong("a step has another result")
            return "the same results" if found == self.steps else "a step is done again"
        what, wanted = (
            (self._network, self.network) if self.run in file.parents else (self._inferred, self.inferred)
        )
        result = what()
        if result is None:
            return "refused with one message"
        if result != wanted:
            raise Wrong("another result, and no word")
        return "the same results"

    def _keys(self) -> list[str]:
        import sqlite3

        base = sqlite3.connect(f"file:{self.run / 'store.sqlite'}?mode=ro", uri=True)
        try:
            return [key for (key,) in base.execute("SELECT key FROM evaluations")]
        finally:
            base.close()

    def _read_store(self) -> str:
        def read() -> str:
            with Store(self.run) as store:
                found = {key: store.get(key) for key in self.rows}
                lost = sum(result is None for result in found.values())
                if lost > store.damaged:
                    raise Wrong(f"{lost} results are lost, but {store.damaged} are said to be damaged")
                if any(found[key] not in (None, self.rows[key]) for key in self.rows):
                    raise Wrong("another result, and no word")
            return "a damaged result is dropped and said" if lost else "the same results"

        return refused(read) or "refused with one message"

    def _network(self) -> str | None:
        """Return the logits of the run's network, as text; None if the run is refused."""

        def read() -> str:
            run, net = open_finalist(self.run, "knee")
            with torch.no_grad():
                logits = with_weights(run, net, self.run / net.weights)(
                    torch.arange(128.0).reshape(2, 1, 8, 8)
                )
            return f"{run} {net} {logits.tolist()}"

        return refused(read)

    def _inferred(self) -> str | None:
        """Return what is sent to a board and expected from it, as text; None if the build is refused."""

        def read() -> str:
            found = host.infer(self.build, [self.sample], port="board")
            return f"{self.board.asked.tolist()} {found}"

        return refused(read)

    def _steps(self) -> dict[str, str | None]:
        """Return the saved results of the build's steps, as text; None for those that would be done again."""
        from zerocross.hw_search.builds import results

        kinds = {
            "model": results.Exported,
            "lowering": results.Lowering,
            "samples": results.Sampled,
            "design": results.Sizing,
            "simulation": results.Simulated,
            "synthesis": results.Synthesised,
            "place_and_route": results.Routing,
            "Vivado": results.VivadoFolder,
        }
        stages, found = Stages(self.build, SilentBuild()), dict[str, str | None]()
        for name, kind in kinds.items():
            record = self.build / _STEPS / f"{name}.json"
            if not hasattr(self, "keys"):
                self.keys: dict[str, str] = {}
            if name not in self.keys:
                self.keys[name] = json.loads(record.read_text())["key"]
            result = stages._found(record, self.keys[name], kind)
            found[name] = None if result is None else repr(result)
        return found
