"""Model entries: what goes together, and where a mistake is told."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.spec import ModelEntry, Pipeline, fleet_schema, load_node, node_digest, to_yaml
from livefleet.spec.memory import parse_memory
from livefleet.spec.optimization import switched_on_by_false
from tests.builders.spec import HEAD, a_fleet, problems

pytestmark = pytest.mark.unit

GPU = "GPU-11111111-2222-3333-4444-555555555555"
OTHER_GPU = "GPU-99999999-2222-3333-4444-555555555555"


def a_host(*models: str, more: str = "") -> str:
    lines = "".join(f"      - {model}\n" for model in models)
    joins = "role: worker\n    worker: {orchestrator: 'o.example.com:8935', secret: pool}\n    duties: [ai]"
    return f"{HEAD}hosts:\n  w:\n    address: w\n    {joins}\n{more}    models:\n{lines}"


def a_model(pipeline: str = "text-to-image", model_id: str = "a/b", **fields: str) -> str:
    told = {"pipeline": pipeline, "model_id": model_id} | fields
    return "{" + ", ".join(f"{name}: {value}" for name, value in told.items()) + "}"


def test_entry__every_field__reaches_the_node_and_comes_back(tmp_path: Path) -> None:
    model = a_model(
        "image-to-image",
        revision="refs/pr/1", loras="true", controlnet="c/d", safety_check="forced", safety_checker="e/f",
        optimization="{SFAST: true, TORCH_COMPILE: 'yes'}", priority="3", memory="9 GiB", device=GPU,
        price="0.18 USD per 1e6 units",
    )  # fmt: skip
    runner = a_model("llm", "x/y", url="'http://10.0.0.2:8000/llm'", token="pool", capacity="4")
    fleet = a_fleet(tmp_path, a_host(model, runner))

    node = fleet.node("w")

    assert (node.models[0].memory, node.models[0].priority) == (9 * 2**30, 3)
    assert node.models[0].optimization == {"SFAST": True, "TORCH_COMPILE": "yes"}
    assert node.models[1].token == "pool"
    (tmp_path / "node.yaml").write_text(to_yaml(node))
    assert load_node(tmp_path / "node.yaml") == node


def test_entry__fields_left_out__are_not_written(tmp_path: Path) -> None:
    node = a_fleet(tmp_path, a_host(a_model())).node("w")

    (entry,) = node.model_dump(mode="json", exclude_none=True)["models"]
    assert sorted(entry) == ["capacity", "device", "dtype", "model_id", "pipeline", "price", "warm"]
    assert "weights" not in to_yaml(node)
    said = a_fleet(tmp_path, a_host(a_model(loras="false", priority="0", safety_check="true"))).node("w")
    assert node_digest(said) == node_digest(node)


def test_token_of_a_runner__is_sent_to_its_host_only(tmp_path: Path) -> None:
    text = a_host(a_model("llm", "x/y", url="'http://10.0.0.2:8000'", token="runner"), a_model())
    secrets = "{pool: {env: POOL_SECRET}, runner: {env: RUNNER_TOKEN}, hub: {env: HF_TOKEN}, none: {env: NONE}}"
    fleet = a_fleet(
        tmp_path,
        text.replace("{pool: {env: POOL_SECRET}}", secrets).replace("[ai]", "{ai: {weights: {token: hub}}}"),
    )

    assert [item.host_path for item in fleet.secrets_to_send("w")] == ["secrets/hub", "secrets/pool", "secrets/runner"]


@pytest.mark.parametrize(
    ("model", "column", "told"),
    [
        (a_model("Text-To-Image"), 20, "`pipeline` cannot be `Text-To-Image`; did you mean `text-to-image`?"),
        (a_model("text-to-images"), 20, "`pipeline` cannot be `text-to-images`; did you mean `text-to-image`?"),
        (a_model(model_id="' a/b'"), 45, "`model_id` cannot be ` a/b`"),
        (a_model(url="ftp://x"), 55, "`url` cannot be `ftp://x`"),
        (a_model(url="http://me:pw@x"), 55, "`url` cannot be `http://me:pw@x`"),
        (a_model(url="http://x", source="c/d"), 73, "`source`: the runner at `url` has its own weights"),
        (a_model(url="http://x", revision="v1"), 75, "`revision`: the runner at `url` has its own weights"),
        (a_model(url="http://x", device="cpu"), 73, "`device`: the runner at `url` has its own device"),
        (a_model("llm", source="'ollama:llama3.2:1b'"), 48, "`source`: `ollama:` needs the server's address in `url`"),
        (a_model("llm", url="http://x", source="'ollama:'"), 63, "`source`: say which model"),
        (a_model(url="http://x", source="ollama:a"), 73, "`source`: an Ollama server does `llm` only"),
        (a_model(token="pool"), 57, "`token`: it is sent to `url`, and there is none"),
        (a_model(revision="../x"), 60, "`revision`: a revision is a branch, a tag or a commit"),
        (a_model(device="CPU"), 58, "`device`: `CPU` is written `cpu`"),
        (a_model("llm", loras="true"), 47, "`loras`: llm has no use for it; it is for image-to-image, text-to-image"),
        (a_model("upscale", controlnet="c/d"), 56, "`controlnet`: upscale has no use for it"),
        (a_model(controlnet="c/d"), 62, "`controlnet`: text-to-image has no use for it; it is for image-to-image"),
        (a_model("llm", safety_check="false"), 54, "`safety_check`: llm has no use for it"),
        (a_model(safety_check="sometimes"), 64, "`safety_check` "),
        (a_model(optimization="{BFLOAT16: false}"), 64, "`optimization`: ai-runner switches `BFLOAT16` on by any"),
        (a_model(optimization="{TORCH_COMPILE: '0'}"), 64, "`optimization`: ai-runner switches `TORCH_COMPILE` on"),
        (a_model(optimization="{SFAST: true, DEEPCACHE: true}"), 64, "`optimization`: SFAST and DEEPCACHE exclude"),
        (a_model(optimization="{MAX_NUM_SEQS: 8}"), 64, "`optimization`: `MAX_NUM_SEQS` is true, false or text: write"),
        (a_model(memory="9 GHz"), 58, "`memory`: '9 GHz' is no amount of memory"),
        (a_model(capacity="0"), 60, "`capacity` should be greater than or equal to 1"),
        (a_model(price="-1"), 57, "`price`: "),
    ],
)  # fmt: skip
def test_entry__wrong__is_told_at_its_place(tmp_path: Path, model: str, column: int, told: str) -> None:
    found = problems(tmp_path, a_host(model))

    assert found[0].startswith(f"fleet.yaml:11:{column}: {told}"), found


@pytest.mark.parametrize(
    ("models", "line", "told"),
    [
        ([a_model(), a_model()], 12, "model `a/b` is listed twice for text-to-image"),
        ([a_model(device="cpu"), a_model(device=GPU, warm="false")], 12, "model `a/b` is declared warm and cold"),
        ([a_model(device="cpu"), a_model(device=GPU, price="1")], 12, "model `a/b` has two prices for text-to-image"),
        ([a_model("llm", url="'http://x'", token="hf_abcdefghijklmnopqrst")], 11, "no secret `hf_abcdefghijklmn...`"),
    ],
)
def test_entries__that_contradict__are_a_problem(tmp_path: Path, models: list[str], line: int, told: str) -> None:
    (problem,) = problems(tmp_path, a_host(*models))

    assert problem.startswith(f"fleet.yaml:{line}:")
    assert told in problem
    assert "klmnopqrst" not in problem


def test_entries__of_one_model_on_two_devices__both_stand(tmp_path: Path) -> None:
    node = a_fleet(tmp_path, a_host(a_model(device="cpu"), a_model(device=GPU), a_model("image-to-image"))).node("w")

    assert [model.device for model in node.models] == ["cpu", GPU, "auto"]


def test_device__that_is_not_among_the_declared_gpus__is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, a_host(a_model(device=OTHER_GPU), more=f"    gpus: [{GPU}]\n"))

    assert f"model `a/b` is to run on {OTHER_GPU}, which is not among `gpus`" in problem


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ("{site_cache: models}", "`site_cache`: a site's cache is an http or https URL, or an absolute folder"),
        ("{hub: huggingface.co}", "`hub` cannot be `huggingface.co`"),
        ("{token: hub}", "no secret `hub` under `secrets`"),
        ("{downloads: 0}", "`downloads` "),
        ("{folders: x}", "unknown key `folders` in `hosts.w.duties.ai.weights`; did you mean `folder`?"),
    ],
)
def test_weights__wrong__is_told_at_its_place(tmp_path: Path, weights: str, told: str) -> None:
    text = a_host(a_model()).replace("[ai]", f"{{ai: {{weights: {weights}}}}}")

    (problem,) = problems(tmp_path, text)

    assert problem.startswith("fleet.yaml:9:")
    assert told in problem


@pytest.mark.parametrize("pipeline", Pipeline)
def test_unit__of_every_pipeline__is_documented(pipeline: Pipeline) -> None:
    assert pipeline.unit
    schema = fleet_schema()["$defs"]["ModelEntry"]["properties"]
    assert pipeline in schema["price"]["description"]
    assert all(field.get("description") for field in schema.values())


@given(st.integers(1, 10**12), st.sampled_from([("MB", 10**6), ("GiB", 2**30), ("b", 1), ("", 1)]))
def test_memory__whole_amounts__are_exact(amount: int, unit: tuple[str, int]) -> None:
    assert parse_memory(f"{amount} {unit[0]}") == amount * unit[1]


def test_memory__with_decimals__is_rounded_down_to_bytes() -> None:
    assert parse_memory("1.5 GiB") == 3 * 2**29
    assert parse_memory(7) == 7


@given(st.text(max_size=20))
def test_memory__anything__is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_memory(text) > 0


def test_flag__that_false_switches_on__is_known() -> None:
    assert switched_on_by_false("BFLOAT16", "False")
    assert not switched_on_by_false("BFLOAT16", "true")
    assert not switched_on_by_false("SFAST", value=False)


def test_entry__secret_is_a_name__in_the_model_and_its_text() -> None:
    entry = ModelEntry(pipeline=Pipeline.LLM, model_id="a", url="http://x", token="runner")
    assert entry.model_dump(mode="json", exclude_none=True)["token"] == "runner"
