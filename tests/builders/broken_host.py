"""What is broken on the lab's host for `livefleet doctor` to find: the host itself, and nodes of their own on it.

A host can be in one state at a time, and there are more states than time to take it through: so most of them are
*wards*. A ward is a node with a root of its own on the same host, as a fleet file may declare several there. Its
program is the installed one, with mounts, libraries and a clock of its own that are as broken as it says. The host's
kernel has neither NVIDIA's driver nor a card: files stand in for them where the kernel and the packages would put them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from livefleet.spec import Trouble

__all__ = ["AWAY", "BARE", "ELSEWHERE", "NODE", "NOISE", "WARDS", "Sign", "Ward", "all_signs"]


@dataclass(frozen=True, slots=True)
class Sign:
    """One finding that has to be there: what it is about, and words of its message and of its fix."""

    trouble: Trouble
    what: str
    says: str
    do: str


@dataclass(frozen=True, slots=True)
class Ward:
    """A node of its own on the lab's host."""

    name: str
    shows: tuple[Sign, ...]
    settings: str = ""  # of the host in the fleet file, one a line
    door: int = 0  # the port of its service_uri; 0: one behind which all is well
    uri: str = ""  # another service_uri than that port of the host
    key: str = ""  # of the fleet's, that lies there open to others
    cards: int = 0  # NVIDIA's devices on the bus
    module: str = ""  # version of the module that the kernel has
    library: str = ""  # version of libnvidia-ml; empty: there is none
    nvml: dict[str, object] = field(default_factory=dict)  # what it answers
    gpus: tuple[dict[str, object], ...] = ()  # that it lists
    before: str = ""  # shell, in mounts of its own, before its program
    program: str = ""  # shell in place of its program
    node_yaml: str = ""  # in place of what the fleet file makes


A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
GONE = "GPU-eeeeeeee-0000-0000-0000-000000000009"
DRIVER = "580.65.06"
T = Trouble

BARE = Sign(T.RELEASE_MISSING, "release", "no release is there", "`livefleet apply node`")
"""Of the host before the first apply."""

AWAY = Sign(T.HOST_UNREACHABLE, "ssh", "cannot reach away at 203.0.113.9:22", "is it up?")
"""Of a host that nobody can reach."""

NODE = (
    Sign(T.DISK_FULL, "/var/lib/livefleet", "of 64 MiB free", "make room on /var/lib/livefleet"),
    Sign(T.SECRET_UNREADABLE, "secret join", "cannot read the secret 'join'", "`livefleet apply`"),
    Sign(T.KEY_UNUSABLE, "key orchestrator", "/var/lib/livefleet/keys/orchestrator", "`livefleet keys plan`"),
    Sign(T.MEMORY_LOW, "memory", "512 MiB available", "`ps -eo rss,comm --sort=-rss | head`"),
    Sign(T.FEW_OPEN_FILES, "open files", "may open 1024 files", "LimitNOFILE=65536"),
    Sign(T.REBOOT_WAITS, "reboot", "upgrade of linux-image-amd64 waits", "`livefleet drain --host HOST`, reboot"),
    Sign(T.NGINX_MISSING, "nginx", "not installed", "`livefleet apply`"),
    Sign(T.NODE_NOT_SERVING, "FrontDoorOpen", "cannot start /usr/sbin/nginx", "why nginx ended"),
    Sign(T.NODE_CONDITION, "InService", "rain", "`livefleet drain --host HOST --off`"),
    Sign(T.PORT_REFUSED, "https://{host}:8935", "from here: Connection refused", "`systemctl status livefleet`"),
    Sign(T.SPEC_DIFFERS, "fleet file", "the host has ", "`livefleet apply node` ends it"),
    Sign(T.SPEC_NOT_TAKEN, "node.yaml", "the node runs ", "`systemctl reload livefleet`"),
    Sign(T.CHAIN_NOT_ANSWERING, "http://{controller}:9", "cannot be reached: Connection refused", "check the URL"),
    Sign(T.CHAIN_OTHER, "http://{controller}:8601", "serves chain 5, not 1337", "take it out of `network.rpc`"),
    Sign(
        T.CHAIN_NO_PROTOCOL,
        "http://{controller}:8603",
        "no contract at the Controller's address",
        "correct `network.controller`",
    ),
    Sign(
        T.CHAIN_BEHIND,
        "http://{controller}:8602",
        "newest block 60",
        "compare with `timedatectl` and a second provider",
    ),
    Sign(T.CHAIN_SLOW, "http://{controller}:8600", "answers in ", "put a nearer provider first"),
    Sign(T.CHAIN_ONE_ENDPOINT, "endpoints", "one endpoint alone is usable", "declare a second provider"),
)
"""Of the host and the node that apply put there."""

WARDS = (
    Ward(
        "no-module",
        (Sign(T.MODULE_NOT_LOADED, "module", "no NVIDIA kernel module is loaded", "`modprobe nvidia`"),),
        settings="gpus: all",
        cards=1,
    ),
    Ward(
        "nouveau",
        (
            Sign(T.NOUVEAU_LOADED, "module", "nouveau is loaded, and holds the devices", "then reboot"),
            Sign(T.DISK_LOW, "/srv/nouveau/var/lib/livefleet", "5.0 GiB of 5.0 GiB free", "make room on"),
        ),
        settings="gpus: all",
        cards=1,
        before="mount -t tmpfs -o size=5g part $WARD/var/lib/livefleet; mkdir -p $WARD/modules/nouveau;"
        " mount --bind $WARD/modules /sys/module",
    ),
    Ward(
        "upgraded",
        (
            Sign(T.DRIVER_MISMATCH, "module", "is 575.57.08, the library 580.65.06", "reboot"),
            Sign(T.NO_TLS, "https://{host}:{door}", "no TLS: wrong version number", "forward TCP as it is"),
        ),
        settings="gpus: all",
        door=9003,
        cards=1,
        module="575.57.08",
        library=DRIVER,
        nvml={"init": 18},
    ),
    Ward(
        "unloaded",
        (
            Sign(T.DRIVER_NOT_LOADED, "GpuDriver", "Driver Not Loaded, and the module is", "`nvidia-modprobe -c 0 -u`"),
            Sign(T.DEVICE_NODES_LOCKED, "device nodes", "no permission for /dev/nvidia0", "let it have `/dev/nvidia*`"),
        ),
        settings="gpus: all",
        cards=1,
        module=DRIVER,
        library=DRIVER,
        nvml={"init": 9},
        before="mount -t tmpfs -o nodev part $WARD/files; mknod $WARD/files/nvidia0 c 195 0; touch /dev/nvidia0;"
        " mount --bind $WARD/files/nvidia0 /dev/nvidia0",
    ),
    Ward(
        "refused",
        (
            Sign(T.NVML_REFUSED, "GpuDriver", "Insufficient Permissions", "check /dev/nvidia*"),
            Sign(T.NO_NAME, "https://no-such-name.invalid:9001", "from here: ", "make the DNS record"),
        ),
        settings="gpus: all",
        door=9001,
        uri="https://no-such-name.invalid:9001",
        cards=1,
        module=DRIVER,
        library=DRIVER,
        nvml={"init": 4},
    ),
    Ward(
        "blocked",
        (
            Sign(T.NVML_BLOCKED, "GpuDriver", "The operating system has blocked the request", "DeviceAllow"),
            Sign(T.PORT_SILENT, "https://{host}:{door}", "the host itself reaches it", "open the port in the firewall"),
        ),
        settings="gpus: all",
        door=9002,
        cards=1,
        module=DRIVER,
        library=DRIVER,
        nvml={"init": 17},
    ),
    Ward(
        "failing",
        (
            Sign(T.NVML_FAILED, "GpuDriver", "Unknown Error", "kernel log"),
            Sign(T.CERTIFICATE_ENDED, "https://{host}:{door}", "ended 3 days ago", "renew it"),
        ),
        settings="gpus: all",
        door=9004,
        cards=1,
        module=DRIVER,
        library=DRIVER,
        nvml={"init": 999},
    ),
    Ward(
        "hanging",
        (
            Sign(T.NVML_NOT_ANSWERING, "GpuDriver", "NVML did not answer within 10 s", "reboot"),
            Sign(T.CERTIFICATE_ENDS_SOON, "https://{host}:{door}", "good for 5 more days", "renew it"),
        ),
        settings="gpus: all",
        door=9005,
        cards=1,
        module=DRIVER,
        library=DRIVER,
        nvml={"hang_ms.Init": 60_000},
    ),
    Ward(
        "no-library",
        (
            Sign(T.NVML_MISSING, "GpuDriver", "NVML Shared Library Not Found", "install the driver"),
            Sign(T.GPU_UNKNOWN, f"GpuPresent {A}", "NVML cannot be asked", "put the driver right first"),
            Sign(T.PORT_SLOW, "https://{host}:{door}", "reached from here in ", "gateways give up after 500 ms"),
        ),
        settings=f"gpus: [{A}]",
        door=9006,
        cards=1,
        module=DRIVER,
    ),
    Ward(
        "sick",
        (
            Sign(T.GPU_LOST, "GpuPresent index 0", "GPU is lost", "reboot the host"),
            Sign(T.GPU_RESET_REQUIRED, "GpuPresent index 1", "GPU requires restart", "nvidia-smi --gpu-reset"),
            Sign(T.GPU_FAILED, "GpuPresent index 2", "Unknown Error", "kernel log"),
            Sign(T.GPU_MISSING, f"GpuPresent {GONE}", "declared but not present; present: index 0", "look at power"),
            Sign(T.KEY_OPEN_TO_OTHERS, "file of orchestrator", "has mode 0644", "`chmod 600 /srv/sick/"),
        ),
        settings=f"gpus: [{GONE}]",
        key="orchestrator",
        cards=3,
        module=DRIVER,
        library=DRIVER,
        gpus=({"error": 15}, {"error": 16}, {"error": 999}),
    ),
    Ward(
        "old",
        (
            Sign(T.DRIVER_TOO_OLD, "GpuDriver", "driver 580.65.06 is older than the declared minimum 590", "branch"),
            Sign(T.DEVICES_MISSING, "devices", "2 NVIDIA device(s) on the PCI bus, 1 in NVML", "`dmesg | grep -i xid`"),
        ),
        settings="gpus: all\ndriver: {min_version: '590'}",
        cards=2,
        module=DRIVER,
        library=DRIVER,
        gpus=({},),
    ),
    Ward(
        "untold",
        (
            Sign(T.DRIVER_VERSION_UNKNOWN, "GpuDriver", "NVML does not tell the driver's version", "`nvidia-smi`"),
            Sign(T.PACKAGES_MISSING, "packages", "`media`", "`livefleet apply`"),
            Sign(T.VIDEO_LIBRARIES_MISSING, "video libraries", "libnvidia-encode.so.1", "encode and decode packages"),
        ),
        settings="gpus: all\nduties: [transcoding]",
        cards=1,
        module=DRIVER,
        library=DRIVER,
        nvml={"error.GetDriverVersion": 999},
        gpus=({},),
    ),
    Ward(
        "clock",
        (
            Sign(T.CLOCK_DIFFERS, "against here", "ahead of this machine's", "`timedatectl`"),
            Sign(T.CLOCK_NOT_KEPT, "synchronised", "no time service keeps the clock", "`timedatectl set-ntp true`"),
            Sign(T.AGENT_DOWN, "agent", "no agent of this node runs", "`systemctl status livefleet"),
        ),
        before="export LD_PRELOAD=/srv/clock.so",
    ),
    Ward(
        "hung",
        (Sign(T.AGENT_SILENT, "agent", "runs, and does not answer at 127.0.0.1:7999", "systemd's watchdog"),),
        settings="monitoring: {admin_listen: '127.0.0.1:7999'}",
    ),
    Ward(
        "aged",
        (Sign(T.RELEASE_TOO_OLD, "release", "No such command 'doctor'", "`livefleet apply aged`"),),
        program="echo \"Error: No such command 'doctor'.\" >&2; exit 2",
    ),
    Ward(
        "garbled",
        (Sign(T.EXAMINATION_FAILED, "release", "ended with 2: ", "`livefleet apply garbled`"),),
        node_yaml="version: 1\nname: [",
    ),
)

NOISE = {
    T.AGENT_DOWN,
    T.CERTIFICATE_ENDS_SOON,
    T.DISK_LOW,
    T.FEW_OPEN_FILES,
    T.MEMORY_LOW,
    T.NGINX_MISSING,
    T.NODE_CONDITION,
    T.REBOOT_WAITS,
}
"""What a ward has of its host's and for being no service, and a node on a small machine in any case."""

ELSEWHERE = {
    T.DATABASE_UNUSABLE: "no PostgreSQL on a lab's host: tests/component/payments/test_store_check.py",
    T.ADDRESS_TAKEN: "before a start alone, `livefleet agent check`: tests/component/doctor/test_views.py",
}
"""Troubles that the lab's host does not show, and why."""


def all_signs() -> Iterable[Sign]:
    """Everything that the tests on the lab's host look for."""
    return (BARE, AWAY, *NODE, *(sign for ward in WARDS for sign in ward.shows))
