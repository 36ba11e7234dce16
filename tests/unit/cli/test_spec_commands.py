import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from livefleet.cli import main
from livefleet.spec import FleetSpec, fleet_schema, load_fleet, load_node, to_yaml
from tests.builders.spec import README_EXAMPLE

pytestmark = pytest.mark.unit


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(README_EXAMPLE)
    return path


def test_validate__right__is_a_short_summary(fleet: Path) -> None:
    result = CliRunner().invoke(main, ["validate", str(fleet)])
    assert result.exit_code == 0
    assert result.stdout == (
        "fleet demo on arbitrum-one-mainnet: 1 host (1 orchestrator)\n"
        "duties: redemption on 1, reward on 1, transcoding on 1\n"
        "ok\n"
    )


def test_validate__placeholders_and_absent_secrets__are_warnings_and_it_is_right_all_the_same(fleet: Path) -> None:
    result = CliRunner().invoke(main, ["validate", str(fleet), "--json"])
    assert result.exit_code == 0
    said = {(warning["line"], warning["path"]): warning["message"] for warning in json.loads(result.stdout)["warnings"]}
    assert said[2, "network.rpc.0"] == "arb1.example.com is a placeholder, kept for documents"
    assert said[3, "keys.orchestrator"] == "keys.orchestrator: no file keys/orchestrator.json yet"
    assert said[6, "address"] == "203.0.113.10 is a placeholder, kept for documents"
    result = CliRunner().invoke(main, ["validate", str(fleet)])
    assert f"warning: {fleet}:2:45: arb1.example.com is a placeholder" in result.stderr


def test_validate__spec_by_environment__is_found(fleet: Path) -> None:
    result = CliRunner(env={"LIVEFLEET_SPEC": str(fleet)}).invoke(main, ["validate", "--json"])
    told = json.loads(result.output)
    assert (told["ok"], told["hosts"], told["roles"]) == (True, 1, {"orchestrator": 1})


def test_validate__no_file__says_so_and_ends_with_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["validate", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "none.yaml:1:1: cannot be read: No such file or directory" in result.stderr


def test_validate__wrong__tells_every_problem_and_ends_with_2(fleet: Path) -> None:
    fleet.write_text(README_EXAMPLE.replace("duties", "dutys").replace("profile", "profil"))
    result = CliRunner().invoke(main, ["validate", str(fleet)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "fleet.yaml:4:12: unknown key `profil` in `defaults`; did you mean `profile`?" in result.stderr
    assert "fleet.yaml:6:54: unknown key `dutys` in `hosts.gpu-1`; did you mean `duties`?" in result.stderr
    assert result.stderr.endswith("2 problems found\n")


def test_validate__wrong_as_json__is_one_document(fleet: Path) -> None:
    fleet.write_text(README_EXAMPLE + "version: 3\n")
    result = CliRunner().invoke(main, ["validate", str(fleet), "--json"])
    assert result.exit_code == 2
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["line"], problem["column"], problem["path"]) == (7, 10, "version")


def test_render__host__is_exactly_its_node_yaml(fleet: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["render", "gpu-1", "--fleet", str(fleet)])
    assert result.exit_code == 0
    node = load_fleet(fleet).node("gpu-1")
    assert result.output == to_yaml(node)
    (tmp_path / "node.yaml").write_text(result.output)
    assert load_node(tmp_path / "node.yaml") == node


def test_render__explain__names_layer_and_place_of_each_value(fleet: Path) -> None:
    result = CliRunner().invoke(main, ["render", "gpu-1", "--fleet", str(fleet), "--explain"])
    told = {line.split()[0]: line for line in result.output.splitlines()}
    assert told["prices.video"].endswith(f"defaults ({fleet}:4:42)")
    assert told["role"].endswith(f"host gpu-1 ({fleet}:6:40)")
    assert told["network.rpc.0"].endswith(f"fleet ({fleet}:2:45)")
    assert told["keys.orchestrator.password_file"].endswith(f"fleet ({fleet}:3:22)")
    assert told["service.kind"].endswith("built-in default")
    assert "profile cpu (" in told["gpus"]
    assert "sent to the host: keys/orchestrator from keys/orchestrator.json" in result.output


def test_render__explain_as_json__has_the_same(fleet: Path) -> None:
    result = CliRunner().invoke(main, ["render", "gpu-1", "--fleet", str(fleet), "--explain", "--json"])
    told = json.loads(result.output)
    origins = {item["path"]: item for item in told["origins"]}
    assert (origins["prices.video"]["layer"], origins["prices.video"]["line"]) == ("defaults", 4)
    assert told["sent"] == ["keys/orchestrator", "passwords/orchestrator"]
    assert told["node"]["name"] == "gpu-1"


def test_render__unknown_host__ends_with_2(fleet: Path) -> None:
    result = CliRunner().invoke(main, ["render", "gpu-9", "--fleet", str(fleet)])
    assert result.exit_code == 2
    assert "no host `gpu-9`; did you mean `gpu-1`?" in result.stderr


def test_schema__command__prints_what_the_models_say() -> None:
    result = CliRunner().invoke(main, ["schema"])
    assert json.loads(result.output) == fleet_schema()


def test_schema__fields__are_all_there_and_documented() -> None:
    schema = fleet_schema()
    assert set(schema["properties"]) == set(FleetSpec.model_fields)
    assert schema["required"] == ["name", "hosts"]
    assert schema["additionalProperties"] is False
    undocumented = [
        f"{name}.{field}"
        for name, definition in {"fleet": schema, **schema["$defs"]}.items()
        for field, described in definition.get("properties", {}).items()
        if "description" not in described
    ]
    assert undocumented == []


def test_schema__short_forms_and_partial_layers__are_allowed() -> None:
    definitions = fleet_schema()["$defs"]
    mapping, names = definitions["Duties"]["anyOf"]
    assert names["items"]["enum"] == ["transcoding", "ai", "reward", "redemption", "ledger"]
    assert {"type": "boolean"} in mapping["properties"]["reward"]["anyOf"]
    assert definitions["Network"]["anyOf"][1]["enum"] == ["offchain", "arbitrum-one-mainnet", "devchain"]
    assert "required" not in definitions["OrchestratorLayer"]
    assert "required" not in definitions["GroupLayer"]
    assert definitions["HostLayer"]["required"] == ["address"]
