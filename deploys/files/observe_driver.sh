# Prints, as observe.sh does, what listens on the host, and on one with an NVIDIA device what concerns its driver.
# Set before it runs: `root`.
PATH=$PATH:/usr/sbin:/sbin
opt=${root%/}/opt/livefleet
run=${root%/}/run/livefleet

# Who listens: the inode of each listening socket, and the process that has it open.
listeners() {
  sockets=$(awk '$4 == "0A" {n = split($2, part, ":"); print part[n], $10}' /proc/net/tcp /proc/net/tcp6 2>/dev/null | sort -u)
  [ -n "$sockets" ] || return 0
  open=$(ls -l /proc/[0-9]*/fd 2>/dev/null | awk '
    /^\/proc\// {split($0, part, "/"); pid = part[3]}
    /socket:\[/ {inode = $NF; gsub(/[^0-9]/, "", inode); if (!(inode in seen)) {seen[inode] = 1; print inode, pid}}')
  printf '%s\n' "$sockets" | while read -r port inode; do
    pid=$(printf '%s\n' "$open" | awk -v inode="$inode" '$1 == inode {print $2; exit}')
    unit= name= own=
    if [ -n "$pid" ]; then
      name=$(cat "/proc/$pid/comm" 2>/dev/null)
      unit=$(sed -n 's/.*\/\([^/]*\.service\).*/\1/p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
      if [ "$unit" = livefleet.service ] && [ "$root" = / ]; then own=own; fi
      ancestor=$pid
      for _ in 1 2 3 4; do # a worker of nginx names no folder, its parent does
        if tr '\0' ' ' < "/proc/$ancestor/cmdline" 2>/dev/null | grep -qF -e "$opt/" -e "$run/"; then own=own; break; fi
        ancestor=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$ancestor/status" 2>/dev/null)
        [ "${ancestor:-1}" -gt 1 ] || break
      done
    fi
    echo "listener=$((0x$port)) ${pid:-0} ${own:-other} ${unit:--} ${name:--}"
  done
}

driver_packages() {
  dpkg-query -W -f '${db:Status-Abbrev}|${Package}|${Version}\n' 'nvidia-*' 'libnvidia-*' 'cuda-drivers*' libcuda1 \
    libnvcuvid1 'libcudadebugger*' 'firmware-nvidia-*' 'linux-modules-nvidia-*' 'linux-objects-nvidia-*' \
    libnvoptix1 'xserver-xorg-video-nvidia*' 2>/dev/null | sed -n 's/^\([a-zA-Z]*\) *|/package=\1|/p'
  apt-mark showhold 2>/dev/null | sed 's/^/held=/'
}

driver_of_host() {
  if command -v dpkg-query >/dev/null; then driver_packages; fi
  echo "module=$(modinfo -F version nvidia 2>/dev/null)"
  if [ -e /usr/bin/nvidia-uninstall ] && ! dpkg -S /usr/bin/nvidia-uninstall >/dev/null 2>&1; then echo runfile=1; fi
  for device in /sys/bus/pci/devices/*; do
    [ "$(cat "$device/vendor" 2>/dev/null)" = 0x10de ] || continue
    case "$(cat "$device/class")" in 0x0680*) echo nvswitch=1 ;; esac
  done
  for card in /sys/class/drm/card[0-9]; do
    case "$(readlink "$card/device/driver" 2>/dev/null)" in */nouveau) ;; *) continue ;; esac
    if cat "$card"-*/status 2>/dev/null | grep -qx connected; then echo display=1; fi
  done

  if [ -e "/lib/modules/$(uname -r)/build" ]; then echo headers=here
  elif apt-cache pkgnames "linux-headers-$(uname -r)" 2>/dev/null | grep -qx "linux-headers-$(uname -r)"; then
    echo headers=offered
  elif apt-cache pkgnames linux-headers- 2>/dev/null | grep -q .; then echo headers=absent
  fi
  echo "newest_kernel=$(ls /boot/vmlinuz-* 2>/dev/null | sed 's/.*vmlinuz-//' | sort -V | tail -n 1)"
  dkms status 2>/dev/null | grep '^nvidia' | sed 's/^/dkms=/'
  if [ -d /boot ]; then
    echo "boot_free_kib=$(df -Pk /boot | awk 'NR==2 {print $4}')"
    echo "initrd_kib=$(ls -s --block-size=1024 /boot/initrd.img-* 2>/dev/null | sort -n | awk 'END {print $1}')"
  fi
  echo "usr_free_kib=$(df -Pk /usr | awk 'NR==2 {print $4}')"
  for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock; do
    inode=$(stat -c %i "$lock" 2>/dev/null) || continue
    pid=$(awk -v inode="$inode" '{n = split($6, part, ":"); if (part[n] == inode) {print $5; exit}}' /proc/locks)
    if [ "${pid:-0}" -gt 0 ]; then echo "apt_holder=$(cat "/proc/$pid/comm" 2>/dev/null) (process $pid)"; break; fi
  done

  for key in /var/lib/shim-signed/mok/MOK.der /var/lib/dkms/mok.pub; do
    [ -e "$key" ] || continue
    case "$(mokutil --test-key "$key" 2>/dev/null)" in
      *"already enrolled"*) echo "mok=enrolled" ;;
      *"already in the enrollment request"*) echo "mok=pending" ;;
    esac
  done

  apt-cache policy 2>/dev/null | awk '/^ *-?[0-9]+ .* Packages$/ {url = $2} /^ *release / {
    sub(/^ *release /, ""); n = split($0, part, ",")
    for (i = 1; i <= n; i++) if (part[i] ~ /^o=/) print "origin=" url "|" substr(part[i], 3)}'
  apt-cache madison cuda-drivers nvidia-open nvidia-driver-cuda nvidia-driver nvidia-dkms-open \
    nvidia-kernel-open-dkms libnvidia-compute 2>/dev/null | sed 's/ *| */|/g; s/^ */offer=/'

  library=$(readlink -f "$(ldconfig -p 2>/dev/null | awk '/libnvidia-encode\.so\.1 / {print $NF; exit}')" 2>/dev/null)
  if [ -f "$library" ]; then echo "encode=$(sha256sum < "$library" | cut -d' ' -f1) $library"; fi
  if [ -r /var/lib/livefleet-driver/encode/path ]; then
    echo "encode_kept=$(cat /var/lib/livefleet-driver/encode/patched 2>/dev/null) $(cat /var/lib/livefleet-driver/encode/path)"
  fi
  if [ -r /var/lib/livefleet-driver/state ]; then echo "driver_change=$(cat /var/lib/livefleet-driver/state)"; fi
  case "$(systemctl is-enabled nvidia-persistenced.service 2>/dev/null)" in
    enabled|static|indirect|generated|alias) echo persistence=1 ;;
  esac
}

listeners
for device in /sys/bus/pci/devices/*; do
  [ "$(cat "$device/vendor" 2>/dev/null)" = 0x10de ] || continue
  case "$(cat "$device/class")" in 0x0300*|0x0302*) driver_of_host; break ;; esac
done
