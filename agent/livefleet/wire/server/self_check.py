"""Pings the node through its public address, as gateways would come."""

import asyncio
import logging
import random
from types import TracebackType
from typing import Self

import grpc

from livefleet.chain import Signer, verify
from livefleet.kernel import Condition, ConditionBoard, LivefleetError, Status
from livefleet.wire.channel import open_channel, service_endpoint
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.proto import lp_rpc_pb2_grpc as rpc
from livefleet.wire.signing import ping_message

__all__ = ["CONDITION", "SelfCheck"]

log = logging.getLogger(__name__)

CONDITION = "ServiceReachable"

_FIRST_S = 2.0
_AGAIN_S = 60.0
_AGAIN_WHILE_FAILING_S = 15.0
_TIMEOUT_S = 8.0


class SelfCheck:
    """Keeps the condition `ServiceReachable`; runs while entered.

    It blocks nothing and stops nothing: behind some routers a node cannot reach itself though all others can.
    """

    def __init__(
        self,
        service_uri: str,
        *,
        signer: Signer | None,
        board: ConditionBoard,
        rng: random.Random,
        first_s: float = _FIRST_S,
        again_s: float = _AGAIN_S,
    ) -> None:
        self._service_uri = service_uri
        self._signer = signer
        self._board = board
        self._rng = rng
        self._first_s = first_s
        self._again_s = again_s
        self._group = asyncio.TaskGroup()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._report(Status.UNKNOWN, "NotChecked", f"{self._service_uri} has not been asked yet")
        self._task = self._group.create_task(self._keep_checking(), name="self-check")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._group.__aexit__(None, None, None)
        self._board.withdraw(CONDITION)

    async def _keep_checking(self) -> None:
        wait_s = self._first_s
        while True:
            await asyncio.sleep(wait_s)
            try:
                is_well = await self._check()
            except (LivefleetError, grpc.aio.AioRpcError) as error:
                is_well = False
                told = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
                self._report(
                    Status.FALSE,
                    "Unreachable",
                    f"the node does not reach itself at {self._service_uri} ({told}); check DNS, firewall and port "
                    "forwarding, or ignore this where the router cannot turn traffic around",
                )
            wait_s = self._again_s if is_well else min(self._again_s, _AGAIN_WHILE_FAILING_S)

    async def _check(self) -> bool:
        value = self._rng.randbytes(32)
        channel = await open_channel(service_endpoint(self._service_uri), timeout_s=_TIMEOUT_S)
        try:
            answer = await rpc.OrchestratorStub(channel).Ping(pb.PingPong(value=value), timeout=_TIMEOUT_S)
        finally:
            await channel.close(None)
        if self._signer is not None:
            ours = bytes.fromhex(self._signer.address.removeprefix("0x"))
            if not verify(ours, ping_message(value), answer.value):
                self._report(
                    Status.FALSE,
                    "SomebodyElse",
                    f"{self._service_uri} is answered by somebody who does not hold this node's key; "
                    "check service_uri and DNS",
                )
                return False
        self._report(Status.TRUE, "Answered", f"the node reaches itself at {self._service_uri}")
        return True

    def _report(self, status: Status, reason: str, message: str) -> None:
        self._board.report(Condition(CONDITION, status, reason, message, gates_ready=False))
