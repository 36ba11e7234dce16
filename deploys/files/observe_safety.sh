# Prints, as observe.sh does, what the firewall, the clock, the logs and the kernel's settings are.
# Set before it runs: `root`.
PATH=$PATH:/usr/sbin:/sbin
opt=${root%/}/opt/livefleet

# By which address and port the one who runs this came in: sudo drops the variable, a process further up has it.
came_in() {
  process=$$ steps=0
  while [ "${process:-0}" -gt 1 ] && [ "$steps" -lt 20 ]; do
    found=$(tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p' | head -n 1)
    if [ -n "$found" ]; then echo "ssh_connection=$found"; return; fi
    process=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$process/status" 2>/dev/null)
    steps=$((steps + 1))
  done
}

services() {
  for unit in systemd-timesyncd chrony chronyd ntpsec ntp ntpd openntpd; do
    if systemctl is-active --quiet "$unit.service"; then echo "time_service=$unit"; fi
  done
  if [ "$(systemctl is-enabled systemd-timesyncd.service 2>/dev/null)" = masked ]; then echo timesyncd_masked=1; fi
  echo "container=$(systemd-detect-virt --container 2>/dev/null | grep -v '^none$')"
  for unit in docker firewalld nftables; do
    if systemctl is-active --quiet "$unit.service"; then echo "filters=$unit"; fi
  done
  if systemctl is-active --quiet ssh.socket; then
    systemctl show ssh.socket --property Listen --value | tr ' ' '\n' | sed -n 's/.*:\([0-9]*\)$/ssh_port=\1/p'
  fi
  if systemctl is-enabled --quiet livefleet-firewall.service 2>/dev/null; then echo firewall_enabled=1; fi
  echo "systemd_version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')"
  if command -v systemd-creds >/dev/null; then echo systemd_creds=1; fi
}

# Of a credential that is sealed for this host, the digest of what is in it.
credentials() {
  for file in /etc/credstore.encrypted/livefleet.*; do
    [ -f "$file" ] || continue
    name=${file#/etc/credstore.encrypted/livefleet.}
    opened=$(systemd-creds decrypt --name="$name" "$file" - 2>/dev/null | sha256sum | cut -d' ' -f1)
    echo "file=$(stat -c '%a %U' "$file") $opened $file"
  done
}

came_in
if [ "$root" = / ] && command -v systemd-creds >/dev/null; then credentials; fi
if [ -d /run/systemd/system ]; then services; fi
sshd -T 2>/dev/null | sed -n 's/^port /ssh_port=/p'
if grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf; then echo filters=ufw; fi
if command -v nft >/dev/null; then
  echo nft=1
  if listing=$(nft -s list table inet livefleet 2>/dev/null); then
    echo "firewall_now=$(printf '%s\n' "$listing" | sha256sum | cut -d' ' -f1)"
  fi
fi
if [ -r "$opt/firewall.listing" ]; then echo "firewall_loaded=$(cat "$opt/firewall.listing")"; fi
for name in net.ipv4.tcp_slow_start_after_idle kernel.yama.ptrace_scope fs.suid_dumpable; do
  file=/proc/sys/$(echo "$name" | tr . /)
  [ -r "$file" ] || continue
  if [ -w "$file" ]; then may=rw; else may=ro; fi
  echo "sysctl=$name $(cat "$file") $may"
done
awk 'NR > 1 {print "swap=" $1}' /proc/swaps 2>/dev/null
if [ -e /dev/nvidiactl ]; then echo "nvidia_device=$(stat -c '%a %G' /dev/nvidiactl)"; fi
if id -u livefleet >/dev/null 2>&1; then echo "service_ids=$(id -u livefleet) $(id -nG livefleet)"; fi
