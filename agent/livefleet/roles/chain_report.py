"""What a role tells of the chain as it sees it, and of the endpoints that it sees it through."""

from collections import Counter
from typing import Any

from livefleet.chain import ChainWatcher, EndpointHealth, EndpointState
from livefleet.health import Reading

__all__ = ["chain_part", "own_chain_readings"]


def chain_part(watcher: ChainWatcher) -> dict[str, Any]:
    """For /status."""
    head = watcher.head()
    return {
        "block": head.block,
        "l1_block": head.l1_block,
        "round": head.current_round,
        "round_initialized": head.round_is_initialized,
        "round_blocks_left": head.blocks_left_in_round,
        "pool_size": head.pool_size,
        "gas_price_wei": head.gas_price,
        "seen_at": head.seen_at,
        "reorganisations": watcher.reorganisations,
        "rpc": [_endpoint_part(endpoint) for endpoint in watcher.endpoints],
    }


def own_chain_readings(watcher: ChainWatcher) -> list[Reading]:
    """For /metrics."""
    head = watcher.head()
    return [
        _gauge("chain_seen_age_seconds", "Since the chain was last seen.", watcher.last_look().age_s),
        _gauge("chain_l1_block_number", "L1 block.", head.l1_block),
        _gauge("chain_round_number", "Round, initialised or not.", head.current_round),
        _counter("chain_looks", "Looks at the chain that worked.", watcher.looks),
        _counter("chain_reorganisations", "Times that blocks which were seen were replaced.", watcher.reorganisations),
        *_rpc_readings(watcher.endpoints),
    ]


def _endpoint_part(endpoint: EndpointHealth) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "state": endpoint.state.name.lower(),
        "why": endpoint.why,
        "rests_for_s": round(endpoint.rests_for_s, 1),
        "behind": endpoint.is_behind,
        "head": endpoint.head,
        "latency_s": None if endpoint.latency_s is None else round(endpoint.latency_s, 4),
        "error_rate": round(endpoint.error_rate, 3),
        "requests_last_hour": sum((endpoint.last_hour or {}).values()),
        "methods_last_hour": dict(endpoint.last_hour or {}),
    }


def _rpc_readings(endpoints: tuple[EndpointHealth, ...]) -> list[Reading]:
    """By host: what follows in the URL may be a key, and two endpoints of one host count together."""
    requests: Counter[str] = Counter()
    by_method: Counter[tuple[str, str]] = Counter()
    last_hour: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    resting: dict[str, bool] = {}
    readings: list[Reading] = []
    for endpoint in endpoints:
        url = endpoint.url
        requests[url] += endpoint.requests
        by_method.update({(url, method): count for method, count in (endpoint.by_method or {}).items()})
        last_hour[url] += sum((endpoint.last_hour or {}).values())
        failures[url] += endpoint.failures
        resting[url] = endpoint.state is not EndpointState.HEALTHY and resting.get(url, True)
        if endpoint.latency_s is not None:
            text = "Time to answer, of late."
            readings.append(_gauge("rpc_latency_seconds", text, endpoint.latency_s, endpoint=url))
        if endpoint.head is not None:
            text = "Highest block that the endpoint has shown."
            readings.append(_gauge("rpc_head_block_number", text, endpoint.head, endpoint=url))
        text = "1 while the endpoint is too far behind the others."
        readings.append(_gauge("rpc_behind", text, float(endpoint.is_behind), endpoint=url))
    return [
        *(_counter("rpc_requests", "JSON-RPC requests sent.", count, endpoint=url) for url, count in requests.items()),
        *(
            _counter("rpc_method_requests", "The same by method.", count, endpoint=url, method=method)
            for (url, method), count in by_method.items()
        ),
        *(_gauge("rpc_last_hour_requests", "Of the last hour.", n, endpoint=url) for url, n in last_hour.items()),
        *(_counter("rpc_failures", "Times the endpoint failed.", n, endpoint=url) for url, n in failures.items()),
        *(_gauge("rpc_resting", "1 while left out.", float(rests), endpoint=url) for url, rests in resting.items()),
        *_first_of_host(readings),
    ]


def _first_of_host(readings: list[Reading]) -> list[Reading]:
    """One reading a name and host: the first declared endpoint's."""
    found: dict[tuple[str, str], Reading] = {}
    for reading in readings:
        found.setdefault((reading[0], reading[3]["endpoint"]), reading)
    return list(found.values())


def _counter(name: str, text: str, value: float, **labels: str) -> Reading:
    return (f"livefleet_{name}_total", "counter", text, labels, value)


def _gauge(name: str, text: str, value: float, **labels: str) -> Reading:
    return (f"livefleet_{name}", "gauge", text, labels, value)
