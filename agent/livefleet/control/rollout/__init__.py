"""A change that goes over the fleet in batches: planned, proven, taken back where it fails, resumed after a cut."""

from livefleet.control.proof import Verdict
from livefleet.control.rollout.batches import Batch, BatchPlan, plan_batches
from livefleet.control.rollout.conduct import Change, Changed, HostWork, conduct
from livefleet.control.rollout.order import Member, members_of
from livefleet.control.rollout.record import BatchRecord, HostRecord, Phase, RolloutRecord, load_record, save_record
from livefleet.control.rollout.session import RolloutRequest, RolloutSession, Watcher
from livefleet.control.rollout.survey import Survey, survey
from livefleet.control.rollout.work import FleetWork, WorkSettings, went_back

__all__ = [
    "Batch",
    "BatchPlan",
    "BatchRecord",
    "Change",
    "Changed",
    "FleetWork",
    "HostRecord",
    "HostWork",
    "Member",
    "Phase",
    "RolloutRecord",
    "RolloutRequest",
    "RolloutSession",
    "Survey",
    "Verdict",
    "Watcher",
    "WorkSettings",
    "conduct",
    "load_record",
    "members_of",
    "plan_batches",
    "save_record",
    "survey",
    "went_back",
]
