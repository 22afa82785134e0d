#!/bin/bash
# make test-appliance: a bare Debian 12 made by debootstrap, in a network namespace of its own without any route.
# Needs root, debootstrap and a Debian mirror to make the root file system (kept in SCRATCH for the next run).
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=${SCRATCH:-$PWD/build/appliance}
port=${TEST_PORT:-8443}
mkdir -p "$scratch"
log=$scratch/test-appliance.log
base=$scratch/base root=$scratch/root
if [ ! -e "$base/.complete" ]; then
    echo "  making a bare Debian 12 (some minutes, once)"
    rm -rf "$base"
    debootstrap --variant=minbase bookworm "$base" "${MIRROR:-http://deb.debian.org/debian}" >"$scratch/debootstrap.log"
    touch "$base/.complete"
fi
rm -rf "$root"
cp -a "$base" "$root"
archive=$1 key=$2
tar -xf "$archive" -C "$root/srv"
bundle=/srv/$(basename "$archive" .tar)
.venv/bin/python -m tests.appliance.derive "$root$bundle" "$key"
cp tests/appliance/inside.sh tests/appliance/client.py "$root/root/"
began=$SECONDS
# In a pid namespace of its own: whatever is left ends with it.
set +e
unshare --mount --net --pid --fork --kill-child bash -c '
    set -e
    root=$1; shift
    mount --make-rprivate /
    ip link set lo up
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    mount --rbind /dev "$root/dev"
    exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 bash /root/inside.sh "$@"
' _ "$root" "$bundle" "$port" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
echo "  $([ "$status" = 0 ] && echo passed || echo FAILED) in $((SECONDS - began)) s; log: $log"
rm -rf "$root"
exit "$status"
