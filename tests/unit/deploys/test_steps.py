"""Facts in, exact commands out."""

import base64
import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploys import steps
from deploys.facts import FileFact, Observed, parse_facts, script
from deploys.facts.agent import Answer, parse_answer
from deploys.outcome import Outcome, Shell, Upload
from deploys.parcel import Room
from tests.builders.deploys import NOW, a_host, a_node, a_parcel

pytestmark = pytest.mark.unit

A_RELEASE = Room(releases=300 << 20, temporary=100 << 20)

RTX_4090 = 0x2684


def text_of(outcome: Outcome) -> str:
    return "\n".join(c.text for c in outcome.commands if isinstance(c, Shell))


def as_found(file: steps.HostFile, owner: str = "root") -> FileFact:
    return FileFact(mode=file.mode, owner=file.owner or owner, sha256=file.sha256, text=None)


# -- facts


def test_observe__this_machine__comes_to_its_end(tmp_path: Path) -> None:
    private = tmp_path / "with space"
    private.write_text("secret")
    private.chmod(0o600)
    public = tmp_path / "node.yaml"
    public.write_text("a: 1\n")
    done = subprocess.run(
        ["sh", "-c", script(str(tmp_path), [str(public)], [str(private), str(tmp_path / "absent")])],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = parse_facts(done.stdout.splitlines())
    assert found is not None
    assert found.python >= (3, 11)
    assert found.disk_free_kib > 0
    assert found.temporary_free_kib > 0
    assert found.files[str(private)].sha256 == hashlib.sha256(b"secret").hexdigest()
    assert found.files[str(private)].mode == 0o600
    assert found.files[str(private)].text is None
    assert found.files[str(public)].text == "a: 1\n"
    assert str(tmp_path / "absent") not in found.files
    assert base64.b64encode(b"secret").decode() not in done.stdout


def test_observe__cut_off__is_nothing() -> None:
    assert parse_facts(["uid=0", "machine=x86_64"]) is None


def test_observe__gpu_host__is_read() -> None:
    lines = ["uid=1000", "nvidia_pci=0x2684", "nvidia_pci=0x2684", "nvidia_loaded=580.65.06", "systemd=1", "end=1"]
    found = parse_facts(lines)
    assert found is not None
    assert (found.nvidia_pci, found.nvidia_loaded, found.systemd, found.uid) == (
        (RTX_4090, RTX_4090),
        "580.65.06",
        True,
        1000,
    )


# -- preflight


def test_preflight__good_host__passes() -> None:
    assert check(a_host()).refusal is None


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (a_host(python=(3, 9, 2)), "Python 3.9.2 is too old"),
        (a_host(machine="armv7l"), "armv7l is not supported"),
        (a_host(uid=1000, user="deploy"), "user deploy is not root"),
        (a_host(disk_free_kib=1024), "1 MiB are free where releases go, and 656 MiB are needed"),
        (a_host(clock=NOW - 4000), "the clock is -4000 s off"),
    ],
)
def test_preflight__unfit_host__is_refused_with_the_reason(facts: Observed, words: str) -> None:
    outcome = check(facts)
    assert outcome.refusal is not None
    assert words in outcome.refusal
    assert "exit 1" in text_of(outcome)


def test_preflight__several_faults__are_all_told() -> None:
    outcome = check(a_host(python=(3, 9, 2), disk_free_kib=1024))
    assert outcome.refusal is not None
    assert "too old" in outcome.refusal
    assert "MiB are free" in outcome.refusal


def test_preflight__sudo_asks_for_a_password__says_so() -> None:
    outcome = steps.preflight(a_node(), None, now=NOW, sudo=True, room=A_RELEASE)
    assert "NOPASSWD" in (outcome.refusal or "")
    (command,) = outcome.commands
    assert isinstance(command, Shell)
    assert command.as_login_user


def test_preflight__release_is_there__disk_need_not_be_free() -> None:
    assert steps.preflight(a_node(), a_host(disk_free_kib=1), now=NOW, sudo=False, room=None).refusal is None


def test_preflight__root_too_long_for_sockets__is_refused() -> None:
    outcome = check(a_host(), a_node(root="/tmp/" + "x" * 90))
    assert "too long" in (outcome.refusal or "")


@pytest.mark.parametrize(
    ("kind", "root", "systemd", "expected"),
    [
        ("auto", "/", True, "systemd"),
        ("auto", "/", False, "process"),
        ("auto", "/srv/x", True, "process"),
        ("process", "/", True, "process"),
        ("systemd", "/", True, "systemd"),
    ],
)
def test_choose_service__follows_spec_and_host(kind: str, root: str, systemd: bool, expected: str) -> None:
    node = a_node(root=root, service={"kind": kind})
    assert steps.choose_service(node, a_host(systemd=systemd)) == expected


def test_preflight__systemd_wanted_where_it_is_not__is_refused() -> None:
    assert check(a_host(systemd=False), a_node(service={"kind": "systemd"})).refusal is not None


# -- packages


def test_packages__all_there__is_no_change() -> None:
    assert steps.packages(a_host()) == Outcome()


def test_packages__no_nginx__installs_it_and_keeps_its_service_off() -> None:
    text = text_of(steps.packages(a_host(nginx=False)))
    assert "install --no-install-recommends nginx-light" in text
    assert text.index("systemctl mask --quiet nginx.service") < text.index("nginx-light")
    assert "policy-rc.d" in text
    assert "dpkg --configure -a" in text


def test_packages__node_without_a_front_door__needs_no_nginx() -> None:
    assert steps.packages(a_host(nginx=False), nginx=False) == Outcome()
    assert "python3" in text_of(steps.packages(a_host(nginx=False, python=()), nginx=False))


def test_packages__no_right_to_install__is_refused_with_the_command() -> None:
    outcome = steps.packages(a_host(nginx=False, sudo=False, uid=1000, user="me"))
    assert "apt-get install nginx-light" in (outcome.refusal or "")


# -- agent


def release_step(facts: Observed, *, local: bool = False) -> Outcome:
    return steps.agent(
        a_parcel(), "/opt/livefleet", facts, local=local, keep=3, bundle=lambda _: Path("/cache/bundles/b.tar")
    )


def test_agent__current__is_no_change() -> None:
    assert release_step(a_host(current="0.1.0-aaaaaaaaaaaa", releases=("0.1.0-aaaaaaaaaaaa",))) == Outcome()


def test_agent__bare_host__uploads_and_installs_and_switches_nothing() -> None:
    outcome = release_step(a_host())
    uploads = [c for c in outcome.commands if isinstance(c, Upload)]
    assert [u.dest for u in uploads] == [
        f"/opt/livefleet/incoming/{a_parcel().digest}.tar",
        "/opt/livefleet/incoming/livefleet-0.1.0-py3-none-any.whl",
    ]
    text = text_of(outcome)
    order = [text.index(w) for w in ("uv venv", "pip install", "livefleet --version", "sync -f", "/.complete\n")]
    assert order[:3] == sorted(order[:3])
    assert text.rindex("sync -f") < text.rindex("touch /opt/livefleet/releases")
    assert "--no-index" in text
    assert "mv -fT" not in text


def test_agent__bundle_is_there__only_the_wheel_travels() -> None:
    uploads = [c for c in release_step(a_host(bundles=(a_parcel().digest,))).commands if isinstance(c, Upload)]
    assert [Path(u.dest).name for u in uploads] == ["livefleet-0.1.0-py3-none-any.whl"]


def test_agent__installed_but_not_current__is_left_to_the_switch() -> None:
    facts = a_host(current="0.1.0-old", releases=("0.1.0-aaaaaaaaaaaa", "0.1.0-old"))
    assert release_step(facts) == Outcome()
    text = text_of(steps.config(a_node(), (), facts, None, "0.1.0-aaaaaaaaaaaa", "/opt/livefleet", "s1"))
    assert "mv -T /opt/livefleet/staged /opt/livefleet/switching" in text


def test_agent__local_host__uploads_nothing() -> None:
    outcome = release_step(a_host(), local=True)
    assert not [c for c in outcome.commands if isinstance(c, Upload)]


def test_agent__prune_script__keeps_what_runs_what_ran_before_and_the_newest(tmp_path: Path) -> None:
    releases = tmp_path / "releases"
    names = ["0.1.0-aaaaaaaaaaaa", "0.1.0-new", "0.1.0-mid", "0.1.0-old", "0.1.0-runs", "0.1.0-ran"]
    for age, name in enumerate(names):
        (releases / name).mkdir(parents=True)
        (releases / name / ".complete").touch()
        subprocess.run(["touch", "-d", f"-{age} hours", str(releases / name)], check=True)
    (releases / "0.1.0-broken").mkdir()
    (tmp_path / "current").symlink_to("releases/0.1.0-runs")
    (tmp_path / "previous").mkdir()
    (tmp_path / "previous/release").write_text("0.1.0-ran\n")
    for keep, kept in ((4, {"0.1.0-new"}), (2, set())):
        outcome = steps.agent(a_parcel(), str(tmp_path), a_host(), local=True, keep=keep, bundle=lambda _: tmp_path)
        last = outcome.commands[-1]
        assert isinstance(last, Shell)
        subprocess.run(["sh", "-c", last.text], check=True, timeout=60)
        assert {p.name for p in releases.iterdir()} == {"0.1.0-aaaaaaaaaaaa", "0.1.0-runs", "0.1.0-ran"} | kept


# -- config

KEY = "test-only-not-a-key-0123456789"


def test_config__secrets__are_in_no_text_and_no_diff() -> None:
    node = a_node(secrets={"join": "secrets/join"})
    files = steps.node_files(node, "a: 1\n", {"secrets/join": KEY.encode()}, "livefleet")
    outcome = steps.config(node, files, a_host(), "livefleet", "r1", "/opt/livefleet", "s1")
    shown = [*outcome.notes, *outcome.diff, text_of(outcome), *map(repr, outcome.commands), *map(repr, files)]
    encoded = base64.b64encode(KEY.encode()).decode()
    assert not any(KEY in line or encoded in line for line in shown)
    assert "+a: 1" in outcome.diff
    assert any("secrets/join: is new (content not shown)" in line for line in outcome.diff)


def test_config__service_user__owns_every_private_folder() -> None:
    node = a_node(secrets={"join": "secrets/join"})
    files = steps.node_files(node, "a: 1\n", {"secrets/join": KEY.encode()}, "livefleet")
    lines = text_of(steps.config(node, files, a_host(), "livefleet", "r1", "/opt/livefleet", "s1")).splitlines()
    folders = "/var/lib/livefleet /var/lib/livefleet/keys /var/lib/livefleet/secrets"
    assert f"chmod 700 {folders}" in lines
    assert f"chown livefleet: {folders} /var/log/livefleet" in lines


def test_config__same_on_the_host__is_no_change() -> None:
    node = a_node()
    files = steps.node_files(node, "a: 1\n", {"secrets/join": KEY.encode()}, "livefleet")
    found = a_host(service_user=True, current="r1", files={f.path: as_found(f) for f in files})
    assert steps.config(node, files, found, "livefleet", "r1", "/opt/livefleet", "s1") == Outcome()


@pytest.mark.parametrize("change", [{"mode": 0o644}, {"owner": "root"}, {"sha256": "0" * 64}])
def test_config__one_file_otherwise__only_that_is_written(change: dict[str, object]) -> None:
    node = a_node()
    files = steps.node_files(node, "a: 1\n", {"secrets/join": KEY.encode()}, "livefleet")
    found = {f.path: as_found(f) for f in files}
    found[files[1].path] = replace(found[files[1].path], **change)  # type: ignore[arg-type] -- table of fields
    host = a_host(service_user=True, current="r1", files=found)
    outcome = steps.config(node, files, host, "livefleet", "r1", "/opt/livefleet", "s1")
    assert outcome.notes == ("write /var/lib/livefleet/secrets/join",)


def test_config__script__writes_private_files_whole(tmp_path: Path) -> None:
    node = a_node(root=str(tmp_path))
    content = bytes(range(256))
    files = steps.node_files(node, "a: 1\n", {"keys/main": content}, None)
    (command,) = steps.config(node, files, a_host(), None, "r1", f"{tmp_path}/opt/livefleet", "s1").commands
    assert isinstance(command, Shell)
    stdin = "".join(f"{line}\n" for line in command.stdin)
    subprocess.run(["sh", "-c", command.text], input=stdin, text=True, check=True, timeout=60)
    key = node.paths.state / "keys/main"
    assert key.read_bytes() == content
    assert key.stat().st_mode & 0o777 == 0o600
    assert node.paths.node_yaml.stat().st_mode & 0o777 == 0o600
    assert node.paths.state.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.rglob("*.livefleet-new"))


# -- service


def test_unit__worker_without_gpu__is_the_golden_one() -> None:
    node = a_node(orchestrator=None, role="worker", worker={"orchestrator": "o:8935", "secret": "join"}, name="w-1")
    golden = Path(__file__).parent / "livefleet.service"
    assert steps.render_unit(node, gpu=False) == golden.read_text()


def test_unit__gpu__may_use_its_devices_under_both_driver_names() -> None:
    unit = steps.render_unit(a_node(), gpu=True)
    assert "DeviceAllow=char-nvidia rw\n" in unit
    assert "DeviceAllow=char-nvidia-frontend rw\n" in unit
    assert "DeviceAllow=char-nvidia-uvm rw\n" in unit
    assert "PrivateDevices" not in unit
    assert "MemoryDenyWriteExecute" not in unit
    # What the driver reported before the agent ran stands in the kernel log alone.
    assert "SupplementaryGroups=systemd-journal\n" in unit
    assert "SupplementaryGroups=video\nSupplementaryGroups=systemd-journal\n" in steps.render_unit(
        a_node(), gpu=True, device_group="video"
    )


def test_unit__privileged_port__gets_the_one_capability() -> None:
    node = a_node(orchestrator={"service_uri": "https://x.example:443", "listen": "0.0.0.0:443"})
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE\n" in steps.render_unit(node, gpu=False)


# -- verify


def test_verify__ready_in_the_deployed_version__is_no_change() -> None:
    answer = Answer(ready=True, version="0.1.0")
    assert steps.verify(a_node(), steps.ServiceKind.SYSTEMD, "0.1.0", answer) == Outcome()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(unreachable="[Errno 111] Connection refused"), "does not answer on 127.0.0.1:7936"),
        (Answer(ready=True, version="0.0.9"), "version 0.0.9 answers"),
        (Answer(version="0.1.0", blocking=("ChainReachable: no endpoint answers",)), "ChainReachable: no endpoint"),
    ],
)
def test_verify__not_serving__fails_saying_what_blocks(answer: Answer, words: str) -> None:
    outcome = steps.verify(a_node(), steps.ServiceKind.SYSTEMD, "0.1.0", answer)
    assert words in (outcome.refusal or "")
    assert text_of(outcome).endswith("exit 1")


def test_answer__blocking_conditions__are_sentences() -> None:
    line = (
        '{"ready": {"ready": false}, "status": {"version": "0.1.0", "conditions": ['
        '{"name": "ModelWarm", "subject": "a/b", "status": "unknown", "message": "loading", "gates_ready": true},'
        '{"name": "Tips", "status": "false", "message": "no matter", "gates_ready": false}]}}'
    )
    assert parse_answer(["noise", line]) == Answer(version="0.1.0", blocking=("ModelWarm a/b: loading",))


# -- remove


def test_remove__keeps_keys_and_tickets_unless_purged() -> None:
    kept = text_of(steps.remove(a_node(), "/opt/livefleet", a_host(active=True), purge=False, present=True))
    gone = text_of(steps.remove(a_node(), "/opt/livefleet", a_host(active=True), purge=True, present=True))
    assert "/var/lib/livefleet" not in kept
    assert "/var/lib/livefleet" in gone
    assert kept.index("disable --now") < kept.index("rm -rf")


def test_remove__nothing_there__is_no_change() -> None:
    assert steps.remove(a_node(), "/opt/livefleet", a_host(), purge=True, present=False).commands == ()


def check(facts: Observed, node: object = None) -> Outcome:
    return steps.preflight(node or a_node(), facts, now=NOW, sudo=False, room=A_RELEASE)  # type: ignore[arg-type] -- a node
