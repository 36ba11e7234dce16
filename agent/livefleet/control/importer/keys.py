"""Keys and other secrets of a process: where they lie, how they are referred to, and how open they lay."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from livefleet.control.importer.addresses import eth_address
from livefleet.control.importer.draft import Draft
from livefleet.control.importer.process import PlaceKind
from livefleet.control.importer.secret_book import Reference, SecretBook
from livefleet.control.importer.settings import Said, Source
from livefleet.control.importer.tree import Line, Tree

__all__ = ["ChainBook", "address_of", "map_key", "say_of_secret"]


@dataclass(slots=True)
class ChainBook:
    """What hosts share: the network, and keys by who they are."""

    secrets: SecretBook
    network: Tree = field(default_factory=dict)
    keys: Tree = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)  # address, or where the keystore is, to name of the key
    rpc: list[str] = field(default_factory=list)
    rpc_origins: list[str] = field(default_factory=list)


def map_key(draft: Draft, book: ChainBook, wanted: str) -> str:
    """`-ethAcctAddr`, `-ethKeystorePath`, `-dataDir`, `-ethPassword`: the name of the key that they are about."""
    account, keystore, folder = draft.get("ethAcctAddr"), draft.get("ethKeystorePath"), draft.get("dataDir")
    address = address_of(draft, account)
    owner = address.lower() if address else _keystore_place(draft)
    name = book.owners.get(owner)
    if name is None:
        name, number = wanted, 2
        while name in book.keys:
            name, number = f"{wanted}-{number}", number + 1
        book.owners[owner] = name
        reference, remark, instead = _keystore(draft, book.secrets, name, address)
        book.keys[name] = {reference.field: Line(reference.value, remark)}
        if instead:
            draft.to_do(instead, keystore or folder, subject="" if keystore or folder else "keystore")
    key: Tree = book.keys[name]
    place = next(iter(key))
    for said in (keystore, folder):
        if said is not None:
            if place == "host_file":
                draft.taken(said, f"keys.{name}.host_file")
            else:
                draft.adapt(said, f"keys.{name}.{place}: apply puts the keystore on the host")
    if address and account is not None:
        key["address"] = Line(address, account.origin)
        draft.taken(account, f"keys.{name}.address")
    _password(draft, book, name, key)
    return name


def address_of(draft: Draft, said: Said | None) -> str | None:
    """The address that a flag names; None where it is none, or not known here. A wrong checksum is told."""
    if said is None or said.value.known is None:
        return None
    found = eth_address(said.value.known)
    if found is None:
        return None
    if not found[1]:
        draft.danger(
            "the address's checksum is wrong, so that a digit may be: compare it before anything is paid", said
        )
    return found[0]


def say_of_secret(draft: Draft, said: Said, reference: Reference, path: str) -> None:
    """What became of a flag that holds a secret, and how open it lay."""
    match reference.field:
        case "file" if reference.is_plain:
            draft.adapt(said, f"{path}: it stood there in plain text, and goes to {reference.value}")
        case "file" if reference.inside_container:
            draft.adapt(said, f"{path}: a file that only the container has")
            draft.to_do(f"fetch it from the container (`docker cp`) and keep it as {reference.value}, mode 0600", said)
        case "file" if said.value.known is None:
            draft.adapt(said, f"{path}: a part of it is known on the machine only")
            draft.to_do(f"write it into {reference.value}, mode 0600", said)
        case "env":
            draft.adapt(said, f"{path}: from ${reference.value} of the shell that applies")
        case "command":
            draft.adapt(said, f"{path}: printed by a command when it is applied")
        case _:
            draft.taken(said, path)
            if reference.field == "host_file":
                draft.advise(f"the agent's user has to be able to read {reference.value}", said)
    _openness(draft, said, reference)


def _keystore_place(draft: Draft) -> str:
    """One text for one folder or file of keystores."""
    path, _, _ = _keystore_path(draft)
    place = draft.process.place(path)
    inside = draft.name if place.kind is PlaceKind.CONTAINER else ""
    return f"{draft.process.machine} {inside} {place.kind} {place.path}"


def _keystore_path(draft: Draft) -> tuple[str, str, bool]:
    """The path in go-livepeer's eyes, where it is said, and whether it is a file."""
    said = draft.get("ethKeystorePath")
    if said is not None and said.value.known is not None:
        return said.value.known, said.origin, _is_keystore(said.value.known)
    data = draft.get("dataDir")
    root = data.value.known if data is not None else None
    network = draft.settings.text("network", "offchain")
    home = "/root" if draft.process.container is not None else "~"
    origin = data.origin if data is not None else "go-livepeer's default"
    return f"{root or f'{home}/.lpData/{network}'}/keystore", origin, False


def _keystore(draft: Draft, secrets: SecretBook, name: str, address: str | None) -> tuple[Reference, str, str]:
    """Where the keystore is, the remark beside it, and what is left to do."""
    path, origin, is_file = _keystore_path(draft)
    place = draft.process.place(path)
    if not is_file and place.kind in (PlaceKind.HERE, PlaceKind.HOST):
        found = _in_folder(place.path, address)
        if found is not None:
            if place.kind is PlaceKind.HOST:
                return Reference("host_file", found), origin, ""
            return Reference("file", secrets.seen_from_fleet(found)), origin, ""
    if is_file and place.kind is PlaceKind.HOST and not place.path.startswith("~"):
        return Reference("host_file", place.path), origin, ""
    if is_file and place.kind is PlaceKind.HERE:
        return Reference("file", secrets.seen_from_fleet(place.path)), origin, ""
    if place.kind is PlaceKind.COMMAND:
        return Reference("command", place.command), origin, ""
    who = f" of {address}" if address else ""
    where = f"{path} in the container" if place.kind is PlaceKind.CONTAINER else f"{place.path} on the host"
    file = f"keys/{name}.json"
    what = where if is_file else f"{where} (UTC--…, ends with the address)"
    return Reference("file", file), f"{origin}: {where}", f"copy the keystore{who} from {what} to {file}"


def _is_keystore(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith("UTC--") or name.lower().endswith((".json", ".key"))


def _in_folder(folder: str, address: str | None) -> str | None:
    """The keystore in a folder of this machine."""
    try:
        files = [file for file in sorted(Path(folder).iterdir())[:1000] if file.name.startswith("UTC--")]
    except (OSError, ValueError):
        return None
    if address is not None:
        files = [file for file in files if file.name.lower().endswith(address.lower().removeprefix("0x"))]
    return str(files[0]) if len(files) == 1 else None


def _password(draft: Draft, book: ChainBook, name: str, key: Tree) -> None:
    said = draft.get("ethPassword")
    if "password" in key:
        if said is not None:
            draft.taken(said, f"keys.{name}.password")
        return
    wanted = f"{name}-passphrase"
    if said is None:
        reference, remark = Reference("file", f"{book.secrets.folder}/{wanted}"), "not said: go-livepeer asks for it"
        draft.to_do(f"write the keystore's passphrase into {reference.value}, mode 0600", subject="-ethPassword")
    else:
        reference, remark = book.secrets.refer(wanted, said, draft.process), said.origin
        say_of_secret(draft, said, reference, f"keys.{name}.password")
    key["password"] = {reference.field: Line(reference.value, remark)}


def _openness(draft: Draft, said: Said, reference: Reference) -> None:
    is_in_words = reference.is_plain or said.value.holes
    if said.source is Source.FLAG and is_in_words and draft.process.kind != "kubernetes":
        draft.danger("on the command line every user of the machine can read it in the process list", said)
    elif said.source is not Source.CONFIG and reference.is_plain:
        draft.danger("in plain text, for everybody who may read this source or ask docker", said)
    elif reference.is_plain:
        mode = _wide_mode(said.spot.file)
        if mode is not None:
            draft.danger(f"in plain text in a file of mode {mode}: other users of the machine can read it", said)


def _wide_mode(file: str) -> str | None:
    try:
        mode = Path(file).stat().st_mode & 0o777
    except (OSError, ValueError):
        return None
    return f"{mode:04o}" if mode & 0o077 else None
