"""What a node needs on its host before it can start. Starts nothing."""

import asyncio
import shutil
import socket
from collections.abc import Iterator

from livefleet.chain import RemoteSigner, connect, read_key_file
from livefleet.doctor.chain import told_by
from livefleet.doctor.driver import of_condition
from livefleet.hardware import read_snapshot
from livefleet.kernel import BadInput, LivefleetError
from livefleet.reconcile.resources.gpus import gpu_conditions
from livefleet.roles.base import close_signer, open_signer, read_secret
from livefleet.roles.store_check import check_database
from livefleet.spec import Finding, Grade, NodeSpec, Role, Trouble, extras_of, require_packages
from livefleet.spec.masked import masked_urls

__all__ = ["addresses", "lasting_needs", "needs"]


async def needs(spec: NodeSpec) -> list[Finding]:
    """Packages, files, keys, programs, addresses that are free, GPUs, chain, database."""
    packages = _packages(spec)
    if packages.grade is Grade.FAIL:  # without them nothing else can be looked at
        return [packages]
    return [
        packages,
        *_files(spec),
        *await _keys(spec),
        *_programs(spec),
        *_free_addresses(spec),
        *await _gpus(spec),
        *await _chain(spec),
    ]


async def lasting_needs(spec: NodeSpec) -> list[Finding]:
    """Of these what can be looked at while the node runs as well: packages, files, keys, programs, database."""
    packages = _packages(spec)
    if packages.grade is Grade.FAIL:
        return [packages]
    return [
        packages,
        *_files(spec),
        *await _keys(spec),
        *_programs(spec),
        *await _database(spec, spec.network.chain_id),
    ]


def addresses(spec: NodeSpec) -> dict[str, str]:
    """Where the node listens, by what for."""
    wanted = {"admin address": spec.monitoring.admin_listen}
    if spec.orchestrator is not None:
        wanted["front door"] = spec.orchestrator.listen
    if spec.redeemer is not None:
        wanted["redeemer"] = spec.redeemer.listen
    return wanted


def _packages(spec: NodeSpec) -> Finding:
    try:
        require_packages(spec)
    except BadInput as error:
        fix = "`livefleet apply` installs the release that has them"
        return Finding.bad(Trouble.PACKAGES_MISSING, "host", "packages", str(error), fix)
    return _good("host", "packages", ", ".join(sorted(extras_of(spec))))


def _files(spec: NodeSpec) -> Iterator[Finding]:
    yield _good("spec", "spec", f"{spec.name}, role {spec.role.value}, network {spec.network.name.value}")
    for name in spec.secrets:
        try:
            read_secret(spec, name)
        except BadInput as error:
            fix = "`livefleet apply` brings secrets again"
            yield Finding.bad(Trouble.SECRET_UNREADABLE, "keys", f"secret {name}", str(error), fix)
        else:
            yield _good("keys", f"secret {name}", "readable")


async def _keys(spec: NodeSpec) -> list[Finding]:
    found: list[Finding] = []
    for name, key in spec.keys.items():
        try:
            signer = await open_signer(spec, name)
            try:
                where = ""
                if isinstance(signer, RemoteSigner):
                    await signer.check()
                    where = f" at {key.remote.url if key.remote else ''}"
            finally:
                await close_signer(signer)
        except LivefleetError as error:
            fix = "put right what it names; `livefleet keys plan` says which key goes where"
            found.append(Finding.bad(Trouble.KEY_UNUSABLE, "keys", f"key {name}", str(error), fix))
            continue
        found.append(_good("keys", f"key {name}", signer.address + where))
        if key.file is not None and (file := read_key_file(spec.paths.resolve(key.file))).is_open_to_others:
            text = f"{file.path} has mode {file.mode:04o}: others than its owner get at the key"
            found.append(
                Finding(area="keys", what=f"file of {name}", grade=Grade.WARN, message=text,
                        fix=f"`chmod 600 {file.path}`", trouble=Trouble.KEY_OPEN_TO_OTHERS)
            )  # fmt: skip
    return found


def _programs(spec: NodeSpec) -> list[Finding]:
    if spec.role is not Role.ORCHESTRATOR:
        return []
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        text = "not installed, and the front door is nginx"
        return [Finding.bad(Trouble.NGINX_MISSING, "host", "nginx", text, "`livefleet apply` installs it")]
    return [_good("host", "nginx", nginx)]


def _free_addresses(spec: NodeSpec) -> Iterator[Finding]:
    for what, address in addresses(spec).items():
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host.strip("[]"), int(port)))
            except OSError as error:
                text = f"{address}: {error.strerror} (is the agent running already?)"
                fix = f"see who has it: `ss -ltnp 'sport = :{port}'`"
                yield Finding.bad(Trouble.ADDRESS_TAKEN, "ports", what, text, fix)
            else:
                yield _good("ports", what, f"{address} is free")


async def _gpus(spec: NodeSpec) -> list[Finding]:
    snapshot = await asyncio.to_thread(read_snapshot, 0.0)
    found = map(of_condition, gpu_conditions(snapshot, spec.gpus, spec.driver))
    return [f if f.grade is Grade.OK else f.model_copy(update={"grade": Grade.FAIL}) for f in found]


async def _chain(spec: NodeSpec) -> list[Finding]:
    if not spec.network.on_chain or "chain" not in extras_of(spec):
        return []
    chain_id = spec.network.chain_id
    found: list[Finding] = []
    try:
        async with await connect(spec.network) as client:
            chain_id = client.chain_id
            found.append(_good("chain", "chain", f"chain id {chain_id}"))
    except LivefleetError as error:
        trouble, fix = told_by(error)
        found.append(Finding.bad(trouble, "chain", "chain", masked_urls(str(error)), fix))
    return [*found, *await _database(spec, chain_id)]


async def _database(spec: NodeSpec, chain_id: int | None) -> list[Finding]:
    if (shared := spec.shared_store) is None:
        return []
    try:
        return [_good("host", "database", await check_database(spec, shared, chain_id))]
    except LivefleetError as error:
        fix = "check `store`, and the database's own log"
        return [Finding.bad(Trouble.DATABASE_UNUSABLE, "host", "database", str(error), fix)]


def _good(area: str, what: str, message: str) -> Finding:
    return Finding(area=area, what=what, grade=Grade.OK, message=message)
