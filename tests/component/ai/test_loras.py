"""LoRAs beside a loaded model make the picture that the same model makes with them merged into its weights."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from livefleet.ai import AiResult, kind_of
from livefleet.ai.errors import InferenceFailed
from livefleet.ai.pipelines import loras
from livefleet.ai.stop import Stop
from livefleet.spec import Pipeline
from tests.builders.ai import runner_settings

# The libraries' own notices are theirs.
pytestmark = [pytest.mark.component, pytest.mark.filterwarnings("ignore")]

ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
RANK, ALPHA = 2, 3.0

Make = Callable[..., AiResult]


@pytest.fixture
def folder(tiny_models: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_models / "text-to-image", tmp_path / "model")
    return tmp_path / "model"


def load(folder: Path, **settings: Any) -> Make:
    kind = kind_of(Pipeline.TEXT_TO_IMAGE)
    model: Any = kind.load(runner_settings(source=str(folder), **{"loras": True} | settings))

    def make(**fields: Any) -> AiResult:
        small = {"prompt": "a cat", "height": 64, "width": 64, "num_inference_steps": 2, "safety_check": False}
        return model.run(kind.runner_fields.model_validate(small | fields), None, 7, Stop(float("inf")))

    make.model = model
    return make


def text_of(**strengths: float) -> str:
    return json.dumps({name.replace("__", "/"): strength for name, strength in strengths.items()})


def numbers(result: AiResult) -> Any:
    import io

    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(result.media["0"].data))).astype(int)


def are_alike(one: AiResult, other: AiResult) -> bool:
    """Up to rounding, which sums in another order bring."""
    return bool(abs(numbers(one) - numbers(other)).max() <= 1)


def matrices(layers: dict[str, Any], seed: int = 0) -> dict[str, tuple[Any, Any]]:
    import torch

    torch.manual_seed(seed)
    found = {}
    for name, layer in layers.items():
        kernel = layer.weight.shape[2:]
        down = torch.randn(RANK, layer.weight.shape[1], *kernel) * 0.3
        up = torch.randn(layer.weight.shape[0], RANK, *(1 for _ in kernel)) * 0.3
        found[name] = (down, up)
    return found


def merge(network: Any, found: dict[str, tuple[Any, Any]], factor: float) -> None:
    import torch

    for name, (down, up) in found.items():
        weight = network.get_submodule(name).weight
        with torch.no_grad():
            weight += factor * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)


def write(folder: Path, name: str, tensors: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    (folder / "loras" / name).mkdir(parents=True)
    save_file(tensors, folder / "loras" / name / "pytorch_lora_weights.safetensors")


def unet_layers(pipeline: Any) -> dict[str, Any]:
    names = [f"{ATTENTION}.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0")]
    names += ["down_blocks.0.resnets.0.conv1", "down_blocks.1.attentions.0.proj_in"]
    return {name: pipeline.unet.get_submodule(name) for name in names}


def in_peft_words(part: str, found: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    tensors = {}
    for name, (down, up) in found.items():
        tensors |= {f"{part}.{name}.lora_A.weight": down, f"{part}.{name}.lora_B.weight": up}
    return tensors


def in_old_words(found: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    tensors = {}
    for name, (down, up) in found.items():
        place, _, own = name.removesuffix(".0").rpartition(".")
        tensors[f"unet.{place}.processor.{own}_lora.down.weight"] = down
        tensors[f"unet.{place}.processor.{own}_lora.up.weight"] = up
    return tensors


def in_kohya_words(found: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    import torch

    tensors = {}
    for name, (down, up) in found.items():
        flat = f"lora_unet_{name.replace('.', '_')}"
        tensors |= {
            f"{flat}.lora_down.weight": down,
            f"{flat}.lora_up.weight": up,
            f"{flat}.alpha": torch.tensor(ALPHA),
        }
    return tensors


def test_lora__beside_the_weights__is_as_if_merged_into_them(folder: Path):
    make, merged = load(folder), load(folder)
    pipeline = make.model._free.get()
    make.model._free.put(pipeline)
    layers = unet_layers(pipeline)
    found = matrices(layers)
    attention = {name: pair for name, pair in found.items() if name.startswith(ATTENTION)}
    text = {"layers.0.self_attn.q_proj", "layers.1.mlp.fc1"}
    encoder = {
        name: layer
        for name, layer in pipeline.text_encoder.named_modules()
        if any(name.endswith(ending) for ending in text)
    }
    assert len(encoder) == 2
    spoken = matrices(encoder, seed=1)
    write(folder, "new", in_peft_words("unet", found) | in_peft_words("text_encoder", spoken))
    write(folder, "somebody/old", in_old_words(attention))
    write(folder, "kohya", in_kohya_words(found))

    plain = make()
    target = merged.model._free.get()
    merged.model._free.put(target)

    merge(target.unet, found, 0.7)
    merge(target.text_encoder, spoken, 0.7)
    assert are_alike(make(loras=text_of(new=0.7)), merged())
    assert not are_alike(merged(), plain)
    # Nothing of it stays.
    assert make() == make(loras="{}") == make(loras=text_of(new=0)) == plain

    merge(target.unet, found, -0.7)
    merge(target.text_encoder, spoken, -0.7)
    merge(target.unet, attention, 0.5)
    assert are_alike(make(loras=text_of(somebody__old=0.5)), merged())
    # Two at once add up, and a file's alpha counts against its rank.
    merge(target.unet, found, 0.5 * ALPHA / RANK)
    assert are_alike(make(loras=text_of(somebody__old=0.5, kohya=0.5)), merged())


def test_lora__two_jobs_at_once__each_has_its_own(folder: Path):
    make = load(folder, capacity=2)
    pipeline = make.model._free.get()
    make.model._free.put(pipeline)
    write(folder, "strong", in_peft_words("unet", matrices(unet_layers(pipeline))))
    plain, strong = make(num_inference_steps=10), make(num_inference_steps=10, loras=text_of(strong=1))
    with ThreadPoolExecutor(2) as threads:
        wishes = ["", text_of(strong=1)] * 3
        results = list(threads.map(lambda wish: make(num_inference_steps=10, loras=wish), wishes))
    assert results == [plain, strong] * 3
    assert plain != strong


def test_lora__not_to_be_had__is_the_requests_fault_and_the_model_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    import torch

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    make = load(folder)
    write(
        folder,
        "misfit",
        {"unet.conv_in.lora_A.weight": torch.ones(2, 4, 3, 3), "unet.conv_in.lora_B.weight": torch.ones(9, 2, 1, 1)},
    )
    write(
        folder,
        "elsewhere",
        {"unet.no.such.lora_A.weight": torch.ones(2, 4), "unet.no.such.lora_B.weight": torch.ones(4, 2)},
    )
    write(folder, "no-lora", {"unet.conv_in.weight": torch.ones(2)})
    write(folder, "half", {"unet.conv_in.lora_A.weight": torch.ones(2, 4, 3, 3)})
    (folder / "loras/text").mkdir()
    (folder / "loras/text/pytorch_lora_weights.safetensors").write_text("no tensors")
    base = re.escape(f"LoRa incompatible with base model: '{folder}'")
    for name, fault in (
        ("misfit", base),
        ("elsewhere", base),
        ("no-lora", "Unable to load LoRas for adapter 'no-lora'"),
        ("half", "Unable to load LoRas for adapter 'half'"),
        ("text", "Unable to load LoRas for adapter 'text'"),
        ("nobody/nothing", "LoRa repository 'nobody/nothing' not found"),
    ):
        with pytest.raises(InferenceFailed, match=f"^{fault}$"):
            make(loras=json.dumps({name: 1}))
    assert make().media


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Files by `owner/name/file`; the hub's client asks here in place of the hub."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix("/")
            if path.startswith("api/models/"):
                name = path.removeprefix("api/models/")
                found = [
                    (key.removeprefix(f"{name}/"), data) for key, data in files.items() if key.startswith(f"{name}/")
                ]
                siblings = [
                    {"rfilename": file, "size": int(data) if data.isdigit() else len(data)} for file, data in found
                ]
                self.answer(json.dumps({"id": name, "sha": "0" * 40, "siblings": siblings}).encode() if found else None)
            else:
                self.answer(files.get(path.replace("/resolve/main/", "/")))

        def do_HEAD(self) -> None:
            self.do_GET()

        def answer(self, body: bytes | None) -> None:
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("ETag", '"1"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        constants = "huggingface_hub.constants"
        monkeypatch.setattr(f"{constants}.ENDPOINT", endpoint)
        monkeypatch.setattr(
            f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield files
        server.shutdown()


def test_lora__on_the_hub__is_fetched_unless_it_is_too_large(folder: Path, hub: dict[str, bytes]):
    make = load(folder)
    with make.model._a_pipeline() as pipeline:
        write(folder, "here", in_peft_words("unet", matrices(unet_layers(pipeline))))
    hub["some/one/own.safetensors"] = (folder / "loras/here/pytorch_lora_weights.safetensors").read_bytes()
    hub["huge/one/own.safetensors"] = str(loras._MAX_FILE + 1).encode()
    hub["pickled/one/own.bin"] = b"no tensors"
    assert make(loras=text_of(some__one=1)) == make(loras=text_of(here=1)) != make()
    for name, fault in (
        ("huge/one", rf"LoRa 'huge/one' is larger than {loras._MAX_FILE} bytes"),
        ("pickled/one", "LoRa repository 'pickled/one' not found"),
        ("no/one", "LoRa repository 'no/one' not found"),
    ):
        with pytest.raises(InferenceFailed, match=f"^{fault}$"):
            make(loras=json.dumps({name: 1}))


def test_lora__not_served__is_refused(folder: Path):
    with pytest.raises(InferenceFailed, match=r"^LoRAs are not served by this runner$"):
        load(folder, loras=False)(loras=text_of(any=1))
