#!/bin/sh
# Install or upgrade from this bundle, without internet: sudo ./install [--port 8000] [--language ru] [--http] ...
# Checks the files first; brings Python from the bundle where the system has none; the rest is installer/setup.
set -eu
case "${APPLIANCE_LANG:-${LC_ALL:-${LC_MESSAGES:-${LANG:-ru}}}}" in ru* | RU*) russian=1 ;; *) russian= ;; esac
say() { if [ -n "$russian" ]; then echo "$1"; else echo "$2"; fi; }
from=$PWD # files that are named to this command lie where it was called, not beside the bundle
cd "$(dirname "$0")"
case "${CALL_ANALYTICS_SIGNER:-/}" in
    /*) ;;
    *) export CALL_ANALYTICS_SIGNER="$from/$CALL_ANALYTICS_SIGNER" ;;
esac
case " $* " in
    *" --help "* | *" -h "*) # changes nothing: anybody may ask
        if [ -x /usr/bin/python3 ]; then cd release; exec /usr/bin/python3 -B -m installer.setup --help; fi
        say "sudo ./install [--port 8000] [--name ИМЯ] [--admin E-MAIL] [--http]: docs/installation.md" \
            "sudo ./install [--port 8000] [--name NAME] [--admin E-MAIL] [--http]: docs/installation.md"
        exit 0 ;;
esac
if [ "$(id -u)" -ne 0 ]; then
    say "Запустите так: sudo ./install" "Run it so: sudo ./install" >&2
    exit 1
fi
say "  проверка файлов комплекта" "  checking the bundle's files"
sha256sum --quiet -c manifest.sha256 || { say "Комплект повреждён: скопируйте его заново" "The bundle is damaged: copy it again" >&2; exit 1; }
if command -v ssh-keygen >/dev/null; then
    signers=$(mktemp)
    { printf 'call-analytics '; cat "${CALL_ANALYTICS_SIGNER:-signer.pub}"; } >"$signers"
    ssh-keygen -q -Y verify -f "$signers" -I call-analytics -n call-analytics -s manifest.sha256.sig <manifest.sha256 ||
        { rm -f "$signers"; say "Подпись комплекта не подтверждена: не устанавливайте его" "The bundle's signature does not hold: do not install it" >&2; exit 1; }
    rm -f "$signers"
    say "  подписал: $(ssh-keygen -l -f "${CALL_ANALYTICS_SIGNER:-signer.pub}")" "  signed by: $(ssh-keygen -l -f "${CALL_ANALYTICS_SIGNER:-signer.pub}")"
else
    say "  подпись пока не проверена: нет ssh-keygen (пакет openssh-client)" "  signature not checked yet: ssh-keygen is missing (package openssh-client)"
fi
if ! [ -x /usr/bin/python3 ]; then
    say "  установка python3 из комплекта" "  installing python3 from the bundle"
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
