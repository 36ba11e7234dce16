"""Each endpoint of the chain by itself: who answers, for which chain, how fast and how fresh."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from livefleet.chain import connect
from livefleet.kernel import LivefleetError
from livefleet.spec import Finding, Grade, Network, RpcEndpoint
from livefleet.spec.masked import masked_urls

__all__ = ["EndpointView", "judge_chain", "look_at_chain"]

_SLOW_S: Final = 2.0
_BEHIND_S: Final = 60.0
_TIMEOUT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class EndpointView:
    """What one endpoint answered."""

    url: str  # without what may be a key
    chain_id: int | None = None
    error: str = ""
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
        found.append(Finding(area="chain", what="endpoints", grade=Grade.WARN, message=text, fix=fix))
    return found


async def _ask(network: Network, endpoint: RpcEndpoint) -> EndpointView:
    url = masked_urls(endpoint.url)
    began = time.monotonic()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            alone = network.model_copy(update={"rpc": (endpoint,)})
            async with await connect(alone, timeout_s=_TIMEOUT_S) as client:
                header = await client.rpc.latest()
                return EndpointView(url, client.chain_id, "", time.monotonic() - began, header.timestamp)
    except TimeoutError:
        return EndpointView(url, error=f"no answer within {_TIMEOUT_S:g} s")
    except LivefleetError as error:
        return EndpointView(url, error=masked_urls(str(error)))


def _endpoint(view: EndpointView, now: float, *, keeps_time: bool) -> Finding:
    if view.error:
        fix = "check the URL, the provider's plan and the way out of this network; the node goes on with the others"
        return Finding(area="chain", what=view.url, grade=Grade.FAIL, message=view.error, fix=fix)
    age = now - (view.block_at or now)
    text = f"chain id {view.chain_id}, answers in {view.took_s:.1f} s, newest block {age:.0f} s old"
    if keeps_time and abs(age) > _BEHIND_S:
        fix = "the provider is behind, or this host's clock is wrong: compare with `timedatectl` and a second provider"
        return Finding(area="chain", what=view.url, grade=Grade.FAIL, message=text, fix=fix)
    if view.took_s > _SLOW_S:
        fix = "put a nearer provider first in `network.rpc`"
        return Finding(area="chain", what=view.url, grade=Grade.WARN, message=text, fix=fix)
    return Finding(area="chain", what=view.url, grade=Grade.OK, message=text)
