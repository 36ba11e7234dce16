"""A repository of an operator's own, written from a few choices."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from livefleet.cli import main
from livefleet.cli.starter import Choices, StarterHost, starter_files
from livefleet.spec import NetworkName, Role, load_fleet

pytestmark = pytest.mark.unit

SPLIT = ("--host", "orch=10.0.0.1", "--host", "gpu-1=10.0.0.2,worker", "--host", "gpu-2=10.0.0.3,worker")


def init(folder: Path, *arguments: str, typed: str | None = None):
    return CliRunner().invoke(main, ["init", str(folder), *arguments], input=typed)


def told(folder: Path, *arguments: str) -> dict:
    result = init(folder, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_init__no_choices__is_a_valid_fleet_whose_placeholders_are_told(tmp_path: Path) -> None:
    found = told(tmp_path / "home")
    assert found["written"] == ["fleet.yaml", ".gitignore", "README.md", "keys/", "secrets/"]
    fleet = load_fleet(tmp_path / "home/fleet.yaml")
    assert (fleet.name, fleet.hosts) == ("home", ("node",))
    assert fleet.node("node").network.name is NetworkName.ARBITRUM_ONE
    said = "\n".join(found["missing"])
    for placeholder in (
        "arb1.example.com",
        "203.0.113.10",
        "keys/orchestrator.json",
        "secrets/orchestrator-passphrase",
    ):
        assert placeholder in said
    assert (tmp_path / "home/keys").stat().st_mode & 0o777 == 0o700


def test_init__orchestrator_and_workers__join_it_by_one_secret(tmp_path: Path) -> None:
    told(tmp_path / "pool", *SPLIT)
    fleet = load_fleet(tmp_path / "pool/fleet.yaml")
    assert [fleet.node(name).role for name in fleet.hosts] == [Role.ORCHESTRATOR, Role.WORKER, Role.WORKER]
    worker = fleet.node("gpu-1").worker
    assert worker is not None
    assert worker.orchestrator == "10.0.0.1:8935"
    assert fleet.node("orch").secrets == fleet.node("gpu-2").secrets == {"join": "secrets/join"}
    assert "orchestrator" not in fleet.node("gpu-1").keys


def test_init__workers_of_somebody_else__need_no_chain_and_no_key(tmp_path: Path) -> None:
    found = told(tmp_path / "w", "--role", "worker", "--host", "gpu=10.0.0.9", "--orchestrator", "pool.test.org:8935")
    (missing,) = found["missing"]
    place = f"{tmp_path}/w/fleet.yaml:{line(tmp_path / 'w', '  join:')}:3"
    assert missing.startswith(f"{place}: secrets.join: no file secrets/join yet;")
    assert not (tmp_path / "w/keys").exists()
    assert not load_fleet(tmp_path / "w/fleet.yaml").node("gpu").network.on_chain


def test_init__this_machine_in_a_folder__lacks_nothing_and_git_leaves_the_folder_out(tmp_path: Path) -> None:
    found = told(tmp_path / "d", "--host", "solo=@local", "--network", "offchain", "--profile", "cpu", "--root", "node")
    assert found["missing"] == []
    assert load_fleet(tmp_path / "d/fleet.yaml").node("solo").root == str(tmp_path / "d/node")
    assert "/node/" in (tmp_path / "d/.gitignore").read_text().splitlines()


def test_init__a_file_is_there__nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    result = init(tmp_path)
    assert result.exit_code == 2
    assert "has .gitignore already, and nothing was touched" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".gitignore"]
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--profile", "nvidia-turin"), "did you mean `nvidia-turing`?"),
        (("--host", "a b=1.1.1.1"), "`a b` is not fit for a name"),
        (("--host", "gpu-1"), "write NAME=ADDRESS"),
        (("--host", "gpu-1=10.0.0.1,gateway"), "roles: orchestrator, worker"),
        (("--host", "a=10.0.0.1", "--host", "a=10.0.0.2"), "there is a host a already"),
        (("--orchestrator", "o.test.org:8935"), "no host is a worker"),
        (("--role", "worker", "--orchestrator", "nowhere"), "hosts.node.worker.orchestrator"),
    ],
)
def test_init__choices_make_no_fleet__says_why_and_writes_nothing(tmp_path: Path, arguments, said) -> None:
    result = init(tmp_path / "x", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "x").exists()


def test_init__asked_on_the_terminal__answers_are_taken(tmp_path: Path) -> None:
    answers = "home\n10.0.0.1\norch\norchestrator\n10.0.0.2\ngpu\nworker\n\noffchain\ncpu\n"
    result = init(tmp_path / "asked", "--ask", typed=answers)
    assert result.exit_code == 0, result.output
    fleet = load_fleet(tmp_path / "asked/fleet.yaml")
    assert (fleet.name, fleet.hosts, fleet.host("gpu").profile) == ("home", ("orch", "gpu"), "cpu")


def test_init__where__is_the_folder_that_pyinfra_needs() -> None:
    result = CliRunner().invoke(main, ["init", "--where"])
    assert (Path(result.output.strip()) / "deploys/site.py").is_file()


def test_gitignore__leaves_out_every_file_that_the_spec_calls_secret(tmp_path: Path) -> None:
    told(tmp_path / "pool", *SPLIT)
    fleet = load_fleet(tmp_path / "pool/fleet.yaml")
    sent = {item.ref.file for name in fleet.hosts for item in fleet.secrets_to_send(name)}
    ignored = (tmp_path / "pool/.gitignore").read_text().splitlines()
    assert sent == {"keys/orchestrator.json", "secrets/orchestrator-passphrase", "secrets/join"}
    assert all(f"/{Path(str(file)).parts[0]}/" in ignored for file in sent)


def test_readme__every_command_in_it_exists(tmp_path: Path) -> None:
    told(tmp_path / "pool", *SPLIT)
    verbs = set(re.findall(r"^livefleet ([a-z]+)", (tmp_path / "pool/README.md").read_text(), re.MULTILINE))
    assert verbs >= {"validate", "plan", "apply", "status", "logs", "exec", "diag", "drain"}
    for verb in verbs:
        assert CliRunner().invoke(main, [verb, "--help"]).exit_code == 0, verb


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
ADDRESSES = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True) | st.sampled_from(["::1", "@local"])
HOSTS = st.builds(StarterHost, NAMES, ADDRESSES, st.sampled_from([Role.ORCHESTRATOR, Role.WORKER]))


@given(st.lists(HOSTS, min_size=1, max_size=4, unique_by=(lambda h: h.name, lambda h: h.address)), NAMES)
def test_starter_files__any_names_and_addresses__come_back_from_the_file_as_they_were(tmp_path_factory, hosts, name):
    path = tmp_path_factory.mktemp("any") / "fleet.yaml"
    path.write_text(starter_files(Choices(name, NetworkName.OFFCHAIN, tuple(hosts), "cpu"))["fleet.yaml"])
    fleet = load_fleet(path)
    assert fleet.name == name
    assert [StarterHost(host, fleet.host(host).address, fleet.node(host).role) for host in fleet.hosts] == hosts


def line(folder: Path, text: str) -> int:
    lines = (folder / "fleet.yaml").read_text().splitlines()
    return next(number for number, one in enumerate(lines, 1) if one.startswith(text))
