"""What is to stand on chain for an orchestrator, as declared. What is not declared is not touched."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from livefleet.spec.amounts import LptAmount, Percent
from livefleet.spec.checksum import is_checksum_wrong, wrong_checksum
from livefleet.spec.model import SpecModel
from livefleet.spec.network import EthAddress
from livefleet.spec.pricing import WeiAmount

__all__ = ["NOBODY", "SAME", "Account", "FeesWithdrawal", "GasSettings", "OnChain", "StakeTransfer"]

NOBODY: Final = "none"
SAME: Final = "same"

_SERVICE_URI: Final = r"^https://[^/\s]+/?$"

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")
_KEY_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}\Z")


def _account(text: str) -> str:
    if not text.startswith("0x"):
        if _KEY_NAME.match(text) is None:
            raise ValueError(f"{text!r} is neither an address (0x and 40 hex digits) nor the name of a key")
        return text
    if _ADDRESS.match(text) is None:
        raise ValueError(f"{text!r} is no address: 0x and 40 hex digits")
    if is_checksum_wrong(text):
        raise ValueError(wrong_checksum(text))
    return text


Account = Annotated[str, AfterValidator(_account), WithJsonSchema({"type": "string"})]
"""A 0x address, or the name (under `keys`) of a key whose `address` is declared. Hosts are told addresses."""

DeclaredUri = Literal["same"] | Annotated[str, StringConstraints(pattern=_SERVICE_URI)]
"""`https://host:port`, or `same` for what `orchestrator.service_uri` says."""


class FeesWithdrawal(SpecModel):
    """Earned ETH goes to a cold address once there is enough of it."""

    to: Account | None = None
    """Where it goes: a plain account, since the protocol pays out with 2300 gas, too little for most contracts.
    Required."""

    above: WeiAmount = 200_000_000_000_000_000
    """Fees from which on a withdrawal is worth its gas."""

    keep: WeiAmount = 20_000_000_000_000_000
    """What the orchestrator's own account is filled up to first, for gas, once it holds less than half of it."""


class StakeTransfer(SpecModel):
    """Stake that rewards have added goes to a cold address once there is enough of it, bonded all the time."""

    to: Account | None = None
    """Whose stake it becomes. Has to be bonded to this orchestrator or to nobody. Required."""

    above: LptAmount = 100 * 10**18
    """How much over `keep` makes a transfer worth its gas."""

    keep: LptAmount | None = None
    """Own stake that stays. None: `min_self_stake`, which it may not be below."""


class GasSettings(SpecModel):
    """When the ETH of a hot key is too little."""

    warn_below: WeiAmount = 10_000_000_000_000_000
    """Balance below which it is said."""

    warn_days: float = Field(default=7.0, ge=0)
    """Days that the balance has to last at what the node spent in the last seven days."""


class OnChain(SpecModel):
    """What is to stand on chain for the orchestrator. Each part is optional; one left out is not touched.

    A node does what its own keys may sign. The rest becomes a proposal, for `livefleet chain sign` on a machine that
    has the key.
    """

    orchestrator: Account | None = None
    """Whose state it is. None: `orchestrator.recipient`, else the address of the node's key."""

    signed_by: Literal["node", "proposal"] = "node"
    """`node`: the node signs where one of its keys is the orchestrator's own. `proposal`: it never does, whatever keys
    it has."""

    reward_cut: Percent | None = None
    """Share of the minted LPT that the orchestrator keeps before its delegators get theirs."""

    fee_cut: Percent | None = None
    """Share of the fees that the orchestrator keeps. The chain holds the other part of 100% (`feeShare`)."""

    max_change: Percent = 50_000
    """How far either cut may go in one round, in percentage points; the rest follows in the next rounds, and the
    condition `CutsInStep` says when. A new orchestrator's first cuts are set at once."""

    service_uri: DeclaredUri | None = None
    """What gateways find in the registry for video."""

    ai_service_uri: DeclaredUri | None = None
    """What gateways find in the registry for AI."""

    reward_caller: Account | None = None
    """Who else may call reward (LIP-118), `none` for nobody."""

    min_self_stake: LptAmount | None = None
    """Own stake that there is to be at least. LPT of the orchestrator's account is bonded where stake is short; nothing
    is ever unbonded."""

    activate: bool = False
    """Become an orchestrator: bond `min_self_stake`, set both cuts and the service URIs. Needs all of these; URIs not
    said are `same`."""

    withdraw_fees: FeesWithdrawal | None = None
    """Withdrawal of earned ETH to a cold address."""

    transfer_stake: StakeTransfer | None = None
    """Transfer of earned stake to a cold address."""

    gas: GasSettings = GasSettings()
    """When the ETH of the node's keys is too little."""

    price_feed: EthAddress | None = None
    """A price feed whose answers are looked at: positive, fresh by `prices.feed.max_age_s`, about ETH and USD. Told by
    the condition `PriceFeedSound`; nothing is done about it."""

    max_gas_price: WeiAmount = 0
    """Wei per gas above which nothing of this is sent. 0: none."""
