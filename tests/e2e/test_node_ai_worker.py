"""An orchestrator without models and AI workers that join it: whole agents, paid for real images."""

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from fractions import Fraction

import pytest
from ruamel.yaml import YAML

from livefleet.cli.smoke import smoke_of
from livefleet.kernel import OutsideWorld
from livefleet.spec import load_fleet
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import Payer, text_to_image
from tests.builders.agents import an_agent
from tests.builders.ai import MODEL_ID
from tests.builders.gateways import a_stream, a_stream_client, send, write_key
from tests.builders.paid_nodes import GATEWAY, a_paid_node, network_of
from tests.devchain.accounts import dev_secret

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SECRET = "test-only: how workers and orchestrator know each other"
MODEL_START_S = 150
SMALL = {"model_id": MODEL_ID, "prompt": "a fleet", "width": 64, "height": 64, "num_inference_steps": 2}
LONG = SMALL | {"width": 256, "height": 256, "num_inference_steps": 100, "seed": 7}  # a second or more anywhere
PRICE = 100_000


def write_secret(root):
    file = root / "var/lib/livefleet/secrets/workers"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SECRET + "\n")


@contextmanager
def an_ai_worker(root, service_uri, model, **duties):
    write_secret(root)
    with an_agent(
        root,
        start=False,
        name=root.name,
        role="worker",
        duties={"ai": True} | duties,
        gpus="none",
        models=[{"pipeline": "text-to-image", "model_id": MODEL_ID, "source": str(model)}],
        worker={"orchestrator": service_uri.removeprefix("https://"), "secret": "workers"},
        secrets={"workers": "secrets/workers"},
    ) as agent:
        yield agent


def takes_workers(agent):
    """Let AI and media workers join."""
    write_secret(agent.root)
    yaml = YAML(typ="safe")
    data = yaml.load(agent.node_yaml)
    data["orchestrator"]["worker_secret"] = "workers"
    with agent.node_yaml.open("w") as file:
        yaml.dump(data, file)


def a_fleet_of(folder, node, worker):
    """The orchestrator and one of its workers as a fleet file, with who pays for smoke jobs."""
    write_key(folder / "payer.hex", dev_secret(GATEWAY))
    door = node.agent.service_uri.removeprefix("https://")
    data = {
        "name": "test",
        "network": network_of(node.chain.info),
        "keys": {"orchestrator": {"file": "none"}, "payer": {"file": "payer.hex"}},
        "secrets": {"workers": {"file": "none"}},
        "smoke": {"key": "payer"},
        "hosts": {
            "node": {
                "address": "@local", "root": "node", "role": "orchestrator",
                "monitoring": {"admin_listen": node.agent.admin},
                "orchestrator": {
                    "service_uri": node.agent.service_uri, "key": "orchestrator", "worker_secret": "workers",
                },
            },
            "one": {
                "address": "@local", "root": "one", "role": "worker", "duties": ["ai"],
                "monitoring": {"admin_listen": worker.admin},
                "models": [{"pipeline": "text-to-image", "model_id": MODEL_ID}],
                "worker": {"orchestrator": door, "secret": "workers"},
            },
        },
    }  # fmt: skip
    with (folder / "fleet.yaml").open("w") as file:
        YAML(typ="safe").dump(data, file)
    return load_fleet(folder / "fleet.yaml")


async def until_workers(agent, count):
    await asyncio.to_thread(agent.until, f"{count} AI worker(s)", lambda s: len(s["server"]["ai_workers"]) == count)


def account_of(agent):
    (account,) = agent.status()["model_accounts"]["models"]
    return account


async def until_done(agent, count):
    """A worker hears that its result was taken after the gateway has it."""
    await asyncio.to_thread(agent.until, f"{count} job(s) done", lambda s: s["ai_worker"]["done"] == count)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A real pipeline of toy size."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    subprocess.run([sys.executable, "-m", "livefleet.ai.tiny", str(folder)], check=True, timeout=MODEL_START_S)
    return folder


async def test_ai_workers__serve_paid_images__and_one_killed_under_a_job_is_made_up_for(tmp_path, model):
    async with a_paid_node(
        tmp_path,
        start=False,
        duties={"redemption": {"check_every_s": 0.5}},
        models=[{
            "pipeline": "text-to-image", "model_id": MODEL_ID, "device": "workers", "price": f"{PRICE} wei",
        }],
        secrets={"workers": "secrets/workers"},
    ) as node:  # fmt: skip
        orchestrator = node.agent
        takes_workers(orchestrator)
        endpoint, payer = parse_endpoint(orchestrator.service_uri), Payer(node.gateway)
        with (
            an_ai_worker(tmp_path / "one", orchestrator.service_uri, model) as one,
            an_ai_worker(tmp_path / "two", orchestrator.service_uri, model) as two,
        ):
            await asyncio.to_thread(one.start, ready=False)
            await asyncio.to_thread(orchestrator.start)
            await asyncio.to_thread(one.wait_ready, MODEL_START_S)
            await until_workers(orchestrator, 1)
            joined = orchestrator.status()["server"]["ai_workers"][0]
            assert (joined["models"], joined["capacity"]) == ([f"text-to-image/{MODEL_ID}"], 1)

            report = await text_to_image(endpoint, payer, SMALL | {"num_images_per_prompt": 2})
            assert (report.sizes, len(set(report.images))) == (((64, 64), (64, 64)), 2)
            assert report.price >= PRICE  # what redeeming costs comes on top
            assert report.tickets > 0
            assert orchestrator.status()["payments"]["tickets"]["received"]["count"] == report.tickets
            await until_done(one, 1)
            labels = {"pipeline": "text-to-image", "model_name": MODEL_ID}
            assert orchestrator.metric("livepeer_ai_result_downloaded_total", **labels) == 1
            assert one.metric("livepeer_ai_result_uploaded_total", **labels) == 1
            charged = Fraction(report.price) * 2 * 64 * 64
            account = account_of(orchestrator)
            assert (account["jobs"], account["units"]) == (1, 2 * 64 * 64)
            assert Fraction(account["charged_wei"]) == charged
            assert [use["device"] for use in account["devices"]] == ["workers"]
            assert account["wei_per_device_s"] == pytest.approx(float(charged) / account["device_s"], rel=0.01)
            assert orchestrator.metric("livefleet_model_charged_wei_total", **labels) == float(charged)
            work = account_of(one)
            assert (work["charged_wei"], [use["device"] for use in work["devices"]]) == (None, ["cpu"])
            assert 0 < work["device_s"] < account["device_s"]

            fleet = a_fleet_of(tmp_path, node, one)
            smoked = await asyncio.to_thread(smoke_of(fleet, hosts=["one"]), "one")
            assert smoked.passed, smoked.text
            assert smoked.text.startswith(f"text-to-image {MODEL_ID}: answered in")
            assert smoked.text.endswith("one did it: its count went from 1 to 2, through node")
            assert smoked.jobs[0].tickets == 1

            await asyncio.to_thread(two.start, timeout_s=MODEL_START_S)
            await until_workers(orchestrator, 2)
            asked = asyncio.create_task(text_to_image(endpoint, payer, LONG))
            await asyncio.to_thread(one.until, "the job", lambda s: s["ai_worker"]["jobs"] == 1)
            await asyncio.to_thread(one.kill)
            report = await asked
            assert report.sizes == ((256, 256),)
            await until_done(two, 1)
            assert len(orchestrator.status()["server"]["ai_workers"]) == 1

            asked = asyncio.create_task(text_to_image(endpoint, payer, LONG))
            await asyncio.to_thread(two.until, "the job", lambda s: s["ai_worker"]["jobs"] == 1)
            stopping = asyncio.create_task(asyncio.to_thread(two.stop, 60))
            assert (await asked).sizes == ((256, 256),)
            assert await stopping == 0

            await until_workers(orchestrator, 0)
            before = account_of(orchestrator)
            assert before["jobs"] == 4
            await asyncio.to_thread(orchestrator.kill)
            orchestrator.end_left_over()
            await asyncio.to_thread(orchestrator.start)
            assert account_of(orchestrator)["charged_wei"] == before["charged_wei"]
            with pytest.raises(OutsideWorld, match="403 incompatible capabilities"):
                await text_to_image(endpoint, payer, SMALL)
            assert orchestrator.get("/readyz")[0] == 200
            assert SECRET not in orchestrator.log() + one.log() + two.log()


async def test_worker__with_both_duties__does_segments_and_images(tmp_path, model):
    write_secret(tmp_path / "orch")
    with an_agent(
        tmp_path / "orch",
        role="orchestrator",
        network={"name": "offchain"},
        gpus="none",
        orchestrator={"worker_secret": "workers"},
        secrets={"workers": "secrets/workers"},
    ) as orchestrator, an_ai_worker(
        tmp_path / "both", orchestrator.service_uri, model, transcoding={"encoder": "software"}
    ) as worker:  # fmt: skip
        await asyncio.to_thread(worker.start, timeout_s=MODEL_START_S)
        await until_workers(orchestrator, 1)
        assert len(orchestrator.status()["server"]["workers"]) == 1
        report = await text_to_image(parse_endpoint(orchestrator.service_uri), Payer(None), SMALL)
        assert report.sizes == ((64, 64),)
        segments, source = a_stream(1)
        async with a_stream_client(orchestrator.service_uri, None) as client:
            stream = client.report(await send(client, segments, source))
        assert stream.ok, stream.failures
        await until_done(worker, 1)
        status = await asyncio.to_thread(worker.until, "the segment", lambda s: s["worker"]["done"] == 1)
        assert {c["subject"] for c in status["conditions"] if c["name"] == "JoinedOrchestrator"} == {"", "ai"}
