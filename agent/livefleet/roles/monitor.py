"""The role monitor: tells Prometheus of hosts in pull mode, takes what hosts push, and watches who watches."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from livefleet.health import AlertRelay, Reading
from livefleet.health.bearer import TokenFile
from livefleet.health.listening import ServerTls
from livefleet.health.open_door import keep_open
from livefleet.health.push_door import PushDoor
from livefleet.kernel import Condition, Status, run_duty
from livefleet.monitoring import target_list
from livefleet.monitoring.discovery import through
from livefleet.roles.base import NeverEmptied, RoleContext, private_folder
from livefleet.spec import MonitorSettings, NodeSpec

__all__ = ["ALERTMANAGER_SERVES", "LOKI_SERVES", "PROMETHEUS_SERVES", "PUSH_DOOR_OPEN", "MonitorRole"]

PROMETHEUS_SERVES = "PrometheusServes"
ALERTMANAGER_SERVES = "AlertmanagerServes"
LOKI_SERVES = "LokiServes"
PUSH_DOOR_OPEN = "PushDoorOpen"

PROMETHEUS: Final = "http://127.0.0.1:9090"
ALERTMANAGER: Final = "http://127.0.0.1:9093"
LOKI: Final = "http://127.0.0.1:3100"
_EVERY_S: Final = 5.0
_UNWELL_EVERY_S: Final = 1.0
_TIMEOUT_S: Final = 5.0


class MonitorRole(NeverEmptied):
    """No media, no chain, no keys: the programs of monitoring are units of their own, which apply brings."""

    required: tuple[str, ...] = (PROMETHEUS_SERVES, ALERTMANAGER_SERVES)

    def __init__(self, context: RoleContext) -> None:
        self._context = context
        self._spec = context.spec
        self._settings = context.spec.monitor or MonitorSettings()
        self._stack = AsyncExitStack()
        self._door: PushDoor | None = None
        self._asked = {
            PROMETHEUS_SERVES: f"{PROMETHEUS}/-/ready",
            ALERTMANAGER_SERVES: f"{ALERTMANAGER}/-/ready",
            **({LOKI_SERVES: f"{LOKI}/ready"} if self._settings.loki else {}),
        }
        self.routes = (Route("/sd", self._targets),)
        """What the admin address has besides: targets for Prometheus' http_sd."""

    async def __aenter__(self) -> Self:
        private_folder(self._spec.paths.state)
        private_folder(self._spec.paths.run)
        if (notify := self._settings.notify) is not None and notify.needs_relay:
            secrets = {name: self._spec.paths.resolve(path) for name, path in self._spec.secrets.items()}
            relay = AlertRelay(notify, secrets, self._context.clock, self._context.board)
            await self._stack.enter_async_context(relay)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self) -> None:
        """Keep the door open and look whether the programs serve, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_duty("monitor", self._watch, on_failure=lambda _: None))
            if self._settings.listen is not None:
                tasks.create_task(keep_open(PUSH_DOOR_OPEN, self._context.board, self._open_door, "the push door"))

    def take_over(self, spec: NodeSpec) -> None:
        """Know the hosts that are declared now."""
        self._spec = spec
        self._settings = spec.monitor or MonitorSettings()

    def parts(self) -> Mapping[str, Any]:
        """The hosts that it knows, and where those that push come to."""
        return {
            "monitor": {
                "hosts": {host.name: host.address or "pushes" for host in self._settings.hosts},
                "push_door": "" if self._door is None else self._door.address,
            }
        }

    def readings(self) -> list[Reading]:
        """The same for /metrics."""
        text = "Hosts that the monitor knows, by how it hears of them."
        hosts = self._settings.hosts
        pushing = sum(not host.address for host in hosts)
        return [
            ("livefleet_monitor_hosts", "gauge", text, {"way": "scrape"}, len(hosts) - pushing),
            ("livefleet_monitor_hosts", "gauge", text, {"way": "push"}, pushing),
            *(self._door.readings() if self._door is not None else ()),
        ]

    def _open_door(self) -> PushDoor:
        settings = self._settings
        assert settings.listen is not None
        assert settings.token is not None  # the spec's own rule

        def file(name: str) -> Path:
            return self._spec.paths.resolve(self._spec.secrets[name])

        tls = None
        if settings.certificate is not None and settings.key is not None:
            tls = ServerTls(file(settings.certificate), file(settings.key))
        behind = {"metrics": PROMETHEUS, **({"logs": LOKI} if settings.loki else {})}
        self._door = PushDoor(settings.listen, TokenFile(file(settings.token)), behind, tls=tls)
        return self._door

    async def _watch(self) -> None:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
            while True:
                looks = [self._look(client, name, url) for name, url in self._asked.items()]
                all_serve = all(await asyncio.gather(*looks))
                await asyncio.sleep(_EVERY_S if all_serve else _UNWELL_EVERY_S)

    async def _look(self, client: httpx.AsyncClient, name: str, url: str) -> bool:
        try:
            answer = await client.get(url)
            problem = "" if answer.is_success else f"{answer.status_code} {answer.text[:100].strip()}"
        except httpx.HTTPError as error:
            problem = type(error).__name__
        if problem:
            what = name.removesuffix("Serves").lower()
            text = f"{url} says {problem}; see `journalctl` of {what}'s unit, or apply this host"
            self._context.board.report(Condition(name, Status.FALSE, "NotServing", text))
        else:
            self._context.board.report(Condition(name, Status.TRUE, "Serves", f"{url} is well"))
        return not problem

    async def _targets(self, request: Request) -> Response:
        """Hosts in pull mode that are asked by the way which `tls` and `token` say; Prometheus asks for each way."""
        door = request.query_params.get("tls") == "1", request.query_params.get("token", "")
        text = target_list(self._spec.fleet, through(self._settings.hosts, door, pulling=True))
        return Response(text, media_type="application/json")
