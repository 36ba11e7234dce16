from pathlib import Path

import pytest

from livefleet.spec import load_node, to_yaml
from tests.builders.spec import HEAD, a_fleet, problems

pytestmark = pytest.mark.unit

TAKES = "role: orchestrator, orchestrator: {service_uri: 'https://o.example.com:8935', worker_secret: pool}"
ALONE = "role: orchestrator, orchestrator: {service_uri: 'https://o.example.com:8935'}"
JOINS = "role: worker, worker: {orchestrator: 'o.example.com:8935', secret: pool}"


def a_model(model_id: str = "m", **fields: str) -> str:
    told = {"pipeline": "text-to-image", "model_id": model_id} | fields
    return "{" + ", ".join(f"{name}: {value}" for name, value in told.items()) + "}"


def test_model_on_workers__is_priced_and_loaded_nowhere(tmp_path: Path) -> None:
    left = a_model(device="workers", price="3 wei")
    fleet = a_fleet(
        tmp_path, f"{HEAD}hosts:\n  o: {{address: o, models: [{left}], {TAKES}}}\n"
        f"  w: {{address: w, duties: [ai], models: [{a_model()}], {JOINS}}}\n"
    )  # fmt: skip
    (model,) = fleet.node("o").models
    assert (model.is_local, model.price.amount) == (False, 3)
    assert fleet.node("w").models[0].is_local
    (tmp_path / "node.yaml").write_text(to_yaml(fleet.node("o")))
    assert load_node(tmp_path / "node.yaml") == fleet.node("o")


def test_model_on_workers__beside_a_local_one__both_stand(tmp_path: Path) -> None:
    models = f"{a_model()}, {a_model('n', device='workers')}"
    fleet = a_fleet(tmp_path, f"{HEAD}hosts:\n  o: {{address: o, duties: [ai], models: [{models}], {TAKES}}}\n")
    assert [model.is_local for model in fleet.node("o").models] == [True, False]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (
            f"o: {{address: o, models: [{a_model(device='workers')}], {ALONE}}}",
            "model `m` is left to workers, and none join (o); give the orchestrator a `worker_secret`, or name a",
        ),
        (
            f"w: {{address: w, duties: [ai], models: [{a_model()}, {a_model('n', device='workers')}], {JOINS}}}",
            "model `n` is left to workers, and none join (w)",
        ),
        (
            f"o: {{address: o, models: [{a_model()}], {TAKES}}}",
            "models are declared without the duty `ai` (o); add `ai` to the duties, or write `device: workers`",
        ),
        (
            f"o: {{address: o, duties: [ai], models: [{a_model(device='workers')}], {TAKES}}}",
            "the duty `ai` has no models (o); list them under `models`",
        ),
    ],
)
def test_model_on_workers__where_it_cannot_be__is_a_problem(tmp_path: Path, host: str, told: str) -> None:
    (problem,) = problems(tmp_path, f"{HEAD}hosts:\n  {host}\n")
    assert told in problem
