"""Each endpoint of the chain by itself: who answers, for which chain, how fast and how fresh."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from livefleet.chain import NoProtocol, WrongChain, connect
from livefleet.kernel import LivefleetError
from livefleet.spec import Finding, Grade, Network, RpcEndpoint, Trouble
from livefleet.spec.masked import masked_urls

__all__ = ["EndpointView", "judge_chain", "look_at_chain", "told_by"]

_SLOW_S: Final = 2.0
_BEHIND_S: Final = 60.0
_TIMEOUT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class EndpointView:
    """What one endpoint answered."""

    url: str  # without what may be a key
    chain_id: int | None = None
    error: str = ""
    trouble: Trouble = Trouble.CHAIN_NOT_ANSWERING  # which the error is
    took_s: float = 0.0  # to look the protocol's contracts up and read the newest block
    block_at: int | None = None  # the newest block's time by the chain's clock, unix seconds


async def look_at_chain(network: Network) -> list[EndpointView]:
    """Ask all endpoints at once, each alone."""
    return list(await asyncio.gather(*(_ask(network, endpoint) for endpoint in network.endpoints)))


def judge_chain(views: Sequence[EndpointView], *, now: float, keeps_time: bool) -> list[Finding]:
    """What their answers mean. `keeps_time`: new blocks come all the time, so that an old one means trouble. Pure."""
    found = [_endpoint(view, now, keeps_time=keeps_time) for view in views]
    good = sum(finding.grade is not Grade.FAIL for finding in found)
    if keeps_time and good == 1:
        text = "one endpoint alone is usable: when it rests, rewards and redemptions wait"
        fix = "declare a second provider in `network.rpc`"
        found.append(_bad(Trouble.CHAIN_ONE_ENDPOINT, "endpoints", text, fix, Grade.WARN))
    return found


def told_by(error: LivefleetError) -> tuple[Trouble, str]:
    """Which trouble an error of `connect` is, and what to do about it. Pure."""
    trouble = _trouble_of(error)
    return trouble, _FIXES[trouble]


_FIXES: Final = {
    Trouble.CHAIN_NOT_ANSWERING: "check the URL, the provider's plan and the way out of this network (`curl` it from"
    " the host); the node goes on with the others",
    Trouble.CHAIN_OTHER: "take it out of `network.rpc`, or put in the provider's URL for this chain",
    Trouble.CHAIN_NO_PROTOCOL: "correct `network.controller`; where it is right, the provider has the chain only in"
    " part: take another",
}


def _trouble_of(error: LivefleetError) -> Trouble:
    match error:
        case WrongChain():
            return Trouble.CHAIN_OTHER
        case NoProtocol():
            return Trouble.CHAIN_NO_PROTOCOL
        case _:
            return Trouble.CHAIN_NOT_ANSWERING


async def _ask(network: Network, endpoint: RpcEndpoint) -> EndpointView:
    url = masked_urls(endpoint.url)
    began = time.monotonic()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            alone = network.model_copy(update={"rpc": (endpoint,)})
            async with await connect(alone, timeout_s=_TIMEOUT_S) as client:
                header = await client.rpc.latest()
                took_s = time.monotonic() - began
                return EndpointView(url, client.chain_id, took_s=took_s, block_at=header.timestamp)
    except TimeoutError:
        return EndpointView(url, error=f"no answer within {_TIMEOUT_S:g} s")
    except LivefleetError as error:
        return EndpointView(url, error=_alone(masked_urls(str(error)), url), trouble=_trouble_of(error))


def _alone(text: str, url: str) -> str:
    """The error without its words about all endpoints: there is one, and the finding names it."""
    return text.removeprefix("no JSON-RPC endpoint answers: ").removeprefix(url).strip(": ") or text


def _endpoint(view: EndpointView, now: float, *, keeps_time: bool) -> Finding:
    if view.error:
        return _bad(view.trouble, view.url, view.error, _FIXES[view.trouble])
    age = now - (view.block_at or now)
    text = f"chain id {view.chain_id}, answers in {view.took_s:.1f} s, newest block {age:.0f} s old"
    if keeps_time and abs(age) > _BEHIND_S:
        fix = "the provider is behind, or this host's clock is wrong: compare with `timedatectl` and a second provider"
        return _bad(Trouble.CHAIN_BEHIND, view.url, text, fix)
    if view.took_s > _SLOW_S:
        fix = "put a nearer provider first in `network.rpc`"
        return _bad(Trouble.CHAIN_SLOW, view.url, text, fix, Grade.WARN)
    return Finding(area="chain", what=view.url, grade=Grade.OK, message=text)


def _bad(trouble: Trouble, what: str, message: str, fix: str, grade: Grade = Grade.FAIL) -> Finding:
    return Finding.bad(trouble, "chain", what, message, fix, grade)
