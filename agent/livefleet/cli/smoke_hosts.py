"""What is tried of each host of a fleet, and how."""

import asyncio
import os
import threading
import time
from collections.abc import Coroutine, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from livefleet.chain import KeyFile, LocalSigner, load_key
from livefleet.cli.smoke_job import SmokeClip, SmokeGateway
from livefleet.cli.smoke_worker import Counts, NotSaid, SmokeWorker
from livefleet.control import SmokeJob, SmokeResult, SmokeStage, host_status, told_to_host
from livefleet.control.stop import Stop
from livefleet.kernel import BadInput, LivefleetError
from livefleet.media.ladder import parse_profile
from livefleet.spec import Fleet, NodeSpec, Role, SecretToSend
from livefleet.wire.channel import Endpoint, parse_endpoint, service_endpoint
from livefleet.wire.gateway import PIPELINES, Payer, SpendLimits

__all__ = ["VIDEO", "FleetSmoker"]

VIDEO = "video"
_LOOK_S = 0.2


class FleetSmoker:
    """A `Smoke`: called with a host's name, from any thread, it blocks until the host's jobs are done.

    All jobs run on one event loop, in a thread that lives as long as the process once one was asked for. The paying key
    is read at once, where one of `hosts` (all unless given) is on a chain. `only`: `video` and pipelines to try; all
    that a host does unless given. Once `stop` is asked for, jobs that are under way are cut off. Raises BadInput for a
    key, a rendition or a name that is wrong, before any job.
    """

    def __init__(
        self, fleet: Fleet, *, hosts: Sequence[str] = (), only: Sequence[str] = (), stop: Stop | None = None
    ) -> None:
        self._fleet = fleet
        self._settings = fleet.spec.smoke
        self._only = frozenset(only)
        if unknown := self._only - {VIDEO, *PIPELINES}:
            raise BadInput(f"there is no work called {min(unknown)!r}; there are {VIDEO}, {', '.join(PIPELINES)}")
        for profile in self._settings.profiles:
            parse_profile(profile)
        chosen = [fleet.node(host) for host in (hosts or fleet.hosts)]
        is_paid = any(self._is_paid(node) for node in chosen)
        self._signer = _signer(fleet) if is_paid else None
        self._clip = SmokeClip(self._settings.seconds)
        self._loop = _LoopThread(stop or Stop())

    def __call__(self, host: str) -> SmokeResult:
        """Try one host. Raises BadInput for an unknown one, LivefleetError when it was cut off."""
        node, started = self._fleet.node(host), time.monotonic()
        jobs = self._loop.run(self._jobs(node))
        result = SmokeResult.of(host, jobs, time.monotonic() - started)
        return result if self._only else told_to_host(self._fleet, result)

    def orchestrator_of(self, worker: NodeSpec) -> NodeSpec | None:
        """The fleet's own orchestrator that a worker joins; None for somebody else's."""
        assert worker.worker is not None
        door = parse_endpoint(worker.worker.orchestrator)
        for host in self._fleet.hosts:
            node = self._fleet.node(host)
            if node.role is not Role.ORCHESTRATOR or node.orchestrator is None:
                continue
            listens = int(node.orchestrator.listen.rpartition(":")[2])
            if door in {
                service_endpoint(node.orchestrator.service_uri),
                Endpoint(self._fleet.host(host).address, listens),
            }:
                return node
        return None

    async def _jobs(self, node: NodeSpec) -> list[SmokeJob]:
        match node.role:
            case Role.ORCHESTRATOR:
                assert node.orchestrator is not None  # NodeSpec's own rule
                if node.orchestrator.discovery_only:
                    return [await self._look(node)]
                return await self._at_orchestrator(node, service_endpoint(node.orchestrator.service_uri))
            case Role.WORKER:
                return await self._at_worker(node)
            case _:
                return [await self._look(node)]

    async def _at_orchestrator(self, node: NodeSpec, endpoint: Endpoint) -> list[SmokeJob]:
        gateway = self._gateway(endpoint, is_paid=self._is_paid(node))
        jobs = []
        if self._wants(VIDEO) and self._does_video(node):
            jobs.append(await gateway.video())
        declared = {(model.pipeline.value, model.model_id) for model in node.models}
        for pipeline, model_id in sorted(declared | set(await gateway.offered_models())):
            if self._wants(pipeline):
                jobs.append(await gateway.model(pipeline, model_id))
        return jobs or [self._nothing(node)]

    async def _at_worker(self, node: NodeSpec) -> list[SmokeJob]:
        assert node.worker is not None  # NodeSpec's own rule
        orchestrator = self.orchestrator_of(node)
        if orchestrator is None:
            through, is_paid = node.worker.orchestrator, node.network.on_chain
            endpoint = parse_endpoint(node.worker.orchestrator)
        else:
            assert orchestrator.orchestrator is not None
            through, is_paid = orchestrator.name, self._is_paid(orchestrator)
            endpoint = service_endpoint(orchestrator.orchestrator.service_uri)
        worker = SmokeWorker(
            node.name,
            self._gateway(endpoint, is_paid=is_paid),
            through=through,
            counts=lambda: asyncio.to_thread(_counts, self._fleet, node.name),
            most=self._settings.worker_sessions,
        )
        jobs = []
        if self._wants(VIDEO) and node.duties.transcoding is not None:
            jobs.append(await worker.video())
        for pipeline, model_id in sorted({(m.pipeline.value, m.model_id) for m in node.models if m.is_local}):
            if node.duties.ai is not None and self._wants(pipeline):
                jobs.append(await worker.model(pipeline, model_id))
        return jobs or [self._nothing(node)]

    async def _look(self, node: NodeSpec) -> SmokeJob:
        """A host that does no work for gateways can only be asked."""
        found = await asyncio.to_thread(host_status, self._fleet, node.name)
        if found.ready:
            return SmokeJob("status", f"a {node.role.value} does no work of gateways; it says that it is ready")
        faults = ", ".join(f"{c.name} ({c.reason})" for c in found.faults if c.gates_ready)
        return SmokeJob(
            "status",
            found.error or f"not ready: {faults}",
            failed_at=SmokeStage.LOOK,
            advice=f"see `livefleet status {node.name}`",
        )

    def _nothing(self, node: NodeSpec) -> SmokeJob:
        wanted = ", ".join(sorted(self._only)) or "any work"
        text = f"it does not do {wanted}" if self._only else "neither transcoding nor a model is declared or offered"
        return SmokeJob("nothing", text, failed_at=SmokeStage.DISCOVER, advice=f"see `livefleet render {node.name}`")

    def _gateway(self, endpoint: Endpoint, *, is_paid: bool) -> SmokeGateway:
        settings = self._settings
        limits = SpendLimits(total=Fraction(settings.max_spend), face_value=settings.max_face_value or None)
        payer = Payer(self._signer if is_paid else None, limits)
        return SmokeGateway(endpoint, payer, settings, self._clip)

    def _wants(self, work: str) -> bool:
        return not self._only or work in self._only

    def _does_video(self, node: NodeSpec) -> bool:
        """Itself or by workers: the fleet's own, or somebody's where it takes them and has nothing else to do."""
        if node.duties.transcoding is not None:
            return True
        nodes = [self._fleet.node(host) for host in self._fleet.hosts]
        mine = [each for each in nodes if each.role is Role.WORKER and self.orchestrator_of(each) is node]
        if mine:
            return any(each.duties.transcoding is not None for each in mine)
        assert node.orchestrator is not None
        return node.orchestrator.worker_secret is not None and not node.models

    def _is_paid(self, node: NodeSpec) -> bool:
        if node.role is Role.WORKER:
            joined = self.orchestrator_of(node)
            return node.network.on_chain if joined is None else joined.network.on_chain
        return node.role is Role.ORCHESTRATOR and node.network.on_chain


class _LoopThread:
    """One event loop for callers on many threads: gRPC's own poller serves one at a time well."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, doing: Coroutine[Any, Any, list[SmokeJob]]) -> list[SmokeJob]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="smoke-jobs", daemon=True).start()
        job = asyncio.run_coroutine_threadsafe(doing, self._loop)
        while True:
            try:
                return job.result(_LOOK_S)
            except TimeoutError:
                if job.done():
                    raise
            if self._stop.is_asked:
                job.cancel()
                raise LivefleetError("the job was cut off on request")


def _counts(fleet: Fleet, host: str) -> Counts:
    found = host_status(fleet, host)
    if found.report is None:
        raise NotSaid(found.error)
    worker, ai = found.report.worker, found.report.ai_worker
    return Counts(0 if worker is None else worker.done, 0 if ai is None else ai.done)


def _signer(fleet: Fleet) -> LocalSigner:
    """The paying account. Raises BadInput saying what to declare."""
    name = fleet.spec.smoke.key
    if name is None:
        raise BadInput(
            f"{fleet.path}: hosts on a chain are paid for smoke jobs: name an account of a gateway's, with deposit and "
            "reserve, as smoke.key"
        )
    ref, folder = fleet.spec.keys[name], fleet.path.parent
    passphrase = None
    if ref.password is not None:
        secret = SecretToSend(f"keys.{name}.password", "", ref.password, folder)
        passphrase = secret.read(os.environ).decode().strip()
    if ref.file is not None:
        signer = load_key(folder / Path(ref.file).expanduser(), passphrase)
    else:
        text = SecretToSend(f"keys.{name}", "", ref, folder).read(os.environ).decode().strip()
        signer = KeyFile(Path(f"keys.{name}"), text, 0o600).open(passphrase)
    if ref.address is not None and ref.address.lower() != signer.address.lower():
        raise BadInput(f"keys.{name}: is the key of {signer.address}, declared is {ref.address}")
    return signer
