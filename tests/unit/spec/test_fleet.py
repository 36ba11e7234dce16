import dataclasses
from pathlib import Path

import pytest

from livefleet.kernel import BadInput
from livefleet.spec import Role, SpecError, load_fleet, load_profile, profile_names
from tests.builders.spec import HEAD, README_EXAMPLE, a_big_fleet, a_fleet, problems

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "host name or IP address to reach it by ssh, or `@local` for this machine"
GPUS = "`all` present ones, `none`, or a list of exact UUIDs"
ORCH = "role: orchestrator, orchestrator: {service_uri: 'https://o.example.com:8935'}"


def test_load__readme_example__is_one_orchestrator(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, README_EXAMPLE, cpu="gpus: none\n")
    node = fleet.node("gpu-1")
    assert (fleet.name, fleet.hosts) == ("demo", ("gpu-1",))
    assert (node.role, node.gpus, node.profile, str(node.prices.video)) == (Role.ORCHESTRATOR, "none", "cpu", "1200")
    assert node.duties.reward
    assert node.duties.redemption
    assert node.duties.transcoding
    assert fleet.host("gpu-1").address == "203.0.113.10"


@pytest.mark.parametrize("path", sorted((ROOT / "inventory/examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_load__example__is_right(path: Path) -> None:
    assert load_fleet(path).hosts


@pytest.mark.parametrize("path", [ROOT / f"profiles/{name}.yaml" for name in profile_names()], ids=lambda p: p.stem)
def test_load_profile__of_the_checkout__is_right_and_described(path: Path) -> None:
    assert load_profile(path).description
    assert "# Source: " in path.read_text()


def test_merge__host_over_groups_over_profile_over_defaults__origins_are_kept(tmp_path: Path) -> None:
    fleet = a_fleet(
        tmp_path,
        HEAD
        + "defaults:\n  profile: big\n  prices: {video: 1}\n  driver: {branch: 550}\n"
        + "  monitoring: {log_level: DEBUG, sample_every_s: 9}\n"
        + "groups:\n  eu: {driver: {flavour: open}, monitoring: {sample_every_s: 2}}\n"
        + "  de: {monitoring: {sample_every_s: 3}}\n"
        + f"hosts:\n  a: {{address: x, groups: [eu, de], prices: {{video: 2}}, {ORCH}}}\n",
        big="driver: {branch: 580, flavour: proprietary}\n",
    )
    node, origins = fleet.node("a"), fleet.origins("a")
    assert node.prices.video.amount == 2
    assert (node.driver.branch, node.driver.flavour) == (580, "open")
    assert (node.monitoring.log_level, node.monitoring.sample_every_s) == ("DEBUG", 3.0)
    layers = {
        path: (origin.layer, origin.line)
        for path, _, origin in origins.leaves(node.model_dump(mode="json"))
        if origin is not None
    }
    assert layers[("prices", "video")] == ("host a", 13)
    assert layers[("driver", "flavour")] == ("group eu", 10)
    assert layers[("driver", "branch")] == ("profile big", 1)
    assert layers[("monitoring", "sample_every_s")] == ("group de", 11)
    assert layers[("monitoring", "log_level")] == ("defaults", 8)
    assert layers[("network", "name")] == ("fleet", 2)
    assert ("service", "kind") not in layers


def test_profile__beside_the_fleet__wins_over_the_checkouts(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/cpu.yaml").write_text("driver: {branch: 999}\n")
    (tmp_path / "fleet.yaml").write_text(README_EXAMPLE)
    assert load_fleet(tmp_path / "fleet.yaml").node("gpu-1").driver.branch == 999
    (tmp_path / "profiles/cpu.yaml").unlink()
    assert load_fleet(tmp_path / "fleet.yaml").node("gpu-1").gpus == "none"


def test_host__paths__start_at_the_fleet_file(tmp_path: Path) -> None:
    text = (
        f"{HEAD}defaults: {{ssh: {{key: id, user: root}}}}\nhosts:\n  a: {{address: x, ssh: {{port: 2222}}, {ORCH}}}\n"
    )
    ssh = a_fleet(tmp_path, text).host("a").ssh
    assert (ssh.key, ssh.user, ssh.port, ssh.known_hosts) == (str(tmp_path / "id"), "root", 2222, None)


def test_host__unknown__asks_back(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, f"{HEAD}hosts:\n  gpu-1: {{address: x, {ORCH}}}\n")
    with pytest.raises(BadInput, match="no host `gpu-2`; did you mean `gpu-1`"):
        fleet.node("gpu-2")


def test_secrets__only_of_the_host_that_uses_them__are_sent(tmp_path: Path) -> None:
    text = README_EXAMPLE + (
        "  w: {address: y, role: worker, duties: [transcoding], worker: {orchestrator: 'z:1', secret: pool}}\n"
        "  v: {address: v, role: worker, duties: [transcoding], worker: {orchestrator: 'z:1', secret: there}}\n"
        "secrets: {pool: {env: POOL_SECRET}, there: {host_file: /etc/pool}}\n"
    )
    fleet = a_fleet(tmp_path, text, cpu="gpus: none\n")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/orchestrator.json").write_text("the key")
    key, password = fleet.secrets_to_send("gpu-1")
    assert (key.host_path, key.read({})) == ("keys/orchestrator", b"the key")
    assert password.host_path == "passwords/orchestrator"
    with pytest.raises(BadInput, match=r"keys.orchestrator.password: cannot read .*keys/passphrase: No such file"):
        password.read({})
    (secret,) = fleet.secrets_to_send("w")
    assert (secret.host_path, secret.read({"POOL_SECRET": "s3"})) == ("secrets/pool", b"s3")
    with pytest.raises(BadInput, match=r"secrets.pool: the environment variable POOL_SECRET is not set"):
        secret.read({})
    assert fleet.secrets_to_send("v") == []
    assert fleet.node("v").secrets == {"there": "/etc/pool"}
    assert fleet.node("w").keys == {}
    assert set(fleet.node("gpu-1").keys) == {"orchestrator"}


def test_problems__all_at_once__stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        HEAD + "defaults:\n  monitorng: {}\nhosts:\n"
        "  a: {adress: x, role: orchestrater}\n"
        "  b: {address: y, role: worker, dutys: [ai]}\n"
        "  b: {address: y, role: monitor, gpus: some}\n",
    )
    assert told == [
        "fleet.yaml:5:3: unknown key `monitorng` in `defaults`; did you mean `monitoring`?",
        f"fleet.yaml:7:3: `address` is missing in `hosts.a`; {ADDRESS}",
        "fleet.yaml:7:7: unknown key `adress` in `hosts.a`; did you mean `address`?",
        "fleet.yaml:7:24: `role` cannot be `orchestrater`; did you mean `orchestrator`?",
        "fleet.yaml:9:3: host `b` is declared twice; first on line 8",
        f"fleet.yaml:9:40: `gpus` should be 'all' or 'none' or should be a list, not `some`; {GPUS}",
    ]


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ("a: {address: x, role: orchestrator}", "fleet.yaml:5:3: `a`: role orchestrator needs `orchestrator:` with"),
        ("a: {address: x}", "fleet.yaml:5:3: `role` is missing in `hosts.a`"),
        (
            "a: {address: x, role: worker, worker: {secret: pool}}",
            "fleet.yaml:5:3: `orchestrator` is missing in `hosts.a.w",
        ),
        (
            "a: {address: x, role: worker, worker: {orchestrator: 'o:1', secret: pol}}",
            "5:71: no secret `pol` under `sec",
        ),
        ("a: {address: x, groups: [eu], role: monitor}", "fleet.yaml:5:28: no group `eu`; declare it under `groups`"),
        ("a: {address: x, profile: ../fleet, role: monitor}", "fleet.yaml:5:28: no profile `../fleet`"),
        ("a: {address: x, profile: cpy, role: monitor}", "fleet.yaml:5:28: no profile `cpy`; did you mean `cpu`?"),
        (
            "a: {address: x, role: monitor, duties: [reward]}",
            "5:43: duty `reward` is for orchestrators, not for a monitor",
        ),
        (
            "a: {address: x, duties: [redemption], ORCH}",
            "5:28: duty `redemption` needs a chain, and the network is off",
        ),
        ("a: {address: x, duties: [ai], ORCH}", "fleet.yaml:5:28: the duty `ai` has no models (a); list them"),
        ("a: {address: x, duties: [singing], ORCH}", "fleet.yaml:5:28: unknown duty `singing` in `hosts.a.duties`; kn"),
        ("a: {address: x, models: [{pipeline: text-to-image, model_id: m}], ORCH}", "5:19: models are declared with"),
        ("a: {address: x, network: devchain, ORCH}", "fleet.yaml:5:19: `network.rpc` is needed on devchain (a)"),
        ("a: {address: x, network: devchain, ORCH}", "`network.controller` is needed on devchain"),
        ("a: {address: x, network: devchain, ORCH}", "`orchestrator.key` is needed on devchain"),
        ("a: {address: x, prices: , ORCH}", "fleet.yaml:5:19: `prices` is empty; write its values below it"),
        ("a: {address: x, driver: {min_version: 570.26}, ORCH}", 'must be text, not `570.26`; write it in quotes: "57'),
        ("a/b: {address: x, role: monitor}", "fleet.yaml:5:3: `a/b` is not fit for a name; use letters"),
        ("a: [1]", "fleet.yaml:5:6: `a` must be a mapping, not a list"),
        ("a: {address: x, prices: {video: 1 btc}, ORCH}", "5:35: `video`: '1 btc' is not an amount; write for example"),
        ("a: {address: x, ORCH}\n  b: {address: x, root: /b, ORCH}", "6:7: hosts `a` and `b` have the same address"),
        ("a: {address: x, ORCH}\n  b: {address: x, root: /b, ORCH}", "6:77: hosts `a` and `b` have the same service_u"),
        (
            "a: {address: '@local', role: monitor}\n  b: {address: '@local', role: monitor}",
            "are one machine with the same ro",
        ),
        (
            "a: {address: x, ORCH}\n  b: {address: y, role: worker, worker: {orchestrator: 'DOOR', secret: pool}}",
            "`b` joins `a`, which takes no workers",
        ),
    ],
)
def test_problem__of_one_kind__is_told_at_its_place(tmp_path: Path, hosts: str, told: str) -> None:
    lines = problems(
        tmp_path,
        f"{HEAD}hosts:\n  {hosts.replace('ORCH', ORCH).replace('DOOR', 'o.example.com:8935')}\n",
        cpu="gpus: none\n",
    )
    assert any(told in line for line in lines), lines


def test_machines__same_address_by_different_ways__are_two(tmp_path: Path) -> None:
    hosts = "  a: {address: x, ssh: {port: 1}, role: monitor}\n  b: {address: x, ssh: {port: 2}, role: monitor}\n"
    assert a_fleet(tmp_path, f"{HEAD}hosts:\n{hosts}").hosts == ("a", "b")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "fleet.yaml:1:1: the file is empty; begin with `name:`"),
        ("- a\n", "fleet.yaml:1:1: the file must be a mapping"),
        ("name: x\nhosts: {}\n", "fleet.yaml:2:8: `hosts`: no host is declared"),
        ("name: x\nhosts:\n", "fleet.yaml:2:1: `hosts` must be a mapping, not empty; write its keys below it"),
        ("name: x\n", "fleet.yaml:1:1: `hosts` is missing"),
        ("name: x\nversion: 2\nhosts: {a: {address: x, role: monitor}}\n", "fleet.yaml:2:10: `version` cannot be `2`"),
        (
            "name: x\nkeys: {k: {}}\nhosts: {a: {address: x, role: monitor}}\n",
            "2:11: `k`: give exactly one of file, env, h",
        ),
        ("name: x\nnetwork: mainnet\nhosts: {a: {address: x, role: monitor}}\n", "2:10: `name` cannot be `mainnet`"),
        ("name: x\nhost: {}\n", "fleet.yaml:2:1: unknown key `host`; did you mean `hosts`?"),
        ("name: x\nhosts: {a: {address: x", "fleet.yaml:2:"),
    ],
)
def test_problem__of_the_whole_file__is_told(tmp_path: Path, text: str, told: str) -> None:
    lines = problems(tmp_path, text)
    assert any(told in line for line in lines), lines


def test_problem__in_defaults__is_told_once_for_all_hosts(tmp_path: Path) -> None:
    hosts = "".join(f"  h{n}: {{address: x{n}, role: monitor}}\n" for n in range(50))
    told = problems(tmp_path, f"{HEAD}defaults: {{duties: [reward], driver: {{branch: 1}}}}\nhosts:\n{hosts}")
    assert told == ["fleet.yaml:4:47: `branch` should be greater than or equal to 470, not `1`"]
    told = problems(tmp_path, f"{HEAD}defaults: {{duties: [reward]}}\nhosts:\n{hosts}")
    assert told == [
        "fleet.yaml:4:21: duty `reward` is for orchestrators, not for a monitor (h0 and 49 more); take it away"
    ]


def test_problem__in_a_profile__is_told_once_at_the_profile(tmp_path: Path) -> None:
    hosts = "".join(f"  h{n}: {{address: x{n}, role: monitor, profile: p}}\n" for n in range(9))
    told = problems(tmp_path, f"{HEAD}hosts:\n{hosts}", p="gpus: none\nprofile: q\ndriver: {brnch: 580}\n")
    assert told == [
        "profiles/p.yaml:2:1: unknown key `profile`; did you mean `role`?",
        "profiles/p.yaml:3:10: unknown key `brnch` in `driver`; did you mean `branch`?",
    ]


def test_problem__is_data_too(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        a_fleet(tmp_path, f"{HEAD}hosts:\n  a: {{address: x, dutys: [ai], role: monitor}}\n")
    (problem,) = caught.value.problems
    assert dataclasses.asdict(problem) == {
        "file": str(tmp_path / "fleet.yaml"),
        "line": 5,
        "column": 19,
        "message": "unknown key `dutys` in `hosts.a`",
        "hint": "did you mean `duties`?",
        "path": "hosts.a.dutys",
    }


def test_load__a_thousand_hosts__all_are_there(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, a_big_fleet(), **{"nvidia-turing": "gpus: all\n", "cpu": "gpus: none\n"})
    assert len(fleet.hosts) == 1000
    assert fleet.node("gpu-0999").gpus == ("GPU-00000999-1111-2222-3333-444455556666",)
