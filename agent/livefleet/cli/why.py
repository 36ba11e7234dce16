"""`livefleet why`: what a gateway would check about an orchestrator, and why it would not select it."""

import asyncio
import secrets
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from livefleet.cli.gateway import DEFAULT_PROFILES
from livefleet.cli.output import console, print_json
from livefleet.kernel import Address, BadInput, SystemClock
from livefleet.spec import Currency, Fleet, Network, NetworkName, NodeSpec, Role, load_fleet

if TYPE_CHECKING:
    from livefleet.control import HostStatus
    from livefleet.wire.gateway.selection import Job, Report, Row

__all__ = ["command"]

_RECENT_S = 3600.0
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "dim"}


@dataclass(frozen=True, slots=True)
class _Target:
    """Which orchestrator, and what the fleet says of it."""

    url: str
    network: Network | None = None
    address: Address | None = None
    fleet: Fleet | None = None
    host: str | None = None


@click.command("why")
@click.argument("target", required=False, metavar="[URL|HOST]")
@click.option(
    "--fleet", type=click.Path(path_type=Path), envvar="LIVEFLEET_SPEC", help="The spec; fleet.yaml where there is one."
)
@click.option("--profile", "profiles", multiple=True, help="A rendition of the job; repeatable.")
@click.option("--model", metavar="PIPELINE/ID", help="Ask for an AI job in place of transcoding.")
@click.option("--max-price", metavar="PRICE", help="The gateway's ceiling a pixel or unit, such as '1200 wei'.")
@click.option("--min-version", default="", help="The oldest version that the gateway takes.")
@click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), help="A funded gateway's key.")
@click.option("--password-file", type=click.Path(dir_okay=False, path_type=Path), help="Keystore passphrase.")
@click.option("--rpc", multiple=True, metavar="URL", help="Check the standing on chain here, in place of the fleet's.")
@click.option("--controller", metavar="ADDRESS", help="With --rpc, of another network than Arbitrum One.")
@click.option("--address", metavar="ADDRESS", help="The orchestrator's on chain, where it does not tell.")
@click.option(
    "--discovery-timeout", type=click.FloatRange(min=1), default=500, show_default=True, help="A gateway's, in ms."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def command(
    ctx: click.Context,
    target: str | None,
    fleet: Path | None,
    profiles: tuple[str, ...],
    model: str | None,
    max_price: str | None,
    min_version: str,
    key_file: Path | None,
    password_file: Path | None,
    rpc: tuple[str, ...],
    controller: str | None,
    address: str | None,
    discovery_timeout: float,
    *,
    as_json: bool,
) -> None:
    """Check an orchestrator as a gateway would: the way to it, its answer, price and tickets, its standing on chain.

    URL is its service URI; HOST is one of the fleet's, whose own word is asked too. Without --key-file the request is
    signed with a throwaway key, which has no reserve: an orchestrator that wants to be paid then tells nothing more.

    Exit code 1 when a check fails, 2 when an argument or the spec is wrong, 3 when nobody listens there.
    """
    from livefleet.chain import LocalSigner, load_key
    from livefleet.wire.channel import parse_endpoint
    from livefleet.wire.gateway.selection import Question, walk

    found = _find(target, fleet)
    network = _network(rpc, controller) or found.network
    question = Question(
        endpoint=parse_endpoint(found.url),
        job=_job(profiles, model, min_version),
        signer=LocalSigner(secrets.token_bytes(32)) if key_file is None else load_key(key_file, _read(password_file)),
        has_funds=key_file is not None,
        on_chain=network is not None or key_file is not None,
        max_price=_price(max_price),
        answer_within_s=discovery_timeout / 1000,
        address=_checked_address(address) or found.address,
    )
    report = asyncio.run(walk(question, clock=SystemClock(), random_bytes=secrets.token_bytes, network=network))
    if found.fleet is not None and found.host is not None:
        from livefleet.control import fleet_status

        status = fleet_status(found.fleet, [found.host]).hosts[0]
        report = replace(report, rows=(*report.rows, _own_view(status), _suspensions(status, SystemClock().now())))
    if as_json:
        print_json(_document(report))
    else:
        _print(report)
    ctx.exit(report.exit_code)


def _find(target: str | None, path: Path | None) -> _Target:
    if path is None and Path("fleet.yaml").exists():
        path = Path("fleet.yaml")
    if path is None:
        if target is None:
            raise BadInput("name an orchestrator: https://host:port, or a host of --fleet")
        return _Target(target)
    fleet = load_fleet(path)
    host = _host(fleet, target)
    if host is None:
        assert target is not None, "without a target a host was chosen"
        return _Target(target, network=_if_on_chain(fleet.spec.network))
    node = fleet.node(host)
    if node.orchestrator is None:
        raise BadInput(f"{host} is a {node.role}: gateways see orchestrators only")
    return _Target(node.orchestrator.service_uri, _if_on_chain(node.network), _paid_address(node), fleet, host)


def _host(fleet: Fleet, target: str | None) -> str | None:
    """The fleet's host that is meant; None for an address that is not the fleet's."""
    from livefleet.chain import same_service

    uris = {
        name: settings.service_uri
        for name in fleet.hosts
        if (settings := fleet.node(name).orchestrator) is not None and fleet.node(name).role is Role.ORCHESTRATOR
    }
    if target is None:
        if len(uris) != 1:
            raise BadInput(f"{fleet.path}: name one of its orchestrators: {', '.join(uris) or 'there is none'}")
        return next(iter(uris))
    if target in fleet.hosts:
        return target
    if "//" in target:
        return next((name for name, uri in uris.items() if same_service(uri, target)), None)
    if "." not in target and ":" not in target:
        fleet.node(target)  # says which names there are
    return None


def _paid_address(node: NodeSpec) -> Address | None:
    settings = node.orchestrator
    if settings is None or settings.key is None:
        return None
    return _checked_address(settings.recipient or node.keys[settings.key].address)


def _checked_address(text: str | None) -> Address | None:
    from livefleet.chain import checksum_address

    if text is None:
        return None
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise BadInput(f"{text!r} is no address; write 0x and 40 hex digits")
    return checksum_address(raw)


def _if_on_chain(network: Network) -> Network | None:
    return network if network.on_chain else None


def _network(rpc: tuple[str, ...], controller: str | None) -> Network | None:
    if not rpc:
        if controller is not None:
            raise BadInput("--controller goes with --rpc")
        return None
    if controller is None:
        return Network(name=NetworkName.ARBITRUM_ONE, rpc=rpc)
    return Network(name=NetworkName.DEVCHAIN, rpc=rpc, controller=_checked_address(controller))


def _job(profiles: tuple[str, ...], model: str | None, min_version: str) -> "Job":
    from livefleet.media.ladder import parse_profile
    from livefleet.wire.gateway.selection import model_job, transcoding_job

    if model is None:
        return transcoding_job([parse_profile(p) for p in profiles or DEFAULT_PROFILES], min_version=min_version)
    if profiles:
        raise BadInput("--profile is for transcoding; leave it out with --model")
    return model_job(model, min_version=min_version)


def _price(text: str | None) -> Fraction | None:
    from livefleet.spec.declared_price import parse_price

    if text is None:
        return None
    try:
        price = parse_price(text)
    except ValueError as error:
        raise BadInput(f"--max-price: {error}") from error
    if price.currency is not Currency.WEI:
        raise BadInput(f"--max-price: {text!r}: gateways compare in wei; write for example '1200 wei'")
    return price.amount


def _read(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text().strip()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error


def _own_view(status: "HostStatus") -> "Row":
    from livefleet.wire.gateway.selection import Row, Verdict

    check = "own view"
    if status.report is None:
        return Row(check, Verdict.WARN, status.error, f"look at the host: `livefleet status {status.host}`")
    faults = "; ".join(f"{c.name} {c.subject} ({c.reason}): {c.message}".replace("  ", " ") for c in status.faults)
    if not status.ready:
        return Row(check, Verdict.FAIL, f"not ready: {faults}", "put that right first")
    if status.drifted:
        return Row(
            check, Verdict.WARN, "ready, but with another spec than declared", f"`livefleet apply {status.host}`"
        )
    if faults:
        return Row(check, Verdict.WARN, f"ready, but {faults}", f"`livefleet status {status.host}`")
    return Row(check, Verdict.OK, f"ready, version {status.report.version}")


def _suspensions(status: "HostStatus", now: float) -> "Row":
    """What gateways were told lately that makes them leave; how long they stay away is their own business."""
    from livefleet.wire.gateway.selection import Row, Verdict

    check = "suspensions"
    if status.report is None or status.report.server is None:
        return Row(check, Verdict.SKIP, "the node does not say whom it gave a reason to leave")
    told = status.report.server.suspensions
    if not told:
        return Row(check, Verdict.OK, "no gateway had a reason to leave since the node started")
    last = told[-1]
    recent = sum(now - suspension.at < _RECENT_S for suspension in told)
    text = f"last, {max(0.0, now - last.at) / 60:.0f} min ago, to {last.gateway or 'a gateway'}: {last.error}"
    if not recent:
        return Row(check, Verdict.OK, f"none within the hour; {text}")
    advice = "that gateway stays away for some of its refreshes; `livefleet status` tells of load and faults"
    return Row(check, Verdict.WARN, f"{recent} within the hour; {text}", advice)


def _document(report: "Report") -> dict[str, Any]:
    return {
        "uri": report.uri,
        "reachable": report.reachable,
        "exit_code": report.exit_code,
        "rows": [
            {"check": row.check, "verdict": row.verdict, "found": row.found, "advice": row.advice or None}
            for row in report.rows
        ],
    }


def _print(report: "Report") -> None:
    table = Table("", "check", "found", "what to do", box=None, title=report.uri, title_justify="left")
    for row in report.rows:
        table.add_row(f"[{_COLOURS[row.verdict]}]{row.verdict}[/]", row.check, escape(row.found), escape(row.advice))
    console().print(table)
