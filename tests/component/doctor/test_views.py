"""What the doctor sees of real counterparts: a chain and ports that nobody serves, doors with and without TLS."""

import asyncio
import contextlib
import socket
import ssl
import time

import pytest

from livefleet.control import examine_fleet
from livefleet.doctor import examine, needs
from livefleet.doctor.chain import judge_chain, look_at_chain
from livefleet.doctor.outside import judge_outside, look_from_outside
from livefleet.kernel import SystemClock
from livefleet.spec import Examination, Grade, Trouble, extras, load_fleet
from tests.builders.agents import free_port
from tests.builders.certificates import Authority
from tests.builders.deploys import a_node

pytestmark = pytest.mark.component


async def test_chain__one_endpoint_answers_and_one_does_not__each_is_told_without_its_key(devchain):
    dead = f"http://user:s3cret@127.0.0.1:{free_port()}/v2/s3cret"
    network = devchain.info.network.model_copy(update={"rpc": (*devchain.info.network.rpc, dead)})
    views = await look_at_chain(network)
    good, bad = judge_chain(views, now=time.time(), keeps_time=False)
    assert (good.grade, bad.grade) == (Grade.OK, Grade.FAIL)
    assert "chain id 1337" in good.message
    assert "s3cret" not in f"{bad}"


async def test_examination__packages_for_the_chain_are_missing__says_so_and_looks_at_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "_is_there", lambda module: module != "web3")
    network = {"name": "devchain", "rpc": [f"http://127.0.0.1:{free_port()}"], "controller": f"0x{'11' * 20}"}
    node = a_node(root=str(tmp_path), network=network, orchestrator={"service_uri": f"https://127.0.0.1:{free_port()}"})
    found = {finding.trouble for finding in (await examine(node, SystemClock())).findings}
    assert found >= {Trouble.PACKAGES_MISSING, Trouble.AGENT_DOWN, Trouble.PORT_REFUSED}
    assert not any(trouble.startswith("chain") for trouble in found)


def test_host__whose_program_says_all_and_cannot_end__is_examined_all_the_same(tmp_path):
    root = tmp_path / "h"
    said = Examination(node="h", at=time.time(), digest="d", findings=())
    program = root / "opt/livefleet/current/venv/bin/livefleet"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said.model_dump_json(indent=2)}\nEND\nexec sleep 60\n")
    program.chmod(0o755)
    (tmp_path / "fleet.yaml").write_text(
        f"name: f\nnetwork: offchain\nhosts:\n  h: {{address: '@local', root: {root}, role: orchestrator,"
        " duties: [], orchestrator: {service_uri: 'https://127.0.0.1:1'}}\n"
    )
    began = time.monotonic()
    fleet = load_fleet(tmp_path / "fleet.yaml")
    (found,) = examine_fleet(fleet, ["h"], outside=lambda _: [], on_host=lambda _: None, parallel=1).hosts
    assert (found.reached, [f.what for f in found.findings]) == (True, ["against here", "fleet file"])
    assert time.monotonic() - began < 30


async def test_needs__address_that_another_program_has__is_told_before_a_start(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        node = a_node(root=str(tmp_path), monitoring={"admin_listen": f"127.0.0.1:{port}"})
        (taken,) = [f for f in await needs(node) if f.what == "admin address"]
    assert (taken.trouble, f"sport = :{port}" in taken.fix) == (Trouble.ADDRESS_TAKEN, True)


@contextlib.asynccontextmanager
async def a_door(certificate=None):
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(100)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def seen(uri: str) -> dict[str, Grade]:
    view = await asyncio.to_thread(look_from_outside, uri, within_s=3)
    return {f.area: f.grade for f in judge_outside(view, now=time.time(), where="here", strict=True)}


async def test_door__with_a_certificate_of_its_own__is_well_as_long_as_it_lasts(tmp_path):
    async with a_door(Authority(tmp_path, days=90).sign("long")) as uri:
        assert await seen(uri) == {"dns": Grade.OK, "ports": Grade.OK, "certificate": Grade.OK}
    async with a_door(Authority(tmp_path, days=5).sign("short")) as uri:
        assert (await seen(uri))["certificate"] is Grade.WARN


async def test_door__without_tls__is_another_programs():
    async with a_door() as uri:
        assert (await seen(uri))["certificate"] is Grade.FAIL


async def test_door__shut_or_without_a_name__is_told():
    assert (await seen(f"https://127.0.0.1:{free_port()}"))["ports"] is Grade.FAIL
    assert await seen("https://no-such-name.invalid:8935") == {"dns": Grade.FAIL}
