"""A real S3 server: Ceph's gateway (radosgw) over one monitor and one store in memory, all on loopback.

Of the servers that a package manager brings it is the one that checks POST policies: signature, expiry, bucket, key,
ACL and size. Debian: ceph-mon, ceph-osd, radosgw.
"""

import base64
import dataclasses
import hashlib
import hmac
import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from livefleet.wire.storage import S3Store, StorageKind, StoreGrant

ACCESS_KEY = "TESTONLYACCESSKEY"
SECRET_KEY = "test-only secret key"
BUCKET = "segments"
_START_TIMEOUT_S = 120

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}]
public network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms bind msgr1 = false
ms bind port min = {first_port}
ms bind port max = {last_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {folder}
admin socket =
crash dir =
keyring = {folder}/keyring
log file = {folder}/$name.log
pid file =
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 1
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.05
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd op num shards = 1
osd class load list = *
osd class default list = *
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 32
rgw run sync thread = false
rgw enable gc threads = false
rgw enable lc threads = false
rgw enable quota threads = false
rgw enable ops log = false
"""


@dataclass(frozen=True)
class S3Server:
    """Where it listens; one bucket is there."""

    endpoint: str  # http://127.0.0.1:port

    def store(self, prefix: str = "", **changes: str) -> S3Store:
        """The bucket as its owner uses it."""
        store = S3Store(f"{self.endpoint}/{BUCKET}", BUCKET, "us-east-1", prefix, ACCESS_KEY, SECRET_KEY)
        return dataclasses.replace(store, **changes)

    def settings(self, prefix: str) -> dict[str, str]:
        """The bucket as a node spec names it."""
        return {
            "url": f"s3+{self.endpoint}/{BUCKET}/{prefix}",
            "access_key": ACCESS_KEY,
            "secret": "object-store",
        }


def a_stock_grant(server: S3Server, folder: str, **changes: str) -> StoreGrant:
    """What a stock gateway with this bucket as its `objectStore` puts into a segment's credentials.

    Its document has no size range, its prefix no slash at the end, and its time of day is midnight (go-tools
    drivers/s3.go, createPolicy).
    """
    day = datetime.now(UTC).strftime("%Y%m%d")
    credential = f"{ACCESS_KEY}/{day}/127/s3/aws4_request"  # the region that go-tools reads out of this address
    ends = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    conditions: list[object] = [
        {"bucket": BUCKET},
        {"acl": "public-read"},
        ["starts-with", "$Content-Type", ""],
        ["starts-with", "$key", folder],
        {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
        {"x-amz-credential": credential},
        {"x-amz-date": f"{day}T000000Z"},
    ]
    document = json.dumps({"expiration": ends, "conditions": conditions}, indent=1)
    policy = base64.b64encode(document.encode()).decode()
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (day, "127", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    grant = StoreGrant(
        kind=StorageKind.S3,
        host=f"{server.endpoint}/{BUCKET}",
        key=folder,
        policy=policy,
        signature=hmac.digest(key, policy.encode(), "sha256").hex(),
        credential=credential,
        amz_date=f"{day}T000000Z",
    )
    return dataclasses.replace(grant, **changes)


@contextmanager
def an_s3_server(folder: Path) -> Iterator[S3Server]:
    """All three daemons, ended on leaving. Takes about two seconds and 120 MB."""
    port, mon_port, first_port = _free_ports(3)
    fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir(parents=True)
    config = folder / "ceph.conf"
    config.write_text(
        _CONFIGURATION.format(
            fsid=fsid, folder=folder, port=port, mon_port=mon_port, first_port=first_port, last_port=first_port + 200
        )
    )

    def once(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [program, "-c", str(config), *arguments], capture_output=True, text=True, timeout=_START_TIMEOUT_S
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout} {done.stderr}"

    with ExitStack() as stack:

        def daemon(program: str, *arguments: str) -> None:
            log = stack.enter_context((folder / f"{program}.out").open("ab"))
            process = subprocess.Popen(
                [program, "-c", str(config), *arguments, "-f"],
                stdout=log,
                stderr=log,
                env=os.environ | {"CEPH_CONF": str(config)},
            )
            stack.callback(_end, process)

        monmap = str(folder / "monmap")
        address = f"[v2:127.0.0.1:{mon_port}]"
        subprocess.run(
            ["monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap], check=True, capture_output=True
        )
        once("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        daemon("ceph-mon", "-i", "a")
        once("ceph", "osd", "new", osd)
        once("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd)
        daemon("ceph-osd", "-i", "0")
        user = ("--uid=test", "--display-name=test", f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}")
        once("radosgw-admin", "user", "create", *user)
        daemon("radosgw", "-n", "client.admin", "--ms_mon_client_mode=crc")
        server = S3Server(f"http://127.0.0.1:{port}")
        _until_answering(server, folder)
        _make_bucket(server)
        yield server


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # what it holds is in memory and a folder of ours
    process.wait(30)


def _until_answering(server: S3Server, folder: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(server.endpoint, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    logs = "".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    raise AssertionError(f"the S3 server does not answer:\n{logs}")


def _make_bucket(server: S3Server) -> None:
    """The one request that wants a signed header instead of a signed form."""
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": server.endpoint.removeprefix("http://"), "x-amz-content-sha256": empty, "x-amz-date": date}
    names = ";".join(headers)
    lines = [f"{name}:{value}" for name, value in headers.items()]
    request = "\n".join(["PUT", f"/{BUCKET}", "", *lines, "", names, empty])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    answer = httpx.put(
        f"{server.endpoint}/{BUCKET}", headers=headers | {"Authorization": f"AWS4-HMAC-SHA256 {credential}"}, timeout=60
    )
    assert answer.status_code == 200, answer.text
