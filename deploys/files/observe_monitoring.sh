# Programs of monitoring that are installed (unit, active or not, enabled or not), and what each was started with.
if [ "$root" = / ] && [ -d /run/systemd/system ]; then
  for unit in prometheus prometheus-alertmanager prometheus-node-exporter loki grafana-server alloy; do
    for folder in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
      [ -e "$folder/$unit.service" ] || continue
      echo "program=$unit.service $(systemctl is-active "$unit.service") $(systemctl is-enabled "$unit.service" 2>&1)"
      break
    done
  done
  for stamp in /opt/livefleet/monitor/*; do
    if [ -r "$stamp" ]; then echo "program_stamp=$(basename "$stamp") $(cat "$stamp")"; fi
  done
fi
