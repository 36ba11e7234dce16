"""Processes that share a machine, or join each other: what one agent does in their place, and at which ports."""

import re
from typing import Any

from livefleet.control.importer.addresses import host_of, is_loopback, port_of
from livefleet.control.importer.draft import Draft, NodeKind
from livefleet.control.importer.tree import Line, Tree

__all__ = ["find_redeemer", "give_ports", "merge_worker", "orchestrator_of", "rejoin"]


def orchestrator_of(draft: Draft, among: list[Draft]) -> Draft | None:
    """The orchestrator that a worker joins, where it is one of these."""
    said = draft.get("orchAddr")
    if said is None or said.value.known is None:
        return None
    first = said.value.known.partition(",")[0].strip()
    host = host_of(first)
    for other in among:
        if other.kind is not NodeKind.ORCHESTRATOR:
            continue
        uri = other.tree["orchestrator"]["service_uri"].value
        is_same = uri == f"https://{re.sub('^https?://', '', first)}"
        is_near = other.process.machine == draft.process.machine and is_loopback(host)
        if is_same or is_near or host in other.process.names:
            return other
    return None


def merge_worker(draft: Draft, host: Draft) -> None:
    """Take a worker into the orchestrator of its own machine."""
    _refuses_remote(draft, host)
    duties = draft.tree.get("duties", {})
    ours = host.tree.setdefault("duties", {})
    for duty, settings in duties.items():
        if duty == "transcoding" and isinstance(ours.get(duty), dict) and isinstance(settings, dict):
            _add_sessions(ours[duty], settings)
        else:
            ours.setdefault(duty, settings)
    for section in ("gpus", "driver"):
        if section in draft.tree:
            host.tree[section] = _wider(host.tree.get(section), draft.tree[section])
    if "models" in draft.tree:
        _add_models(host.tree, draft.tree["models"])
    for name in ("orchAddr", "orchSecret", "transcoder", "aiWorker"):
        if (said := draft.get(name)) is not None:
            draft.fates.pop(name, None)
            draft.adapt(said, f"a duty of `{host.name}`: one agent does all the work of one machine")
    draft.findings = [each for each in draft.findings if each.subject not in ("-orchAddr", "LP_ORCHADDR")]


def rejoin(draft: Draft, hosts: list[Draft]) -> None:
    """Workers join the service address of an orchestrator of the fleet, whatever name containers have for it."""
    if not draft.kind.is_worker:
        return
    host = orchestrator_of(draft, hosts)
    said = draft.get("orchAddr")
    if host is None or said is None:
        return
    _refuses_remote(draft, host)
    _share_secret(draft, host)
    uri = host.tree["orchestrator"]["service_uri"].value.removeprefix("https://")
    if uri == draft.tree["worker"]["orchestrator"].value:
        return
    draft.fates.pop("orchAddr", None)
    wanted = uri if port_of(uri) else f"{uri}:443"
    draft.adapt(said, f"the service address of `{host.name}`", "worker.orchestrator", wanted)
    draft.findings = [each for each in draft.findings if each.subject != said.shown]


def find_redeemer(draft: Draft, hosts: list[Draft], *, split: bool) -> None:
    """`-redeemerAddr` by the name that containers have for it."""
    said = draft.get("redeemerAddr")
    if said is None or draft.kind is not NodeKind.ORCHESTRATOR or "redeemer" not in draft.tree["orchestrator"]:
        return
    wanted = host_of(draft.tree["orchestrator"]["redeemer"].value)
    for other in hosts:
        is_near = other.process.machine == draft.process.machine and not split
        is_it = wanted in other.process.names or (is_near and is_loopback(wanted))
        if other.kind is not NodeKind.REDEEMER or not is_it:
            continue
        listen = other.tree["redeemer"]["listen"].value if "listen" in other.tree["redeemer"] else "127.0.0.1:8935"
        if is_near:
            draft.fates.pop("redeemerAddr", None)
            draft.findings = [each for each in draft.findings if each.subject != said.shown]
            address = f"127.0.0.1:{port_of(listen)}"
            draft.adapt(said, f"the door of `{other.name}` on this machine", "orchestrator.redeemer", address)
        return


def give_ports(hosts: list[Draft]) -> None:
    """Redeemers whose door would be an orchestrator's on one machine get another; containers had one each."""
    for draft in hosts:
        if draft.kind is not NodeKind.REDEEMER:
            continue
        section = draft.tree["redeemer"]
        listen = section["listen"].value if "listen" in section else "127.0.0.1:8935"
        taken = {
            port_of(other.tree["orchestrator"]["listen"].value) if "listen" in other.tree["orchestrator"] else "8935"
            for other in hosts
            if other.kind is NodeKind.ORCHESTRATOR and other.process.machine == draft.process.machine
        }
        port = port_of(listen)
        if port not in taken:
            continue
        free = next(str(number) for number in range(int(port) + 2, int(port) + 100) if str(number) not in taken)
        address = f"{listen.rpartition(':')[0]}:{free}"
        if (said := draft.get("httpAddr")) is not None:
            draft.fates.pop("httpAddr", None)
            draft.adapt(said, f"port {port} is an orchestrator's on this machine", "redeemer.listen", address)
        else:
            draft.put("redeemer.listen", address, f"port {port} is an orchestrator's on this machine")


def _refuses_remote(draft: Draft, host: Draft) -> None:
    if host.on("transcoder") and draft.kind is NodeKind.TRANSCODER:
        text = f"`{host.name}` has -transcoder, so that go-livepeer refuses this one: unknown service net.Transcoder"
        draft.danger(text, subject="-orchAddr")


def _share_secret(draft: Draft, host: Draft) -> None:
    """One name for the secret of both sides: where both say a text or a file, nothing but a try tells them equal."""
    settings, own = host.tree["orchestrator"], draft.tree["worker"]["secret"]
    if "worker_secret" not in settings:
        settings["worker_secret"] = Line(own.value, f"of `{draft.name}`, which joins here")
        host.danger(
            f"`{draft.name}` joins, and without -orchSecret go-livepeer takes no workers", subject="-orchSecret"
        )
    elif settings["worker_secret"].value != own.value:
        said = draft.get("orchSecret")
        draft.danger(
            f"`{host.name}` says its secret otherwise: make sure that both are the same", said, subject="-orchSecret"
        )
        draft.put("worker.secret", settings["worker_secret"].value, f"as `{host.name}` has it")


def _add_sessions(ours: Tree, theirs: Tree) -> None:
    both = [tree["max_sessions"] for tree in (ours, theirs) if "max_sessions" in tree]
    if len(both) == 2 and all(isinstance(line.value, int) for line in both):
        ours["max_sessions"] = Line(sum(line.value for line in both), "; ".join(line.remark for line in both))
    elif both:
        ours["max_sessions"] = both[0]
    if "encoder" in ours and "encoder" not in theirs:
        del ours["encoder"]


def _add_models(tree: Tree, models: Line) -> None:
    """Models of a worker, loaded where the orchestrator had left them to it; their prices stay the orchestrator's."""
    theirs = {(entry["pipeline"], entry["model_id"]): entry for entry in models.value}
    ours = tree["models"].value if "models" in tree else []
    merged: list[dict[str, Any]] = []
    for entry in ours:
        own = theirs.pop((entry["pipeline"], entry["model_id"]), None)
        if own is not None and entry.get("device") == "workers":
            kept = {name: entry[name] for name in ("price", "gateways") if name in entry}
            merged.append({**own, **kept})
        else:
            merged.append(entry)
    origin = "; ".join(filter(None, [tree["models"].remark if "models" in tree else "", models.remark]))
    tree["models"] = Line([*merged, *theirs.values()], origin)


def _wider(ours: Any, theirs: Any) -> Any:
    if not isinstance(ours, Line) or not isinstance(theirs, Line) or ours.value == "none":
        return theirs if ours is None or isinstance(ours, Line) else ours
    if isinstance(ours.value, list) and isinstance(theirs.value, list):
        return Line(list(dict.fromkeys([*ours.value, *theirs.value])), f"{ours.remark}; {theirs.remark}")
    return ours if ours.value == "all" else theirs if theirs.value != "none" else ours
