"""The proposals that stand at a node: one file each, gone as soon as the chain no longer needs them."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from livefleet.chain.proposal import Proposal
from livefleet.kernel import BadInput
from livefleet.kernel.durable_file import write_durably

__all__ = ["ProposalBox"]

log = logging.getLogger(__name__)


class ProposalBox:
    """A folder of proposals, by topic. One event loop's property; the files are small and few."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._standing: dict[str, Proposal] = {}
        self._listeners: list[Callable[[], None]] = []
        self._load()

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call back whenever another set of proposals stands."""
        self._listeners.append(callback)

    def stand(self, topic: str, proposals: Sequence[Proposal]) -> None:
        """Exactly these stand for a topic from now on. One that stood already keeps its file and its time."""
        wanted = {proposal.id: proposal for proposal in proposals}
        before = set(self._standing)
        for id_, proposal in list(self._standing.items()):
            if proposal.topic == topic and id_ not in wanted:
                self._withdraw(proposal)
        for proposal in wanted.values():
            if proposal.id not in self._standing:
                self._write(proposal)
                self._standing[proposal.id] = proposal
                log.info("proposal.made", extra={"proposal": proposal.id, "title": proposal.title})
        if set(self._standing) != before:
            for listener in self._listeners:
                listener()

    def only(self, topics: Sequence[str]) -> None:
        """Withdraw what an earlier life left about other topics: nobody looks after it any more."""
        for topic in {proposal.topic for proposal in self._standing.values()} - set(topics):
            self.stand(topic, ())

    def open(self) -> tuple[Proposal, ...]:
        """Every one that stands, the oldest first."""
        return tuple(sorted(self._standing.values(), key=lambda proposal: (proposal.made_at, proposal.id)))

    def path(self, proposal: Proposal) -> Path:
        """The file of one that stands."""
        return self._folder / f"{proposal.id}.json"

    def _load(self) -> None:
        for path in sorted(self._folder.glob("*.json")):
            try:
                proposal = Proposal.from_json(path.read_bytes())
            except (BadInput, OSError) as error:
                log.warning("proposal.unreadable", extra={"path": str(path), "error": str(error)})
                path.unlink(missing_ok=True)
                continue
            self._standing[proposal.id] = proposal

    def _write(self, proposal: Proposal) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(self.path(proposal), proposal.to_json().encode(), mode=None)

    def _withdraw(self, proposal: Proposal) -> None:
        self.path(proposal).unlink(missing_ok=True)
        del self._standing[proposal.id]
        log.info("proposal.withdrawn", extra={"proposal": proposal.id, "title": proposal.title})
