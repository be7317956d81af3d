#!/usr/bin/env bash
# Makes clean roots of Debian releases for the tests of the package: what is essential, what the package says it depends on, and
# faketime. No Node, no compiler, no server. What is there already is left alone. Needs root, for a root has owners.
#   DIRECTORY/debian-12/  DIRECTORY/debian-13/
set -euo pipefail

shelf=${TWINDB_TEST_SERVERS:-$HOME/.cache/twindb-backup-test-servers}
here=$(dirname "$0")
# shellcheck source=private-apt.sh
. "$here/private-apt.sh"

# Of alternatives the first one, as apt would.
depends=$(sed -n 's/^Depends: //p' "$here/../../packaging/deb/control" | sed -e 's/([^)]*)//g' -e 's/|[^,]*//g' -e 's/,/ /g')

# in_root DIRECTORY COMMAND... : with /proc and /dev for as long as it runs.
in_root() {
  # shellcheck disable=SC2016 # for the shell inside
  unshare --mount --pid --fork bash -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$@"' - "$@"
}

# root SUITE NAME : leaves the shelf as it was unless everything is there.
root() {
  local scratch="$shelf/.$2.$$" place
  place=$scratch/root
  # shellcheck disable=SC2086 # one word each
  fetch "$1" "$scratch/apt" '?essential' $depends faketime
  mkdir -p "$place"/{usr/{bin,sbin,lib,lib64},var/lib/dpkg/{info,updates},proc,dev,debs}
  ln -s usr/bin usr/sbin usr/lib usr/lib64 "$place/"
  # Once by hand, so that there is a dpkg, and once by that dpkg, so that it knows them.
  for package in "$scratch"/apt/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$place" --keep-directory-symlink --exclude='./usr/share/locale/*'
  done
  mv "$scratch"/apt/cache/archives/*.deb "$place/debs/"
  touch "$place/var/lib/dpkg/status"
  printf '#!/bin/sh\nexit 101\n' >"$place/usr/sbin/policy-rc.d"
  chmod 755 "$place/usr/sbin/policy-rc.d"
  in_root "$place" env -i PATH=/usr/sbin:/usr/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive sh -c \
    'dpkg --force-depends --force-unsafe-io --path-exclude="/usr/share/locale/*" --install /debs/*.deb' >"$scratch/log" 2>&1 ||
    { tail -n 20 "$scratch/log" >&2; return 1; }
  rm -rf "$place/debs" "$place"/usr/share/{doc,man,info}/*
  mv "$place" "$shelf/$2"
  rm -rf "$scratch"
  echo "made $2 in $SECONDS s, $(du -sh "$shelf/$2" | cut -f 1)"
}

[ ! -d "$shelf/debian-12" ] || [ ! -d "$shelf/debian-13" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "Cannot make roots for the tests of the package: it takes root" >&2; exit 78; }
source_url=$(mirror)
[ -n "$source_url" ] || { echo "Cannot make roots for the tests of the package: no mirror of Debian is configured here" >&2; exit 78; }
mkdir -p "$shelf"
trap 'rm -rf "$shelf"/.debian-*."$$"' EXIT
[ -d "$shelf/debian-12" ] || root bookworm debian-12
[ -d "$shelf/debian-13" ] || root trixie debian-13
