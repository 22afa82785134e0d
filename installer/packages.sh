#!/bin/sh
# Install what is missing from the operating system, by apt only: python3-venv and PostgreSQL's server.
# Arguments are programs that are wanted besides, each in a package of its own name.
# Leaves a PostgreSQL that is already there alone, and starts none: the appliance runs its own, on its own port.
set -eu

missing=""
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
for program in "$@"; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

echo "Installing from apt:$missing"
if ! command -v apt-get >/dev/null; then
    echo "This system has no apt-get. Install these yourself and run again:$missing" >&2
    exit 1
fi
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Run as root once, or install sudo; needed are:$missing" >&2
        exit 1
    fi
    sudo="sudo"
fi
case "$missing" in *postgresql*)
    # Debian would create and start a cluster of its own on port 5432.
    $sudo mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" | $sudo tee /etc/postgresql-common/createcluster.conf >/dev/null
    ;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "  reading package lists"
$sudo apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
echo "  installing (about half a minute)"
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1 ||
    { tail -20 "$log" >&2; exit 1; }
