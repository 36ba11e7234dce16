"""Commands, logs and diagnostics over ssh on a real host: as root with systemd's journal, by sudo with a log file."""

import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.lab import Lab

pytestmark = [pytest.mark.component, pytest.mark.timeout(300)]

SECRETS = {
    "join": "pl4nted-join-secret",
    "key": "c0ffee" * 10 + "abcd",
    "url": "pl4ntedUrlPassw0rd",
    "rpc": "pl4ntedRpcKeyInThePath0",
    "flag": "pl4nted-in-argv",
    "named": "pl4nted-by-name",
}

FLEET = """\
name: lab
network: offchain
secrets: {{join: {{file: join}}}}
groups: {{sudoers: {{ssh: {{user: deploy, sudo: true}}}}}}
defaults:
  profile: cpu
  role: worker
  duties: [transcoding]
  worker: {{orchestrator: "127.0.0.1:1", secret: join}}
  ssh: {{user: root, key: {key}, known_hosts: {known_hosts}, connect_timeout_s: 5}}
hosts:
  as-root: {{address: {address}}}
  as-sudo: {{address: {address}, groups: [sudoers], root: /srv/two, monitoring: {{admin_listen: "127.0.0.1:7937"}}}}
  dead: {{address: 10.77.0.250, ssh: {{connect_timeout_s: 2}}}}
"""

# An agent that says a few lines and stays, once by systemd and once with a file; somebody's program beside it.
ON_HOST = """\
set -e
for root in / /srv/two/; do
  mkdir -p $root; cd $root
  mkdir -p var/lib/livefleet/secrets var/lib/livefleet/keys etc/livefleet var/log/livefleet
  chmod 700 var/lib/livefleet
  printf '%s\\n' {join} > var/lib/livefleet/secrets/join
  printf '%s\\n' {key} > var/lib/livefleet/keys/hot
  printf 'rpc: ["https://me:{url}@rpc.test/v2/{rpc}"]\\n' > etc/livefleet/node.yaml
done
cat > /usr/local/bin/agent <<'END'
#!/bin/sh
echo '{{"ts": "2026-03-01T10:00:00.000+00:00", "level": "info", "event": "agent.started", "n": 1}}'
echo '{{"ts": "2026-03-01T10:00:01.000+00:00", "level": "error", "event": "rpc.failed", "why": "{join} at {rpc}"}}'
echo '-----BEGIN PRIVATE KEY-----'
echo 'MHQCAQEEIPlanted'
echo '-----END PRIVATE KEY-----'
echo 'password={named} key {key}'
exec sleep 1000
END
chmod 755 /usr/local/bin/agent
printf '[Service]\\nExecStart=/usr/local/bin/agent\\n' > /etc/systemd/system/livefleet.service
systemctl daemon-reload; systemctl start livefleet
setsid /usr/local/bin/agent > /srv/two/var/log/livefleet/agent.log 2>&1 </dev/null &
printf '#!/bin/sh\\nwhile :; do sleep 1; done\\n' > /usr/local/bin/other; chmod 755 /usr/local/bin/other
setsid /usr/local/bin/other --ethPassword {flag} >/dev/null 2>&1 </dev/null &
"""


@dataclass
class Site:
    lab: Lab
    folder: Path

    def livefleet(self, *arguments: str, timeout_s: float = 100):
        command = [str(Path(sys.executable).with_name("livefleet")), *arguments]
        return self.lab.run(command, timeout_s=timeout_s, check=False, cwd=self.folder)


@pytest.fixture(scope="module")
def site(lab_hosts: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory) -> Site:
    lab = lab_hosts("host")
    folder = tmp_path_factory.mktemp("site")
    (folder / "join").write_text(SECRETS["join"])
    lab.hosts["host"].run(ON_HOST.format(**SECRETS))
    address = lab.hosts["host"].address
    (folder / "fleet.yaml").write_text(FLEET.format(key=lab.key, known_hosts=lab.known_hosts, address=address))
    return Site(lab, folder)


def test_exec__some_hosts__each_runs_it_with_its_rights_and_the_dead_one_hides_nothing(site: Site) -> None:
    done = site.livefleet("exec", "--json", "--", "id -un; echo lost >&2; test -e /etc/hostname")
    hosts = {host["host"]: host for host in json.loads(done.stdout)["hosts"]}
    assert [hosts[name]["code"] for name in ("as-root", "as-sudo", "dead")] == [0, 0, None]
    assert {hosts[name]["stdout"] for name in ("as-root", "as-sudo")} == {"root\n"}
    assert hosts["as-root"]["stderr"] == "lost\n"
    assert "cannot reach dead at 10.77.0.250" in hosts["dead"]["error"]
    assert done.returncode == 1

    done = site.livefleet("exec", "--group", "sudoers", "--as-login-user", "--", "id", "-un")
    assert (done.returncode, done.stdout) == (0, "deploy\n")


def test_exec__does_not_end__is_left_in_time_and_much_output_comes_whole(site: Site) -> None:
    command = "seq 200000; sleep 100"
    done = site.livefleet("exec", "--role", "worker", "--host", "as-sudo", "--timeout", "6s", "--", command)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 200000
    assert "as-sudo: `sh` did not end within 6 s" in done.stderr


def test_logs__of_the_journal__are_readable_masked_and_merged(site: Site) -> None:
    done = site.livefleet("logs", "as-root", "as-sudo", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    started = [line for line in lines if line["event"] == "agent.started"]
    assert {line["host"] for line in started} == {"as-root", "as-sudo"}
    assert started[0]["at"] == 1772359200.0
    shown = site.livefleet("logs", "as-sudo", "--level", "error", "--grep", "rpc").stdout
    assert shown == "2026-03-01 10:00:01.000 error   rpc.failed why=*** at ***\n"
    everything = done.stdout + site.livefleet("logs", "as-root", "as-sudo").stdout
    assert not [name for name, secret in SECRETS.items() if secret in everything]
    assert "IPlanted" not in everything


def test_logs__followed__new_lines_come_and_nothing_stays_on_the_host_afterwards(site: Site) -> None:
    host = site.lab.hosts["host"]
    command = [str(Path(sys.executable).with_name("livefleet")), "logs", "as-root", "as-sudo", "-f", "-n", "1"]
    with subprocess.Popen(
        site.lab.controller_command(command), cwd=site.folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            next(line for line in process.stdout if line.startswith("as-root | "))  # its journal is followed
            host.run("systemctl restart livefleet")
            line = next(line for line in process.stdout if "agent.started" in line)
            process.send_signal(signal.SIGINT)
            process.wait(20)
        finally:
            process.kill()  # where it stays, the test is to say so and not to wait with it
    assert line.startswith("as-root | ")
    deadline = time.monotonic() + 10
    while left := host.run("pgrep -af '[j]ournalctl --unit|[s]ys.stdin.buffer' || true").stdout.strip():
        assert time.monotonic() < deadline, f"left on the host: {left}"
        time.sleep(0.2)


def test_diag__planted_secrets__are_in_no_file_of_the_bundle(site: Site, tmp_path: Path) -> None:
    done = site.livefleet("diag", "-o", str(tmp_path / "x.tar.gz"), "--json")
    assert done.returncode == 1, done.stderr
    told = {host["host"]: host for host in json.loads(done.stdout)["hosts"]}
    assert "cannot reach dead" in told["dead"]["error"]
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "x.tar.gz").read_bytes())) as tar:
        texts = {m.name.partition("/")[2]: tar.extractfile(m).read().decode() for m in tar.getmembers()}
    for name in ("as-root", "as-sudo"):
        assert "https://***@rpc.test/v2/***" in texts[f"hosts/{name}/node.yaml"]
        assert "agent.started" in texts[f"hosts/{name}/agent.log"]
        assert "--ethPassword ***" in texts[f"hosts/{name}/processes.txt"]
        assert ":22" in texts[f"hosts/{name}/network.txt"]
        assert "systemd" in texts[f"hosts/{name}/packages.txt"]
        assert any(note.startswith("status.json: ") for note in told[name]["notes"])  # there is no agent
    assert "ActiveState=active" in texts["hosts/as-root/unit.txt"]
    whole = "\n".join(texts.values()) + done.stderr
    assert not [name for name, secret in SECRETS.items() if secret in whole]
    assert "IPlanted" not in whole
