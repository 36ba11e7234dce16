"""Ending a transformers model's generation between two tokens."""

from typing import TYPE_CHECKING, Any

from livefleet.ai.stop import Stop

if TYPE_CHECKING:
    import torch

__all__ = ["stopping"]


def stopping(stop: Stop) -> list[Any]:
    """`stopping_criteria` for `generate`, which then raises what `stop` does. Imports torch."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Stopping(StoppingCriteria):  # type: ignore[misc, unused-ignore] # transformers is not typed everywhere
        def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor", **kwargs: Any) -> "torch.Tensor":
            stop.check()
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    return StoppingCriteriaList([Stopping()])
