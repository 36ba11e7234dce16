
# Files that a change of the driver writes, keeps and puts back.

save() { # PATH
  saved=$before/files/$(printf %s "$1" | tr / %)
  if [ -e "$saved" ] || [ -e "$saved.absent" ]; then return 0; fi
  mkdir -p "$before/files"
  if [ -e "$1" ]; then cp -p "$1" "$saved"; else : > "$saved.absent"; fi
}

# Lists of the same repository that name another key: apt refuses to know one address by two.
take_over() { # URL OUR_LIST
  for list in $(grep -lsF "${1%/}" /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources); do
    if [ "$list" = "$2" ]; then continue; fi
    if grep -E '^ *(deb|URIs:)' "$list" | grep -vqF "${1%/}"; then
      say "$list names ${1%/} beside other repositories: take it out there, since apt refuses to know it by two keys"
      return 1
    fi
    save "$list"
    rm -f "$list"
    say "$list gives way to $2, which names the same repository"
  done
}

put() { # PATH TEXT
  save "$1"
  mkdir -p "${1%/*}"
  printf %s "$2" > "$1.livefleet-new"
  chmod 644 "$1.livefleet-new"
  mv -f "$1.livefleet-new" "$1"
}

restore_files() {
  for saved in "$before"/files/*; do
    [ -e "$saved" ] || continue
    path=$(basename "$saved" .absent | tr % /)
    case "$saved" in *.absent) rm -f "$path" ;; *) cp -p "$saved" "$path" ;; esac
  done
}

# The public key of that fingerprint, and nothing else that its file may hold.
trust() { # KEY_URL FINGERPRINT PATH
  save "$3"
  mkdir -p "${3%/*}"
  python3 - "$1" "$2" "$3" <<'PYTHON'
import base64, hashlib, os, sys, urllib.request

url, wanted, path = sys.argv[1:]
text = urllib.request.urlopen(url, timeout=60).read(1 << 20)
raw = text
if text.lstrip().startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----"):
    lines = text.replace(b"\r", b"").strip().split(b"\n")
    start = lines.index(b"") + 1
    body = [line for line in lines[start:] if line and line[:1] not in (b"=", b"-")]
    raw = base64.b64decode(b"".join(body))
found, at = {}, 0  # fingerprint to the packets of that key
while at < len(raw):
    start, head, at = at, raw[at], at + 1
    if not head & 0x80:
        sys.exit(f"{url} is no public key")
    if head & 0x40:
        tag, size, at = head & 0x3F, raw[at], at + 1
        if 192 <= size < 224:
            size, at = ((size - 192) << 8) + raw[at] + 192, at + 1
        elif size == 255:
            size, at = int.from_bytes(raw[at:at + 4], "big"), at + 4
    else:
        tag, octets = (head >> 2) & 15, (1, 2, 4)[head & 3]
        size, at = int.from_bytes(raw[at:at + octets], "big"), at + octets
    if tag == 6:
        packet = raw[at:at + size]
        key = hashlib.sha1(b"\x99" + len(packet).to_bytes(2, "big") + packet).hexdigest()
        found[key] = b""
    elif not found:
        sys.exit(f"{url} is no public key")
    at += size
    found[key] += raw[start:at]
if wanted.lower() not in found:
    sys.exit(f"the key at {url} is {', '.join(found) or 'none'}, not {wanted.lower()}: it is not trusted")
with open(path + ".livefleet-new", "wb") as file:
    file.write(found[wanted.lower()])
os.chmod(path + ".livefleet-new", 0o644)
os.replace(path + ".livefleet-new", path)
PYTHON
}
