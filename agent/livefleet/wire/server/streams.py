"""Which sender's stream each open session is, so that a stream with a new token finds its place on a full node.

A token lasts 30 minutes; a gateway then asks for another, and the new one means a new session. Where there is no room
for a new one, work under the new token goes on in the stream's open session: same place, same encoder, no session more.
"""

from collections import deque
from dataclasses import dataclass, field

from livefleet.kernel import Address, Clock, SessionId
from livefleet.wire.auth import AuthToken

__all__ = ["Streams"]

_REFRESH_DUE_S = 300  # gateways ask when 180 s are left; their clocks differ from ours
_NAMES = 4  # tokens that a session is known under beside its own


@dataclass(slots=True)
class _Place:
    sender: Address
    manifest: bytes
    expires: int = 0  # of its newest token, unix seconds
    names: deque[SessionId] = field(default_factory=deque)


class Streams:
    """The senders and manifests of open sessions. Only signed senders are told to it, so off-chain it stays empty."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: dict[SessionId, _Place] = {}
        self._of_stream: dict[tuple[Address, bytes], SessionId] = {}
        self._of_name: dict[SessionId, SessionId] = {}

    def refreshes(self, sender: Address) -> bool:
        """Whether a running stream of the sender needs a new token about now."""
        return any(place.sender == sender and self._is_due(place) for place in self._places.values())

    def place(self, session: SessionId) -> SessionId:
        """The session whose place this one uses: another, where it has joined that, or itself."""
        return self._of_name.get(session, session)

    def to_join(self, sender: Address, manifest: bytes) -> SessionId | None:
        """The open session of a sender's stream, where that needs a new token about now; once a token, then."""
        session = self._of_stream.get((sender, manifest))
        return session if session is not None and self._is_due(self._places[session]) else None

    def working(self, place: SessionId, token: AuthToken, sender: Address, manifest: bytes) -> None:
        """The open session `place` works on a segment that came with `token`."""
        held = self._places.setdefault(place, _Place(sender, manifest))
        if (held.sender, held.manifest) != (sender, manifest):
            return  # whoever opened it has it
        held.expires = max(held.expires, token.expiration)
        self._of_stream[sender, manifest] = place
        if token.session != place and token.session not in held.names:
            held.names.append(token.session)
            self._of_name[token.session] = place
            if len(held.names) > _NAMES:
                del self._of_name[held.names.popleft()]

    def ended(self, place: SessionId) -> None:
        """The session is over, under all its names."""
        held = self._places.pop(place, None)
        if held is None:
            return
        for name in held.names:
            del self._of_name[name]
        if self._of_stream.get((held.sender, held.manifest)) == place:
            del self._of_stream[held.sender, held.manifest]

    def _is_due(self, place: _Place) -> bool:
        return place.expires < self._clock.now() + _REFRESH_DUE_S
