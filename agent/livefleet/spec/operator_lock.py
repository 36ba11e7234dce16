"""An operator's lock on a host, for both who may take it: commands of the operator's side, and deploys."""

from typing import Final

__all__ = ["LOCK_HELD_FOR_S", "LOCK_SCRIPT"]

LOCK_HELD_FOR_S: Final = 600
"""Seconds that a lock holds without being renewed: what others wait for an operator whose machine died."""

LOCK_SCRIPT: Final = r"""
set -eu
action=$1 token=$2 hold=$3 owner=$4 opt=$5 state=$6
umask 022; mkdir -p "$opt"; umask 077
exec 9>"$opt/operator.lock.mutex"; flock -w 20 9
file=$opt/operator.lock; held=; until=0; who=; since=0
if [ -r "$file" ]; then { read -r held; read -r until; read -r who; read -r since; } <"$file" || true; fi
now=$(date +%s); holds=
if [ "$held" ] && [ "$until" -gt "$now" ]; then holds=1; fi
case $action in
release) if [ "$held" = "$token" ]; then rm -f "$file"; fi; echo free; exit ;;
renew) if [ "$held" != "$token" ]; then echo "held $((until - now)) $since $who"; exit; fi ;;
take) if [ "$holds" ] && [ "$held" != "$token" ]; then echo "held $((until - now)) $since $who"; exit; fi ;;
break)
  if [ "$holds" ] && [ "$held" != "$token" ] && [ -d "$state" ]; then
    printf '{"at": %s, "who": "%s", "action": "break lock", "outcome": "taken from %s"}\n' "$now" "$owner" "$who" \
      >>"$state/journal.jsonl"
  fi ;;
esac
if [ "$held" != "$token" ]; then since=$now; fi
printf '%s\n%s\n%s\n%s\n' "$token" "$((now + hold))" "$owner" "$since" >"$file.new"
sync "$file.new"; mv -f "$file.new" "$file"
echo ours
"""
"""For `sh -c LOCK_SCRIPT lock ACTION TOKEN SECONDS OWNER OPT STATE`; actions are take, renew, release and break.

`OPT/operator.lock` holds four lines: token, unix second at which it ends by the host's own clock, owner, unix second at
which it began. Prints `ours`, `free` or `held SECONDS_LEFT BEGAN OWNER`.
"""
