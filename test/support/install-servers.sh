#!/usr/bin/env bash
# Installs what the tests run against, where it is missing. Needs root and apt; elsewhere it names what to install.
set -euo pipefail

declare -A packages=(
  [tar]=tar [gzip]=gzip [pigz]=pigz [bzip2]=bzip2 [lbzip2]=lbzip2 [zstd]=zstd [xz]=xz-utils [lz4]=lz4
  [gpg]=gnupg [ssh]=openssh-client [/usr/sbin/sshd]=openssh-server [setfacl]=acl [setfattr]=attr [strace]=strace
  [mkfifo]=coreutils [mount]=mount [cron]=cron [faketime]=faketime [systemd-analyze]=systemd
  [python3]=python3 [pip3]=python3-pip [mariadbd]=mariadb-server [mariadb-backup]=mariadb-backup [/usr/lib/galera/libgalera_smm.so]=galera-4
)

# The servers of the packages must not start: tests start their own.
install_packages() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    # shellcheck disable=SC2064 # the path of now
    trap "rm -f '$policy'" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq update
  apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq install -y --no-install-recommends "$@" >/dev/null
}

missing=()
for program in "${!packages[@]}"; do
  command -v "$program" >/dev/null || [[ $program == /* && -e $program ]] || [ -x "/usr/sbin/$program" ] || missing+=("${packages[$program]}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Cannot install: ${missing[*]}; install them and run again" >&2
    exit 78
  fi
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  install_packages "${missing[@]}"
  echo "installed in $SECONDS s"
fi
mkdir -p /run/sshd
here=$(dirname "$0")
bash "$here/install-object-stores.sh" &
object_stores=$!
bash "$here/install-package-roots.sh" &
package_roots=$!
failed=()
bash "$here/install-private-servers.sh" || failed+=("the servers of other releases")
wait "$object_stores" || failed+=("the object stores")
wait "$package_roots" || failed+=("the clean roots for the package")
for what in "${failed[@]}"; do echo "Cannot install $what; their tests are skipped unless REQUIRE is set" >&2; done
[ ${#failed[@]} -eq 0 ] || [ -z "${REQUIRE:-}" ]
