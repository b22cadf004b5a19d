"""Runs tasks on a Ray cluster: each is a Ray task, and results come back to the one store, on the machine that searches.

The cluster's machines need share nothing but this program, installed on each: plugin files and data travel with the tasks
through Ray's object store, and weights come back with the results.
"""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.config import ExecutionConfig
from zerocross.hw_search.execution.ray_worker import Origin, modules, train, versions
from zerocross.hw_search.execution.tasks import Result, Task, to_json
from zerocross.hw_search.files import replacing

_RETRIES = 3
_POLL = 10.0  # seconds without a result after which the nodes are counted again
_ANSWER = 30.0  # seconds in which a cluster must answer

_PROBE = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
except Exception as error:
    print(error.__cause__ or error)
    sys.exit(1)
"""


class RayExecutor:
    """Ray tasks on a cluster, or on a Ray of their own on this machine.

    A task whose worker or node dies is done again by Ray, wherever there is room. If that happens time and again, it has
    failed with a `passing` reason, which the store does not keep.

    A process that is connected to Ray already stays so; else the connection is made here, and ended by `close`.

    Args:
        settings: the cluster's address, the most trainings at a time, and what is set aside for each.
        log: file that gets what workers print.

    Raises:
        UserError: if Ray is not installed, no cluster answers, or no node has room for a worker.
    """

    def __init__(self, settings: ExecutionConfig, log: Path) -> None:
        try:
            import ray
        except ImportError:
            raise UserError('search.executor ray needs Ray: pip install "zerocross[ray]"') from None
        self._log = log
        needs = {
            "CPU": settings.worker_cpus,
            "GPU": settings.worker_gpus,
            "memory": int((settings.worker_memory_gb or 0) * 2**30),
        }
        self._needs = {name: amount for name, amount in needs.items() if amount}
        self._connected_here = not ray.is_initialized()
        if self._connected_here:
            _connect(settings.ray_address)
        self._train = ray.remote(
            num_cpus=needs["CPU"], num_gpus=needs["GPU"], memory=needs["memory"], max_retries=_RETRIES
        )(train)
        self._most = settings.workers
        self._room()
        self._parcels: dict[str, tuple[str, Any]] = {}
        self._running: dict[Any, int] = {}

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """See `Executor.run`.

        Raises:
            UserError: if no node has room for a worker, or weights cannot be written.
        """
        import ray

        for work in tasks:
            self._pack(work)
        waiting = deque(range(len(tasks)))
        running = self._running = dict[Any, int]()
        while waiting or running:
            room = self._room()
            while waiting and len(running) < min(room, self._most or room):
                index = waiting.popleft()
                running[self._give(tasks[index])] = index
            done, _ = ray.wait(list(running), timeout=_POLL)
            for reference in done:
                index = running.pop(reference)
                yield index, self._receive(reference, tasks[index])

    def close(self) -> None:
        """Stop what is running; leave the cluster if it was joined here."""
        import ray

        for reference in self._running:
            ray.cancel(reference, force=True)
        self._running, self._parcels = {}, {}
        if self._connected_here:
            ray.shutdown()

    def _pack(self, work: Task) -> None:
        """Put what a task needs from this machine's disk into the object store: plugin files and data, once each."""
        part = work.trainings[0]
        name, root = part.data.name, part.data.root
        for plugin in set(part.plugins) - set(modules(part.plugins)):
            if plugin not in self._parcels:
                self._parcels[plugin] = _parcel(Path(plugin).name, _read(plugin))
        if name not in {"digits", *self._parcels}:
            from zerocross.models.data import as_npz

            self._parcels[name] = _parcel(f"{Path(name).stem}.npz", as_npz(name, root))

    def _give(self, work: Task) -> Any:
        """Hand a task to Ray; return the reference of what will come of it."""
        from zerocross.hw_search.execution.code_version import code_version

        part = work.trainings[0]
        origin = Origin(code_version(modules(part.plugins)), versions())
        names = [name for name in [*part.plugins, part.data.name] if name in self._parcels]
        places = [(name, self._parcels[name][0]) for name in names]
        return self._train.remote(to_json(work), origin, places, *(self._parcels[name][1] for name in names))

    def _receive(self, reference: Any, work: Task) -> Result:
        """Return a task's result; put its weights and what it printed where they belong."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            result, weights, printed = ray.get(reference)
        except RayTaskError as error:
            # Whatever happens in a training, `train` returns: this is the node's own trouble.
            place = re.search(r"ip=[\w.:]+", str(error))
            return {
                "status": "error",
                "reason": f"a node ({place[0] if place else 'unknown'}) cannot run zerocross ({_lines(error)[-1]}): install "
                "the same there as here, and start Ray there anew",
            }
        except RayError as error:
            return {
                "status": "failed",
                "passing": True,
                "reason": f"its worker died {_RETRIES + 1} times: {_lines(error)[0]}",
            }
        for part, content in zip(work.trainings, weights, strict=True):
            if content is not None and part.weights is not None:
                with replacing(Path(part.weights)) as temporary:
                    temporary.write_bytes(content)
        # The store reports a full disk.
        with suppress(OSError), self._log.open("a", encoding="utf-8") as log:
            log.write(printed)
        found: Result = result
        return found

    def _room(self) -> int:
        """Return how many workers the nodes that are there now have room for.

        Raises:
            UserError: if it is none.
        """
        import ray

        nodes = [node for node in ray.nodes() if node["Alive"]]
        room = sum(
            int(min(node["Resources"].get(name, 0) / amount for name, amount in self._needs.items()))
            for node in nodes
        )
        if not room:
            there = "; ".join(
                f"{node['NodeManagerHostname']} with {_amounts(node['Resources'])}" for node in nodes
            )
            raise UserError(
                f"no node of the Ray cluster has room for a worker of {_amounts(self._needs)} (there is {there or 'none'}): "
                "lower search.worker_cpus, worker_gpus or worker_memory_gb, or add a node with `ray start --address=...`"
            )
        return room


def _parcel(name: str, content: bytes) -> tuple[str, Any]:
    """Return where a node is to keep a file, and the reference of its content."""
    import numpy as np
    import ray

    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    # Nodes read an array where it lies in their object store; bytes would be copied for every task.
    return f"{digest}/{name}", ray.put(np.frombuffer(content, np.uint8))


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"plugins: {path} cannot be read ({error.strerror})") from None


def _amounts(resources: dict[str, float]) -> str:
    found = [f"{resources[name]:g} {name}" for name in ("CPU", "GPU") if name in resources]
    if "memory" in resources:
        found.append(f"{resources['memory'] / 2**30:.3g} GB of memory")
    return ", ".join(found)


def _lines(error: Exception) -> list[str]:
    return [line.strip()[:300] for line in str(error).strip().splitlines()] or [type(error).__name__]


def _connect(address: str | None) -> None:
    """Join a cluster, or start a Ray of this process' own.

    Raises:
        UserError: if there is no such cluster, or Ray cannot be started.
    """
    import ray

    if address is not None:
        _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a search reports to nobody
    ends = signal.getsignal(signal.SIGTERM)
    own = {"address": "local", "include_dashboard": False}
    try:
        ray.init(
            **(own if address is None else {"address": address}), log_to_driver=False, logging_level="ERROR"
        )
    except Exception as error:  # Ray raises whatever it likes
        raise UserError(f"Ray cannot be joined or started here: {' '.join(str(error).split())}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ends)  # Ray takes it, and the command line has a use for it


def _check_answers(address: str) -> None:
    """Make sure that a cluster answers; Ray itself would go on trying for a quarter of an hour.

    Raises:
        UserError: if none does.
    """
    try:
        if ":" in address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=5).close()
        # A process of its own: it can be stopped, and what Ray has to say meanwhile is not on the user's screen.
        probe = [sys.executable, "-P", "-c", _PROBE, address]
        done = subprocess.run(probe, capture_output=True, text=True, timeout=_ANSWER, check=False)
        if done.returncode == 0:
            return
        lines = done.stdout.strip().splitlines()
        reason = " ".join(" ".join(lines[-1:] if "Traceback" in done.stdout else lines).split())
    except subprocess.TimeoutExpired:
        reason = f"no answer in {_ANSWER:g} seconds"
    except (OSError, OverflowError) as error:
        reason = str(error)
    raise UserError(
        f"search.ray_address {address}: no Ray cluster can be joined ({reason.rstrip('.')}). Start one with `ray start "
        "--head`, and make this machine a node of it with `ray start --address=...`; or leave the address out"
    )
