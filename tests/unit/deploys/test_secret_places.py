"""Where a host keeps its secrets: as files, in memory, or sealed for itself; and no copy where they were before."""

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploys import steps
from deploys.facts import FileFact, Observed, SafetyFacts
from deploys.outcome import Outcome, Shell
from livefleet.spec import Fleet, load_fleet, to_yaml
from tests.builders.deploys import a_host, a_node

pytestmark = pytest.mark.unit

FLEET = """\
name: f
network: offchain
keys: {{hot: {{file: hot, password: {{file: pw}}}}}}
secrets: {{join: {{file: join}}, pem: {{host_file: /etc/ssl/door.pem}}}}
hosts:
  orch:
    address: 10.0.0.1
    role: orchestrator
    service: {{secrets: {place}}}
    orchestrator: {{service_uri: "https://x:8935", key: hot, worker_secret: join, tls: {{certificate: pem}}}}
"""
CONTENTS = {"hot": b"k3y", "pw": b"p4ss", "join": b"j0in"}
SYSTEMD = SafetyFacts(systemd_version=252, systemd_creds=True)


def a_fleet(folder: Path, place: str) -> Fleet:
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    (folder / "fleet.yaml").write_text(FLEET.format(place=place))
    return load_fleet(folder / "fleet.yaml")


def files_of(folder: Path, place: str) -> tuple[Any, dict[str, bytes], tuple[steps.HostFile, ...]]:
    fleet = a_fleet(folder, place)
    node = fleet.node("orch")
    sent = {item.host_path: item.read({}) for item in fleet.secrets_to_send("orch")}
    return node, sent, steps.node_files(node, "a: 1\n", sent, "livefleet")


def text_of(outcome: Outcome) -> str:
    return "\n".join(command.text for command in outcome.commands if isinstance(command, Shell))


@pytest.mark.parametrize(
    ("place", "paths"),
    [
        ("state", [f"/var/lib/livefleet/{name}" for name in ("keys/hot", "passwords/hot", "secrets/join")]),
        ("tmpfs", [f"/run/livefleet/{name}" for name in ("keys/hot", "passwords/hot", "secrets/join")]),
        (
            "credentials",
            [f"/etc/credstore.encrypted/livefleet.{name}" for name in ("keys.hot", "passwords.hot", "secrets.join")],
        ),
    ],
)
def test_place__decides_where_everything_lies__and_host_files_stay(tmp_path: Path, place: str, paths: list) -> None:
    node, _, files = files_of(tmp_path, place)
    assert [file.path for file in files if file.secret] == paths
    assert all(file.mode == 0o600 for file in files)
    assert node.secrets["pem"] == "/etc/ssl/door.pem"


def test_credentials__the_agent_reads_where_systemd_opens_them_and_the_unit_names_them(tmp_path: Path) -> None:
    node, _, _ = files_of(tmp_path, "credentials")
    assert node.keys["hot"].file == "/run/credentials/livefleet.service/keys.hot"
    assert node.keys["hot"].password_file == "/run/credentials/livefleet.service/passwords.hot"
    unit = steps.render_unit(node, gpu=False)
    loaded = [line for line in unit.splitlines() if line.startswith("LoadCredential")]
    store = "/etc/credstore.encrypted/livefleet."
    names = ("keys.hot", "passwords.hot", "secrets.join")
    assert loaded == [f"LoadCredentialEncrypted={name}:{store}{name}" for name in names]


def test_tmpfs__the_unit_waits_for_them_after_a_reboot_and_a_stop_leaves_them(tmp_path: Path) -> None:
    node, _, _ = files_of(tmp_path, "tmpfs")
    unit = steps.render_unit(node, gpu=False)
    assert "RuntimeDirectoryPreserve=yes\n" in unit
    for path in ("keys/hot", "passwords/hot", "secrets/join"):
        assert f"ConditionPathExists=/run/livefleet/{path}\n" in unit
    assert "ConditionPathExists" not in steps.render_unit(files_of(tmp_path, "state")[0], gpu=False)


def test_config__credentials__are_sealed_by_the_host_and_their_store_stays_roots(tmp_path: Path) -> None:
    node, _, files = files_of(tmp_path, "credentials")
    outcome = steps.config(node, files, a_host(current="r1"), "livefleet", "r1", "/opt/livefleet", "s1")
    text = text_of(outcome)
    assert "systemd-creds encrypt --name=keys.hot - /etc/credstore.encrypted/livefleet.keys.hot.livefleet-new" in text
    chown = next(line for line in text.splitlines() if line.startswith("chown livefleet: "))
    assert "/etc/credstore.encrypted" not in chown
    for content in CONTENTS.values():
        for shown in (text, repr(outcome), *outcome.diff, *outcome.notes):
            assert content.decode() not in shown
            assert base64.b64encode(content).decode() not in shown


@pytest.mark.parametrize(("place", "action"), [("state", "reload"), ("tmpfs", "reload"), ("credentials", "restart")])
def test_worker_secret__its_content_changes__restarts_only_where_it_is_sealed(
    tmp_path: Path, place: str, action: str
) -> None:
    node, sent, _ = files_of(tmp_path, place)
    yaml = to_yaml(node)
    files = steps.node_files(node, yaml, sent, "livefleet")
    found = {f.path: FileFact(mode=f.mode, owner="livefleet", sha256=f.sha256) for f in files}
    found[files[0].path] = FileFact(mode=0o600, owner="livefleet", sha256=files[0].sha256, text=yaml)
    stamp = steps.stamp_of("r1", steps.lasting(node, files))
    host = a_host(current="r1", started=stamp, active=True, files=found)
    assert steps.agent_change(node, "r1", files, stamp, host).action.value == ""
    rotated = {path: b"0ther" if "join" in path else content for path, content in sent.items()}
    files = steps.node_files(node, yaml, rotated, "livefleet")
    stamp = steps.stamp_of("r1", steps.lasting(node, files))
    assert steps.agent_change(node, "r1", files, stamp, host).action.value == action


def test_worker_secret__a_new_one_beside_the_old__only_reloads_and_so_does_dropping_the_old(tmp_path: Path) -> None:
    before = ", worker_secret_before: {{secret: join, until: 2099-01-01T00:00Z}}"
    rotated = FLEET.replace("worker_secret: join", f"worker_secret: next{before}")
    rotated = rotated.replace("secrets: {{join", "secrets: {{next: {{file: pw}}, join")
    texts = (FLEET, rotated, rotated.replace(before, ""))
    host = None
    for text in texts:
        a_fleet(tmp_path, "state")
        (tmp_path / "fleet.yaml").write_text(text.format(place="state"))
        fleet = load_fleet(tmp_path / "fleet.yaml")
        node = fleet.node("orch")
        sent = {item.host_path: item.read({}) for item in fleet.secrets_to_send("orch")}
        files = steps.node_files(node, to_yaml(node), sent, "livefleet")
        stamp = steps.stamp_of("r1", steps.lasting(node, files))
        if host is not None:
            change = steps.agent_change(node, "r1", files, stamp, host)
            assert change.action.value == "reload", change.reasons
        found = {f.path: FileFact(mode=f.mode, owner="livefleet", sha256=f.sha256) for f in files}
        found[files[0].path] = FileFact(mode=0o600, owner="livefleet", sha256=files[0].sha256, text=to_yaml(node))
        host = a_host(current="r1", started=stamp, active=True, files=found)


@pytest.mark.parametrize(
    ("place", "kind", "facts", "words"),
    [
        ("credentials", steps.ServiceKind.SYSTEMD, a_host(safety=SYSTEMD), None),
        ("credentials", steps.ServiceKind.PROCESS, a_host(safety=SYSTEMD), "needs a node that systemd runs"),
        ("credentials", steps.ServiceKind.SYSTEMD, a_host(safety=SafetyFacts(systemd_version=249)), "has 249"),
        ("tmpfs", steps.ServiceKind.PROCESS, a_host(), None),
        ("state", steps.ServiceKind.PROCESS, a_host(), None),
    ],
)
def test_place__host_cannot__is_refused(
    tmp_path: Path, place: str, kind: steps.ServiceKind, facts: Observed, words: str | None
) -> None:
    refusal = steps.fits_secret_place(a_fleet(tmp_path, place).node("orch"), kind, facts).refusal
    assert refusal is None if words is None else words in (refusal or "")


def test_leftovers__a_copy_of_what_moved__is_deleted_and_nothing_else(tmp_path: Path) -> None:
    fleet = a_fleet(tmp_path, "tmpfs")
    sent = {item.host_path: item.read({}) for item in fleet.secrets_to_send("orch")}
    elsewhere = [(item.host_path, other) for item in fleet.secrets_to_send("orch") for other in item.elsewhere]

    def found(content: bytes) -> FileFact:
        return FileFact(mode=0o600, owner="livefleet", sha256=hashlib.sha256(content).hexdigest())

    files = {
        "/var/lib/livefleet/keys/hot": found(b"k3y"),
        "/var/lib/livefleet/secrets/join": found(b"another one, which somebody may still want"),
        "/etc/credstore.encrypted/livefleet.passwords.hot": found(b"p4ss"),
    }
    outcome = steps.leftovers(fleet.node("orch"), sent, elsewhere, a_host(files=files))
    removed = "rm -f /etc/credstore.encrypted/livefleet.passwords.hot /var/lib/livefleet/keys/hot"
    assert text_of(outcome).splitlines()[-2:] == [removed, "rm -rf /opt/livefleet/previous"]
    assert steps.leftovers(fleet.node("orch"), sent, elsewhere, a_host()) == Outcome()


def test_unit__devices_closed_to_others__their_group_is_given() -> None:
    node = a_node()
    closed = a_host(nvidia_pci=(1,), safety=SafetyFacts(nvidia_device=(0o660, "video")))
    assert b"SupplementaryGroups=video\n" in steps.unit_file(node, closed).content
    for open_to_all in (SafetyFacts(nvidia_device=(0o666, "root")), SafetyFacts(nvidia_device=(0o660, "root"))):
        assert b"SupplementaryGroups" not in steps.unit_file(node, a_host(safety=open_to_all)).content


def test_unit__exposure__stays_low_by_systemds_own_measure(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    assert program is not None, "systemd-analyze is part of systemd, which the test hosts need anyway"
    unit = tmp_path / "livefleet.service"
    unit.write_text(steps.render_unit(a_node(), gpu=True))
    done = subprocess.run(
        [program, "security", "--offline=yes", "--no-pager", "--threshold=22", str(unit)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr
