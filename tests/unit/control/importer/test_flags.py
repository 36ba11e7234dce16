"""The table of flags: complete, and true of what the importer does."""

import re
from functools import cache
from typing import Any

import pytest

from livefleet.control.importer import Given, Imported, Outcome, Wishes, import_nodes
from livefleet.control.importer.flags import Fate, FlagKind, flags, near_flag, state_of
from livefleet.spec import FleetSpec
from livefleet.spec.fleet import HostLayer
from tests.builders.setups import FOLDER

pytestmark = pytest.mark.unit

CHAIN = "-network=arbitrum-one-mainnet -ethUrl=https://rpc.example.org"
ORCHESTRATOR = f"livepeer {CHAIN} -orchestrator -transcoder -serviceAddr=o.example.org:8935 -pricePerUnit=7"
WORKER = "livepeer -transcoder -orchAddr=o.example.org:8935 -orchSecret=/s.txt"
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
GATEWAYS = '\'{"gateways":[{"ethaddress":"' + ADDRESS + '","priceperunit":3}]}\''

# For each flag that the table calls mapped: the command that it is added to, and with which value.
EXAMPLES: dict[str, tuple[str, str]] = {
    "network": (ORCHESTRATOR, "arbitrum-one-mainnet"),
    "ethUrl": (ORCHESTRATOR, "https://other.example.org"),
    "ethController": (ORCHESTRATOR, ADDRESS),
    "serviceAddr": (ORCHESTRATOR, "other.example.org:1"),
    "httpAddr": (ORCHESTRATOR, "10.0.0.1:9000"),
    "nodes": (ORCHESTRATOR, "a.example.org:1,https://b.example.org:2"),
    "cliAddr": (ORCHESTRATOR, "127.0.0.1:7000"),
    "orchAddr": (WORKER, "p.example.org:8935"),
    "config": (ORCHESTRATOR, "flags-v0.9.1.txt"),
    "orchestrator": (ORCHESTRATOR, "true"),
    "transcoder": (WORKER, "true"),
    "aiWorker": (ORCHESTRATOR, "true"),
    "redeemer": (f"livepeer {CHAIN}", "true"),
    "reward": (ORCHESTRATOR, "false"),
    "initializeRound": (ORCHESTRATOR, "true"),
    "orchSecret": (ORCHESTRATOR, "/secret.txt"),
    "nvidia": (ORCHESTRATOR, "all"),
    "maxSessions": (ORCHESTRATOR, "33"),
    "ethAcctAddr": (ORCHESTRATOR, ADDRESS),
    "ethPassword": (ORCHESTRATOR, "/pass.txt"),
    "ethKeystorePath": (ORCHESTRATOR, "/keys/k.json"),
    "ethOrchAddr": (ORCHESTRATOR, ADDRESS),
    "dataDir": (ORCHESTRATOR, "/data"),
    "datadir": (ORCHESTRATOR, "/data"),
    "maxGasPrice": (ORCHESTRATOR, "5"),
    "pricePerUnit": (ORCHESTRATOR, "9"),
    "pixelsPerUnit": (ORCHESTRATOR, "1e3"),
    "priceFeedAddr": (ORCHESTRATOR, ADDRESS),
    "autoAdjustPrice": (ORCHESTRATOR, "false"),
    "pricePerGateway": (ORCHESTRATOR, GATEWAYS),
    "pricePerBroadcaster": (ORCHESTRATOR, GATEWAYS),
    "ticketEV": (ORCHESTRATOR, "5"),
    "maxFaceValue": (ORCHESTRATOR, "99999999999999"),
    "redeemerAddr": (ORCHESTRATOR, "10.0.0.9"),
    "aiModels": (f"{ORCHESTRATOR} -aiWorker -nvidia=all", "llm:a/b:true"),
    "aiServiceRegistry": (ORCHESTRATOR, "true"),
    "monitor": (ORCHESTRATOR, "true"),
    "metricsPerStream": (ORCHESTRATOR, "true"),
    "v": (ORCHESTRATOR, "6"),
    "objectStore": (ORCHESTRATOR, "s3://id:secret@eu/bucket"),
    "authWebhookUrl": (ORCHESTRATOR, "https://hook.example.org"),
}


@cache
def imported(command: str) -> Imported:
    return import_nodes([Given("run.sh", command, FOLDER)], Wishes())


def test_table__holds_every_flag_of_the_release() -> None:
    release = set((FOLDER / "flags-v0.9.1.txt").read_text().split())

    known = {name for name, flag in flags().items() if flag.fate is not Fate.REMOVED}

    assert release - known == set()
    assert known - release == set()


def test_table__each_flag__is_mapped_or_says_why_not() -> None:
    for flag in flags().values():
        assert flag.text, flag.name
        if flag.fate is not Fate.MAPPED:
            assert len(flag.text.split()) > 2, f"{flag.name}: {flag.text}"
        assert state_of(flag) in ("current", "deprecated", "removed")


def test_table__mapped_flags__have_an_example_each() -> None:
    assert set(EXAMPLES) == {name for name, flag in flags().items() if flag.fate is Fate.MAPPED}


@pytest.mark.parametrize("name", EXAMPLES)
def test_mapped_flag__given__is_taken(name: str) -> None:
    command, value = EXAMPLES[name]

    result = imported(f"{command} -{name}={value}")

    fates = [each for each in result.report.findings if each.subject == f"-{name}" and each.outcome.is_fate]
    assert fates[-1].outcome in (Outcome.TAKEN, Outcome.OTHERWISE), fates
    if fates[-1].outcome is Outcome.TAKEN and name not in ("orchestrator", "network", "transcoder", "config"):
        assert result.fleet != imported(command).fleet


OTHERS = [name for name, flag in flags().items() if flag.fate in (Fate.EXPLAINED, Fate.GATEWAY)]


@pytest.mark.parametrize(
    "name", [name for name in OTHERS if name != "remoteSigner"]
)  # that one makes it no orchestrator
def test_other_flag__given__is_explained_and_changes_nothing(name: str) -> None:
    value = {
        FlagKind.BOOL: "true", FlagKind.INT: "7", FlagKind.FLOAT: "0.5", FlagKind.TEXT: "x", FlagKind.DURATION: "7s",
    }[flags()[name].kind]  # fmt: skip

    result = imported(f"{ORCHESTRATOR} -{name}={value}")

    (fate,) = [each for each in result.report.findings if each.subject == f"-{name}" and each.outcome.is_fate]
    assert fate.outcome is Outcome.NO_COUNTERPART
    assert flags()[name].text in fate.text
    assert result.fleet == imported(ORCHESTRATOR).fleet


@pytest.mark.parametrize("name", [name for name, flag in flags().items() if flag.fate is Fate.REMOVED])
def test_removed_flag__given__is_dead(name: str) -> None:
    result = imported(f"{ORCHESTRATOR} -{name}=1")

    (fate,) = [each for each in result.report.findings if each.subject == f"-{name}"]
    assert (fate.outcome, fate.text) == (Outcome.DEAD, flags()[name].text)


def test_table__fields_of_mapped_flags__are_fields_of_the_spec() -> None:
    for flag in flags().values():
        if flag.fate is Fate.MAPPED and not flag.text.startswith("("):
            for path in re.split(r", ", flag.text):
                assert _is_field(path), f"{flag.name}: {path}"


def test_near_flag__of_other_case__is_found() -> None:
    assert near_flag("ethURL") == "did you mean `-ethUrl`?"
    assert near_flag("qqqqqqqq") == ""


FLEET, HOST = FleetSpec.model_json_schema(), HostLayer.model_json_schema()


def _is_field(path: str) -> bool:
    names = ["first" if name == "NAME" else name for name in path.split(".") if name != "*"]
    schema = FLEET if names[0] in ("keys", "secrets") else HOST
    return _has(schema, schema, names)


def _has(schema: dict[str, Any], whole: dict[str, Any], names: list[str]) -> bool:
    if "$ref" in schema:
        return _has(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, names)
    if any(_has(each, whole, names) for each in schema.get("anyOf", [])):
        return True
    if not names:
        return True
    properties = schema.get("properties", {})
    if names[0] in properties:
        return _has(properties[names[0]], whole, names[1:])
    others = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    return any(isinstance(each, dict) and _has(each, whole, names[1:]) for each in others)
