"""The switch of release and configuration, cut off before each of its commands: old or new, never between."""

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from deploys import steps
from deploys.facts import FileFact, Observed, parse_facts, script
from deploys.outcome import Outcome, Shell
from deploys.steps.rollback import _IS_READY, going_back
from livefleet.spec import to_yaml
from tests.builders.deploys import a_host, a_node

pytestmark = pytest.mark.unit

CUT = ("mv", "cp", "ln", "rm", "sync", "mkdir", "touch")
SHIM = """\
#!/bin/sh
n=$(($(/bin/cat {count}) + 1)); echo $n >{count}
if [ $n = "$CUT_AT" ]; then kill -9 0; fi
{does} "$@"
"""
DOES = {"sync": "exec /bin/true"}  # a busy machine's disk takes seconds, and no power is lost here
OLD, NEW = "0.1.0-old", "0.2.0-new"


class Tree:
    """A host's tree under a folder, and what is declared for it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "host"
        self.opt = f"{self.root}/opt/livefleet"
        self.node = a_node(root=str(self.root), monitoring={"admin_listen": "127.0.0.1:1"})
        self.shims = folder / "shims"
        self.count = folder / "count"
        self.shims.mkdir(parents=True)
        for name in CUT:
            (self.shims / name).write_text(SHIM.format(count=self.count, does=DOES.get(name, f"exec /bin/{name}")))
            (self.shims / name).chmod(0o755)
        for release in (OLD, NEW):
            (self.root / "opt/livefleet/releases" / release).mkdir(parents=True)
            (self.root / "opt/livefleet/releases" / release / ".complete").touch()

    def files(self, word: str) -> tuple[steps.HostFile, ...]:
        files = steps.node_files(self.node, f"a: {word}\n", {"secrets/join": word.encode()}, None)
        return (*files, steps.HostFile(f"{self.opt}/supervise.py", word.encode(), 0o755, None, secret=False))

    def observed(self) -> Observed:
        """By the script that runs on hosts."""
        paths = [file.path for file in self.files("")]
        done = subprocess.run(
            ["sh", "-c", script(str(self.root), [], paths)], capture_output=True, text=True, check=True, timeout=60
        )
        found = parse_facts(done.stdout.splitlines())
        assert found is not None
        return found

    def facts(self) -> Observed:
        """The same of the tree, without a process; a test holds both equal."""
        opt = Path(self.opt)
        switching = (opt / "switching/run").exists()
        current = opt / "current"
        return Observed(
            current=current.readlink().name if current.is_symlink() else "",
            releases=tuple(p.name for p in (opt / "releases").iterdir()),
            started="" if switching else _text(opt / "started"),
            staged=(opt / "staged").is_dir(),
            switching=switching,
            good=_text(opt / "good"),
            previous=_text(opt / "previous/release"),
            went_back=_text(opt / "went-back"),
            files={file.path: _file(Path(file.path)) for file in self.files("") if Path(file.path).exists()},
        )

    def to(self, release: str, word: str) -> Outcome:
        return steps.config(self.node, self.files(word), self.facts(), None, release, self.opt, f"{word}-stamp")

    def run(self, commands: Outcome | list[str], cut_at: int = 0) -> int:
        text, stdin = "\n".join(["set -eu", *commands]) if isinstance(commands, list) else "", ""
        if isinstance(commands, Outcome):
            (command,) = commands.commands or (Shell("true"),)
            assert isinstance(command, Shell)
            text, stdin = command.text, "".join(f"{line}\n" for line in command.stdin)
        self.count.write_text("0\n")
        environment = {"PATH": f"{self.shims}:{os.environ['PATH']}", "CUT_AT": str(cut_at)}
        done = subprocess.run(
            ["sh", "-c", text],
            input=stdin, text=True, capture_output=True, env=environment, start_new_session=True, timeout=60,
        )  # fmt: skip
        return done.returncode

    def commands_run(self) -> int:
        return int(self.count.read_text())

    def seen_serving(self, stamp: str) -> None:
        """As the service step and the verify step leave it."""
        for name in ("started", "good"):
            (self.root / "opt/livefleet" / name).write_text(f"{stamp}\n")

    def what_would_start(self) -> tuple[str, str, str, str]:
        """As the unit does it: finish a switch that was decided, then read."""
        pending = Path(self.opt, "switching/run")
        if pending.exists():
            subprocess.run(["sh", str(pending)], check=True, timeout=60)
        release = Path(self.opt, "current").readlink().name
        return (release, *(Path(file.path).read_text() for file in self.files("")))  # type: ignore[return-value]

    def rest(self) -> set[str]:
        """What should not stay behind."""
        names = {path.name for path in self.root.rglob("*.livefleet-new")}
        return names | {name for name in ("staged", "switching") if Path(self.opt, name).exists()}


def _text(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _file(path: Path) -> FileFact:
    status = path.stat()
    owner = pwd.getpwuid(status.st_uid).pw_name
    return FileFact(status.st_mode & 0o777, owner, hashlib.sha256(path.read_bytes()).hexdigest())


def whole(release: str, word: str) -> tuple[str, str, str, str]:
    return (release, f"a: {word}\n", word, word)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "t")
    assert made.run(made.to(OLD, "old")) == 0
    made.seen_serving("old-stamp")
    return made


def test_switch__whole__release_files_and_the_way_back_are_there(tree: Tree) -> None:
    assert tree.what_would_start() == whole(OLD, "old")
    assert not Path(tree.opt, "previous").exists()  # nothing ran before
    assert tree.run(tree.to(NEW, "new")) == 0
    assert tree.what_would_start() == whole(NEW, "new")
    assert tree.rest() == set()
    found = tree.facts()
    assert (found.previous, found.started, found.switching) == (OLD, "", False)
    kept = Path(tree.opt, "previous")
    assert kept.stat().st_mode & 0o777 == 0o700
    assert not tree.to(NEW, "new").commands


def test_observe__reads_each_state_of_a_switch(tree: Tree) -> None:
    def agree() -> bool:
        names = ("current", "started", "staged", "switching", "good", "previous", "went_back", "files")
        real, told = tree.observed(), tree.facts()
        return [getattr(real, name) for name in names] == [getattr(told, name) for name in names]

    assert agree()
    tree.run(tree.to(NEW, "new"), cut_at=12)
    assert (tree.facts().staged, tree.facts().switching, agree()) == (True, False, True)
    tree.run(tree.to(NEW, "new"), cut_at=24)
    assert (tree.facts().staged, tree.facts().switching, agree()) == (False, True, True)
    tree.run(tree.to(NEW, "new"))
    tree.run(back(tree))
    assert (tree.facts().went_back, agree()) == (OLD, True)


def test_switch__cut_before_any_command__is_old_or_new_and_the_next_apply_repairs(tree: Tree, tmp_path: Path) -> None:
    spare = tmp_path / "spare"
    shutil.copytree(tree.root, spare, symlinks=True)
    assert tree.run(tree.to(NEW, "new")) == 0
    cuts = tree.commands_run()
    assert cuts > 15
    seen = []
    for cut in range(1, cuts + 1):
        shutil.rmtree(tree.root)
        shutil.copytree(spare, tree.root, symlinks=True)
        assert tree.run(tree.to(NEW, "new"), cut_at=cut) == -9, cut
        before_looking = tree.facts()
        started = tree.what_would_start()
        seen.append(started)
        assert started in (whole(OLD, "old"), whole(NEW, "new")), cut
        if started == whole(NEW, "new"):  # so the next apply restarts it, whatever that declares
            assert before_looking.started == "", cut
        assert tree.run(tree.to(NEW, "new")) == 0
        assert tree.what_would_start() == whole(NEW, "new"), cut
        assert tree.rest() == set(), cut
        assert tree.facts().previous == OLD, cut
    assert len(set(seen)) == 2
    assert seen == sorted(seen)  # one decision: old before it, new after it


def test_switch__cut_and_then_declared_as_before__is_old_again(tree: Tree, tmp_path: Path) -> None:
    spare = tmp_path / "spare"
    shutil.copytree(tree.root, spare, symlinks=True)
    assert tree.run(tree.to(NEW, "new")) == 0
    for cut in range(tree.commands_run() // 2, tree.commands_run() + 1, 2):
        shutil.rmtree(tree.root)
        shutil.copytree(spare, tree.root, symlinks=True)
        tree.run(tree.to(NEW, "new"), cut_at=cut)
        assert tree.run(tree.to(OLD, "old")) == 0  # or only clears away what was not decided
        assert tree.what_would_start() == whole(OLD, "old"), cut
        assert tree.rest() == set(), cut


def test_switch__disk_is_full__old_stays_and_nothing_is_left(tree: Tree) -> None:
    full = "#!/bin/sh\nif [ $# = 0 ]; then echo 'No space left on device' >&2; exit 1; fi\nexec /bin/cat \"$@\"\n"
    (tree.shims / "cat").write_text(full)
    (tree.shims / "cat").chmod(0o755)
    assert tree.run(tree.to(NEW, "new")) != 0
    (tree.shims / "cat").unlink()
    assert tree.what_would_start() == whole(OLD, "old")
    assert tree.rest() == set()
    assert tree.facts().started == "old-stamp"


def test_switch__two_runs_at_once__end_with_one_of_them_as_a_whole(tree: Tree) -> None:
    decided = [tree.to(NEW, "new"), tree.to(OLD, "other")]
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(tree.run, decided)) == [0, 0]
        assert tree.what_would_start() in (whole(NEW, "new"), whole(OLD, "other"))
        assert tree.rest() == set()


def test_previous__after_a_change_that_never_served__is_still_what_served(tree: Tree) -> None:
    (Path(tree.opt) / "releases/0.3.0-third").mkdir()
    (Path(tree.opt) / "releases/0.3.0-third/.complete").touch()
    tree.run(tree.to(NEW, "new"))
    Path(tree.opt, "started").write_text("new-stamp\n")  # started, and not seen serving
    tree.run(tree.to("0.3.0-third", "third"))
    assert tree.facts().previous == OLD


def back(tree: Tree) -> list[str]:
    lines = going_back(tree.node, steps.ServiceKind.SYSTEMD, tree.opt, None)
    # Starting and asking are other tests' matter.
    return ["true" if line.startswith("if sh -eu -c ") else line for line in lines]


def test_going_back__cut_before_any_command__is_old_or_new_and_going_back_again_repairs(
    tree: Tree, tmp_path: Path
) -> None:
    assert tree.run(tree.to(NEW, "new")) == 0
    Path(tree.opt, "started").write_text("new-stamp\n")
    spare = tmp_path / "spare"
    shutil.copytree(tree.root, spare, symlinks=True)
    assert tree.run(back(tree)) == 0
    assert tree.what_would_start() == whole(OLD, "old")
    found = tree.facts()
    assert (found.previous, found.went_back, found.started) == ("", OLD, "old-stamp")
    cuts = tree.commands_run()
    for cut in range(1, cuts + 1):
        shutil.rmtree(tree.root)
        shutil.copytree(spare, tree.root, symlinks=True)
        assert tree.run(back(tree), cut_at=cut) == -9, cut
        assert tree.what_would_start() in (whole(OLD, "old"), whole(NEW, "new")), cut
        assert tree.run(back(tree)) == 0
        assert tree.what_would_start() == whole(OLD, "old"), cut
        assert tree.rest() == set(), cut


def test_rollback__back_already__is_no_change_and_nothing_kept_is_refused(tree: Tree) -> None:
    deed = steps.Deed("me@here", "rollback", NEW, OLD, "")

    def decided() -> Outcome:
        return steps.rollback(tree.node, steps.ServiceKind.PROCESS, tree.opt, tree.facts(), None, deed)

    assert "nothing older" in (decided().refusal or "")
    tree.run(tree.to(NEW, "new"))
    assert decided().notes == (f"switch from {NEW} back to {OLD}",)
    tree.run(back(tree))
    assert decided().commands == ()
    assert decided().refusal is None
    shutil.rmtree(f"{tree.opt}/releases/{OLD}")
    tree.run(tree.to(NEW, "new"))
    assert "its folder is gone" in (decided().refusal or "")


def test_after_failure__goes_back_only_where_that_is_due() -> None:
    deed = steps.Deed("me@here", "apply", OLD, NEW, "d1")
    kept = steps.after_failure(a_node(), steps.ServiceKind.SYSTEMD, "/opt/livefleet", "livefleet", deed, back=False)
    assert len(kept) == 1
    assert '"outcome": "failed"' in kept[0]
    gone = "\n".join(
        steps.after_failure(a_node(), steps.ServiceKind.SYSTEMD, "/opt/livefleet", "livefleet", deed, back=True)
    )
    assert "systemctl restart livefleet.service" in gone
    assert gone.index("mv -T") < gone.index("systemctl restart") < gone.index('"outcome": "went back"')


def test_service__agent_does_not_start__what_is_given_runs_and_the_host_fails(tmp_path: Path) -> None:
    node, change = a_node(root=str(tmp_path)), steps.AgentChange(steps.AgentAction.RESTART)
    kind, opt, after = steps.ServiceKind.PROCESS, str(tmp_path), ["echo gone back >&2"]
    (command,) = steps.service(node, kind, "stamp", opt, a_host(), None, change, when_it_fails=after).commands
    assert isinstance(command, Shell)
    done = subprocess.run(["sh", "-c", command.text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1  # there is no supervise.py
    assert done.stderr.endswith("gone back\n")
    assert not (tmp_path / "started").exists()


def test_switch__only_what_a_running_agent_reads_again__needs_no_start(tree: Tree) -> None:
    files = tree.files("rotated")
    outcome = steps.config(tree.node, files, tree.facts(), None, OLD, tree.opt, "old-stamp")
    assert tree.run(outcome) == 0
    assert tree.facts().started == "old-stamp"
    assert tree.what_would_start() == whole(OLD, "rotated")


def test_switch__secrets_lie_elsewhere_from_now_on__no_copy_of_them_is_kept(tree: Tree) -> None:
    text = to_yaml(a_node(root=str(tree.root), service={"secrets": "tmpfs"}))
    named = replace(_file(tree.node.paths.node_yaml), text=text)
    facts = replace(tree.facts(), files=tree.facts().files | {str(tree.node.paths.node_yaml): named})
    assert tree.run(steps.config(tree.node, tree.files("new"), facts, None, NEW, tree.opt, "new-stamp")) == 0
    assert not Path(tree.opt, "previous").exists()
    assert tree.what_would_start() == whole(NEW, "new")


def test_previous__keeps_a_secret_that_is_no_longer_declared(tree: Tree) -> None:
    gone = tree.node.paths.state / "secrets/gone"
    gone.write_text("needed by the old one")
    text = to_yaml(a_node(root=str(tree.root), secrets={"gone": "secrets/gone"}))
    named = replace(_file(tree.node.paths.node_yaml), text=text)
    facts = replace(tree.facts(), files=tree.facts().files | {str(tree.node.paths.node_yaml): named})
    assert tree.run(steps.config(tree.node, tree.files("new"), facts, None, NEW, tree.opt, "new-stamp")) == 0
    gone.unlink()
    assert tree.run(back(tree)) == 0
    assert gone.read_text() == "needed by the old one"


@pytest.mark.parametrize(
    ("yaml", "asked"),
    [
        ("monitoring:\n  admin_listen: 127.0.0.9:1\n  log_level: INFO\n", "127.0.0.9:1"),
        ("monitoring:\n  admin_listen: '0.0.0.0:1'\n", "127.0.0.1:1"),
        ("monitoring: {}\n", "127.0.0.1:2"),
    ],
)
def test_going_back__asks_where_what_it_went_back_to_listens(tmp_path: Path, yaml: str, asked: str) -> None:
    (tmp_path / "node.yaml").write_text(yaml)
    tells = _IS_READY.replace("while True:", "print(f'{host}:{port}'); sys.exit(0)\nwhile True:")
    words = [sys.executable, "-c", tells, "127.0.0.1:2", "0", str(tmp_path / "node.yaml")]
    assert subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.strip() == asked
