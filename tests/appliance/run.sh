#!/bin/bash
# make test-appliance: a bare system made by debootstrap, in a network namespace of its own without any route: booted by
# systemd where systemd-nspawn is installed and a cgroup2 hierarchy is there (SYSTEMD=0: not), else without an init.
# Needs root, debootstrap and a mirror to make the root file system (kept in SCRATCH for the next run).
set -euo pipefail
cd "$(dirname "$0")/../.."
archive=$1 key=$2
scratch=${SCRATCH:-$PWD/build/appliance}
port=${TEST_PORT:-8443}
log=$scratch/test-appliance.log
rm -f "$scratch/console.log"
case "$archive" in
    *-debian12-*) suite=bookworm mirror=${MIRROR:-http://deb.debian.org/debian} keyring=debian-archive-keyring ;;
    *-ubuntu24.04-*) suite=noble mirror=${MIRROR:-http://archive.ubuntu.com/ubuntu} keyring=ubuntu-archive-keyring ;;
esac
base=$scratch/base-$suite root=$scratch/root
mkdir -p "$scratch"
if [ ! -e "$base/.complete" ]; then
    echo "  making a bare $suite (some minutes, once)"
    rm -rf "$base"
    script=/usr/share/debootstrap/scripts/$suite
    [ -e "$script" ] || script=$(dirname "$script")/gutsy # what every later Ubuntu's is a link to
    debootstrap --variant=minbase --include=systemd-sysv,dbus --keyring="/usr/share/keyrings/$keyring.gpg" \
        "$suite" "$base" "$mirror" "$script" >"$scratch/debootstrap.log"
    rm -f "$base"/var/cache/apt/archives/*.deb
    touch "$base/.complete"
fi
rm -rf "$root"
cp -a "$base" "$root"
tar -xf "$archive" -C "$root/srv"
bundle=/srv/$(basename "$archive" .tar)
.venv/bin/python -m tests.appliance.derive "$root$bundle" "$key"
cp tests/appliance/inside.sh tests/appliance/client.py "$root/root/"

unified=/sys/fs/cgroup/unified
[ -d "$unified" ] || unified=/sys/fs/cgroup
if [ -z "${SYSTEMD:-}" ]; then
    SYSTEMD=0
    if command -v systemd-nspawn >/dev/null && [ "$(stat -fc %T "$unified")" = cgroup2fs ]; then SYSTEMD=1; fi
fi
began=$SECONDS
# Either in a pid namespace of its own: whatever is left ends with it.
if [ "$SYSTEMD" = 1 ]; then
    group=$unified/test-appliance-$$
    mkdir "$group"
    trap 'find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true' EXIT
    set +e
    sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' _ "$group" \
        unshare --mount --cgroup --pid --fork --kill-child --mount-proc \
        tests/appliance/booted.sh "$root" "$scratch/console.log" "$bundle" "$port" 2>&1 | tee "$log"
else
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
        within() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            HOME=/root LANG=C.UTF-8 bash /root/inside.sh "$@"; }
        within install "$@"
        within go_on "$@"
    ' _ "$root" "$bundle" "$port" 2>&1 | tee "$log"
fi
status=${PIPESTATUS[0]}
echo "  $([ "$status" = 0 ] && echo passed || echo FAILED) in $((SECONDS - began)) s; log: $log" | tee -a "$log"
rm -rf "$root"
exit "$status"
