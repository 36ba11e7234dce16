"""A SAM 2 of toy size with random weights, for demos and tests: real classes, senseless masks."""
# transformers annotates half of its functions.
# mypy: disable-error-code="no-untyped-call"

from pathlib import Path

__all__ = ["write_tiny_sam2"]

_SIDE = 128
_PATCH = 16  # pixels of the picture in a place of the coarsest map that masks are made from


def write_tiny_sam2(folder: Path, *, seed: int = 0) -> None:
    """Make the model and put it at `folder`. The same seed gives the same weights. Imports torch."""
    import torch
    from transformers import Sam2Config, Sam2Model

    torch.manual_seed(seed)
    channels = [8, 16, 32, 64]
    model = Sam2Model(
        Sam2Config(
            vision_config={
                "backbone_config": {
                    "model_type": "sam2_hiera_det_model",
                    "hidden_size": channels[0],
                    "num_attention_heads": 1,
                    "image_size": [_SIDE, _SIDE],
                    "blocks_per_stage": [1, 1, 2, 1],
                    "embed_dim_per_stage": channels,
                    "num_attention_heads_per_stage": [1, 1, 2, 2],
                    "window_size_per_stage": [8, 4, 4, 4],
                    "global_attention_blocks": [3],
                },
                "backbone_channel_list": channels[::-1],
                "backbone_feature_sizes": [[_SIDE * 4 // _PATCH] * 2, [_SIDE * 2 // _PATCH] * 2, [_SIDE // _PATCH] * 2],
                "fpn_hidden_size": 32,
            },
            prompt_encoder_config={
                "hidden_size": 32,
                "image_size": _SIDE,
                "patch_size": _PATCH,
                "mask_input_channels": 4,
            },
            mask_decoder_config={
                "hidden_size": 32,
                "mlp_dim": 64,
                "num_attention_heads": 4,
                "iou_head_hidden_dim": 32,
            },
        )
    )
    model.save_pretrained(folder)
