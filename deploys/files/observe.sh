# Prints what the steps want to know of a host as name=value lines; `end=1` says that it came to its end.
# Set before it runs: `root`, `public` (how many of the leading arguments are printed whole), and the arguments: files.
PATH=$PATH:/usr/sbin:/sbin
opt=${root%/}/opt/livefleet
run=${root%/}/run/livefleet

echo "uid=$(id -u)"
echo "user=$(id -un)"
echo "machine=$(uname -m)"
echo "kernel=$(uname -r)"
echo "clock=$(date +%s)"
( . /etc/os-release 2>/dev/null && echo "os_id=$ID" && echo "os_version=$VERSION_ID" )
if [ -d /run/systemd/system ]; then echo systemd=1; fi
echo "python=$(python3 -c 'import sys; print(*sys.version_info[:3])' 2>/dev/null)"
if command -v nginx >/dev/null; then echo nginx=1; fi
if command -v apt-get >/dev/null; then echo apt=1; fi
if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then echo sudo=1; fi
if id -u livefleet >/dev/null 2>&1; then echo service_user=1; fi

folder=$opt
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
echo "disk_free_kib=$(df -Pk "$folder" | awk 'NR==2 {print $4}')"
echo "temporary_free_kib=$(df -Pk /tmp | awk 'NR==2 {print $4}')"
if [ "$(stat -c %d "$folder")" != "$(stat -c %d /tmp)" ]; then echo temporary_apart=1; fi

for device in /sys/bus/pci/devices/*; do
  [ "$(cat "$device/vendor" 2>/dev/null)" = 0x10de ] || continue
  case "$(cat "$device/class")" in 0x0300*|0x0302*) echo "nvidia_pci=$(cat "$device/device")" ;; esac
done
if [ -r /sys/module/nvidia/version ]; then echo "nvidia_loaded=$(cat /sys/module/nvidia/version)"; fi
for information in "${proc:-/proc}"/driver/nvidia/gpus/*/information; do
  [ -r "$information" ] || continue
  uuid=$(sed -n 's/^GPU UUID:[[:space:]]*//p' "$information")
  echo "nvidia_gpu=${uuid:-unknown} $(sed -n 's/^Model:[[:space:]]*//p' "$information")"
done
if grep -q '^nouveau ' /proc/modules 2>/dev/null; then echo nouveau=1; fi
for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
  [ -r "$variable" ] || continue
  if [ "$(od -An -tu1 -j4 -N1 "$variable" | tr -d ' ')" = 1 ]; then echo secure_boot=1; fi
done

if [ -L "$opt/current" ]; then echo "current=$(basename "$(readlink "$opt/current")")"; fi
for release in $(ls -tr "$opt/releases" 2>/dev/null); do
  if [ -e "$opt/releases/$release/.complete" ]; then echo "releases=$release"; fi
done
for bundle in $(ls "$opt/bundles" 2>/dev/null); do
  if [ -e "$opt/bundles/$bundle/.complete" ]; then echo "bundles=$bundle"; fi
done
if [ -d "$opt/staged" ]; then echo staged=1; fi
if [ -e "$opt/switching/run" ]; then echo switching=1
elif [ -r "$opt/started" ]; then echo "started=$(cat "$opt/started")"; fi
if [ -r "$opt/good" ]; then echo "good=$(cat "$opt/good")"; fi
if [ -r "$opt/previous/release" ]; then echo "previous=$(cat "$opt/previous/release")"; fi
if [ -r "$opt/went-back" ]; then echo "went_back=$(cat "$opt/went-back")"; fi
if [ -r "$opt/operator.lock" ]; then
  { read -r token; read -r until; read -r owner; } <"$opt/operator.lock"
  left=$(( ${until:-0} - $(date +%s) ))
  if [ "$left" -gt 0 ]; then echo "lock=$token $left $owner"; fi
fi

if [ "$root" = / ] && [ -d /run/systemd/system ]; then
  if systemctl is-active --quiet livefleet.service; then echo active=1; fi
  if systemctl is-enabled --quiet livefleet.service 2>/dev/null; then echo enabled=1; fi
fi
if [ -r "$opt/supervise.py" ] &&
  python3 "$opt/supervise.py" status --pid-file "$run/supervisor.pid" >/dev/null 2>&1; then echo active=1; fi

number=0
for path in "$@"; do
  number=$((number + 1))
  [ -f "$path" ] || continue
  echo "file=$(stat -c '%a %U' "$path") $(sha256sum < "$path" | cut -d' ' -f1) $path"
  if [ "$number" -le "$public" ]; then echo "text=$(base64 -w0 < "$path") $path"; fi
done
echo end=1
