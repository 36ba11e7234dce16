"""Orchestrator Siphon's `config.ini`: a machine that holds the orchestrator's own key."""

import configparser
import re
from pathlib import PurePosixPath
from typing import Final

from livefleet.control.importer.findings import Finding, Outcome, Spot
from livefleet.control.importer.process import Process
from livefleet.control.importer.sources.base import Reading, Source, host_name
from livefleet.control.importer.words import Word, literal
from livefleet.spec import Problem, SpecError

__all__ = ["read_siphon"]

_FLAGS: Final = {"keystore": "ethKeystorePath", "password": "ethPassword", "source_address": "ethAcctAddr"}


def read_siphon(source: Source) -> Reading:
    """A node that only calls reward for each keystore, in go-livepeer's words; what else it does is told."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(source.text)
    except configparser.Error as error:
        line = getattr(error, "lineno", 1) or 1
        what = "is no INI file: " + error.message.splitlines()[0]
        raise SpecError(
            [Problem(source.shown, line, 1, what, "a line is `name = value` under a `[section]`")]
        ) from None
    stem = host_name(PurePosixPath(source.shown).stem)
    endpoint = parser.get("rpc", "l2", fallback="")
    processes: list[Process] = []
    for section in parser.sections():
        if not section.startswith("keystore"):
            continue
        words: list[Word] = [literal("-reward", _spot(source, section, ""))]
        words += [literal("-network=arbitrum-one-mainnet", _spot(source, section, ""))]
        if endpoint:
            words.append(literal(f"-ethUrl={_plain(endpoint)}", _spot(source, "rpc", "l2")))
        for name, flag in _FLAGS.items():
            if value := _plain(parser.get(section, name, fallback="")):
                words.append(literal(f"-{flag}={value}", _spot(source, section, name)))
        name = stem if not processes else f"{stem}-{len(processes) + 1}"
        processes.append(
            Process(
                name=name,
                machine=source.machine,
                spot=_spot(source, section, ""),
                kind="siphon",
                arguments=tuple(words),
                folder=source.folder,
                findings=tuple(_rest(source, parser, section, name)),
            )
        )
    return Reading(tuple(processes))


def _rest(source: Source, parser: configparser.ConfigParser, section: str, process: str) -> list[Finding]:
    """What keykeepers have other words for."""
    found = []
    for name, where in (
        ("receiver_address_eth", "on_chain.withdraw_fees.to"),
        ("receiver_address_lpt", "on_chain.transfer_stake.to"),
    ):
        if value := _plain(parser.get(section, name, fallback="")):
            text = f"write `{where}: {value}`, with `above` and `keep`; `livefleet chain plan` shows what it would do"
            found.append(Finding(_spot(source, section, name), Outcome.TO_DO, name, text, process))
    for other in ("features", "thresholds", "timers"):
        if parser.has_section(other):
            text = "amounts are `above` and `keep` of `on_chain`; the agent acts when there is something to do"
            found.append(Finding(_spot(source, other, ""), Outcome.NO_COUNTERPART, f"[{other}]", text, process))
    return found


def _plain(value: str) -> str:
    return value.strip().strip("\"'")


def _spot(source: Source, section: str, name: str) -> Spot:
    inside = False
    for number, line in enumerate(source.text.splitlines(), 1):
        if line.strip() == f"[{section}]":
            inside = True
            if not name:
                return Spot(source.shown, number, 1)
        elif line.startswith("["):
            inside = False
        elif inside and re.match(rf"\s*{re.escape(name)}\s*[=:]", line, re.IGNORECASE):
            return Spot(source.shown, number, 1)
    return source.start()
