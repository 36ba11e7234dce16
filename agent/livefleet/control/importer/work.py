"""The work: devices, sessions, models, and workers that join."""

import re
from dataclasses import replace
from typing import Any, Final

from livefleet.control.importer.addresses import host_of, is_inner_name, is_listen_address, listen_address
from livefleet.control.importer.companions import Companions
from livefleet.control.importer.draft import CHANGE_ME, Draft, NodeKind
from livefleet.control.importer.findings import Finding, Outcome, Spot
from livefleet.control.importer.keys import say_of_secret
from livefleet.control.importer.prices import base_price, price_text
from livefleet.control.importer.secret_book import Reference, SecretBook
from livefleet.control.importer.settings import Said
from livefleet.spec import ModelEntry, SpecError
from livefleet.spec.ai_models_entries import ImportedModels, import_models
from livefleet.spec.ai_models_file import AiModel, JsonNumber, parse_ai_models, parse_inline_ai_models

__all__ = ["map_devices", "map_joining", "map_models", "map_sessions", "map_worker_secret"]

_UUID: Final = re.compile(r"(GPU|MIG)-[0-9a-fA-F-]{8,}")
_MANY: Final = 1000  # sessions: so many that the workers' own limits decide


def map_devices(draft: Draft) -> None:
    """`-nvidia`, and what a container was given."""
    said, container = draft.get("nvidia"), draft.process.container
    transcodes = draft.on("transcoder")
    if not transcodes and not draft.on("aiWorker"):
        return
    if said is None:
        draft.put("gpus", "none", "no -nvidia: go-livepeer works on the CPU")
        if transcodes:
            draft.put("duties.transcoding.encoder", "software")
        if container is not None and (container.gpus or container.all_gpus):
            draft.danger("the container is given GPUs, and without -nvidia go-livepeer uses none", subject="-nvidia")
        return
    named = [entry.strip() for entry in said.value.text.split(",")]
    visible = _visible(draft)
    if visible:
        draft.adapt(said, "the devices that CUDA_VISIBLE_DEVICES names", "gpus", visible)
    elif container is not None and container.gpus and all(map(_UUID.fullmatch, container.gpus)):
        draft.adapt(said, "the devices that the container is given", "gpus", list(container.gpus))
    elif all(_UUID.fullmatch(entry) for entry in named):
        draft.take(said, "gpus", named)
    elif named == ["all"]:
        draft.take(said, "gpus", "all")
    elif said.value.known is None:
        draft.adapt(said, f"{said.value.text} is known on the machine only", "gpus", "all")
        draft.to_do("list the devices as UUIDs under `gpus` (`nvidia-smi -L` tells them)", said)
    else:
        draft.adapt(said, f"devices {', '.join(named)} by number; numbers change, UUIDs do not", "gpus", "all")
        draft.advise("`all` stands for them: list UUIDs where the machine has more GPUs (`nvidia-smi -L`)", said)
    draft.put(
        "driver.install",
        value=False,
        remark="the machine has a driver that works; take this line away to have it managed",
    )


def map_sessions(draft: Draft) -> None:
    """`-maxSessions`, of an orchestrator and of what transcodes."""
    said = draft.get("maxSessions")
    is_orchestrator = draft.kind is NodeKind.ORCHESTRATOR
    transcodes = draft.on("transcoder")
    if transcodes and "transcoding" not in draft.tree.get("duties", {}):
        draft.put("duties.transcoding", {}, "-transcoder")
    if said is None:
        if transcodes:
            draft.advise(
                "10 sessions are go-livepeer's default, not a measurement: `livefleet bench transcode --write` finds "
                "what the machine can do",
                subject="-maxSessions",
            )
        return
    text = said.value.known
    if text == "auto" and is_orchestrator:
        draft.adapt(said, "its workers' limits decide", "orchestrator.max_sessions", _MANY)
        if transcodes:
            draft.danger("go-livepeer does not start with `auto` and -transcoder", said)
            _duty(draft, "max_sessions", "auto", said)
    elif text is None or not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        draft.leave(said, "it is no number above 0 that is known here; 10, the default, counts")
    else:
        if is_orchestrator:
            draft.take(said, "orchestrator.max_sessions", int(text))
        if transcodes:
            _duty(draft, "max_sessions", int(text), said)
            draft.taken(said, "duties.transcoding.max_sessions")
        if draft.kind is NodeKind.AI_WORKER:
            draft.leave(said, "an AI worker's places are the `capacity` of its models")


def map_worker_secret(draft: Draft, book: SecretBook) -> None:
    """`-orchSecret` of an orchestrator."""
    said = draft.get("orchSecret")
    if said is None:
        if not draft.on("transcoder") and not draft.on("aiWorker") and draft.get("aiModels") is None:
            draft.danger("no -orchSecret, -transcoder or -aiWorker: go-livepeer does not start", subject="-orchSecret")
        return
    reference = book.refer("orch-secret", said, draft.process)
    draft.put("orchestrator.worker_secret", book.name("orch-secret", reference), said.origin)
    say_of_secret(draft, said, reference, "orchestrator.worker_secret")
    if draft.on("transcoder"):
        draft.adapt(said, "go-livepeer with -transcoder takes no other transcoders; here workers may join as well")


def map_joining(draft: Draft, book: SecretBook) -> None:
    """`-orchAddr` and `-orchSecret` of a worker."""
    said = draft.get("orchAddr")
    first = listen_address(said.value.text.partition(",")[0].strip(), "127.0.0.1", "8935") if said is not None else ""
    first = first.partition("/")[0]
    if said is None or said.value.known is None or not is_listen_address(first):
        address = f"{CHANGE_ME}-orchestrator.example.com:8935"
        draft.put("worker.orchestrator", address, "not said" if said is None else said.origin)
        draft.to_do("write the orchestrator's host:port as `worker.orchestrator`", said, subject="-orchAddr")
        if said is not None:
            draft.adapt(said, "worker.orchestrator: it is no host:port that is known here")
    else:
        address, others = first, said.value.known.split(",")[1:]
        draft.take(said, "worker.orchestrator", address)
        if others:
            draft.adapt(said, f"go-livepeer joins the first alone, and so does the agent; left out: {len(others)} more")
        if is_inner_name(host_of(address)):
            draft.to_do(f"`{host_of(address)}` is a name that only containers know: write the address", said)
    secret = draft.get("orchSecret")
    if secret is None:
        reference = Reference("file", f"{book.folder}/orch-secret")
        draft.put("worker.secret", book.name("orch-secret", reference), "not said")
        draft.to_do(f"write the orchestrator's secret into {reference.value}, mode 0600", subject="-orchSecret")
    else:
        reference = book.refer("orch-secret", secret, draft.process)
        draft.put("worker.secret", book.name("orch-secret", reference), secret.origin)
        say_of_secret(draft, secret, reference, "worker.secret")
    if draft.on("transcoder") and draft.on("aiWorker"):
        draft.danger("go-livepeer joins as a transcoder alone with both; the agent offers both", subject="-aiWorker")


def map_models(draft: Draft, companions: Companions, book: SecretBook) -> None:
    """`-aiModels`, a file or a list."""
    said = draft.get("aiModels")
    works = draft.on("aiWorker")
    if not works and draft.kind is not NodeKind.ORCHESTRATOR:
        return
    if works:
        draft.danger(
            "go-livepeer is taking -aiWorker and its pipelines out: newer releases answer them with 410 Gone",
            draft.settings.said["aiWorker"],
        )
    if said is None:
        if works:
            draft.to_do("no -aiModels: list `models` and add the duty `ai`", subject="-aiModels")
        return
    models = _read(draft, said, companions)
    imported = None if models is None else _import(draft, said, *models)
    if imported is None:
        draft.leave(said, "no models are taken over")
        draft.to_do("list `models` and add the duty `ai` once the file can be read", said)
        return
    _say_notes(draft, said, imported)
    entries = [_entry(draft, entry, imported, book) for entry in imported.entries]
    if not works:
        entries = _left_to_others(draft, said, entries)
    if not entries:
        draft.leave(said, "none of its models is taken over")
        return
    draft.take(said, "models", entries)
    for host in filter(is_inner_name, sorted({host_of(entry["url"]) for entry in entries if "url" in entry})):
        draft.to_do(f"`{host}` is a name that only containers know: publish it and write the address as `url`", said)
    if any(entry.get("device") != "workers" for entry in entries):
        draft.put("duties.ai", {}, "-aiWorker" if works else "models with a url are asked from here")


def _visible(draft: Draft) -> list[str]:
    """UUIDs that the environment narrows the devices down to."""
    for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        word = draft.process.environment.get(name)
        named = [entry.strip() for entry in (word.known or "").split(",")] if word is not None else []
        if named and all(_UUID.fullmatch(entry) for entry in named):
            return named
    return []


def _duty(draft: Draft, name: str, value: Any, said: Said) -> None:
    draft.put(f"duties.transcoding.{name}", value, said.origin)


def _read(draft: Draft, said: Said, companions: Companions) -> tuple[tuple[AiModel, ...], str] | None:
    text = said.value.known
    if text is None:
        return None
    try:
        if text.lstrip().startswith("["):
            return parse_ai_models(text, said.spot.file), said.spot.file
        found = companions.read(draft.process, text)
        if found is not None:
            return parse_ai_models(found.text, found.shown), found.shown
        if re.search(r":[^,]*:", text) and "/" not in text.partition(":")[0]:
            return parse_inline_ai_models(text), "-aiModels"
    except SpecError as error:
        for problem in error.problems:
            draft.danger(f"{problem}: go-livepeer ends with an error over it", said)
        return None
    draft.to_do(f"`{text}` cannot be read here: name the file as a further source", said)
    return None


def _import(draft: Draft, said: Said, models: tuple[AiModel, ...], file: str) -> ImportedModels | None:
    price = base_price(draft)
    if price is not None and price.pixels != 1:  # go-livepeer's -pixelsPerUnit counts where a model names none
        own = JsonNumber(str(price.pixels))
        models = tuple(replace(m, pixels_per_unit=own) if m.pixels_per_unit is None else m for m in models)
    is_priced = draft.kind is NodeKind.ORCHESTRATOR and draft.on_chain
    try:
        return import_models(models, file, base_price=price.per_unit if price is not None and is_priced else None)
    except SpecError as error:
        for problem in error.problems:
            draft.danger(f"{problem}: go-livepeer ends with an error over it", said)
        return None


def _left_to_others(draft: Draft, said: Said, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Models of an orchestrator that runs none: those with a url, and the rest where workers join."""
    if "worker_secret" in draft.tree.get("orchestrator", {}):
        return [entry if "url" in entry else entry | {"device": "workers"} for entry in entries]
    if lost := [entry["model_id"] for entry in entries if "url" not in entry]:
        draft.to_do(f"nobody serves {', '.join(lost)}: no -aiWorker, no -orchSecret for workers, no url", said)
    return [entry for entry in entries if "url" in entry]


def _say_notes(draft: Draft, said: Said, imported: ImportedModels) -> None:
    for note in imported.notes:
        spot = said.spot if note.file == "-aiModels" else Spot(note.file, note.line, note.column)
        draft.findings.append(Finding(spot, Outcome.ADVICE, said.shown, note.message, draft.name))
    for entry in imported.entries:
        on = {name for name, value in entry.optimization.items() if value not in (False, "false")}
        if {"SFAST", "DEEPCACHE"} <= on:
            draft.danger(f"{entry.model_id}: SFAST and DEEPCACHE exclude each other", said)
        if on and not entry.warm:
            draft.advise(f"{entry.model_id}: go-livepeer heeds optimization flags of warm models only", said)


def _entry(draft: Draft, entry: ModelEntry, imported: ImportedModels, book: SecretBook) -> dict[str, Any]:
    data = entry.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    if entry.token is not None:
        reference = book.keep(entry.token, imported.tokens[entry.token])
        data["token"] = book.name(entry.token, reference)
        said = draft.get("aiModels")
        draft.danger("the token of a runner stood in plain text; it goes to a file of its own", said, subject="token")
    if "price" in data:
        data["price"] = price_text(entry.price, "units")
    if entry.gateways:
        data["gateways"] = {address: price_text(price, "units") for address, price in entry.gateways.items()}
    return data | {"warm": entry.warm}
