"""Single traits of sources that the setups do not have."""

from pathlib import Path

import pytest

from livefleet.control.importer import Given, Imported, Outcome, Wishes, import_nodes
from tests.builders.setups import report_text

pytestmark = pytest.mark.unit

ROLE = "-orchestrator -transcoder -serviceAddr a.example.org:1 -pricePerUnit 1"
CHAIN = "-network arbitrum-one-mainnet -ethUrl https://rpc.example.org"


def imported(text: str, *more: tuple[str, str], folder: Path = Path("/none")) -> Imported:
    given = [Given("s", text, folder), *(Given(name, other, folder) for name, other in more)]
    return import_nodes(given, Wishes())


def subjects(result: Imported, outcome: Outcome) -> list[str]:
    return [each.subject for each in result.report.of(outcome)]


def test_script__sources_a_file_and_exports__reaches_the_node() -> None:
    script = "set -a\n. ./node.env\nset +a\nexport LP_V=6\nLP_NVIDIA=all livepeer -orchestrator -transcoder\n"

    result = imported(script, ("node.env", "LP_SERVICEADDR=b.example.org:2\n"))

    assert "service_uri: https://b.example.org:2  # LP_SERVICEADDR, node.env:1" in result.fleet
    assert "gpus: all  # LP_NVIDIA, s:5" in result.fleet
    assert "log_level: DEBUG  # LP_V, s:4" in result.fleet


def test_script__with_other_commands__finds_each_node() -> None:
    script = (
        f"cd /opt && sudo -E nohup ./livepeer {ROLE} > log 2>&1 &\nsleep 5; echo livepeer\n/usr/bin/livepeer -gateway\n"
    )

    result = imported(script)

    assert result.hosts == ("s",)
    assert "a gateway is no part of a fleet" in report_text(result)


@pytest.mark.parametrize(
    "text",
    [
        f"docker run --env-file a.env livepeer/go-livepeer:1 {ROLE}",
        f"[Service]\nEnvironmentFile=/etc/a.env\nExecStart=/bin/livepeer {ROLE}\n",
        f"services:\n  o:\n    image: livepeer/go-livepeer:1\n    env_file: a.env\n    command: {ROLE}\n",
    ],
)
def test_file_of_variables__not_there__is_to_be_named(text: str) -> None:
    missing = imported(text)
    given = imported(text, ("a.env", "LP_V=6\n"))

    assert "a.env" in subjects(missing, Outcome.TO_DO)
    assert "a.env" not in subjects(given, Outcome.TO_DO)
    assert "LP_V, a.env:1" in given.fleet


def test_config_file__not_there__is_to_be_named() -> None:
    missing = imported(f"livepeer {ROLE} -config /etc/lp.conf")
    given = imported(f"livepeer {ROLE} -config /etc/lp.conf", ("lp.conf", "v 6\nmaxSessions 3\n"))

    assert "-config" in subjects(missing, Outcome.TO_DO)
    assert "max_sessions: 3  # maxSessions, lp.conf:2" in given.fleet


def test_unit__empty_exec_start__takes_earlier_ones_back() -> None:
    first = "[Service]\nExecStart=/bin/livepeer -gateway\n"
    unit = f"{first}# drop-in\n[Service]\nExecStart=\nExecStart=-/bin/livepeer {ROLE}\n"

    assert imported(unit).hosts == ("s",)


def test_unit__that_runs_a_container__is_read_through() -> None:
    command = f"/usr/bin/docker run --name lp livepeer/go-livepeer:1 {ROLE}"
    unit = f"[Service]\nExecStartPre=-/usr/bin/docker rm lp\nExecStart={command}\n"

    assert imported(unit).hosts == ("lp",)


def test_compose__includes_and_extends__are_told() -> None:
    service = f"{{image: 'livepeer/go-livepeer:1', extends: {{file: b.yml, service: o}}, command: '{ROLE}'}}"
    text = f"include: [a.yml]\nservices:\n  o: {service}\n"

    assert {"include", "extends"} <= set(subjects(imported(text), Outcome.TO_DO))


def test_compose__port_that_is_another_outside__is_the_door() -> None:
    text = f"services:\n  o:\n    image: livepeer/go-livepeer:1\n    ports: ['9443:1']\n    command: {ROLE}\n"

    assert 'listen: "0.0.0.0:9443"' in imported(text).fleet


def test_kubernetes__secret_beside_it__is_read_and_not_shown() -> None:
    pod = f"""
apiVersion: v1
kind: List
items:
  - {{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {{p: aHVudGVyMg==}}, stringData: {{o: plain-text}}}}
  - apiVersion: v1
    kind: Pod
    metadata: {{name: node}}
    spec:
      containers:
        - image: livepeer/go-livepeer:1
          command: [sh, -c, "exec livepeer {ROLE} {CHAIN} -cliAddr :7935 -orchSecret $(O)"]
          env:
            - {{name: LP_ETHPASSWORD, valueFrom: {{secretKeyRef: {{name: s, key: p}}}}}}
            - {{name: O, valueFrom: {{secretKeyRef: {{name: s, key: o}}}}}}
"""

    result = imported(pod)

    assert sorted(result.secrets.values()) == ["hunter2", "plain-text"]
    assert "hunter2" not in result.fleet + report_text(result)


def test_kubernetes__admin_port_in_the_cluster__is_dangerous() -> None:
    pod = f"""
apiVersion: v1
kind: Pod
metadata: {{name: node}}
spec:
  containers:
    - image: livepeer/go-livepeer:1
      args: [{", ".join((ROLE + " -cliAddr 0.0.0.0:7935").split())}]
"""

    assert "-cliAddr" in subjects(imported(pod), Outcome.DANGEROUS)


@pytest.mark.parametrize(
    ("flags", "subject"),
    [
        (f"{ROLE} {CHAIN} -cliAddr 0.0.0.0:7935", "-cliAddr"),
        (f"{ROLE} {CHAIN} -httpAddr 127.0.0.1:8935", "-httpAddr"),
        (f"-orchestrator -transcoder {CHAIN} -serviceAddr 10.0.0.1:8935 -pricePerUnit 1", "-serviceAddr"),
        (f"-orchestrator -transcoder {CHAIN} -serviceAddr http://a.example.org:8935 -pricePerUnit 1", "-serviceAddr"),
        (f"-orchestrator -transcoder {CHAIN} -serviceAddr a.example.org:1 -pricePerUnit 0", "-pricePerUnit"),
        (f"-orchestrator -transcoder {CHAIN} -serviceAddr a.example.org:1", "-pricePerUnit"),
        (f"{ROLE} {CHAIN} -ticketEV 4000000000000", "-ticketEV"),
        (f"{ROLE} {CHAIN} -maxFaceValue 7", "-maxFaceValue"),
        (f"{ROLE} {CHAIN} -autoAdjustPrice=false", "-autoAdjustPrice"),
        (f"{ROLE} {CHAIN} -ethPassword hunter2hunter2", "-ethPassword"),
        (f"{ROLE} {CHAIN} -maxSessions auto", "-maxSessions"),
        (f"{ROLE} -network rinkeby -ethUrl https://r.example.org", "-network"),
        (f"{ROLE} -network arbitrum -ethUrl https://r.example.org", "-network"),
        (f"-redeemer -httpAddr 0.0.0.0:8935 {CHAIN}", "-httpAddr"),
        (f"-gateway {CHAIN} -ethPassword hunter2hunter2", "-ethPassword"),
        (f"{ROLE} -objectStore s3://id:s3cr3t@eu/bucket", "-objectStore"),
        (f"{ROLE} -kafkaPassword hunter2hunter2", "-kafkaPassword"),
        ("-orchestrator -serviceAddr a.example.org:1", "-orchSecret"),
        ("-transcoder -aiWorker -orchAddr a:1 -orchSecret /s", "-aiWorker"),
    ],
)
def test_setting__that_may_cost_money_or_keys__is_dangerous(flags: str, subject: str) -> None:
    assert subject in subjects(imported(f"livepeer {flags}"), Outcome.DANGEROUS)


def test_redeemer__with_orchestrator_beside__is_a_redeemer() -> None:
    result = imported(f"livepeer -redeemer {ROLE} {CHAIN}")

    assert "role: redeemer" in result.fleet
    assert "-orchestrator: says nothing to go-livepeer as redeemer" in report_text(result)


def test_initialize_round__without_reward__is_explained() -> None:
    result = imported(f"livepeer {ROLE} {CHAIN} -reward=false -initializeRound")

    assert "-initializeRound" in subjects(result, Outcome.NO_COUNTERPART)


def test_reward__by_another_account__has_to_be_named_on_chain() -> None:
    address = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"

    result = imported(f"livepeer {ROLE} {CHAIN} -reward -ethOrchAddr {address}")

    assert "on_chain.reward_caller" in report_text(result)


def test_two_machines__both_rewarding__are_told() -> None:
    flags = f"livepeer {CHAIN} -orchestrator -transcoder -pricePerUnit 1 -reward -serviceAddr"

    result = imported(f"{flags} a.example.org:1", ("t", f"{flags} b.example.org:1"))

    assert "`s` calls reward as well" in report_text(result)


def test_worker__of_an_orchestrator_with_transcoder__is_told_to_fail() -> None:
    result = imported(
        f"livepeer {ROLE} -orchSecret /s.txt",
        ("t", "livepeer -transcoder -orchAddr a.example.org:1 -orchSecret /other.txt"),
    )

    text = report_text(result)
    assert "unknown service net.Transcoder" in text
    assert "`s` says its secret otherwise" in text
    assert result.fleet.count("orch-secret-2") == 0


def test_models__flags_that_exclude_each_other__are_told() -> None:
    models = (
        '[{"pipeline": "text-to-image", "model_id": "a", "optimization_flags": {"SFAST": true, "DEEPCACHE": true}}]'
    )

    result = imported(f"livepeer {ROLE} -aiWorker -nvidia all -aiModels m.json", ("m.json", models))

    assert "SFAST and DEEPCACHE exclude each other" in report_text(result)


def test_models__that_go_livepeer_refuses__are_left_to_do() -> None:
    result = imported(f"livepeer {ROLE} -aiWorker -nvidia all -aiModels m.json", ("m.json", '[{"pipeline": "x"}]'))

    assert "m.json:1:15: Pipeline is not valid capability: x" in report_text(result)
    assert "-aiModels" in subjects(result, Outcome.TO_DO)
    assert "models" not in result.fleet.partition("hosts:")[2]


def test_keystore__found_in_a_folder_of_this_machine__is_named(tmp_path: Path) -> None:
    address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    for other in (address.lower()[2:], "ab" * 20):
        (tmp_path / f"UTC--2024-01-01T00-00-00.0Z--{other}").write_text("{}")

    result = imported(f"livepeer {ROLE} {CHAIN} -ethKeystorePath {tmp_path} -ethAcctAddr {address}")

    assert f"host_file: {tmp_path}/UTC--2024-01-01T00-00-00.0Z--{address.lower()[2:]}" in result.fleet


def test_keystore__one_of_several__is_not_guessed(tmp_path: Path) -> None:
    for other in ("ab" * 20, "cd" * 20):
        (tmp_path / f"UTC--2024-01-01T00-00-00.0Z--{other}").write_text("{}")

    result = imported(f"livepeer {ROLE} {CHAIN} -ethKeystorePath {tmp_path}")

    assert "host_file" not in result.fleet
    assert "-ethKeystorePath" in subjects(result, Outcome.TO_DO)


def test_config_file__of_one_of_two_nodes__is_no_node_of_its_own() -> None:
    script = (
        f"livepeer {ROLE} -config /etc/lp.conf\nlivepeer -transcoder -orchAddr b.example.org:1 -orchSecret /s.txt\n"
    )

    result = imported(script, ("lp.conf", "orchestrator\nv 6\n"))

    assert result.hosts == ("s", "s-2")
    assert result.fleet.count("log_level: DEBUG") == 1


def test_wide_config_file__with_a_secret__is_dangerous(tmp_path: Path) -> None:
    path = tmp_path / "lp.conf"
    path.write_text("orchestrator\ntranscoder\norchSecret abcdef\n")
    path.chmod(0o640)

    open_one = import_nodes([Given(str(path), path.read_text(), tmp_path)], Wishes())
    path.chmod(0o600)
    shut_one = import_nodes([Given(str(path), path.read_text(), tmp_path)], Wishes())

    assert "in plain text in a file of mode 0640" in report_text(open_one)
    assert "of mode" not in report_text(shut_one)
