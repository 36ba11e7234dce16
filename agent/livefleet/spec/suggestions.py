"""What a card might be used for: suggestions for people, which nothing in livefleet acts on."""

from livefleet.spec.ai import Pipeline
from livefleet.spec.card import Card, Known
from livefleet.spec.model import SpecModel

__all__ = ["ModelSuggestion", "Suggestions"]


class ModelSuggestion(SpecModel):
    """A model, and what it needs."""

    pipeline: Pipeline
    model_id: str
    memory_gib: Known[int]
    """Memory that the network's documents give for it, the upper end. What counts on a host is what it measures."""


class Suggestions(SpecModel):
    """For cards in general."""

    ladder: Known[tuple[str, ...]]
    """Renditions to measure a card with: `livefleet bench transcode --profile ... --profile ...`."""

    models: tuple[ModelSuggestion, ...]

    def ladder_for(self, card: Card) -> tuple[str, ...]:
        """Renditions to measure it with; none for a card without encoders."""
        return () if card.encoders is None or card.has_no_encoder else self.ladder.value

    def models_for(self, card: Card) -> tuple[ModelSuggestion, ...]:
        """Models of which one would fit beside nothing else; none for a GTX, and where the memory is not known.

        With several variants of memory the smallest counts.
        """
        if card.is_gtx or card.memory_gib is None:
            return ()
        room = min(card.memory_gib.value)
        return tuple(model for model in self.models if model.memory_gib.value <= room)
