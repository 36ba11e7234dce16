# Installs the driver in an image's tree, where no kernel runs that could load it: the same sources, choice, pin and hold
# as on a host. `kernels`: those of the image. Stands above driver.sh, whose functions it uses.
unsigned=/etc/dkms/framework.conf.d/livefleet-image.conf

image() {
  mkdir -p "$work/debs" "$before" "${unsigned%/*}"
  : > "$before/packages"
  # dkms would make a key to sign with: one private key for every host of the image, and another module in each image.
  echo 'sign_file=/nonexistent' > "$unsigned"
  sources && files || refuse "its package source could not be set up: $(tail -n 1 "$work/log")"
  $apt update || refuse "apt-get update failed: $(tail -n 3 "$work/log" | tr '\n' ' ')"
  [ -z "$build_tools" ] || $apt install --no-install-recommends $build_tools ||
    refuse "what modules are built with ($build_tools) could not be installed: $(last_error)"
  choose
  $apt $options install $chosen || { say "the packages of $target could not be installed: $(last_error)"; exit 1; }
  for each in $kernels; do
    if [ "$(module "$each")" != "$target" ] && command -v dkms >/dev/null; then dkms autoinstall -k "$each" || :; fi
    if [ "$(module "$each")" != "$target" ]; then
      say "there is no module of $target for the image's kernel $each: $(build_error)"
      exit 1
    fi
    if command -v update-initramfs >/dev/null; then update-initramfs -u -k "$each"; fi
  done
  rm -f "$unsigned"
  keep_it_so
  systemctl enable --quiet nvidia-persistenced.service || :
  printf '%s\n' "$target" > "$work/image"
}

