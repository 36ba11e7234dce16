
# -- beside the driver ---------------------------------------------------------------------------------------------------

container_toolkit() { # URL KEY_URL FINGERPRINT
  key=/etc/apt/keyrings/livefleet-nvidia-toolkit.gpg
  trust "$2" "$3" "$key" || { say "the container toolkit's package source is not trusted: $(tail -n 1 "$work/log")"; return 1; }
  take_over "${1%%\$*}" /etc/apt/sources.list.d/livefleet-nvidia-toolkit.list
  put /etc/apt/sources.list.d/livefleet-nvidia-toolkit.list "deb [signed-by=$key] $1 /
"
  rm -rf "$before"
  $apt update && $apt install --no-install-recommends nvidia-container-toolkit ||
    { say "the container toolkit could not be installed: $(last_error)"; return 1; }
}

sha256() { sha256sum < "$1" | cut -d' ' -f1; }

# Changes the encoder's library by what the operator brings; another outcome than the declared one is undone.
patch_sessions() { # VERSION KIND URL SHA256 OUTCOME ARGUMENTS...
  version=$1 kind=$2 url=$3 digest=$4 outcome=$5
  shift 5
  keep=$work/encode
  library=$(readlink -f "$(ldconfig -p | awk '/libnvidia-encode\.so\.1 / {print $NF; exit}')")
  case "$library" in
    *."$version") ;;
    *) say "the encoder's library is ${library:-not there}, not that of $version, which the session patch is for"; return 1 ;;
  esac
  if [ -e "$keep/original" ]; then restore_sessions || return 1; fi
  package=$(dpkg -S "$library" 2>/dev/null | cut -d: -f1 | head -n 1)
  if [ -z "$package" ] || dpkg -V "$package" | grep -qF "$library"; then
    say "$library is not as its package made it: something else has changed it; reinstall ${package:-it} and apply again"
    return 1
  fi
  mkdir -p "$keep"
  python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], sys.argv[2])' "$url" "$keep/file" ||
    { say "the session patch cannot be fetched from $url"; rm -rf "$keep"; return 1; }
  if [ "$(sha256 "$keep/file")" != "$digest" ]; then
    say "the file at $url has SHA-256 $(sha256 "$keep/file"), not the declared $digest: it is not used"
    rm -rf "$keep"
    return 1
  fi
  printf %s "$library" > "$keep/path"
  cp -p "$library" "$keep/original.new"
  mv "$keep/original.new" "$keep/original"
  printf %s "$outcome" > "$keep/patched"
  if [ "$kind" = tool ]; then
    timeout 300 bash "$keep/file" "$@" || say "the session patch's tool failed"
  else
    replace "$keep/file" "$library"
  fi
  found=$(sha256 "$library")
  if [ "$found" != "$outcome" ]; then
    restore_sessions
    say "the session patch made a library of SHA-256 $found, not the declared $outcome: it was undone"
    return 1
  fi
  rm -f "$keep/file"
  start_agent || :
}

restore_sessions() {
  keep=$work/encode
  library=$(cat "$keep/path")
  if [ -f "$library" ]; then replace "$keep/original" "$library"; fi
  rm -rf "$keep"
}

# By renaming: programs that have the file open keep the one that they opened.
replace() { # FILE PLACE
  cp -p "$1" "$2.livefleet-new" && chmod 644 "$2.livefleet-new" && mv -f "$2.livefleet-new" "$2"
}

restore_and_start() {
  restore_sessions && { start_agent || :; }
}
