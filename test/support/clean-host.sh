# clean-host.sh ROOT PLACE PACKAGES : in namespaces of its own, make a host called db1 of a clean root and wait for commands.
# Nothing that is written there outlives it. PLACE, an empty directory, becomes its root for whoever enters the namespaces.
set -eu
root=$1 place=$2 packages=$3
hostname db1
mount -t tmpfs none "$place"
mkdir "$place/changes" "$place/work" "$place/host"
mount -t overlay -o "lowerdir=$root,upperdir=$place/changes,workdir=$place/work" overlay "$place/host"
mount -t proc proc "$place/host/proc"
mount --rbind /dev "$place/host/dev"
mount -t tmpfs none "$place/host/dev/shm"
mount -t tmpfs none "$place/host/run"
mkdir "$place/host/packages"
mount --bind -o ro "$packages" "$place/host/packages"
echo ready
exec sleep infinity
