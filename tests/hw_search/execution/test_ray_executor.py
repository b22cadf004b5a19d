"""A cluster of several nodes on one machine. To Ray each is a real node, with separate processes."""

import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from safetensors.torch import load_file

from tests.hw_search.conftest import CONTENT, MISBEHAVING, merged, task
from zerocross import SearchResult, search
from zerocross.hw_search.cli import main
from zerocross.hw_search.config import SearchConfig, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.ray_executor import RayExecutor
from zerocross.hw_search.execution.tasks import Stack
from zerocross.models.data_config import DataConfig

# Ray reads these as it is imported. Nobody else on the network is to run anything on the tests' nodes.
os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
ray = pytest.importorskip("ray")

pytestmark = pytest.mark.slow  # a cluster is more processes than two busy cores serve in time

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


@pytest.fixture(scope="module", autouse=True)
def temporary() -> Iterator[None]:
    """A folder for all files of Ray and its workers. Its name is short because it contains sockets."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setenv("RAY_TMPDIR", folder)
        yield


@pytest.fixture(scope="module")
def cluster(temporary: None) -> Iterator[Any]:
    """Two nodes; the second only pretends to have a GPU."""
    from ray.cluster_utils import Cluster

    # Ray notices a dead node within two seconds.
    health = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
    head = {**NODE, "include_dashboard": False, "_system_config": health}
    cluster = Cluster(True, head_node_args=head)
    cluster.add_node(**NODE, num_gpus=1)
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def connected(cluster: Any) -> Iterator[None]:
    """Connects this process to the cluster. Its workers stay from one test to the next."""
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return search(make_config({**CONTENT, "output": str(tmp_path_factory.mktemp("local"))}))


def on(cluster: Any, output: Path, **change: Any) -> SearchResult:
    settings = {"executor": "ray", "ray_address": cluster.address, "workers": None}
    return search(make_config(merged(CONTENT, {"output": str(output), "search": settings, **change})))


def left(result: SearchResult) -> Any:
    """Return all results of a search except times, and names of its folder and of weights, which a plugin changes."""
    networks = [*result.run.front, *result.run.references]
    weights = [(result.folder / network.weights).read_bytes() for network in networks]
    networks = [replace(network, build="", weights="") for network in networks]
    evaluations = [
        replace(e, seconds=0.0, trainings=[replace(training, seconds=0.0) for training in e.trainings])
        for e in result.run.evaluations
    ]
    return networks, weights, evaluations, result.run.verdict


def executor(folder: Path, **settings: Any) -> RayExecutor:
    return RayExecutor(SearchConfig(executor="ray", **settings), folder / "workers.log")


def raylets() -> set[int]:
    return {process.pid for process in psutil.process_iter() if process.name() == "raylet"}


def test_a_cluster_finds_the_front_of_one_machine(cluster: Any, local: SearchResult, tmp_path: Path) -> None:
    assert left(on(cluster, tmp_path)) == left(local)
    assert not ray.is_initialized()


def test_a_node_that_dies_costs_its_evaluations_alone(
    cluster: Any, local: SearchResult, tmp_path: Path
) -> None:
    doomed = cluster.add_node(**NODE)
    begun = tmp_path / "begun"
    (tmp_path / "plugin.py").write_text(
        "import pathlib, ray, time\n"
        f"if ray.is_initialized() and ray.get_runtime_context().get_node_id() == {doomed.node_id!r}:\n"
        f"    pathlib.Path({str(begun)!r}).touch()\n"
        "    time.sleep(600)\n"
    )

    def kill() -> None:
        while not begun.exists():
            time.sleep(0.1)
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    result = on(cluster, tmp_path, plugins=[str(tmp_path / "plugin.py")])
    killer.join(timeout=0)
    assert not killer.is_alive()
    assert left(result) == left(local)


def test_files_travel_and_weights_come_back(connected: None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.integers(0, 255, (60, 5)).astype(np.uint8)
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    (tmp_path / "plugin.py").write_text(MISBEHAVING + "print('imported from', __file__)\n")
    data = DataConfig(name=str(tmp_path / "own.npz"))
    weights = [tmp_path / "run" / "front" / f"{name}.safetensors" for name in ("alone", "first", "second")]
    alone, first, second = (
        task(tmp_path / "plugin.py", "sin(x)", data=data, final=True, test=True, weights=str(path))
        for path in weights
    )
    stack = Stack(
        (
            first,
            replace(second, expressions=("x",)),
            replace(second, expressions=("nan(x)",), weights=None),
        )
    )
    tasks = [
        task(tmp_path, "x", plugins=()),
        alone,
        stack,
        task(tmp_path / "plugin.py", "stumble(x)", data=data),
    ]
    ray_executor = executor(tmp_path, workers=1)
    results = ray_executor.run(tasks)
    begun = next(results)
    for name in ("own.npz", "plugin.py"):  # as on a machine that never had them
        (tmp_path / name).unlink()
    found = dict([begun, *results])
    ray_executor.close()
    assert [found[index]["status"] for index in range(4)] == ["ok", "ok", "ok", "failed"]
    assert [result["status"] for result in found[2]["results"]] == ["ok", "ok", "failed"]
    assert found[3]["reason"] == "KeyError: 'nothing here'"
    assert sorted(weights[0].parent.iterdir()) == weights
    assert [len(load_file(path)) for path in weights[:2]] == [len(load_file(weights[2]))] * 2
    log = (tmp_path / "workers.log").read_text()
    assert "imported from" in log and "Traceback" in log and str(tmp_path) not in log
    assert ray.is_initialized()  # as before


def test_a_worker_that_dies_fails_its_evaluation_for_now(
    connected: None, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerocross.hw_search.execution.ray_executor._RETRIES", 0)
    ((_, result),) = executor(tmp_path).run([task(plugin, "die(x)")])
    assert result["status"] == "failed" and result["passing"] and "its worker died" in result["reason"]


def test_a_share_of_a_gpu_is_what_a_worker_sees(connected: None, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("import os\nprint('GPUs:', repr(os.environ['CUDA_VISIBLE_DEVICES']))\n")
    for share, seen in ((0.5, "'0'"), (0.0, "''")):
        ((_, result),) = executor(tmp_path, worker_gpus=share).run([task(plugin, "x")])
        assert result["status"] == "ok"
        assert (tmp_path / "workers.log").read_text().splitlines()[-1] == f"GPUs: {seen}"


def test_a_node_with_other_code_is_named(
    connected: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerocross.hw_search.execution.code_version.code_version", lambda plugins: "other")
    ((_, result),) = executor(tmp_path).run([task(tmp_path, "x", plugins=())])
    assert result["status"] == "error" and f"(on {socket.gethostname()}, " in result["reason"]
    assert (
        "a node has different code" in result["reason"] and "install the same zerocross" in result["reason"]
    )


def test_a_module_that_a_node_lacks_is_named(
    connected: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("# as a package that was not installed everywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    ((_, result),) = executor(tmp_path).run([task(tmp_path, "x", plugins=("only_here",))])
    assert result["status"] == "error" and "install the same zerocross, torch, only_here" in result["reason"]


def test_a_node_without_zerocross_is_named(
    connected: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "not_there.py").write_text("def train(*arguments): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("zerocross.hw_search.execution.ray_executor.train", import_module("not_there").train)
    ((_, result),) = executor(tmp_path).run([task(tmp_path, "x", plugins=())])
    assert result["status"] == "error"
    assert re.search(
        r"a node \(ip=[\d.]+\) cannot run zerocross \(.*No module named 'not_there'", result["reason"]
    )


def test_what_no_node_has_room_for(connected: None, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no node .* worker of 1 CPU, 2 GPU \(there is .*1 CPU, 1 GPU.*add a"
    ):
        executor(tmp_path, worker_gpus=2)


def test_a_plugin_that_cannot_be_read(connected: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"plugins: .*gone.py cannot be read"):
        next(executor(tmp_path).run([task(tmp_path / "gone.py", "x")]))


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'requires Ray: pip install -c constraints.txt "\.\[ray\]"'):
        executor(tmp_path)


@pytest.mark.parametrize(("port", "reason"), [(1, "refused"), (None, "no answer in 2 seconds")])
def test_where_no_cluster_is(
    port: int | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerocross.hw_search.execution.ray_executor._ANSWER", 2.0)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as other:  # a server other than Ray
        address = f"127.0.0.1:{port or other.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(
            UserError, match=f"search.ray_address {address}: no Ray cluster .*{reason}.*ray start"
        ):
            executor(tmp_path, ray_address=address)
        assert time.monotonic() - started < 10


def test_the_command_line_says_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONTENT))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(sys, "argv", ["zerocross", "search", "tiny.yaml", "--address", "127.0.0.1:1"])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 1
    assert "error: search.ray_address 127.0.0.1:1: no Ray cluster can be joined" in capsys.readouterr().err


def test_a_ray_of_its_own_from_the_command_line(tmp_path: Path) -> None:
    """The current folder has a package named `models`, which Ray puts first on its workers' path."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise RuntimeError('not this one')")
    change = {"training": {"epochs": 1}, "search": {"generations": 1}, "final": {"seeds": 1}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(merged(CONTENT, change)))
    before = raylets()
    command = [sys.executable, "-P", "-c", "from zerocross.hw_search.cli import main; main()"]
    arguments = ["search", "tiny.yaml", "--executor", "ray", "--set", "training.device=cpu"]
    done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Report: runs/tiny/report.html" in done.stdout and "Traceback" not in done.stderr
    assert raylets() == before


_OWN = """
import sys
from pathlib import Path
import psutil, ray
from zerocross.hw_search.config import SearchConfig
from zerocross.hw_search.execution.ray_executor import RayExecutor

executor = RayExecutor(SearchConfig(executor="ray"), Path(sys.argv[1]) / "workers.log")
assert ray.get(ray.remote(lambda: 1).remote()) == 1  # a worker listens, too
own = psutil.Process()
for process in [own, *own.children(recursive=True)]:
    for each in process.net_connections("inet"):
        if each.status == psutil.CONN_LISTEN:
            print(process.name(), each.laddr.ip)
executor.close()
"""


def test_a_ray_of_its_own_listens_on_the_loopback_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", _OWN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    places = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert {"gcs_server", "raylet"} <= places.keys()
    assert set(places.values()) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, done.stdout
