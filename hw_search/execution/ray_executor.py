"""Execution of tasks on a Ray cluster. Each task is a Ray task; results return to the store on the searching machine.

Every machine of the cluster needs only an installation of this program. Plugin files and data travel with the tasks through
Ray's object store, and weights return with the results.
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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.config import ExecutionConfig
from zerocross.hw_search.execution.ray_worker import Origin, modules, train, versions
from zerocross.hw_search.execution.tasks import Result, Task, to_json
from zerocross.hw_search.files import replacing

_RETRIES = 3
_POLL = 10.0  # seconds without a result before the nodes are counted again
_ANSWER = 30.0  # seconds to wait for a cluster's answer

_LOOPBACK = "127.0.0.1"

_PROBE = """
import sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
except Exception as error:
    print(error.__cause__ or error)
    sys.exit(1)
"""


class RayExecutor:
    """Runs tasks on a Ray cluster, or on a separate Ray instance on this machine.

    If a worker or node dies, Ray runs the task again on any node with room. After the last retry the task fails with
    `passing` set, and the store does not keep the result.

    If the process is not connected to Ray, this object connects it, and `close` disconnects it.

    Args:
        settings: Address of the cluster, largest number of parallel trainings, and resources for each.
        log: File for the workers' output.

    Raises:
        UserError: If Ray is not installed, no cluster answers, or no node has room for a worker.
    """

    def __init__(self, settings: ExecutionConfig, log: Path) -> None:
        try:
            import ray
        except ImportError:
            raise UserError(
                'search.executor ray requires Ray: pip install -c constraints.txt ".[ray]" (in the clone)'
            ) from None
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
            UserError: If no node has room for a worker, or weights cannot be written.
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
        """Cancel running tasks. Disconnect from the cluster if this object connected to it."""
        import ray

        for reference in self._running:
            ray.cancel(reference, force=True)
        self._running, self._parcels = {}, {}
        if self._connected_here:
            ray.shutdown()

    def _pack(self, work: Task) -> None:
        """Copy the files that a task needs, plugins and data, into Ray's object store, once each."""
        part = work.trainings[0]
        name, root = part.data.name, part.data.root
        for plugin in set(part.plugins) - set(modules(part.plugins)):
            if plugin not in self._parcels:
                self._parcels[plugin] = _parcel(Path(plugin).name, _read(plugin))
        from zerocross.models.data import AT_HAND, as_npz

        if name not in {*AT_HAND, *self._parcels}:
            self._parcels[name] = _parcel(f"{Path(name).stem}.npz", as_npz(name, root))

    def _give(self, work: Task) -> Any:
        """Submit a task to Ray. Return the reference of its future result."""
        from zerocross.hw_search.execution.code_version import code_version

        part = work.trainings[0]
        origin = Origin(code_version(modules(part.plugins)), versions())
        names = [name for name in [*part.plugins, part.data.name] if name in self._parcels]
        places = [(name, self._parcels[name][0]) for name in names]
        return self._train.remote(to_json(work), origin, places, *(self._parcels[name][1] for name in names))

    def _receive(self, reference: Any, work: Task) -> Result:
        """Return a task's result. Write its weights to their files and its output to the log."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            result, weights, printed = ray.get(reference)
        except RayTaskError as error:
            # `train` returns after any error in a training, so the cause of this error is the node.
            place = re.search(r"ip=[\w.:]+", str(error))
            return {
                "status": "error",
                "reason": f"a node ({place[0] if place else 'unknown'}) cannot run zerocross ({_lines(error)[-1]}): install "
                "the same packages there as on this machine, and restart Ray there",
            }
        except RayError as error:
            return {
                "status": "failed",
                "passing": True,
                "died": True,
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
        """Return the number of workers that the current nodes have room for.

        Raises:
            UserError: If no node has room for a worker.
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
                "reduce search.worker_cpus, worker_gpus or worker_memory_gb, or add a node with `ray start --address=...`"
            )
        return room


def _parcel(name: str, content: bytes) -> tuple[str, Any]:
    """Return a file's path in the cache of a node, and the reference of its content."""
    import numpy as np
    import ray

    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    # Nodes read an array directly from their object store; bytes would be copied for every task.
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
    """Connect to a cluster, or start a Ray instance for this process.

    Raises:
        UserError: If there is no such cluster, or Ray cannot be started.
    """
    import ray

    if address is not None:
        _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage reports
    ends = signal.getsignal(signal.SIGTERM)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is not None:
            ray.init(address=address, **quiet)
        else:
            with _no_cluster():
                ray.init(address="local", include_dashboard=False, _node_ip_address=_LOOPBACK, **quiet)
    except Exception as error:  # Ray may raise any exception
        raise UserError(
            f"this machine cannot join or start a Ray cluster: {' '.join(str(error).split())}"
        ) from None
    if address is None and (places := {node["NodeManagerAddress"] for node in ray.nodes()}) != {_LOOPBACK}:
        ray.shutdown()
        raise UserError(
            f"this Ray listens on {', '.join(sorted(places))}, where other machines reach it: install the Ray of "
            "constraints.txt"
        )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ends)  # Ray replaces the handler, which the command line needs


@contextmanager
def _no_cluster() -> Iterator[None]:
    """Have a Ray that starts in this context listen on the loopback alone, where no other machine reaches it.

    On macOS and Windows Ray does so by itself. Elsewhere it takes the address that other machines reach, and listens on all
    addresses, unless a setting says that the machine is no part of a cluster. Its processes read the setting from the
    environment, this process from a constant that Ray set when it was imported.
    """
    from ray._private import ray_constants

    name, before = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    told = os.environ.get(name)
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        if told is None:
            del os.environ[name]
        else:
            os.environ[name] = told


def _check_answers(address: str) -> None:
    """Check that a cluster answers. Ray itself would retry for a quarter of an hour.

    Raises:
        UserError: If the cluster does not answer.
    """
    try:
        if ":" in address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=5).close()
        # A separate process: it can be stopped, and Ray's messages do not reach the user's screen.
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
        "--head` and add this machine to it with `ray start --address=...`, or omit the address to use this machine alone"
    )
