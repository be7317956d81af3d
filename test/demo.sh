#!/usr/bin/env bash
# Backs up real directories to a local destination, lists, verifies, restores and compares. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
twindb() {
  say "twindb-backup $*"
  bin/twindb-backup --config "$scratch/twindb-backup.cfg" "$@"
}

mkdir -p "$scratch/home/with a space"
cp -r src "$scratch/home/with a space/"
ln -s "with a space" "$scratch/home/link"

twindb init --dst "$scratch/copies" --source "$PWD/docs" --source "$scratch/home"
for _ in 1 2; do twindb backup daily --lock-file "$scratch/lock"; done
twindb ls
twindb verify file all

copy=$(bin/twindb-backup --config "$scratch/twindb-backup.cfg" ls --json |
  node_modules/.bin/node -e 'const rows = JSON.parse(require("fs").readFileSync(0, "utf8")).copies;
    console.log(rows.findLast((row) => row.directory?.endsWith("/home")).key)')
twindb restore file "$copy" --dst "$scratch/restored"
diff -r --no-dereference "$scratch/home" "$scratch/restored/$scratch/home"
twindb check
printf '\nThe restored directory is the same as the one that was backed up.\n'
