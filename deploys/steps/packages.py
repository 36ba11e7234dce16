"""What the agent needs from the distribution: a Python and the nginx binary, which the agent runs by itself."""

from collections.abc import Sequence

from deploys.facts import Observed
from deploys.outcome import Outcome, refuse, sh

__all__ = ["packages"]

# The distribution's own nginx service must not take ports: its unit is masked before the package comes, and
# policy-rc.d (only while none is there) keeps the package from starting it on hosts without systemd.
_INSTALL = """
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
as_root sh -eu -c '
export DEBIAN_FRONTEND=noninteractive
unit=/lib/systemd/system/nginx.service
if [ -d /run/systemd/system ] && ! [ -e $unit ]; then systemctl mask --quiet nginx.service; fi
policy=/usr/sbin/policy-rc.d
if ! [ -e $policy ]; then
  printf "#!/bin/sh\\nexit 101\\n" > $policy; chmod 755 $policy; trap "rm -f $policy" EXIT
fi
apt="apt-get -q -y -o DPkg::Lock::Timeout=180 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
dpkg --configure -a
$apt install --no-install-recommends PACKAGES || { $apt update && $apt install --no-install-recommends PACKAGES; }
'
""".strip()


def packages(facts: Observed, *, nginx: bool = True, also: Sequence[str] = ()) -> Outcome:
    """Install what is missing; nothing is ever upgraded. `nginx`: the node has a front door. `also`: found missing."""
    missing = [*(() if facts.python else ("python3",)), *(() if facts.nginx or not nginx else ("nginx-light",)), *also]
    if not missing:
        return Outcome()
    names = " ".join(missing)
    if not facts.apt:
        return refuse(f"{names} missing, and there is no apt-get to install it with; install it and apply again")
    if not facts.sudo:
        return refuse(
            f"{names} missing, and {facts.user} may not install it: `apt-get install {names}` as root, then apply again"
        )
    stays_off = " (the distribution's nginx service stays off)" if "nginx-light" in missing else ""
    return Outcome(
        commands=(sh([_INSTALL.replace("PACKAGES", names)], timeout_s=900),),
        notes=(f"install {names}{stays_off}",),
    )
