#!/usr/bin/env bash
# build.sh [DIRECTORY] : package the built program with the Node and the libraries it needs, into dist/package or there:
# a .deb, and a .tar.gz for other systems.
# The same commit gives the same bytes, wherever and whenever: SOURCE_DATE_EPOCH is the commit's time unless it is set.
set -euo pipefail
output=$(realpath -m "${1:-$(dirname "$0")/../dist/package}")
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC
umask 022

case $(uname -m) in
  x86_64) architecture=amd64 platform=linux-x64 ;;
  aarch64) architecture=arm64 platform=linux-arm64 ;;
  *) echo "Cannot make a package on $(uname -m): there is no Node for it" >&2; exit 78 ;;
esac
runtime=node_modules/node-$platform
node=$runtime/bin/node
[ -f dist/main.js ] && [ -x "$node" ] || { echo "Cannot make a package: run make build first" >&2; exit 78; }
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y package.json)}
export SOURCE_DATE_EPOCH
version=$("$node" -p 'require("./package.json").version')

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
tree=$stage/tree
home=$tree/opt/twindb-backup
share=$tree/usr/share

# In the directory there may also be what running it left.
mkdir -p "$home"/{bin,dist,etc,cron.d,runtime/bin} "$tree"/{usr/bin,usr/lib/systemd/system,etc/logrotate.d}
cp -r dist/main.js dist/destination-contract.js dist/parts "$home/dist/"
cp src/launcher.sh "$home/bin/twindb-backup"
cp etc/twindb-backup.cfg "$home/etc/"
cp cron.d/twindb-backup "$home/cron.d/"
cp LICENSE "$home/"
cp "$node" "$home/runtime/bin/"
cp "$runtime/LICENSE" "$home/runtime/"
ln -s ../../opt/twindb-backup/bin/twindb-backup "$tree/usr/bin/twindb-backup"
cp packaging/*.service packaging/*.timer "$tree/usr/lib/systemd/system/"
cp packaging/logrotate "$tree/etc/logrotate.d/twindb-backup"
"$node" packaging/generate.ts "$home" "$tree"
gzip -9n "$share"/man/man?/* "$share/doc/twindb-backup/changelog"

# settle DIRECTORY: what the checkout and the umask of its user left open.
settle() {
  find "$1" -type d -empty -delete
  find "$1" -type d -exec chmod 0755 {} +
  find "$1" -type f -exec chmod 0644 {} +
  find "$1" -path '*/bin/*' -type f -exec chmod 0755 {} +
  find "$1" -path '*/DEBIAN/*inst' -exec chmod 0755 {} + -o -path '*/DEBIAN/*rm' -exec chmod 0755 {} +
  find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

make_tarball() {
  local name=twindb-backup-$version
  mkdir "$stage/tarball"
  cp -rl "$home" "$stage/tarball/$name"
  cp -rl "$share" "$tree/usr/lib/systemd" "$stage/tarball/$name/"
  cp "$tree/etc/logrotate.d/twindb-backup" "$stage/tarball/$name/etc/logrotate"
  settle "$stage/tarball"
  tar --create --sort=name --owner=0 --group=0 --numeric-owner --format=ustar --directory="$stage/tarball" "$name" |
    gzip -1n >"$stage/$1"
}

make_deb() {
  mkdir "$tree/DEBIAN"
  cp packaging/deb/{preinst,postinst,prerm,postrm} "$tree/DEBIAN/"
  echo /etc/logrotate.d/twindb-backup >"$tree/DEBIAN/conffiles"
  sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
    -e "s/@SIZE@/$(find "$tree" -type f -not -path '*/DEBIAN/*' -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')/" \
    packaging/deb/control >"$tree/DEBIAN/control"
  (cd "$tree" && find . -type f -not -path './DEBIAN/*' -printf '%P\n' | sort | xargs -d '\n' md5sum >DEBIAN/md5sums)
  settle "$tree"
  # Debian 12 reads zstd. One thread: what several make of it depends on their number.
  dpkg-deb --root-owner-group --threads-max=1 -Zzstd -z9 --build "$tree" "$stage/$1" >/dev/null
}

tarball=twindb-backup-$version-$platform.tar.gz
deb=twindb-backup_${version}_$architecture.deb
make_tarball "$tarball"
if command -v dpkg-deb >/dev/null; then make_deb "$deb"; else echo "there is no dpkg-deb here, so no .deb" >&2; fi
mkdir -p "$output"
for package in "$tarball" "$deb"; do
  [ ! -e "$stage/$package" ] || { mv -f "$stage/$package" "$output/"; echo "$output/$package"; }
done
