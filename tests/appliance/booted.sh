#!/bin/bash
# The bare system booted by its own systemd, in a container; run by run.sh in namespaces and a control group of its own.
set -euo pipefail
root=$1 console=$2 bundle=$3 port=$4
mount --make-rprivate /
mount -t tmpfs tmpfs /run # locks of systemd-nspawn
mount -t cgroup2 cgroup2 /sys/fs/cgroup

# Returns when the system is up. This machine's own init may be another: nothing is registered there. Rules for devices
# are programs in the kernel.
boot() {
    systemd-nspawn --boot --quiet --directory="$root" --machine=test-appliance --private-network --register=no --keep-unit \
        --capability=CAP_BPF,CAP_PERFMON --system-call-filter=bpf --settings=no --resolv-conf=off --timezone=off \
        --link-journal=no --console=read-only </dev/null >>"$console" 2>&1 &
    machine=$!
    for _ in $(seq 120); do
        case "$(within systemctl is-system-running --wait 2>/dev/null)" in running | degraded) return ;; esac
        sleep 1
    done
    tail -40 "$console"
    return 1
}
within() { nsenter --target "$(pgrep -P "$machine" -x systemd)" --mount --uts --ipc --net --pid --cgroup -- "$@"; }
part() { within systemd-run --quiet --pipe --wait --collect -E HOME=/root -E LANG=C.UTF-8 bash /root/inside.sh "$@"; }
# The container ends, with what systemd-nspawn says then: 133 where it wants to be started again.
ends() {
    within systemctl "$1" || true # it may be gone before it answers
    wait "$machine" && ended=0 || ended=$?
    [ "$ended" = "$2" ]
}

boot
part install "$bundle" "$port"
ends reboot 133
boot
part go_on "$bundle" "$port"
ends poweroff 0
