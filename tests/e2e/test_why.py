"""`livefleet why` over real agents on a local chain: each fault is told by its own row, and by no other."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from ruamel.yaml import YAML

from tests.builders.agents import an_agent, free_port
from tests.builders.gateways import a_stream, a_stream_client, send, write_key
from tests.builders.paid_nodes import GATEWAY, PaidNode, a_paid_node, network_of
from tests.devchain.accounts import dev_secret, dev_signer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

PATIENT = ("--discovery-timeout", "30000")
"""No machine is too busy for that."""

FROM_HERE = {"dns": "warn", "tcp": "warn"}
"""Loopback is not outside."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("why")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(folder) -> AsyncIterator[PaidNode]:
    """An active orchestrator with one place, and a funded gateway whose key lies beside it."""
    write_key(folder / "gateway.hex", dev_secret(GATEWAY))
    duties = {"transcoding": {"encoder": "software", "max_sessions": 1}}
    async with a_paid_node(folder, duties=duties) as node:
        yield node


async def register(node, uri):
    await node.chain.sender.send(node.orchestrator, node.chain.client.services.set_service_uri_call(uri))


async def why(folder, *arguments, timeout_s=90):
    """(exit code, rows by check, the process)."""
    command = [sys.executable, "-m", "livefleet", "why", *arguments, "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=timeout_s, cwd=folder
    )
    assert "Traceback" not in done.stderr, done.stderr
    rows = json.loads(done.stdout)["rows"] if done.stdout else []
    return done.returncode, {row["check"]: row for row in rows}, done


def paying(node, folder):
    chain = node.chain.info
    return "--rpc", chain.rpc, "--controller", chain.controller, "--key-file", str(folder / "gateway.hex"), *PATIENT


def faults(rows, *, verdicts=("fail", "warn")):
    return {check: row["verdict"] for check, row in rows.items() if row["verdict"] in verdicts}


async def test_why__healthy_orchestrator__is_all_ok_as_far_as_can_be_seen_from_here(node, folder):
    await register(node, node.agent.service_uri)
    code, rows, done = await why(folder, node.agent.service_uri, *paying(node, folder), "--max-price", "1 gwei")
    assert code == 0, done.stdout
    assert faults(rows) == FROM_HERE
    not_there = {check for check, row in rows.items() if row["verdict"] == "skip"}
    assert not_there == {"model prices", "ai registry"}
    assert len(rows) == 23
    assert node.orchestrator.address in rows["ping"]["found"]
    assert "403 ErrSegSig" in rows["http"]["found"]
    assert dev_secret(GATEWAY).hex() not in done.stdout + done.stderr


async def test_why__for_people__is_a_table(node, folder):
    command = [sys.executable, "-m", "livefleet", "why", node.agent.service_uri, *PATIENT]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=90, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(node.agent.service_uri)
    assert "give --key-file of a gateway with deposit and reserve" in done.stdout  # asked with a throwaway key


async def test_why__another_uri_is_registered__fails_there_alone(node, folder):
    await register(node, "https://old.example.org:8935")
    code, rows, _ = await why(folder, node.agent.service_uri, *paying(node, folder))
    assert code == 1
    assert faults(rows) == FROM_HERE | {"video registry": "fail"}
    assert "https://old.example.org:8935" in rows["video registry"]["found"]


async def test_why__active_from_the_next_round_only__fails_and_says_from_when(node, folder):
    late = dev_signer(6)
    await node.chain.activate_orchestrator(late, advance=False, service_uri=node.agent.service_uri)
    round_ = await node.chain.client.rounds.current_round()
    code, rows, _ = await why(folder, node.agent.service_uri, *paying(node, folder), "--address", late.address)
    assert code == 1
    assert faults(rows) == FROM_HERE | {"active": "fail"}
    assert f"active from round {round_ + 1}" in rows["active"]["found"]
    assert late.address in rows["registered"]["found"]


async def test_why__price_above_the_ceiling__fails(node, folder):
    await register(node, node.agent.service_uri)
    code, rows, _ = await why(folder, node.agent.service_uri, *paying(node, folder), "--max-price", "5 wei")
    assert code == 1
    assert faults(rows) == FROM_HERE | {"price": "fail"}
    assert "ceiling 5 wei" in rows["price"]["found"]


async def test_why__job_needs_what_the_node_cannot_do__names_it(node, folder):
    await register(node, node.agent.service_uri)
    code, rows, _ = await why(folder, node.agent.service_uri, *paying(node, folder), "--model", "llm/some/model")
    assert code == 1
    assert faults(rows) == FROM_HERE | {"capabilities": "fail", "ai registry": "fail"}
    assert rows["capabilities"]["found"].startswith("missing ")
    assert "llm" in rows["capabilities"]["found"]


async def test_why__gateway_wants_a_newer_version__fails(node, folder):
    code, rows, _ = await why(folder, node.agent.service_uri, *paying(node, folder), "--min-version", "99.0")
    assert code == 1
    assert rows["version"]["verdict"] == "fail"
    assert "wanted 99.0 or newer" in rows["version"]["found"]


async def test_why__every_session_is_in_use__says_capped(folder, tmp_path):
    segments, source = a_stream(1)
    duties = {"transcoding": {"encoder": "software"}}
    node = {"network": {"name": "offchain"}, "gpus": "none", "duties": duties, "orchestrator": {"max_sessions": 1}}
    with an_agent(tmp_path, role="orchestrator", **node) as agent:
        async with a_stream_client(agent.service_uri, None) as gateway:
            (report,) = await send(gateway, segments, source)
            assert report.problems == ()
            code, rows, _ = await why(folder, agent.service_uri, *PATIENT)
            assert code == 1
            assert faults(rows) == FROM_HERE | {"capacity": "fail"}
            assert "OrchestratorCapped" in rows["capacity"]["found"]
        code, rows, _ = await why(folder, agent.service_uri, *PATIENT)  # the session ended
        assert code == 0
        assert rows["tickets"]["verdict"] == "skip"  # off-chain


async def test_why__nobody_listens__ends_with_3(folder):
    code, rows, _ = await why(folder, f"https://127.0.0.1:{free_port()}")
    assert code == 3
    assert rows["tcp"]["verdict"] == "fail"
    assert "tls" not in rows


async def test_why__name_does_not_exist__ends_with_3(folder):
    code, rows, _ = await why(folder, "https://no-such-host.invalid:8935")
    assert code == 3
    assert list(faults(rows)) == ["dns"]


async def test_why__port_speaks_no_tls__fails_there(node, folder):
    code, rows, _ = await why(folder, f"https://{node.agent.admin}", *PATIENT)
    assert code == 1
    assert faults(rows) == FROM_HERE | {"tls": "fail"}
    assert "no TLS there" in rows["tls"]["found"]
    assert "answer time" not in rows


async def test_why__answers_come_late__fails_though_all_is_right(node, folder):
    await register(node, node.agent.service_uri)
    async with late_by(0.7, int(node.agent.service_uri.rpartition(":")[2])) as uri:
        money = paying(node, folder)[: -len(PATIENT)]
        code, rows, _ = await why(folder, uri, *money)
    assert code == 1
    # By another way than the registered one, which is where work would go.
    assert faults(rows) == FROM_HERE | {"answer time": "fail", "work address": "warn", "video registry": "fail"}
    assert "first wait 500 ms" in rows["answer time"]["found"]


async def test_why__host_of_the_fleet__takes_all_from_it_and_asks_the_node_too(node, folder):
    await register(node, node.agent.service_uri)
    fleet = a_fleet_file(node, folder)
    key = "--key-file", str(folder / "gateway.hex")
    code, rows, done = await why(folder, "--fleet", fleet, *key, *PATIENT)  # its only orchestrator
    assert code == 0, done.stdout
    # The fleet says less than the node was told: another digest.
    assert faults(rows) == FROM_HERE | {"own view": "warn"}
    assert "another spec" in rows["own view"]["found"]
    assert rows["registered"]["verdict"] == "ok"
    code, rows, _ = await why(folder, node.agent.service_uri, "--fleet", fleet, *PATIENT)  # found by its URI
    assert code == 0
    assert rows["own view"]["verdict"] == "warn"
    assert rows["offer"]["verdict"] == "skip"  # a throwaway key
    assert rows["active"]["verdict"] == "ok"


def a_fleet_file(node, folder):
    settings = {"service_uri": node.agent.service_uri, "key": "orchestrator"}
    spec = {
        "name": "test",
        "network": network_of(node.chain.info),
        "keys": {"orchestrator": {"host_file": "/nowhere.hex", "address": node.orchestrator.address}},
        "hosts": {
            "node": {
                "address": "@local",
                "root": str(node.agent.root),
                "role": "orchestrator",
                "gpus": "none",
                "duties": ["transcoding"],
                "orchestrator": settings,
                "monitoring": {"admin_listen": node.agent.admin},
            }
        },
    }
    path = folder / "declared.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(spec, file)
    return str(path)


@asynccontextmanager
async def late_by(seconds: float, port: int) -> AsyncIterator[str]:
    """A way to a local port on which every connection waits before its first byte; yields its URI."""

    async def pipe(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def serve(reader, writer):
        await asyncio.sleep(seconds)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(pipe(reader, back))
            group.create_task(pipe(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
