"""Doors and reports: where gateways and operators reach the node, and what it writes."""

import re
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from livefleet.control.importer.addresses import (
    host_of,
    is_inner_name,
    is_listen_address,
    is_loopback,
    is_private,
    listen_address,
    port_of,
)
from livefleet.control.importer.draft import CHANGE_ME, Draft, NodeKind
from livefleet.control.importer.secret_book import SecretBook
from livefleet.control.importer.settings import Said
from livefleet.control.importer.words import literal

__all__ = ["map_door", "map_hooks", "map_reports"]

_CLI_PORTS: Final = {
    NodeKind.ORCHESTRATOR: "7935", NodeKind.TRANSCODER: "6935", NodeKind.AI_WORKER: "4935", NodeKind.GATEWAY: "5935",
    NodeKind.SIGNER: "3935",
}  # fmt: skip
_DOOR: Final = "8935"
_HOST: Final = re.compile(r"(?:https?://)?(?:\[[0-9a-fA-F:.]+\]|[^\s/:\[\]@]+)(?::[0-9]{1,5})?/?")
_STORE_FORMS: Final = frozenset({"s3", "s3+https", "s3+http", "gs"})


def map_door(draft: Draft) -> None:
    """`-serviceAddr`, `-httpAddr`, `-nodes` of an orchestrator."""
    said = draft.get("serviceAddr")
    uri = _service_uri(draft, said)
    nodes = draft.get("nodes")
    if said is None:
        draft.put("orchestrator.service_uri", uri, "not said; gateways are told this address")
        text = "not said: write the public https://host:port of this orchestrator as `service_uri`"
        draft.to_do(text, subject="-serviceAddr")
    elif said.value.known == "none":
        draft.put("orchestrator.service_uri", uri, "the address of the discovery door, which -serviceAddr none hides")
        draft.to_do("write this node's own https://host:port as `service_uri`; work stays at `nodes`", said)
        draft.adapt(said, "tell gateways of `nodes` and work nowhere", "orchestrator.discovery_only", value=True)
    elif said.value.known is not None and not _HOST.fullmatch(said.value.known):
        draft.leave(said, "it is no host:port")
        draft.put("orchestrator.service_uri", uri, said.origin)
        draft.to_do("write the public https://host:port of this orchestrator as `service_uri`", said)
    elif said.value.known is None:
        draft.adapt(said, f"{said.value.text} is known on the machine only", "orchestrator.service_uri", uri)
        draft.to_do(f"write what {said.value.text} stands for as `service_uri`", said)
    else:
        draft.take(said, "orchestrator.service_uri", uri)
        host = host_of(uri)
        if host in ("0.0.0.0", "::"):  # noqa: S104 -- compared with
            draft.to_do("nobody can call 0.0.0.0: write the public https://host:port as `service_uri`", said)
        elif draft.on_chain and (is_private(host) or is_inner_name(host)):
            draft.danger(f"gateways cannot reach {host}: say a public address as `service_uri`", said)
        if said.value.text.startswith("http://"):
            draft.danger("gateways speak TLS: it is taken as https", said)
    if nodes is not None:
        entries = [entry.strip() for entry in nodes.value.text.split(",") if entry.strip()]
        draft.take(nodes, "orchestrator.nodes", [e if e.startswith("https://") else f"https://{e}" for e in entries])
    _listen(draft, uri)


def map_reports(draft: Draft) -> None:
    """`-cliAddr`, `-monitor`, `-metricsPerStream`, `-v`."""
    _admin_door(draft)
    if (said := draft.get("monitor")) is not None:
        draft.adapt(said, "metrics are always served, go-livepeer's names among them, at `monitoring.admin_listen`")
    if (said := draft.get("metricsPerStream")) is not None:
        draft.take(said, "monitoring.metrics_per_stream", said.is_true)
    if (said := draft.get("v")) is not None:
        _log_level(draft, said)


def map_hooks(draft: Draft, book: SecretBook) -> None:
    """`-authWebhookUrl`, `-objectStore`."""
    if (said := draft.get("authWebhookUrl")) is not None:
        _webhook(draft, said, book)
    if (said := draft.get("objectStore")) is not None:
        _object_store(draft, said, book)


def _service_uri(draft: Draft, said: Said | None) -> str:
    text = said.value.known if said is not None else None
    if text in (None, "", "none") or not _HOST.fullmatch(text):
        return f"https://{CHANGE_ME}-{draft.name}.example.com:{_DOOR}"
    assert text is not None
    host = text.split("://", 1)[-1].partition("/")[0]
    return f"https://{host}"


def _listen(draft: Draft, uri: str) -> None:
    said = draft.get("httpAddr")
    port = port_of(uri) or _DOOR
    if said is not None and said.value.known is None:
        draft.leave(said, f"{said.value.text} is known on the machine only; the door is 0.0.0.0:{port}")
        said = None
    if said is not None and not is_listen_address(listen_address(said.value.text, "0.0.0.0", port)):  # noqa: S104 -- likewise
        draft.leave(said, f"it is no host:port; the door is 0.0.0.0:{port}")
        said = None
    wanted = f"0.0.0.0:{port}" if said is None else listen_address(said.value.text, "0.0.0.0", port)  # noqa: S104 -- gateways come from everywhere
    outside = _published(draft, port_of(wanted))
    if outside is not None and outside != port_of(wanted):
        wanted = f"0.0.0.0:{outside}"
        remark = f"the container's port {port_of(said.value.text) if said else port} is the machine's {outside}"
        if said is None:
            draft.put("orchestrator.listen", wanted, remark)
        else:
            draft.adapt(said, remark, "orchestrator.listen", wanted)
    elif said is not None:
        draft.take(said, "orchestrator.listen", wanted)
    elif port != _DOOR:
        draft.put("orchestrator.listen", wanted, "the port of the service address")
    if is_loopback(host_of(wanted)) and draft.on_chain:
        draft.danger("a door on loopback: no gateway reaches it unless something passes connections on", said)


def _published(draft: Draft, port: str) -> str | None:
    container = draft.process.container
    if container is None or container.host_network:
        return None
    return next((each.outside for each in container.ports if each.inside == port), None)


def _admin_door(draft: Draft) -> None:
    said = draft.get("cliAddr")
    default = _CLI_PORTS.get(draft.kind, "7935")
    address = listen_address(said.value.text if said is not None else "", "127.0.0.1", default)
    host, port = host_of(address), port_of(address)
    container = draft.process.container
    shut_in = container is not None and not container.host_network
    if said is not None:
        text = "the agent's admin door stays at 127.0.0.1:7936: it tells, and changes nothing"
        draft.adapt(said, f"{text}; say `monitoring.admin_listen` for a Prometheus elsewhere")
        if not is_loopback(host) and draft.process.kind == "kubernetes":
            draft.danger(
                f"every pod of the cluster reaches port {port} and may change prices and move stake: go-livepeer asks "
                "nobody who he is",
                said,
            )
        elif not is_loopback(host) and not shut_in:
            draft.danger(
                f"whoever reaches port {port} may change prices and move stake: go-livepeer asks nobody who he is; "
                f"bind it to 127.0.0.1 until the move",
                said,
            )
    for published in container.ports if container is not None else ():
        if published.inside == port and published.is_open:
            draft.danger(
                f"go-livepeer's admin port is published as {published.outside} on every address of the machine; "
                f"publish 127.0.0.1:{published.outside}:{port} until the move",
                subject="ports",
                spot=published.spot,
            )
    if container is not None and container.host_network and said is None and draft.kind in _CLI_PORTS:
        draft.danger(
            f"with the host's network every user of the machine reaches go-livepeer's admin port {port}",
            subject="network",
            spot=draft.process.spot,
        )


def _log_level(draft: Draft, said: Said) -> None:
    if said.value.text in ("6", "7", "8", "9", "10", "99"):
        draft.adapt(said, "glog's 6 and above", "monitoring.log_level", "DEBUG")
    else:
        draft.adapt(said, "INFO, the default of `monitoring.log_level`, tells as much")


def _webhook(draft: Draft, said: Said, book: SecretBook) -> None:
    url = said.value.known
    parts = urlsplit(url) if url is not None else None
    if parts is not None and not parts.query and "@" not in parts.netloc:
        draft.take(said, "orchestrator.auth_webhook", url)
        return
    name = book.name("auth-webhook", book.refer("auth-webhook", said, draft.process))
    draft.adapt(said, "its URL holds a key, and so is a secret", "orchestrator.auth_webhook", name)


def _object_store(draft: Draft, said: Said, book: SecretBook) -> None:
    url = said.value.known
    parts = urlsplit(url) if url is not None else None
    if parts is None or parts.scheme not in _STORE_FORMS:
        draft.leave(said, "its form is not known; write `orchestrator.object_store` by hand")
        draft.to_do(
            "declare `orchestrator.object_store`, or leave it out: results then stay in the node's memory", said
        )
        return
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    keyfile = parse_qs(parts.query).get("keyfile", [""])[0]
    store = {"url": bare}
    if parts.scheme == "gs" and keyfile:
        reference = book.refer_word("object-store.json", literal(keyfile, said.spot), draft.process)
        store["secret"] = book.name("object-store", reference)
    elif parts.username and parts.password:
        store["access_key"] = unquote(parts.username)
        store["secret"] = book.name("object-store", book.keep("object-store", unquote(parts.password)))
    else:
        draft.leave(
            said, "it has no credentials in it; write `orchestrator.object_store` with `access_key` and `secret`"
        )
        draft.to_do("declare `orchestrator.object_store` with its credentials", said)
        return
    for name, value in store.items():
        draft.put(f"orchestrator.object_store.{name}", value, said.origin if name == "url" else "")
    draft.adapt(said, "orchestrator.object_store: its credentials are apart, the secret one by reference")
