"""Walks what a gateway checks about an orchestrator, in its order, as far as each step allows the next."""

from collections.abc import Callable
from datetime import UTC, datetime

from livefleet.chain import checksum_address, connect
from livefleet.kernel import Address, Clock, LivefleetError, Wei
from livefleet.spec import Network
from livefleet.wire.gateway.selection.models import Answers, ChainFacts, Question, Report, Row, Sighting, Verdict
from livefleet.wire.gateway.selection.offer import (
    judge_capability_prices,
    judge_offer,
    judge_ping,
    judge_price,
    judge_refusal,
    judge_ticket_expiry,
    judge_tickets,
)
from livefleet.wire.gateway.selection.onchain import look_up
from livefleet.wire.gateway.selection.path import (
    judge_answer_time,
    judge_certificate,
    judge_http,
    judge_name,
    judge_tcp,
    judge_tls,
)
from livefleet.wire.gateway.selection.probe import ask, connect_each, handshake_twice, post_without_credentials, resolve
from livefleet.wire.gateway.selection.standing import judge_chain, judge_funds
from livefleet.wire.messages import OrchestratorInfo

__all__ = ["judge", "look", "walk"]


async def walk(
    question: Question, *, clock: Clock, random_bytes: Callable[[int], bytes], network: Network | None = None
) -> Report:
    """Every check about one orchestrator; `network` None leaves the chain out."""
    return judge(question, await look(question, clock=clock, random_bytes=random_bytes, network=network))


async def look(
    question: Question, *, clock: Clock, random_bytes: Callable[[int], bytes], network: Network | None
) -> Sighting:
    """Everything that can be seen from here."""
    name = await resolve(question.endpoint)
    connections = await connect_each(question.endpoint, name.addresses, clock)
    tls = answers = http = None
    if any(not connection.error for connection in connections):
        tls = await handshake_twice(question.endpoint)
        if tls.both is not None:
            answers = await ask(question, tls, clock, random_bytes(32))
            http = await post_without_credentials(question.endpoint)
    address = question.address or _own_address(answers)
    chain, chain_error = await _chain(question, address, network)
    return Sighting(clock.now(), name, connections, tls, answers, http, chain, chain_error)


def _own_address(answers: Answers | None) -> Address | None:
    """Under which address the orchestrator is paid, as it says; else the one that it signs with."""
    if answers is None:
        return None
    if answers.info is not None and answers.info.ticket_params is not None:
        return answers.info.ticket_params.recipient
    return None if answers.ping_signer is None else checksum_address(answers.ping_signer)


async def _chain(question: Question, address: Address | None, network: Network | None) -> tuple[ChainFacts | None, str]:
    """The standing, or why it is not known; neither where no chain was named."""
    if network is None:
        return None, ""
    if address is None:
        return None, "the orchestrator's address is not known"
    try:
        async with await connect(network) as client:
            return await look_up(client, address, question.signer.address if question.has_funds else None), ""
    except LivefleetError as error:
        return None, str(error)


def judge(question: Question, seen: Sighting) -> Report:
    """What follows from what was seen. Pure."""
    rows = [judge_name(question.endpoint.host, seen.name)]
    if seen.connections:
        rows.append(judge_tcp(seen.connections))
    if seen.tls is not None:
        rows.append(judge_tls(seen.tls))
        if seen.tls.both is not None:
            second = None if seen.tls.plain is None else seen.tls.plain.certificate
            now = datetime.fromtimestamp(seen.at, UTC)
            rows.append(judge_certificate(question.endpoint.host, seen.tls.both.certificate, second, now))
    if seen.answers is not None:
        rows += _judge_answers(question, seen.answers, seen)
    if seen.http is not None:
        rows.append(judge_http(seen.http))
    rows += _judge_chain(question, seen)
    return Report(question.uri, tuple(rows), seen.reachable)


def _judge_answers(question: Question, answers: Answers, seen: Sighting) -> list[Row]:
    rows = [judge_answer_time(answers.tries, question.answer_within_s), *judge_refusal(question, answers)]
    if answers.info is not None:
        rows += [*judge_offer(question, answers.info, now=seen.at), *_judge_cost(question, answers.info, seen)]
    if answers.general.info is not None:
        rows.append(judge_capability_prices(answers.general.info.capability_prices, question.max_price))
    if answers.info is not None:
        rows.append(judge_ping(answers.info, answers))
    return rows


def _judge_cost(question: Question, info: OrchestratorInfo, seen: Sighting) -> list[Row]:
    on_chain, params = question.on_chain, info.ticket_params
    rows = [
        judge_price(question, info.price, on_chain=on_chain),
        judge_tickets(question.job, info.price, params, on_chain=on_chain),
    ]
    if params is not None:
        rows.append(judge_ticket_expiry(params, None if seen.chain is None else seen.chain.l1_block))
    return rows


def _judge_chain(question: Question, seen: Sighting) -> list[Row]:
    if seen.chain is not None:
        info = None if seen.answers is None else seen.answers.info
        params = None if info is None else info.ticket_params
        face_value = Wei(0) if params is None else params.face_value
        return [*judge_chain(question, seen.chain), judge_funds(seen.chain, face_value)]
    if seen.chain_error:
        advice = "give --address, and --rpc of an endpoint that answers"
        return [Row("chain", Verdict.FAIL, seen.chain_error, advice)]
    return [Row("chain", Verdict.SKIP, "no network was given", "give --fleet or --rpc to check the standing on chain")]
