"""Auth tokens."""

from livefleet.kernel import SessionId
from livefleet.wire.auth import AuthToken
from livefleet.wire.proto import lp_rpc_pb2 as pb

__all__ = ["auth_token_from_proto", "auth_token_to_proto"]


def auth_token_from_proto(message: pb.AuthToken) -> AuthToken:
    """As received, not yet checked."""
    return AuthToken(message.token, SessionId(message.session_id), message.expiration)


def auth_token_to_proto(token: AuthToken) -> pb.AuthToken:
    """For an answer or credentials."""
    return pb.AuthToken(token=token.token, session_id=token.session, expiration=token.expiration)
