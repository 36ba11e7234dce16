"""Agents of several kinds, each in an environment of the wheels that its duties need and no other package."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploys.models import Platform
from livefleet.spec import NodeSpec, extras_of
from tests.builders.agents import RunningAgent, an_agent
from tests.builders.environments import a_shop, an_environment
from tests.builders.gateways import a_stream, a_stream_client, send
from tests.builders.kinds import a_keykeeper, a_redeemer, a_worker, an_orchestrator

pytestmark = [pytest.mark.component, pytest.mark.timeout(300)]

PATIENCE_S = 120  # nothing is compiled yet in an environment that was just made
OF = {
    "chain": {"web3", "coincurve", "eth_account"},
    "media": {"av", "numpy"},
    "store": {"asyncpg"},
    "pull": {"tuf"},
    "ai": {"torch", "diffusers", "transformers"},
    "control": {"pyinfra", "fabric", "uv"},
}


class Environments:
    """Made when first asked for, by extras."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shop = a_shop()
        self._made: dict[frozenset[str], Path] = {}

    def python_for(self, node: dict[str, object]) -> Path:
        extras = extras_of(NodeSpec.model_validate({"fleet": "test", "name": "node", **node}))
        if extras not in self._made:
            release = self._shop.release(extras, Platform.own())
            self._made[extras] = an_environment(self._folder / "-".join(sorted(extras)), release)
        python = self._made[extras]
        present = {
            path.name for path in next(python.parent.parent.glob("lib/python*")).joinpath("site-packages").iterdir()
        }
        for extra, modules in OF.items():
            assert bool(modules & present) == (extra in extras), (extra, modules & present)
        return python

    @contextmanager
    def running(self, root: Path, node: dict[str, object]) -> Iterator[RunningAgent]:
        with an_agent(root, start=False, python=str(self.python_for(node)), **node) as agent:
            agent.start(ready=False)
            yield agent


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments(tmp_path_factory.mktemp("environments"))


async def test_split__orchestrator_without_films_or_money_and_worker_without_money__do_a_stream(
    environments: Environments, tmp_path: Path
) -> None:
    declared = an_orchestrator(tmp_path / "o")
    with environments.running(tmp_path / "o", declared) as orchestrator:
        orchestrator.wait_ready(PATIENCE_S)
        worker = a_worker(tmp_path / "w", orchestrator.service_uri)
        assert environments.python_for(worker) != environments.python_for(declared)
        with environments.running(tmp_path / "w", worker) as joined:
            joined.wait_ready(PATIENCE_S)
            segments, source = a_stream(1)
            async with a_stream_client(orchestrator.service_uri, None) as client:
                report = client.report(await send(client, segments, source))
            assert report.ok, (report.failures, [segment.problems for segment in report.segments])
            assert joined.status()["worker"]["done"] == 1


@pytest.mark.parametrize("kind", [a_keykeeper, a_redeemer])
def test_money__without_films__comes_up_and_says_what_it_waits_for(
    environments: Environments, tmp_path: Path, kind: Callable[[Path], dict[str, object]]
) -> None:
    with environments.running(tmp_path, kind(tmp_path)) as agent:
        condition = agent.until_condition("ChainReachable", "NotSeen", timeout_s=PATIENCE_S)
        assert "127.0.0.1:9" in condition["message"]


def test_other_duties_than_the_environment_is_for__are_refused_by_name(
    environments: Environments, tmp_path: Path
) -> None:
    python = environments.python_for(a_worker(tmp_path / "w", "https://127.0.0.1:1"))
    with an_agent(tmp_path / "k", start=False, **a_keykeeper(tmp_path / "k")) as agent:
        for verb in ("check", "run"):
            command = [str(python), "-m", "livefleet", "agent", verb, str(agent.node_yaml)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == (1 if verb == "check" else 2), done.stderr
            told = " ".join((done.stdout + done.stderr).split())
            assert "lacks packages that node needs (`chain`:" in told
