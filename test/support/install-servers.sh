#!/usr/bin/env bash
# Installs what the tests run against, where it is missing. Needs root and apt; elsewhere it names what to install.
set -euo pipefail

declare -A packages=(
  [tar]=tar [gzip]=gzip [pigz]=pigz [bzip2]=bzip2 [lbzip2]=lbzip2 [zstd]=zstd [xz]=xz-utils [lz4]=lz4
  [gpg]=gnupg [ssh]=openssh-client [/usr/sbin/sshd]=openssh-server [setfacl]=acl [setfattr]=attr [strace]=strace
  [mkfifo]=coreutils [mount]=mount [cron]=cron [faketime]=faketime
)
missing=()
for program in "${!packages[@]}"; do
  command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || missing+=("${packages[$program]}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Cannot install: ${missing[*]}; install them and run again" >&2
    exit 78
  fi
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 -qq update
  apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi
mkdir -p /run/sshd
