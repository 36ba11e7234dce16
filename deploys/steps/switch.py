"""One switch of everything a service starts from: release, node.yaml, secrets, unit. ROLLOUT.md tells its states.

    <opt>/staged/      being written; means nothing yet
    <opt>/switching/   decided: whoever finds it finishes it (`sh <opt>/switching/run`), as often as it takes
    <opt>/previous/    what ran before, so that going back needs nothing from outside
    <opt>/good         the stamp that was last seen serving

New contents lie beside their places (`PATH.livefleet-new`) before the decision, so that finishing only renames and
needs no room. The unit runs `switching/run` before each start, so that no start ever sees half of a switch.
"""

import base64
import shlex
from collections.abc import Sequence

from deploys.steps.files import NEW, HostFile, alone, put_beside

__all__ = ["clear_away", "decide", "finish_pending", "stage"]

# In a function, because it deletes the folder that it is read from. Every line may be repeated after a cut.
_RUN = f"""
finish() {{
here=$1; opt=$(dirname "$here")
exec 9>"$opt/switch.lock"
flock -w 60 9
[ -e "$here/run" ] || return 0
[ "$(cat "$opt/started" 2>/dev/null)" = "$(cat "$here/stamp")" ] || rm -f "$opt/started"
rm -f "$opt/went-back"
reload=
while IFS= read -r line; do
  path=${{line#* }}
  case $line in
  put*) if [ -e "$path{NEW}" ]; then mv -f "$path{NEW}" "$path"; sync "$(dirname "$path")"; fi ;;
  gone*) rm -f "$path" ;;
  esac
  case $path in *.service) reload=1 ;; esac
done <"$here/files"
ln -sfn "releases/$(cat "$here/release")" "$opt/current.new"
mv -fT "$opt/current.new" "$opt/current"
if [ -d "$here/before" ]; then rm -rf "$opt/previous"; mv -T "$here/before" "$opt/previous"; fi
if [ -e "$here/forget" ]; then rm -rf "$opt/previous"; fi
if [ -e "$here/back" ]; then rm -rf "$opt/previous"; cp -f "$here/release" "$opt/went-back"; fi
if [ "$reload" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
sync "$opt"
rm -rf "$opt/switched"; mv -T "$here" "$opt/switched"; sync "$opt"; rm -rf "$opt/switched"
}}
set -eu
finish "$(dirname "$0")"
""".lstrip()


def finish_pending(opt: str) -> str:
    """Shell line: a switch that was decided and cut off is carried through."""
    run = shlex.quote(f"{opt}/switching/run")
    return f"if [ -e {run} ]; then sh {run}; fi"


def clear_away(opt: str) -> list[str]:
    """Shell lines: nothing is left of what was written and not decided."""
    return [
        f"staged={shlex.quote(f'{opt}/staged')}",
        'undo() { if [ -e "$staged/files" ]; then while IFS= read -r line; do',
        f'rm -f "${{line#* }}{NEW}"; done <"$staged/files"; fi; rm -rf "$staged"; }}',
        "undo",
    ]


def stage(
    changed: Sequence[HostFile], to_keep: Sequence[str] | None, release_id: str, stamp: str, opt: str
) -> tuple[list[str], list[str]]:
    """Shell lines that bring release and files into being at once, and the stdin they read.

    `to_keep`: paths whose files of now are kept to go back to; None: there is no way back. `stamp`: what `started` will
    say; where it says so already, nothing that changes needs another start.
    Before the decision nothing that a service reads has changed, and a failure leaves no trace.
    """
    staged = shlex.quote(f"{opt}/staged")
    put, stdin = put_beside(changed)
    listed = "".join(f"put {file.path}\n" for file in changed)
    written = [file.path + NEW for file in changed]
    folders = {file.path.rpartition("/")[0] for file in changed}
    lines = [
        "umask 022",
        *alone(f"{opt}/change.lock"),
        finish_pending(opt),
        *clear_away(opt),
        'mkdir -m 700 "$staged"; trap undo EXIT',
        f"printf %s {shlex.quote(listed)} > {staged}/files",
        *put,
        *([f"sync {shlex.join([*written, *sorted(folders)])}"] if written else []),
        f"printf '%s\\n' {shlex.quote(release_id)} > {staged}/release",
        f"printf '%s\\n' {stamp} > {staged}/stamp",
        f'IFS= read -r content; printf %s "$content" | base64 -d > {staged}/run',
        *([f"touch {staged}/forget"] if to_keep is None else _keep_what_runs(to_keep, opt)),
        *decide(opt),
    ]
    return lines, [*stdin, base64.b64encode(_RUN.encode()).decode()]


def decide(opt: str) -> list[str]:
    """From `staged` to done. The first rename is the decision; what follows may be repeated by anybody."""
    o = shlex.quote(opt)
    return [
        f"sync -f {o}/staged",
        f"mv -T {o}/staged {o}/switching; trap - EXIT",
        f"sync {o}",
        f"sh {o}/switching/run",
    ]


def _keep_what_runs(paths: Sequence[str], opt: str) -> list[str]:
    """Into `staged/before`: what is there now, unless an older state is kept and the present one never served."""
    o = shlex.quote(opt)
    before = f"{o}/staged/before"
    return [
        f"runs=$(cat {o}/started 2>/dev/null || true); good=$(cat {o}/good 2>/dev/null || echo none)",
        f'if [ -L {o}/current ] && {{ [ ! -d {o}/previous ] || [ "$runs" = "$good" ]; }}; then',
        f'mkdir {before}; basename "$(readlink {o}/current)" > {before}/release',
        f'printf "%s\\n" "$runs" > {before}/stamp',
        f"number=0; for path in {shlex.join(paths)}; do number=$((number + 1))",
        f'if [ -f "$path" ]; then cp -p "$path" {before}/$number; echo "put $path"; else echo "gone $path"; fi',
        f"done > {before}/files; cp {o}/staged/run {before}/run",
        "fi",
    ]
