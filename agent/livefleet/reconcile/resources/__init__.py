"""The things that are kept as declared, one file each."""

from livefleet.reconcile.resources.active_set import ActiveSetResource
from livefleet.reconcile.resources.chain_news import NewsResource
from livefleet.reconcile.resources.departure import DepartureResource, NothingQuoted
from livefleet.reconcile.resources.drain import Drainable, DrainResource, DrainTarget, Remaining, intake_with
from livefleet.reconcile.resources.gas_balance import GasBalanceResource
from livefleet.reconcile.resources.governance import GovernanceResource
from livefleet.reconcile.resources.gpu_health import DeviceWork, GpuHealthResource, GpuStanding
from livefleet.reconcile.resources.gpus import GpuResource
from livefleet.reconcile.resources.hand_over import HandOverResource
from livefleet.reconcile.resources.ledger import LedgerResource, ObservedLedger
from livefleet.reconcile.resources.model_orders import ModelKeeper, ModelOrdersResource
from livefleet.reconcile.resources.on_chain import OnChainResource
from livefleet.reconcile.resources.price_feed import PriceFeedResource
from livefleet.reconcile.resources.proposals import ProposalsResource
from livefleet.reconcile.resources.pulled_spec import PulledSpecResource, Takeover
from livefleet.reconcile.resources.redemption import RedemptionResource
from livefleet.reconcile.resources.reward import RewardResource
from livefleet.reconcile.resources.shared_winners import SharedWinnersResource
from livefleet.reconcile.resources.signer import SIGNER_REACHABLE, SignerResource
from livefleet.reconcile.resources.smoke import SMOKE_PASSED, SmokeObserved, SmokeResource, is_proven

__all__ = [
    "SIGNER_REACHABLE",
    "SMOKE_PASSED",
    "ActiveSetResource",
    "DepartureResource",
    "DeviceWork",
    "DrainResource",
    "DrainTarget",
    "Drainable",
    "GasBalanceResource",
    "GovernanceResource",
    "GpuHealthResource",
    "GpuResource",
    "GpuStanding",
    "HandOverResource",
    "LedgerResource",
    "ModelKeeper",
    "ModelOrdersResource",
    "NewsResource",
    "NothingQuoted",
    "ObservedLedger",
    "OnChainResource",
    "PriceFeedResource",
    "ProposalsResource",
    "PulledSpecResource",
    "RedemptionResource",
    "Remaining",
    "RewardResource",
    "SharedWinnersResource",
    "SignerResource",
    "SmokeObserved",
    "SmokeResource",
    "Takeover",
    "intake_with",
    "is_proven",
]
