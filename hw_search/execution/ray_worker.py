"""The evaluation of a task on a node of a Ray cluster.

Plugin files and data arrive with the task. The node stores them under a digest of their content, so that all tasks and
searches share them. Weights return as bytes, because the task's path is on the searching machine.
"""

import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import Result, TrainingTask, from_json
from zerocross.hw_search.files import replacing

_MOST_PRINTED = 20_000


@dataclass(frozen=True)
class Origin:
    """The code version of the searching machine.

    Attributes:
        code: Digest of all code that affects a training's result.
        versions: Package versions, for display.
    """

    code: str
    versions: str


def versions() -> str:
    """Return the versions of the packages that most likely explain a difference in code."""
    import torch

    return f"zerocross {version('zerocross')} and torch {torch.__version__}"


def modules(plugins: Sequence[str]) -> tuple[str, ...]:
    """Return the plugins that must be installed on every node, that is, all but files, which travel with the task."""
    return tuple(plugin for plugin in plugins if not plugin.endswith(".py"))


def train(
    text: str, origin: Origin, places: Sequence[tuple[str, str]], *contents: Any
) -> tuple[Result, list[bytes | None], str]:
    """Run a task on a node.

    Args:
        text: The task, as JSON.
        origin: Code version of the searching machine.
        places: For each file that comes with the task, its name in the task and its path in this node's cache.
        contents: Contents of these files.

    Returns:
        The result from `worker.serve`, the content of each training's weight file (None if it was not written), and the
        printed output.
    """
    import ray

    if not ray.get_gpu_ids():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # otherwise all workers of a node would share its first GPU
    from zerocross.hw_search.execution.worker import prepare, serve

    prepare()
    work = from_json(text)
    printed = StringIO()
    local: dict[str, str] = {}
    with redirect_stdout(printed), redirect_stderr(printed), tempfile.TemporaryDirectory() as scratch:
        weights = [Path(scratch) / f"{index}.safetensors" for index in range(len(work.trainings))]
        try:
            _check_code(origin, modules(work.trainings[0].plugins))
            for (name, place), content in zip(places, contents, strict=True):
                local[name] = _kept(place, content)
            moved = [_moved(part, local, path) for part, path in zip(work.trainings, weights, strict=True)]
            result = serve(work.with_trainings(tuple(moved)))
        except UserError as error:
            result = {"status": "error", "reason": str(error)}
        for found in [result, *result.get("results", [])]:
            if "reason" in found:
                found["reason"] = _reason(found, local)
        written = [path.read_bytes() if path.exists() else None for path in weights]
    return result, written, printed.getvalue()[-_MOST_PRINTED:]


def _check_code(origin: Origin, plugins: tuple[str, ...]) -> None:
    from zerocross.hw_search.execution.code_version import code_version

    try:
        same = code_version(plugins) == origin.code
    except ImportError:  # the package of a plugin is not installed on this node
        same = False
    if not same:
        installed = ", ".join(["zerocross", "torch", *plugins])
        raise UserError(
            f"a node has different code ({versions()}) from the searching machine ({origin.versions}): install the same "
            f"{installed} on it, and restart Ray on it"
        )


def _kept(place: str, content: Any) -> str:
    """Return the path of a file on this node. Write the file if it does not exist."""
    home = Path(tempfile.gettempdir()) / f"zerocross-{os.getuid()}"
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    if home.lstat().st_uid != os.getuid():  # its owner could insert code
        raise UserError(f"{home} belongs to another user: remove it")
    path = home / place
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return str(path)


def _moved(part: TrainingTask, local: dict[str, str], weights: Path) -> TrainingTask:
    """Return a training with this node's paths. It has no memory limit, because Ray manages memory."""
    return replace(
        part,
        plugins=tuple(local.get(plugin, plugin) for plugin in part.plugins),
        data=part.data.model_copy(update={"name": local.get(part.data.name, part.data.name)}),
        weights=str(weights) if part.weights else None,
        memory_gb=None,
    )


def _reason(result: Result, local: dict[str, str]) -> str:
    """Return a result's reason with the user's file names, and with the node's name for a mistake of the user."""
    import ray

    reason = str(result["reason"])
    for name, path in local.items():
        reason = reason.replace(path, name)
    if result["status"] == "error":
        reason += f" (on {platform.node()}, {ray.util.get_node_ip_address()})"
    return reason
