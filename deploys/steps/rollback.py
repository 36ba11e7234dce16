"""Going back to what ran before: release, node.yaml, secrets and unit, as `switch` kept them on the host."""

import shlex

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh
from deploys.steps.files import NEW, alone
from deploys.steps.journal import Deed, DeedOutcome, journal_line
from deploys.steps.preflight import ServiceKind
from deploys.steps.service import restart_lines
from deploys.steps.switch import decide, finish_pending
from deploys.steps.verify import admin_address, wait_s
from livefleet.spec import NodeSpec

__all__ = ["WENT_BACK", "after_failure", "going_back", "rollback"]

WENT_BACK = "went back to "
"""How the line begins that tells of it, on stderr."""

_MARGIN_S = 240
# Where the state that it went back to listens is in that state's own node.yaml.
_IS_READY = r"""
import json, re, sys, time, urllib.error, urllib.request
said = re.search("^ +admin_listen: *['\"]?([^'\"\s]+)", open(sys.argv[3]).read(), re.M)
host, _, port = (said.group(1) if said else sys.argv[1]).rpartition(":")
host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
until = time.monotonic() + float(sys.argv[2])
while True:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/readyz", timeout=5) as reply:
            if json.load(reply).get("ready"):
                sys.exit(0)
    except (OSError, ValueError):
        pass
    if time.monotonic() > until:
        sys.exit(1)
    time.sleep(0.3)
"""


def rollback(
    node: NodeSpec, kind: ServiceKind, opt: str, facts: Observed | None, owner: str | None, deed: Deed
) -> Outcome:
    """Go back because somebody asks. A host that is back already is left alone; one that kept nothing is refused."""
    if facts is None:
        return refuse("the host did not run a shell command to its end; try `ssh` to it with the same user and key")
    if not facts.current:
        return refuse("nothing of livefleet is here: apply first")
    if not facts.previous and facts.went_back == facts.current:
        return Outcome(notes=(f"{facts.current} is what it went back to already",))
    if not facts.previous:
        return refuse(f"nothing older than {facts.current} is kept here: apply what is wanted instead")
    if facts.previous not in facts.releases:
        return refuse(f"{facts.previous} ran before, but its folder is gone: apply what is wanted instead")
    done = [journal_line(node, deed, outcome) for outcome in (DeedOutcome.SERVING, DeedOutcome.FAILED)]
    lines = [
        *going_back(node, kind, opt, owner),
        f'if [ "$serving" = yes ]; then {done[0]}; else {done[1]}; exit 1; fi',
    ]
    timeout_s = 2 * int(node.service.stop_timeout_s) + int(wait_s(node)) + _MARGIN_S
    notes = (f"switch from {facts.current} back to {facts.previous}",)
    return Outcome(commands=(sh(lines, timeout_s=timeout_s),), notes=notes)


def after_failure(
    node: NodeSpec, kind: ServiceKind, opt: str, owner: str | None, deed: Deed, *, back: bool
) -> list[str]:
    """Shell lines for a change that does not serve: go `back` where that is wanted, and note what came of it."""
    failed = journal_line(node, deed, DeedOutcome.FAILED)
    if not back:
        return [failed]
    went_back = journal_line(node, deed, DeedOutcome.WENT_BACK)
    return [*going_back(node, kind, opt, owner), f'if [ "$serving" ]; then {went_back}; else {failed}; fi']


def going_back(node: NodeSpec, kind: ServiceKind, opt: str, owner: str | None) -> list[str]:
    """Shell lines: switch to what is kept, restart, wait until it serves. Where nothing is kept they only say so.

    They leave `serving` as yes, no (it went back, and that does not serve either) or nothing (nothing was kept).
    """
    o = shlex.quote(opt)
    start = shlex.quote("\n".join(restart_lines(node, kind, opt, owner)))
    ready = shlex.join(
        ["python3", "-c", _IS_READY, admin_address(node), f"{wait_s(node):g}", str(node.paths.node_yaml)]
    )
    return [
        *alone(f"{opt}/change.lock"),
        finish_pending(opt),
        "serving=",
        f'if [ -e {o}/previous/release ] && [ -e {o}/releases/"$(cat {o}/previous/release)"/.complete ]; then',
        f"release=$(cat {o}/previous/release); stamp=$(cat {o}/previous/stamp); umask 077",
        f"rm -rf {o}/staged; mkdir -m 700 {o}/staged; touch {o}/staged/back",
        f"cp -p {o}/previous/release {o}/previous/stamp {o}/previous/run {o}/staged/",
        "number=0; while IFS= read -r line; do number=$((number + 1)); path=${line#* }",
        "case $line in",
        f'put*) if ! cmp -s {o}/previous/$number "$path"; then',
        f'  cp -p {o}/previous/$number "$path{NEW}"; sync "$path{NEW}" "$(dirname "$path")"; echo "$line"; fi ;;',
        'gone*) echo "$line" ;;',
        f"esac; done <{o}/previous/files >{o}/staged/files",
        *decide(opt),
        "exec 8>&-; umask 022; serving=no",
        f"if sh -eu -c {start} && {ready}; then serving=yes; fi",
        f"printf '%s\\n' \"$stamp\" > {o}/started; if [ $serving = yes ]; then cp -f {o}/started {o}/good; fi",
        f'said="{WENT_BACK}$release"; [ $serving = yes ] || said="$said, which does not serve either"',
        'echo "$said" >&2',
        "else echo 'nothing older is kept here to go back to' >&2; fi",
    ]
