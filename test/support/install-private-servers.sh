#!/usr/bin/env bash
# Unpacks servers of other Debian releases into a directory of their own: MySQL 9 and MariaDB 11.8, with their tools. They bring all
# libraries they need and run through their own loader, so the system stays as it is. What is there already is left alone; needs no root.
#   DIRECTORY/NAME/root/  the unpacked packages
#   DIRECTORY/NAME/bin/   commands that run them
set -euo pipefail

shelf=${TWINDB_TEST_SERVERS:-$HOME/.cache/twindb-backup-test-servers}

# shellcheck source=private-apt.sh
. "$(dirname "$0")/private-apt.sh"

# wrap DIRECTORY PROGRAM [ARGUMENT...] : a command that runs the program through its own loader; the arguments follow the caller's.
wrap() {
  local place=$1 program=$2
  shift 2
  [ -x "$place/root/usr/$program" ] || { echo "Cannot find usr/$program in the packages" >&2; exit 1; }
  cat >"$place/bin/${program##*/}" <<SCRIPT
#!/bin/sh
root=\$(dirname "\$(dirname "\$0")")/root
library=\$(echo "\$root"/usr/lib/*/ld-linux-*.so.*)
exec "\$library" --library-path "\${library%/*}" --argv0 "\$root/usr/$program" "\$root/usr/$program" "\$@" $*
SCRIPT
  chmod 755 "$place/bin/${program##*/}"
}

# unpack SUITE NAME PACKAGE... : leaves the shelf as it was unless everything is there.
unpack() {
  local suite=$1 name=$2 scratch="$shelf/.$2.$$"
  shift 2
  mkdir -p "$scratch"/{root,bin}
  fetch "$suite" "$scratch/apt" "$@"
  # Releases since trixie keep all libraries and programs below usr.
  mkdir -p "$scratch"/root/usr/{bin,sbin,lib,lib64}
  ln -s usr/bin usr/sbin usr/lib usr/lib64 "$scratch/root/"
  for package in "$scratch"/apt/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$scratch/root" --keep-directory-symlink --no-same-owner
  done
  rm -rf "$scratch/apt" "$scratch"/root/usr/share/{doc,man,locale,perl} "$scratch/root/usr/lib/debug"
}

place() {
  mv "$shelf/.$1.$$" "$shelf/$1"
  echo "unpacked $1 in $SECONDS s, $(du -sh "$shelf/$1" | cut -f 1)"
  SECONDS=0
}

# wrap_server DIRECTORY PROGRAM SHARE : a server looks for its messages and plugins where it was built to be.
wrap_server() {
  [ -d "$1/root/usr/share/$3/charsets" ] || { echo "Cannot find usr/share/$3/charsets in the packages" >&2; exit 1; }
  mkdir -p "$1/root/usr/lib/mysql/plugin"
  wrap "$1" "sbin/$2" '--basedir="$root/usr"' "--lc-messages-dir=\"\$root/usr/share/$3\"" \
    "--character-sets-dir=\"\$root/usr/share/$3/charsets\"" '--plugin-dir="$root/usr/lib/mysql/plugin"'
}

mysql() {
  unpack sid mysql-9 mysql-server-core mysql-client-core
  wrap_server "$shelf/.mysql-9.$$" mysqld mysql
  for program in mysql mysqlbinlog mysqldump; do wrap "$shelf/.mysql-9.$$" "bin/$program"; done
  place mysql-9
}

mariadb() {
  unpack trixie mariadb-11.8 mariadb-server-core mariadb-client mariadb-backup
  wrap_server "$shelf/.mariadb-11.8.$$" mariadbd mariadb
  for program in mariadb mariadb-backup mbstream mariadb-binlog; do wrap "$shelf/.mariadb-11.8.$$" "bin/$program"; done
  place mariadb-11.8
}

[ ! -d "$shelf/mysql-9" ] || [ ! -d "$shelf/mariadb-11.8" ] || exit 0
source_url=$(mirror)
[ -n "$source_url" ] || { echo "Cannot unpack MySQL and MariaDB of other releases: no mirror of Debian is configured here" >&2; exit 78; }
mkdir -p "$shelf"
trap 'rm -rf "$shelf"/.*."$$"' EXIT
[ -d "$shelf/mysql-9" ] || mysql
[ -d "$shelf/mariadb-11.8" ] || mariadb
