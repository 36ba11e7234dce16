"""Between protobuf and inside types. Generated messages stay within this package; nothing else reads their fields."""

from livefleet.wire.translate.answers import (
    info_from_proto,
    info_to_payment_result,
    info_to_proto,
    outcome_from_proto,
    outcome_to_proto,
    request_from_proto,
    request_to_proto,
)
from livefleet.wire.translate.capabilities import capabilities_from_proto, capabilities_to_proto
from livefleet.wire.translate.payments import (
    payment_from_header,
    payment_from_proto,
    payment_to_header,
    payment_to_proto,
    ticket_params_from_proto,
    ticket_params_to_proto,
)
from livefleet.wire.translate.profiles import profile_from_proto, profile_to_proto
from livefleet.wire.translate.segments import (
    segment_from_header,
    segment_from_proto,
    segment_to_header,
    segment_to_proto,
    task_from_proto,
    task_to_proto,
)
from livefleet.wire.translate.storage import storage_from_proto, storage_to_proto
from livefleet.wire.translate.tokens import auth_token_from_proto, auth_token_to_proto
from livefleet.wire.translate.workers import (
    ai_task_from_proto,
    ai_task_to_proto,
    hardware_from_proto,
    hardware_to_proto,
    registration_from_proto,
    registration_to_proto,
)

__all__ = [
    "ai_task_from_proto",
    "ai_task_to_proto",
    "auth_token_from_proto",
    "auth_token_to_proto",
    "capabilities_from_proto",
    "capabilities_to_proto",
    "hardware_from_proto",
    "hardware_to_proto",
    "info_from_proto",
    "info_to_payment_result",
    "info_to_proto",
    "outcome_from_proto",
    "outcome_to_proto",
    "payment_from_header",
    "payment_from_proto",
    "payment_to_header",
    "payment_to_proto",
    "profile_from_proto",
    "profile_to_proto",
    "registration_from_proto",
    "registration_to_proto",
    "request_from_proto",
    "request_to_proto",
    "segment_from_header",
    "segment_from_proto",
    "segment_to_header",
    "segment_to_proto",
    "storage_from_proto",
    "storage_to_proto",
    "task_from_proto",
    "task_to_proto",
    "ticket_params_from_proto",
    "ticket_params_to_proto",
]
