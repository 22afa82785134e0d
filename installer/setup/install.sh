#!/bin/sh
# Install or upgrade from this bundle, without internet: sudo ./install [--port 8000] [--language ru] [--http] ...
# Checks the files first; brings Python from the bundle where the system has none; the rest is installer/setup.
set -eu
from=$PWD # files that are named to this command lie where it was called, not beside the bundle
cd "$(dirname "$0")"
case "${CALL_ANALYTICS_SIGNER:-/}" in
    /*) ;;
    *) export CALL_ANALYTICS_SIGNER="$from/$CALL_ANALYTICS_SIGNER" ;;
esac
if [ "$(id -u)" -ne 0 ]; then
    echo "Запустите так: sudo ./install   |   Run it so: sudo ./install" >&2
    exit 1
fi
echo "  checking the bundle's files"
sha256sum --quiet -c manifest.sha256 || { echo "The bundle is damaged: copy it again" >&2; exit 1; }
if command -v ssh-keygen >/dev/null; then
    signers=$(mktemp)
    { printf 'call-analytics '; cat "${CALL_ANALYTICS_SIGNER:-signer.pub}"; } >"$signers"
    ssh-keygen -q -Y verify -f "$signers" -I call-analytics -n call-analytics -s manifest.sha256.sig <manifest.sha256 ||
        { rm -f "$signers"; echo "The bundle's signature does not hold: do not install it" >&2; exit 1; }
    rm -f "$signers"
    echo "  signed by: $(ssh-keygen -l -f "${CALL_ANALYTICS_SIGNER:-signer.pub}")"
else
    echo "  signature not checked: ssh-keygen is missing (package openssh-client)"
fi
if ! [ -x /usr/bin/python3 ]; then
    echo "  installing python3 from the bundle"
    list=$(mktemp)
    echo "deb [trusted=yes] file:$PWD/debs ./" >"$list"
    state=$(mktemp -d)
    mkdir -p "$state/partial"
    apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$state" update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$list" \
        -o Dir::Etc::sourceparts=- -o Dir::State::lists="$state" install python3 >/dev/null
    rm -rf "$list" "$state"
fi
bundle=$PWD
cd release
exec /usr/bin/python3 -B -X pycache_prefix=/nonexistent -m installer.setup --bundle "$bundle" --called-from "$from" "$@"
