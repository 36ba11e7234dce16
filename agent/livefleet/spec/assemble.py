"""From a parsed fleet file to one checked NodeSpec a host: layers validated alone, merged, validated as a whole.

Problems are collected to the end. A layer's mistakes are told once, where the layer stands; what only shows in the
merge (something missing) is told at the host's name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from livefleet.spec.card_check import check_cards
from livefleet.spec.central import CentralMonitoring, MonitorSettings
from livefleet.spec.check import Placed, check_fleet, check_node
from livefleet.spec.document import Document, Place
from livefleet.spec.explain import Locate, dotted, explain
from livefleet.spec.fleet import LOCAL, FleetSpec, HostSettings, ProfileLayer, SshSettings
from livefleet.spec.gateways_file import with_gateways_file
from livefleet.spec.host_safety import FirewallSettings, MachineSettings
from livefleet.spec.key_check import check_keys
from livefleet.spec.key_uses import key_uses
from livefleet.spec.monitored import Reached, monitor_addresses, monitored_hosts
from livefleet.spec.monitoring_check import check_monitoring, monitoring_secrets
from livefleet.spec.node import NodeSpec
from livefleet.spec.on_chain_check import check_on_chain, with_addresses
from livefleet.spec.problem import Problem, SpecError, did_you_mean
from livefleet.spec.profile import LayerData, Origin, Origins, ProfileFolders, Trail, merge, normal, over
from livefleet.spec.profile_chains import ProfileChains, profiles_named
from livefleet.spec.pull import TRUST_ON_HOST
from livefleet.spec.release import ReleaseSettings
from livefleet.spec.roles import OrchestratorSettings, Role
from livefleet.spec.rollout import rollout_faults
from livefleet.spec.secrets import UsedNames, node_keys, node_secrets, secret_place
from livefleet.spec.smoke import smoke_faults

__all__ = ["Merged", "assemble", "check_profile", "empty_sections", "locate_in", "mapping_of", "used_names"]

_NODE_SIDE: Final = frozenset(NodeSpec.model_fields) - {"keys", "secrets"}  # these are made for the node at the end
# Empty takes back what a lower layer said.
_MAY_BE_EMPTY: Final = frozenset(
    {"profile", "orchestrator", "worker", "redeemer", "keykeeper", "monitor", "on_chain", "store", "pull"}
)


@dataclass(frozen=True, slots=True)
class Merged:
    """One host, merged and checked."""

    node: NodeSpec
    origins: Origins
    settings: HostSettings


def assemble(document: Document, folders: ProfileFolders) -> tuple[FleetSpec, dict[str, Merged]]:
    """The fleet as declared and every host as merged, in the file's order. Raises SpecError with all problems."""
    return _Assembly(document, folders).result()


class _Assembly:
    """One reading of one fleet file: collects problems until the end."""

    def __init__(self, document: Document, folders: ProfileFolders) -> None:
        self._document = document
        self._problems: list[Problem] = list(document.problems)
        self._data = self._with_gateways_files(_normal_fleet(mapping_of(document), document.place))
        self._fleet_layer = self._layer_of_fleet()
        self._chains = ProfileChains(folders, check_profile)
        self._profiles: dict[tuple[str, ...], list[LayerData]] = {}
        self._merged: dict[tuple[str, ...], dict[str, Any]] = {}

    def result(self) -> tuple[FleetSpec, dict[str, Merged]]:
        spec = self._spec()
        self._check_empty()
        nodes = self._nodes()
        self._problems += self._chains.problems
        keys, secrets = self._section("keys"), self._section("secrets")
        self._problems += _told_once(
            (name, problem)
            for name, (node, origins, _) in nodes.items()
            for problem in (
                *check_node(node, origins, keys=keys, secrets=secrets),
                *check_on_chain(node, origins, keys),
                *check_cards(node, origins),
                *(check_keys(node, origins, spec.keys) if spec is not None else ()),
            )
        )
        placed = {name: Placed(_machine(merged), node, origins) for name, (node, origins, merged) in nodes.items()}
        self._problems += check_fleet(placed)
        self._problems += () if spec is None else [*self._smoke(spec), *self._rollout(spec)]
        reached = {name: Reached(node, _reached_at(merged)) for name, (node, _, merged) in nodes.items()}
        if spec is not None and len(nodes) == len(spec.hosts):
            self._problems += self._monitoring(spec, reached, {name: parts[1] for name, parts in nodes.items()})
        if self._problems or spec is None:
            raise SpecError(self._problems)
        return spec, {
            name: _finished(spec, _with_hosts(node, reached, name, spec.monitoring), origins, _let_in(merged, reached))
            for name, (node, origins, merged) in nodes.items()
        }

    def _with_gateways_files(self, data: dict[str, Any]) -> dict[str, Any]:
        """The file with each layer's `gateways_file` read."""
        file, top = self._document.file, self._document.place.children
        layers = [(data, "defaults", top["defaults"])] if "defaults" in data else []
        for kind in ("groups", "hosts"):
            section = data.get(kind)
            if isinstance(section, dict):
                data[kind] = section = dict(section)
                layers += [(section, name, top[kind].children[name]) for name in section]
        for holder, name, place in layers:
            holder[name], problems = with_gateways_file(holder[name], place, file)
            self._problems += problems
        return data

    def _spec(self) -> FleetSpec | None:
        """The file by itself, layer by layer."""
        try:
            return FleetSpec.model_validate(self._data)
        except ValidationError as error:
            self._problems += explain(error, FleetSpec, self._data, locate_in(self._document))
            return None

    def _check_empty(self) -> None:
        for section, holder, place in self._layers():
            self._problems += empty_sections(holder, self._document.file, place, under=section)

    def _layers(self) -> list[tuple[Trail, dict[str, Any], Place]]:
        top = self._document.place.children
        found: list[tuple[Trail, Any, Place]] = []
        if "defaults" in self._data:
            found.append((("defaults",), self._data["defaults"], top["defaults"]))
        for kind in ("groups", "hosts"):
            found += [((kind, name), layer, top[kind].children[name]) for name, layer in self._section(kind).items()]
        return [(trail, layer, place) for trail, layer, place in found if isinstance(layer, dict)]

    def _nodes(self) -> dict[str, tuple[NodeSpec, Origins, dict[str, Any]]]:
        """Each host merged: node, origins, all merged values."""
        said = {(p.file, p.line, p.column, p.path.rpartition(".")[2]) for p in self._problems}
        nodes = {}
        for name, data in self._section("hosts").items():
            if not isinstance(data, dict):
                continue
            layers, lower = self._lower(name, data)
            origins = Origins(layers)
            merged = over(lower, layers[0].data)
            values = {key: value for key, value in merged.items() if key in _NODE_SIDE}
            if isinstance(values.get("profile"), list):
                values["profile"] = " + ".join(map(str, values["profile"]))
            if merged.get("address") == LOCAL and isinstance(values.get("root"), str):
                values["root"] = str((Path(self._document.file).parent / values["root"]).absolute())
            try:
                nodes[name] = NodeSpec.model_validate(values), origins, merged
            except ValidationError as error:
                found = explain(error, NodeSpec, values, _locate_merged(origins), under=("hosts", name))
                self._problems += [
                    p for p in found if (p.file, p.line, p.column, p.path.rpartition(".")[2]) not in said
                ]
        return nodes

    def _lower(self, name: str, data: dict[str, Any]) -> tuple[list[LayerData], dict[str, Any]]:
        """The host's layers, strongest first, and the merge of all but the host's own."""
        place = self._document.place.children["hosts"].children[name]
        place.children["name"] = Place(place.key_line, place.key_column)
        host = LayerData(f"host {name}", self._document.file, {**data, "name": name}, place)
        groups = self._groups(data, place)
        defaults = self._layer("defaults", ("defaults",))
        above = [host, *groups]
        profile = self._profile(Origins([*above, *defaults]), [*above, *defaults])
        layers = [*above, *profile, *defaults, self._fleet_layer]
        key = tuple(layer.name for layer in layers[1:])
        if key not in self._merged:
            self._merged[key] = merge(layer.data for layer in layers[1:])
        return layers, self._merged[key]

    def _groups(self, data: dict[str, Any], place: Place) -> list[LayerData]:
        """The host's groups, strongest first."""
        names = data.get("groups")
        found: list[LayerData] = []
        for index, group in enumerate(names if isinstance(names, list) else []):
            if not isinstance(group, str):
                continue
            if group not in self._section("groups"):
                spot = place.children["groups"].children[index]
                hint = did_you_mean(group, self._section("groups")) or "declare it under `groups`"
                self._problems.append(self._problem(spot, f"no group `{group}`", hint, "groups"))
            found += self._layer(f"group {group}", ("groups", group))
        return found[::-1]

    def _profile(self, origins: Origins, layers: Sequence[LayerData]) -> list[LayerData]:
        """The layers of the profiles that the strongest of these layers names."""
        said = next((layer.data["profile"] for layer in layers if "profile" in layer.data), None)
        named = profiles_named(said, origins.of)
        key = tuple(name for name, _ in named)
        if key not in self._profiles:
            self._profiles[key] = self._chains.layers(named)
        return self._profiles[key]

    def _layer(self, name: str, trail: Trail) -> list[LayerData]:
        data: Any = self._data
        place = self._document.place
        for key in trail:
            if not isinstance(data, dict) or key not in data:
                return []
            data, place = data[key], place.children[key]
        return [LayerData(name, self._document.file, data, place)] if isinstance(data, dict) else []

    def _layer_of_fleet(self) -> LayerData:
        top = self._document.place
        place = Place(top.line, top.column)
        data: dict[str, Any] = {"fleet": ""}
        for key, source in (("fleet", "name"), ("network", "network"), ("keys", "keys"), ("secrets", "secrets")):
            if source in self._data:
                data[key] = self._data[source]
                place.children[key] = top.children[source]
        place.children.setdefault("fleet", place)
        return LayerData("fleet", self._document.file, data, place)

    def _smoke(self, spec: FleetSpec) -> list[Problem]:
        places = self._document.place.children
        return [
            self._problem(places["smoke"].children[field], message, hint, f"smoke.{field}")
            for field, message, hint in smoke_faults(spec.smoke, spec.keys)
        ]

    def _rollout(self, spec: FleetSpec) -> list[Problem]:
        places = self._document.place.children
        return [
            self._problem(places["rollout"].children[field], message, hint, f"rollout.{field}")
            for field, message, hint in rollout_faults(spec.rollout, spec.hosts, spec.groups)
        ]

    def _monitoring(
        self, spec: FleetSpec, reached: dict[str, Reached], origins: dict[str, Origins]
    ) -> Iterable[Problem]:
        places = self._document.place.children
        for trail, message, hint in check_monitoring(spec.monitoring, reached, spec.secrets):
            if trail[0] == "hosts":
                name, *path = trail[1:]
                of = origins[str(name)]
                origin = of.nearest(tuple(path)) or of.of(("name",))
                assert origin is not None  # the host's layer always has a name
                yield Problem(origin.file, origin.line, origin.column, message, hint, dotted(tuple(path)))
                continue
            place = places.get("monitoring", self._document.place)
            for key in trail:
                place = place.children.get(key, place)
            yield self._problem(place, message, hint, dotted(("monitoring", *trail)))

    def _section(self, name: str) -> dict[str, Any]:
        section = self._data.get(name)
        return section if isinstance(section, dict) else {}

    def _problem(self, place: Place, message: str, hint: str, path: str) -> Problem:
        return Problem(self._document.file, place.line, place.column, message, hint, path)


def _finished(spec: FleetSpec, node: NodeSpec, origins: Origins, merged: dict[str, Any]) -> Merged:
    used = used_names(node)
    place = secret_place(node)
    made = {
        "keys": node_keys(spec, used, place),
        "secrets": node_secrets(spec, used, place),
        "store": node.shared_store,
    }
    full = node.model_copy(update=made)
    if node.pull is not None:
        full = full.model_copy(update={"pull": node.pull.model_copy(update={"trust": TRUST_ON_HOST})})
    if (door := _withheld(spec, node)) is not None:
        full = full.model_copy(update={"orchestrator": door})
    if full.on_chain is not None:
        full = full.model_copy(update={"on_chain": with_addresses(full.on_chain, spec.keys)})
    settings = HostSettings(
        name=node.name,
        address=merged["address"],
        groups=tuple(merged.get("groups", ())),
        profile=node.profile,
        ssh=SshSettings.model_validate(merged.get("ssh", {})),
        release=ReleaseSettings.model_validate(merged.get("release", {})),
        firewall=FirewallSettings.model_validate(merged.get("firewall", {})),
        machine=MachineSettings.model_validate(merged.get("machine", {})),
        trust=None if node.pull is None else node.pull.trust,
    )
    return Merged(full, origins, settings)


def _withheld(spec: FleetSpec, node: NodeSpec) -> OrchestratorSettings | None:
    """The front door of an orchestrator that has to be proven, with whose job it waits for; None: it is as declared."""
    door, key = node.orchestrator, spec.smoke.key
    if not spec.smoke.withhold or key is None or door is None or not node.network.on_chain:
        return None
    if door.discovery_only or door.smoke_account is not None:
        return None
    return door.model_copy(update={"smoke_account": spec.keys[key].address})


def _reached_at(merged: dict[str, Any]) -> str:
    address = str(merged.get("address"))
    return "" if address == LOCAL else address


def _with_hosts(node: NodeSpec, reached: dict[str, Reached], name: str, central: CentralMonitoring) -> NodeSpec:
    """A monitor knows every host; nobody else does."""
    if node.role is not Role.MONITOR:
        return node
    door = MonitorSettings() if node.monitor is None else node.monitor
    notify = central.notify if central.notify.needs_relay else None
    known = {"hosts": monitored_hosts(reached, name), "loki": central.loki, "notify": notify}
    return node.model_copy(update={"monitor": door.model_copy(update=known)})


def _let_in(merged: dict[str, Any], reached: dict[str, Reached]) -> dict[str, Any]:
    """The merged values, monitors let in by the firewall where nobody has said who is."""
    firewall = merged.get("firewall")
    monitors = monitor_addresses(reached)
    if not monitors or not isinstance(firewall, dict) or "monitors" in firewall:
        return merged
    return {**merged, "firewall": {**firewall, "monitors": monitors}}


def _machine(merged: dict[str, Any]) -> str:
    """The same text for hosts that are reached in the same way, which makes them one machine."""
    ssh = merged.get("ssh")
    way = [str(ssh.get(key, "")) for key in ("port", "jump")] if isinstance(ssh, dict) else []
    return " ".join([str(merged.get("address")), *way])


def _told_once(found: Iterable[tuple[str, Problem]]) -> list[Problem]:
    """What many hosts have from one place is one problem; it names the first of them."""
    hosts: dict[Problem, list[str]] = {}
    for host, problem in found:
        hosts.setdefault(problem, []).append(host)
    return [
        replace(problem, message=f"{problem.message} ({names[0]}{f' and {len(names) - 1} more' if names[1:] else ''})")
        for problem, names in hosts.items()
    ]


def used_names(node: NodeSpec) -> UsedNames:
    """The keys and secrets that the node's settings name."""
    secrets = [node.orchestrator.worker_secret, node.orchestrator.auth_webhook_secret] if node.orchestrator else []
    if node.orchestrator is not None and (before := node.orchestrator.worker_secret_before) is not None:
        secrets.append(before.secret)
    if node.orchestrator is not None and (tls := node.orchestrator.tls) is not None:
        secrets += [tls.certificate, tls.key]
    secrets += [node.worker.secret] if node.worker else []
    if node.orchestrator is not None and node.orchestrator.object_store is not None:
        secrets.append(node.orchestrator.object_store.secret)
    if (shared := node.shared_store) is not None:
        secrets += [shared.postgres, shared.ca]
    secrets += [model.token for model in node.models]
    secrets += [node.duties.ai.weights.token] if node.duties.ai else []
    secrets += monitoring_secrets(node)
    return UsedNames(
        tuple(sorted({use.name for use in key_uses(node)})),
        tuple(sorted({name for name in secrets if name is not None})),
    )


def _normal_fleet(data: dict[str, Any], place: Place) -> dict[str, Any]:
    """The whole file with every layer in normal form."""
    data = dict(normal(data, place))
    if "defaults" in data:
        data["defaults"] = normal(data["defaults"], place.children["defaults"])
    for kind in ("groups", "hosts"):
        if isinstance(data.get(kind), dict):
            inner = place.children[kind].children
            data[kind] = {name: normal(layer, inner[name]) for name, layer in data[kind].items()}
    return data


def check_profile(name: str, document: Document) -> tuple[dict[str, Any] | None, list[Problem]]:  # noqa: ARG001
    """A profile by itself."""
    data = normal(document.data, document.place)
    problems: list[Problem] = []
    try:
        ProfileLayer.model_validate(data)
    except ValidationError as error:
        problems += explain(error, ProfileLayer, data, locate_in(document))
    if not isinstance(data, dict):
        return None, problems
    problems += empty_sections(data, document.file, document.place)
    data, more = with_gateways_file(data, document.place, document.file)
    return data, [*problems, *more]


def mapping_of(document: Document) -> dict[str, Any]:
    """The file's data, which must be a mapping."""
    if isinstance(document.data, dict):
        return document.data
    message = "the file is empty" if document.data is None else "the file must be a mapping"
    place = document.place
    raise SpecError(
        [*document.problems, Problem(document.file, place.line, place.column, message, "begin with `name:`")]
    )


def empty_sections(layer: Any, file: str, place: Place, *, under: Trail = ()) -> list[Problem]:
    """Sections of a layer that are there and say nothing."""
    if not isinstance(layer, dict) or None not in layer.values():
        return []
    hint = "write its values below it, or leave the line out"
    return [
        Problem(file, spot.key_line, spot.key_column, f"`{key}` is empty", hint, dotted((*under, key)))
        for key, value in layer.items()
        if value is None and key not in _MAY_BE_EMPTY
        for spot in [place.children[key]]
    ]


def locate_in(document: Document) -> Locate:
    """Positions within one file: of the path, or of the nearest thing around it."""

    def locate(path: Trail, at_key: bool) -> Origin:
        place = document.place
        for key in path:
            if key not in place.children:
                break
            place = place.children[key]
        line, column = (place.key_line, place.key_column) if at_key else (place.line, place.column)
        return Origin("", document.file, line, column)

    return locate


def _locate_merged(origins: Origins) -> Locate:
    """Positions of merged values; what no layer gave is missed at the host's own name."""
    host = origins.of(("name",))
    assert host is not None  # the host's layer always has it

    def locate(path: Trail, at_key: bool) -> Origin:
        return (origins.of(path) if path and not at_key else None) or host

    return locate
