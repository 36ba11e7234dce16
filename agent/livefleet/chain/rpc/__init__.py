"""JSON-RPC over several endpoints, of which any may be away, slow, behind, busy or on another chain."""

from livefleet.chain.rpc.endpoint import EndpointHealth
from livefleet.chain.rpc.header import Header
from livefleet.chain.rpc.rpc import Block, Read, Rpc, as_transaction
from livefleet.chain.rpc.score import EndpointState

__all__ = ["Block", "EndpointHealth", "EndpointState", "Header", "Read", "Rpc", "as_transaction"]
