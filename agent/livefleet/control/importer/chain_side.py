"""The chain: network, keys, who is paid, rewards and redemption."""

import re
from typing import Final

from livefleet.control.importer.addresses import (
    eth_address,
    has_key,
    host_of,
    is_inner_name,
    is_listen_address,
    is_loopback,
    listen_address,
)
from livefleet.control.importer.draft import CHANGE_ME, Draft
from livefleet.control.importer.keys import ChainBook, address_of
from livefleet.control.importer.settings import Said
from livefleet.control.importer.tree import Line, put

__all__ = ["map_network", "map_redeemer", "map_reward_node", "map_rewards", "recipient_of"]

NOBODY: Final = "0x" + 40 * "0"
_CONTROLLER: Final = "0xd8e8328501e9645d16cf49539efc04f734606ee4"
_DEAD_NETWORKS: Final = frozenset({"rinkeby", "arbitrum-one-rinkeby", "goerli", "arbitrum-one-goerli", "testnet"})
_URL: Final = re.compile(r"https?://\S+")
_SCHEME: Final = re.compile(r"[a-z0-9+]+(?=://)")
_RPC: Final = f"https://{CHANGE_ME}-rpc.example.com"


def map_network(draft: Draft, book: ChainBook) -> None:
    """`-network`, `-ethUrl`, `-ethController`."""
    name, url, controller = draft.get("network"), draft.get("ethUrl"), draft.get("ethController")
    if not draft.on_chain:
        if name is not None:
            draft.taken(name, "network.name")
        return
    assert name is not None
    _name(draft, name, book)
    if url is not None:
        _endpoint(draft, url, book)
    else:
        draft.to_do("no -ethUrl: write `network.rpc`; go-livepeer does not start without it", subject="-ethUrl")
        if not book.rpc:
            book.rpc.append(_RPC)
    if controller is not None:
        address = eth_address(controller.value.text)
        if address is None:
            draft.leave(controller, "it is no address")
        elif address[0].lower() == _CONTROLLER:
            draft.adapt(controller, "the network's own, which is the default of `network.controller`")
        else:
            put(book.network, "controller", address[0], controller.origin)
            draft.taken(controller, "network.controller")
    origins = "; ".join(dict.fromkeys(book.rpc_origins))
    put(book.network, "rpc", list(book.rpc), origins or "not said")


def map_rewards(draft: Draft, key_address: str | None, recipient: str | None) -> None:
    """Rewards and redemption of an orchestrator, by go-livepeer's rules."""
    if not draft.on_chain:
        return
    reward = draft.settings.said.get("reward")
    own_account = recipient is None or (key_address is not None and recipient.lower() == key_address.lower())
    if reward is not None:
        if reward.is_true:
            draft.take(reward, "duties.reward", {})
            _rewards_settings(draft)
            if not own_account:
                text = "the orchestrator has to have named this account as its reward caller: `on_chain.reward_caller`"
                draft.advise(text, reward)
        else:
            draft.adapt(reward, "the duty `reward` is left out; one host of the fleet has to have it")
    elif own_account:
        draft.put("duties.reward", {}, "not said: go-livepeer calls reward where its account is an orchestrator")
        _rewards_settings(draft)
    initializes = draft.settings.said.get("initializeRound")
    if initializes is not None and "reward" not in draft.tree.get("duties", {}):
        draft.leave(
            initializes, "the agent initializes rounds within the duty `reward` alone, which this host does not have"
        )
    if (registry := draft.settings.said.get("aiServiceRegistry")) is not None and registry.is_true:
        draft.put("on_chain.signed_by", "proposal", "nothing is sent by itself; `livefleet chain sign` signs it")
        draft.adapt(
            registry, "the address is declared, and set only where it differs", "on_chain.ai_service_uri", "same"
        )
    if (redeemer := draft.get("redeemerAddr")) is not None:
        address = listen_address(redeemer.value.text, "127.0.0.1", "8935")
        if not is_listen_address(address):
            draft.leave(redeemer, "it is no host:port that is known here")
            draft.to_do(
                "write the redeemer's host:port as `orchestrator.redeemer`, or add the duty `redemption`", redeemer
            )
            return
        draft.take(redeemer, "orchestrator.redeemer", address)
        draft.advise("while this one redeemer is away no quote is made; the duty `redemption` needs none", redeemer)
        if is_inner_name(host_of(address)):
            draft.to_do(
                f"`{host_of(address)}` is a name that only containers know: write the redeemer's address", redeemer
            )
    else:
        draft.put("duties.redemption", {}, "go-livepeer redeems in every orchestrator without -redeemerAddr")
        _gas_limit(draft, "duties.redemption")


def map_redeemer(draft: Draft, key: str) -> None:
    """A redemption service."""
    said = draft.get("httpAddr")
    address = listen_address(said.value.text if said is not None else "", "127.0.0.1", "8935")
    if said is not None and not is_listen_address(address):
        draft.leave(said, "it is no host:port that is known here")
        address = "127.0.0.1:8935"
    elif said is not None:
        draft.take(said, "redeemer.listen", address)
    if not is_loopback(host_of(address)):
        draft.danger("the redeemer asks nobody who he is: let only orchestrators reach this address", said)
    draft.put("redeemer.key", key)
    if (main := draft.get("ethOrchAddr")) is not None and (recipient := recipient_of(draft)) is not None:
        draft.take(main, "redeemer.recipient", recipient)
    draft.put("duties.redemption", {}, f"-redeemer, {draft.process.spot.file}:{draft.process.spot.line}")
    _gas_limit(draft, "duties.redemption")


def map_reward_node(draft: Draft, key: str, key_address: str | None) -> None:
    """A node that only calls reward: a keykeeper."""
    main = recipient_of(draft)
    orchestrator = main or key_address
    if orchestrator is None:
        draft.put("keykeeper.orchestrator", NOBODY, "not said")
        draft.to_do("write the orchestrator's address as `keykeeper.orchestrator`", subject="-ethAcctAddr")
    elif (said := draft.get("ethOrchAddr")) is not None and main is not None:
        draft.take(said, "keykeeper.orchestrator", main)
    else:
        draft.put("keykeeper.orchestrator", orchestrator, "-ethAcctAddr is the orchestrator's own")
    is_own = main is None or (key_address or "").lower() == main.lower()
    draft.put(f"keykeeper.keys.{'orchestrator' if is_own else 'reward_caller'}", key)
    if (reward := draft.settings.said.get("reward")) is not None:
        draft.take(reward, "duties.reward", {})
    else:
        draft.put("duties.reward", {}, "the agent initializes rounds within the duty `reward`")
    _rewards_settings(draft)


def recipient_of(draft: Draft) -> str | None:
    """The address of `-ethOrchAddr`."""
    said = draft.get("ethOrchAddr")
    address = address_of(draft, said)
    if said is not None and address is None:
        draft.leave(said, "it is no address that is known here")
        draft.to_do("write the orchestrator's address as `recipient`", said)
    return address


def _rewards_settings(draft: Draft) -> None:
    _gas_limit(draft, "duties.reward")
    said = draft.settings.said.get("initializeRound")
    if said is not None:
        draft.take(said, "duties.reward.initialize_round", said.is_true)


def _gas_limit(draft: Draft, duty: str) -> None:
    said = draft.get("maxGasPrice")
    if said is None:
        return
    text = said.value.known
    limit = int(text, 0) if text is not None and text.lstrip("+").isdigit() else 0
    if limit <= 0:
        draft.leave(said, "0 is no limit, which is the default" if text is not None else "known on the machine only")
        return
    draft.take(said, f"{duty}.max_gas_price", limit)
    draft.put(
        f"{duty}.urgent_max_gas_price", limit, "go-livepeer waits for cheaper gas up to the end; 0 pays what it takes"
    )


def _name(draft: Draft, said: Said, book: ChainBook) -> None:
    name = said.value.known
    wanted = "arbitrum-one-mainnet"
    if name == wanted:
        draft.taken(said, "network.name")
    elif name is None:
        draft.leave(said, f"{said.value.text} is known on the machine only; {wanted} is written")
        draft.to_do("check `network.name`", said)
    elif name in _DEAD_NETWORKS:
        draft.danger(f"the network `{name}` is gone; {wanted} is written", said)
        draft.leave(said, "the network is gone")
        draft.to_do("check `network.name` and `network.rpc`", said)
    elif name == "mainnet":
        draft.danger(f"the protocol has left Ethereum's own chain for Arbitrum: {wanted} is written", said)
        draft.leave(said, "the protocol has left Ethereum's own chain")
        draft.to_do("`network.rpc` has to be an endpoint of Arbitrum One", said)
    elif draft.get("ethController") is None:
        draft.danger(
            f"go-livepeer knows no network `{name}`, and finds no contracts there without -ethController", said
        )
        draft.leave(said, f"`{name[:40]}` is no network that is known; {wanted} is written")
        draft.to_do("check `network.name`", said)
    else:
        wanted = "devchain"
        draft.adapt(said, f"a network of its own is `devchain`, with its controller; `{name}` is not kept")
    book.network.setdefault("name", Line(wanted, said.origin))


def _endpoint(draft: Draft, said: Said, book: ChainBook) -> None:
    url = said.value.known
    if url is None:
        draft.adapt(said, f"network.rpc: {said.value.text} is known on the machine only")
        draft.to_do(f"write the endpoint that {said.value.text} stands for into `network.rpc`", said)
        if not book.rpc:
            book.rpc.append(_RPC)
        return
    if not _URL.fullmatch(url) or not host_of(url):
        kind = found[0] if (found := _SCHEME.match(url)) is not None else "IPC file"
        draft.adapt(said, f"network.rpc: a {kind} endpoint, and the agent asks by http or https")
        draft.to_do("write the provider's http or https endpoint into `network.rpc`", said)
        if not book.rpc:
            book.rpc.append(_RPC)
        return
    if _RPC in book.rpc:
        book.rpc.remove(_RPC)
    if url not in book.rpc:
        book.rpc.append(url)
        book.rpc_origins.append(said.origin)
    draft.taken(said, "network.rpc")
    if is_inner_name(host_of(url)):
        draft.to_do(f"`{host_of(url)}` is a name that only containers know: write an address that hosts reach", said)
    if has_key(url):
        draft.danger(
            "the endpoint's key is part of its URL, and stands in the fleet file: keep that file to yourself", said
        )
