"""Who is at the other end of a gRPC call."""

from typing import Any

import grpc

__all__ = ["peer_of"]


def peer_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The address that nginx saw; the socket's own peer is nginx."""
    for key, value in context.invocation_metadata() or ():
        if key == "x-forwarded-for":
            return str(value)
    return context.peer()
