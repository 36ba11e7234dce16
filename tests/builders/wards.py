"""Lays on the lab's host what `tests.builders.broken_host` says is broken there."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from livefleet.spec import Fleet, to_yaml
from tests.builders.broken_host import WARDS, Ward
from tests.builders.certificates import Authority
from tests.lab.host import Host
from tests.nvml import stub

__all__ = ["break_node", "lay", "mend_node", "settings_of"]

WELL_FROM = 9100
"""Doors of wards that have nothing wrong with theirs, one each."""

CLOCK = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += 3600;
    return code;
}
int adjtimex(void *state) { (void)state; return 5; /* TIME_ERROR */ }
"""

DOORS = """\
import http.server, ssl, sys, threading
for word in sys.argv[1:]:
    port, _, certificate = word.partition("=")
    server = http.server.ThreadingHTTPServer(("0.0.0.0", int(port)), http.server.BaseHTTPRequestHandler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"/srv/{certificate}.pem", f"/srv/{certificate}.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever).start()
"""

FIREWALL = """\
add table inet doctor
add chain inet doctor in { type filter hook input priority 0; }
add rule inet doctor in iif != "lo" tcp dport 9002 drop
add rule inet doctor in iif != "lo" tcp dport 9006 tcp flags & (syn|ack) == syn limit rate 1/hour burst 1 packets drop
"""
"""One port lets nobody in. Of the other the first that knocks is lost: the kernel knocks again a second later."""


def settings_of(ward: Ward, address: str) -> str:
    """The ward as a host of the fleet file."""
    door = _door(ward)
    key = f", key: {ward.key}" if ward.key else ""
    lines = [
        f"address: {address}",
        f"root: {_root(ward)}",
        "role: orchestrator",
        "network: offchain",
        f'orchestrator: {{service_uri: "{ward.uri or f"https://{address}:{door}"}", listen: "0.0.0.0:{door}"{key}}}',
        *(["duties: []"] if "duties:" not in ward.settings else []),
        *ward.settings.splitlines(),
    ]
    return f"  {ward.name}:\n" + "".join(f"    {line}\n" for line in lines)


def lay(host: Host, fleet: Fleet, folder: Path, key: Path) -> None:
    """All wards, and what listens for them. `folder`: a scratch one of this machine; `key`: the file of a key."""
    stub_library, clock = stub.build(folder), folder / "clock.so"
    (folder / "clock.c").write_text(CLOCK)
    compiler = shutil.which("gcc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(clock), str(folder / "clock.c"), "-ldl"], check=True)
    srv = host.root / "srv"
    shutil.copy(clock, srv)
    for name, days in (("well", 90), ("soon", 5), ("ended", -3)):
        for file in Authority(folder, days=days).sign(name):
            shutil.copy(file, srv)
    host.write("/srv/doors.py", DOORS)
    host.write("/srv/firewall.nft", FIREWALL)
    for ward in WARDS:
        _lay_ward(host, fleet, ward)
        if ward.key:
            host.write(str(fleet.node(ward.name).paths.keys / ward.key), key.read_text(), 0o644)
        if ward.library:
            _lay_library(host, ward, stub_library, folder)
    doors = {9003: "", 9004: "ended", 9005: "soon"}
    ports = " ".join(f"{_door(ward)}={doors.get(_door(ward), 'well')}" for ward in WARDS)
    host.run(
        f"""
        set -e
        systemd-run --quiet --unit doors python3 /srv/doors.py {ports}
        apt-get install --yes --quiet --no-install-recommends nftables >/dev/null
        nft -f /srv/firewall.nft
        systemd-run --quiet --unit hung /srv/hung/opt/livefleet/current/venv/bin/livefleet agent run \
            /srv/hung/etc/livefleet/node.yaml
        for attempt in $(seq 150); do
            if [ -s /srv/hung/run/livefleet/agent.pid ]; then break; fi
            sleep 0.1
        done
        kill -STOP "$(cat /srv/hung/run/livefleet/agent.pid)"
        for port in $(seq {WELL_FROM} {WELL_FROM + len(WARDS) - 1}) 9003 9004 9005 9006; do
            for attempt in $(seq 100); do
                if ss -ltn "sport = :$port" | grep -q LISTEN; then break; fi
                case "{ports}" in *"$port="*) sleep 0.1;; *) break;; esac
            done
        done
        """
    )


def break_node(host: Host, rpc: str, sick: Sequence[str]) -> None:
    """What the whole host and the node that apply put there have; comes back when the node says so itself.

    `rpc`: the endpoint that its node.yaml has; `sick`: those that it has then.
    """
    endpoints = "\\n".join(f"  - {url}" for url in sick)
    host.write("/srv/until.py", _UNTIL)
    host.write("/srv/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 524288 kB\n")
    host.run(
        f"""
        set -e
        mkdir -p {_DROP_IN}
        printf '[Service]\\nLimitNOFILE=1024\\n' > {_DROP_IN}/low.conf
        systemctl daemon-reload
        systemctl restart livefleet
        python3 /srv/until.py FrontDoorOpen=true
        sed -i 's#^  - {rpc}$#{endpoints}#; s/name: devchain/name: arbitrum-one-mainnet/' /etc/livefleet/node.yaml
        grep -q arbitrum-one /etc/livefleet/node.yaml
        mount --bind /srv/meminfo /proc/meminfo
        touch /run/reboot-required
        echo linux-image-amd64 > /run/reboot-required.pkgs
        owner=$(stat -c uid=%u,gid=%g /var/lib/livefleet)
        mount -t tmpfs -o "size=64m,mode=0755,$owner" full /var/lib/livefleet
        /opt/livefleet/current/venv/bin/livefleet agent drain --reason test >/dev/null
        mv /usr/sbin/nginx /usr/sbin/nginx.away
        pkill -x nginx
        python3 /srv/until.py FrontDoorOpen=false InService=false
        """
    )


_DROP_IN = "/run/systemd/system/livefleet.service.d"
_UNTIL = """
import json, sys, time, urllib.request
wanted, told = dict(word.split("=") for word in sys.argv[1:]), None
for attempt in range(400):
    try:
        with urllib.request.urlopen("http://127.0.0.1:7936/status", timeout=5) as reply:
            told = {c["name"]: c["status"] for c in json.load(reply)["conditions"] if not c["subject"]}
        if wanted.items() <= told.items():
            sys.exit()
    except (OSError, ValueError) as error:
        told = error
    time.sleep(0.1)
sys.exit(f"{wanted} is not so: {told}")
"""
"""Waits until the node says so of itself."""


def mend_node(host: Host) -> None:
    """Take back what apply does not, and end what listens for wards."""
    host.run(
        f"""
        set -e
        systemctl stop livefleet
        rm -r {_DROP_IN}
        systemctl daemon-reload
        umount /var/lib/livefleet /proc/meminfo
        rm /run/reboot-required /run/reboot-required.pkgs
        mv /usr/sbin/nginx.away /usr/sbin/nginx
        nft delete table inet doctor
        systemctl kill --signal KILL hung
        systemctl stop doors
        """
    )


def _lay_ward(host: Host, fleet: Fleet, ward: Ward) -> None:
    root = _root(ward)
    node = fleet.node(ward.name)
    host.write(str(node.paths.node_yaml), ward.node_yaml or to_yaml(node), 0o600)
    for place in (node.paths.state, node.paths.run, node.paths.releases, f"{root}/files", f"{root}/devices"):
        (host.root / str(place).lstrip("/")).mkdir(parents=True, exist_ok=True)
    for number in range(ward.cards):
        for name, text in (("vendor", "0x10de"), ("class", "0x030200")):
            host.write(f"{root}/devices/0000:0{number + 1}:00.0/{name}", f"{text}\n")
    (host.root / f"{root}/driver".lstrip("/")).mkdir()
    if ward.module:
        version = f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {ward.module}  Release Build\n"
        host.write(f"{root}/driver/nvidia/version", version)
    host.write(f"{root}/opt/livefleet/current/venv/bin/livefleet", _program(ward), 0o755)


def _lay_library(host: Host, ward: Ward, stub_library: Path, folder: Path) -> None:
    library = host.root / f"{_root(ward)}/lib/libnvidia-ml.so.{ward.library}".lstrip("/")
    library.parent.mkdir()
    shutil.copy(stub_library, library)
    library.with_name("libnvidia-ml.so.1").symlink_to(library.name)
    host.write(f"{_root(ward)}/nvml.state", _nvml_state(ward, folder))


def _program(ward: Ward) -> str:
    if ward.program:
        return f"#!/bin/sh\n{ward.program}\n"
    root = _root(ward)
    return f"""\
#!/bin/sh
set -e
if [ -z "$WARD" ]; then WARD={root} exec unshare --mount "$0" "$@"; fi
export LD_LIBRARY_PATH={root}/lib LIVEFLEET_NVML_STATE={root}/nvml.state
mount --bind {root}/devices /sys/bus/pci/devices
mount --bind {root}/driver /proc/driver
{ward.before}
exec /opt/livefleet/current/venv/bin/livefleet "$@"
"""


def _nvml_state(ward: Ward, folder: Path) -> str:
    state = stub.NvmlState(folder / f"{ward.name}.state")
    for index, fields in enumerate(ward.gpus):
        state.plug(index, f"GPU-aaaaaaaa-0000-0000-0000-00000000000{index + 1}", **fields)
    state.set(**ward.nvml)
    return state.path.read_text()


def _door(ward: Ward) -> int:
    return ward.door or WELL_FROM + WARDS.index(ward)


def _root(ward: Ward) -> str:
    return f"/srv/{ward.name}"
