# Changes the NVIDIA driver of a host, or goes back. What is wanted stands in the variables and functions above this text.
# `change` prepares and installs; a reboot may follow where $work/reboot is there; `check` asks the driver, and goes back
# where it does not answer as it should; `settle` says how it ended; `keep` is for a driver that is right already.
#
# Files in $work: `state` while a change is under way; `before/` what to go back to; `failed` why it went back; `debs/`
# packages by driver version; `drained`, `stopped` what is to be undone at the end; `log` all that was printed.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
before=$work/before
apt="apt-get -q -y -o DPkg::Lock::Timeout=180 -o Dpkg::Use-Pty=0 -o APT::Update::Error-Mode=any"
apt="$apt -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
kernel=$(uname -r)

say() { printf '%s\n' "$*"; }

# The driver's packages as installed: status, name, version.
present() {
  dpkg-query -W -f '${db:Status-Abbrev}|${Package}|${Version}\n' 'nvidia-*' 'libnvidia-*' 'cuda-drivers*' libcuda1 \
    libnvcuvid1 'libcudadebugger*' 'firmware-nvidia-*' libnvoptix1 'linux-modules-nvidia-*' 'linux-objects-nvidia-*' \
    2>/dev/null | awk -F'|' '{
      status = substr($1, 2, 1); version = $3; sub(/^[0-9]+:/, "", version)
      driver = version ~ /^[0-9][0-9][0-9]\.[0-9]/ || $2 ~ /^linux-(modules|objects)-nvidia-/
      if (driver && status != "n" && status != "c" && version != "") print status, $2, $3}'
}

upstream() { v=${1#*:}; printf '%s' "${v%%-*}"; }
as_wanted() { case "$1" in $wanted) return 0 ;; esac; return 1; }
module() { modinfo -k "${1:-$kernel}" -F version nvidia 2>/dev/null; }
loaded() { cat /sys/module/nvidia/version 2>/dev/null; }
note_state() { printf '%s\n' "$*" > "$work/state.new"; mv -f "$work/state.new" "$work/state"; sync "$work" 2>/dev/null || sync; }

# Ends a change before anything of the driver was touched; one that an earlier run had begun is taken back instead.
refuse() {
  if [ "${resumed:-0}" = 1 ]; then
    go_back "$*"
    settle
  fi
  restore_files
  rm -rf "$before" "$work/state"
  give_service_back
  say "$*; nothing of the driver was changed"
  exit 1
}

# -- the agent and everything else that uses the cards -------------------------------------------------------------------

take_service_away() {
  if [ -n "$drain_file" ] && ! [ -e "$drain_file" ]; then
    : > "$work/drained"
    drain_agent || say "the agent could not be asked to drain; it is stopped as it is"
  fi
  : > "$work/stopped"
  stop_agent || say "the agent did not stop by itself"
  if [ -d /run/systemd/system ]; then
    systemctl stop nvidia-persistenced.service nvidia-fabricmanager.service nvidia-dcgm.service 2>/dev/null || :
  fi
}

give_service_back() {
  if [ -e "$work/drained" ]; then rm -f "$drain_file" "$work/drained"; fi
  if [ -e "$work/stopped" ]; then
    start_agent || say "the agent did not start again: see its log"
    rm -f "$work/stopped"
  fi
}

unload() {
  modules=
  for name in nvidia_drm nvidia_modeset nvidia_uvm nvidia_peermem nvidia; do
    if [ -d "/sys/module/$name" ]; then modules="$modules $name"; fi
  done
  if [ -n "$modules" ]; then modprobe -r $modules || return 1; fi
  if [ -d /sys/module/nouveau ]; then modprobe -r nouveau || return 1; fi
}

load() { modprobe nvidia && modprobe nvidia-uvm; }

# -- change --------------------------------------------------------------------------------------------------------------

change() {
  if [ "$begin_before" -gt 0 ] && [ "$(date +%s)" -ge "$begin_before" ]; then
    say "the reboot window has closed meanwhile: waiting for the next one"
    exit 0
  fi
  mkdir -p "$work/debs"
  resumed=1
  if ! [ -e "$work/state" ]; then # else `before` is that of the change that was cut off
    resumed=0
    rm -rf "$before"
  fi
  rm -f "$work/failed" "$work/reboot"
  dpkg --configure -a || say "dpkg could not finish what was begun earlier; going on"
  sources && files || refuse "its package source could not be set up: $(tail -n 1 "$work/log")"
  $apt update || refuse "apt-get update failed: $(tail -n 3 "$work/log" | tr '\n' ' ')"
  [ -z "$build_tools" ] || $apt install --no-install-recommends $build_tools $(headers_of_next_kernel) ||
    refuse "what modules are built with ($build_tools) could not be installed"
  choose
  if [ "$resumed" = 0 ]; then keep_way_back; fi
  $apt --download-only $options install $chosen || refuse "the packages of $target could not be fetched"
  note_state "from $(cat "$before/version") to $target"
  take_service_away
  if ! unload; then
    if [ "$reboot_allowed" = 0 ]; then
      load || :
      refuse "the driver's modules are in use by something else, so that only a reboot changes them: stop it, or declare" \
        "\`driver: {reboot_window: ...}\`"
    fi
    : > "$work/reboot"
  fi
  $apt $options install $chosen || { go_back "its packages could not be installed: $(last_error)"; return; }
  if [ "$(module)" != "$target" ]; then
    go_back "there is no module of it for kernel $kernel: $(build_error)"
    return
  fi
  if command -v update-initramfs >/dev/null; then
    update-initramfs -u || { go_back "update-initramfs failed: $(last_error)"; return; }
  fi
  if [ -e "$work/reboot" ]; then
    newest=$(ls /boot/vmlinuz-* 2>/dev/null | sed 's/.*vmlinuz-//' | sort -V | tail -n 1)
    if [ -n "$newest" ] && [ "$(module "$newest")" != "$target" ]; then
      go_back "the kernel that a reboot would start, $newest, has no module of it"
      return
    fi
    note_state "from $(cat "$before/version") to $target, rebooting"
  elif ! load; then
    if [ "$reboot_allowed" = 0 ]; then go_back "its module does not load: $(last_error)"; else : > "$work/reboot"; fi
  fi
}

# The metapackages beside those that bring this host its kernels: without them its next kernel would have no driver.
headers_of_next_kernel() {
  dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n' 'linux-image-*' 2>/dev/null |
    awk -F'|' '$1 ~ /^.i/ && $2 !~ /^linux-image-(unsigned-)?[0-9]/ {sub(/^linux-image/, "linux-headers", $2); print $2}' |
    while read -r name; do if [ -n "$(apt-cache pkgnames "$name" | grep -x "$name")" ]; then echo "$name"; fi; done
}

# Exact versions of the wanted packages, all from one driver; sets `target`, `chosen`, `options`.
choose() {
  target= chosen=
  for name in $packages; do
    version=$(apt-cache policy "$name" | awk '/Candidate:/ {print $2}')
    case "$name" in
      linux-modules-nvidia-*)
        if [ "$version" = "(none)" ] || [ -z "$version" ]; then
          refuse "there is no $name, with modules signed for this kernel: reboot into the newest kernel and apply again"
        fi
        ;;
      *)
        if ! as_wanted "$(upstream "$version")"; then
          has=$(apt-cache madison "$name" | awk -F' *[|] *' '{print $2}' | sort -Vu | tail -n 8 | tr '\n' ' ')
          refuse "no package source offers $name in version $wanted; there is ${has:-none at all}"
        fi
        : "${target:=$(upstream "$version")}"
        if [ "$(upstream "$version")" != "$target" ]; then refuse "$name is $version where the others are $target"; fi
        ;;
    esac
    chosen="$chosen $name=$version"
  done
  mkdir -p "$work/debs/$target/partial"
  options="-o Dir::Cache::archives=$work/debs/$target --no-install-recommends --allow-downgrades"
  options="$options --ignore-hold --allow-change-held-packages"
  # Packages of another branch that carry it in their name stay otherwise, and hold their libraries.
  for old in $(present | awk '{print $2}'); do
    case "$old" in *-[0-9][0-9][0-9]|*-[0-9][0-9][0-9]-*) ;; *) continue ;; esac
    case " $packages " in *" $old "*) continue ;; esac
    case "$old" in *-"${target%%.*}"|*-"${target%%.*}"-*) continue ;; esac
    chosen="$chosen $old-"
  done
  $apt -s $options install $chosen >/dev/null || refuse "apt-get cannot install $target here: $(last_error)"
}

keep_way_back() {
  mkdir -p "$before/debs"
  present > "$before/packages"
  apt-mark showhold > "$before/held"
  awk '$2 !~ /^linux-/ {v = $3; sub(/^[0-9]+:/, "", v); sub(/-.*/, "", v); print v}' "$before/packages" |
    sort | uniq -c | sort -n | awk 'END {if ($2 != "") print $2}' > "$before/version"
  [ -s "$before/version" ] || { echo none > "$before/version"; return 0; }
  [ "$way_back" = 1 ] || return 0
  old=$(cat "$before/version")
  while read -r status name version; do
    kept=$(find "$work/debs/$old" -name "${name}_$(printf %s "$version" | sed 's/:/%3a/')_*.deb" 2>/dev/null | head -n 1)
    if [ -n "$kept" ]; then
      ln -f "$kept" "$before/debs/" 2>/dev/null || cp "$kept" "$before/debs/"
    elif ! (cd "$before/debs" && apt-get -q download "$name=$version"); then
      refuse "$name $version, which is installed, cannot be had any more, so that there would be no way back;" \
        "\`driver: {way_back: false}\` goes on without one"
    fi
  done < "$before/packages"
}

last_error() {
  grep -E '^(E:|Err:|dpkg: error|modprobe: |Error!|update-initramfs: |gzip: )|No space left' "$work/log" |
    grep -vE 'Sub-process .* returned an error code' | tail -n 2 | sed 's/[: ]*$/;/' | tr '\n' ' ' | sed 's/; $//'
}

build_error() {
  log=$(ls -t /var/lib/dkms/nvidia*/*/build/make.log 2>/dev/null | head -n 1)
  if [ -n "$log" ]; then grep -iE 'error|warning: .*gcc' "$log" | tail -n 2 | tr '\n' ' '; else last_error; fi
}

# -- going back ----------------------------------------------------------------------------------------------------------

go_back() {
  printf '%s\n' "$*" > "$work/failed"
  say "going back to $(cat "$before/version"): $*"
  unload || : > "$work/reboot"
  old=" $(awk '{print $2}' "$before/packages" | tr '\n' ' ')"
  gone=$(present | awk '{print $2}' | while read -r name; do
    case "$old" in *" $name "*) ;; *) echo "$name" ;; esac
  done)
  [ -z "$gone" ] || dpkg --purge --force-depends --force-remove-reinstreq $gone ||
    say "not all of $target could be removed"
  if [ -n "$(ls "$before/debs" 2>/dev/null)" ]; then
    dpkg --install --force-downgrade --force-confold --force-confdef --force-hold "$before"/debs/*.deb ||
      say "not all packages of $(cat "$before/version") could be put back"
  fi
  restore_files
  while read -r name; do apt-mark hold "$name" >/dev/null || :; done < "$before/held"
  if command -v update-initramfs >/dev/null; then update-initramfs -u || :; fi
  if [ "$reboot_allowed" = 0 ]; then rm -f "$work/reboot"; fi
  if [ "$(cat "$before/version")" != none ] && ! [ -e "$work/reboot" ] && ! load && [ "$reboot_allowed" = 1 ]; then
    : > "$work/reboot"
  fi
  note_state "back to $(cat "$before/version")"
}

# -- after it ------------------------------------------------------------------------------------------------------------

# The driver's own word: version and number of devices. Prints what is wrong.
ask() { # VERSION
  timeout 120 python3 - "$1" "$devices" <<'PYTHON'
import ctypes, sys

version, devices = sys.argv[1], int(sys.argv[2])
MEANING = {9: "the kernel module is not loaded", 12: "its library is missing", 18: "library and kernel module are of different versions",
           15: "a GPU has fallen off the bus"}
try:
    nvml = ctypes.CDLL("libnvidia-ml.so.1")
except OSError as error:
    sys.exit(f"NVML cannot be loaded: {error}")
def call(name, *arguments):
    code = getattr(nvml, name)(*arguments)
    if code:
        sys.exit(f"NVML says at {name}: error {code}, {MEANING.get(code, 'see nvml.h')}")
call("nvmlInitWithFlags", 0)
text, count = ctypes.create_string_buffer(96), ctypes.c_uint()
call("nvmlSystemGetDriverVersion", text, 96)
call("nvmlDeviceGetCount_v2", ctypes.byref(count))
if text.value.decode() != version:
    sys.exit(f"NVML answers as driver {text.value.decode()}, not {version}")
if count.value < devices:
    sys.exit(f"NVML sees {count.value} of {devices} device(s)")
PYTHON
}

check() {
  [ -e "$work/state" ] || return 0
  rm -f "$work/reboot"
  if [ -e "$work/failed" ]; then return 0; fi
  target=$(sed -n 's/^from .* to \([0-9.]*\).*/\1/p' "$work/state")
  [ "$(loaded)" = "$target" ] || load || :
  wrong=$(ask "$target" 2>&1) || { go_back "$wrong"; return; }
  keep_it_so
  give_service_back
  for folder in "$work"/debs/*; do # this driver's packages and those of the one before
    case "${folder##*/}" in "$target"|"$(cat "$before/version")") ;; *) rm -rf "$folder" ;; esac
  done
  rm -rf "$before" "$work/state" "$work/encode"
  say "driver $target is in force"
}

# For a driver that is as declared already.
keep() {
  files && keep_it_so
  kept=$?
  rm -rf "$before"
  return $kept
}

keep_it_so() {
  names=$(present | awk '{print $2}')
  apt-mark hold $names $also_hold >/dev/null
  persistence
  if [ "$nvswitch" = 1 ] && [ -d /run/systemd/system ]; then
    systemctl enable --now nvidia-fabricmanager.service || say "the fabric manager does not start"
  fi
}

# The daemon keeps the cards' state while nobody uses them; Ubuntu's unit starts it with that switched off.
persistence() {
  [ -d /run/systemd/system ] || return 0
  unit=nvidia-persistenced.service
  line=$(systemctl cat "$unit" 2>/dev/null | sed -n 's/^ExecStart=\(..*\)/\1/p' | tail -n 1)
  case "$line" in
    *--no-persistence-mode*)
      mkdir -p "/etc/systemd/system/$unit.d"
      printf '[Service]\nExecStart=\nExecStart=%s\n' \
        "$(printf %s "$line" | sed 's/--no-persistence-mode/--persistence-mode/')" > "/etc/systemd/system/$unit.d/livefleet.conf"
      systemctl daemon-reload
      ;;
  esac
  systemctl enable --quiet "$unit" 2>/dev/null || :
  systemctl restart "$unit" || say "the persistence daemon does not run: the first use after a pause takes seconds"
}

settle() {
  [ -e "$work/state" ] || return 0
  old=$(cat "$before/version")
  reason=$(cat "$work/failed" 2>/dev/null)
  wrong=
  if [ "$old" != none ]; then
    [ "$(loaded)" = "$old" ] || load || :
    wrong=$(ask "$old" 2>&1) || say "$wrong"
  fi
  give_service_back
  if [ -n "$wrong" ]; then
    say "the driver could not be changed ($reason), and $old, which was put back, does not answer: $wrong." \
      "Reboot the host and apply again; if that does not help, look at $work/log"
    exit 1
  fi
  rm -rf "$before" "$work/state" "$work/reboot"
  if [ "$old" = none ]; then
    say "the driver could not be installed: $reason. The host is without one, as before"
  else
    say "the driver could not be changed: $reason. The host is back on $old, which works"
  fi
  exit 1
}
