import pytest

from livefleet.ai.pipelines.distilled import Lightning, Turbo, distillation_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("model_id", "found"),
    [
        ("stabilityai/sdxl-turbo", Turbo()),
        ("stabilityai/sd-turbo", Turbo()),
        ("somebody/dreamshaper-turbo", None),  # trained with guidance
        ("ByteDance/SDXL-Lightning", Lightning(8)),
        ("ByteDance/SDXL-Lightning-2step", Lightning(2)),
        ("ByteDance/SDXL-Lightning-4step", Lightning(4)),
        ("ByteDance/SDXL-Lightning-8step", Lightning(8)),
        ("ByteDance/SDXL-Lightning-16step", Lightning(8)),
        ("stabilityai/stable-diffusion-xl-base-1.0", None),
    ],
)
def test_distillation__model_id__says_it(model_id: str, found: Turbo | Lightning | None):
    assert distillation_of(model_id) == found


def test_lightning__network__has_its_steps_in_its_name():
    assert Lightning(4).network_file == "sdxl_lightning_4step_unet.safetensors"
