#!/bin/bash
# Runs in a bare system with no network at all: install, use, stop and start, install again, damage, downgrade.
# In two parts: where systemd runs, the machine is started anew in between.
set -euo pipefail
part=$1 bundle=$2 port=$3
say() { printf '\n=== %s  (%s s)\n' "$1" "$SECONDS"; }
api() { /opt/call-analytics/current/.venv/bin/python /root/client.py "https://localhost:$port" "$@"; }
booted() { [ -d /run/systemd/system ]; }
tell() { if booted; then journalctl --no-pager --lines=60 --unit='call-analytics*'; fi; }
trap '[ $? = 0 ] || tell' EXIT

install() {
say "no route leads anywhere"
! ip route 2>/dev/null | grep . || exit 1
! (exec 3<>/dev/tcp/192.0.2.1/80) 2>/dev/null || exit 1

say "a damaged bundle is refused"
cp -a "$bundle" /tmp/damaged
echo x >>/tmp/damaged/release/README.md
! /tmp/damaged/install --port "$port" --language en || exit 1
rm -rf /tmp/damaged
[ ! -e /opt/call-analytics ]

say "install"
"$bundle/install" --port "$port" --language en --admin boss@dealer.example | tee /root/install.out
password=$(sed -n 's#^boss@dealer.example / \([^ ]*\) .*#\1#p' /root/install.out)
[ -n "$password" ]
! grep -rqF "$password" /var/log/call-analytics || exit 1
[ "$(stat -c '%a %U:%G' /etc/call-analytics/appliance.env)" = "640 root:call-analytics" ]

say "status"
call-analytics status

say "every process is a user of its own, and reads what is its own"
owners() { for p in /proc/[0-9]*; do tr '\0' ' ' <"$p/cmdline" 2>/dev/null | grep -q -- "$1" && stat -c %U "$p"; done | sort -u | tr '\n' ' '; }
data=/var/lib/call-analytics
owned() { [ "$(owners "$1")" = "$2 " ] || { echo "$1: $(owners "$1"), not $2"; exit 1; }; }
owned 'bin/postgres -D' call-analytics-db
owned 'bin/swift-[a-z]*-server' call-analytics-store
owned 'bin/appliance api' call-analytics-api
owned 'bin/appliance worker speech' call-analytics-speech
owned 'bin/appliance worker analysis' call-analytics-analysis
owned 'bin/appliance worker housekeeping' call-analytics-house
as() { runuser -u "call-analytics-$1" -- "${@:2}" >/dev/null 2>&1; }
may() { as "$@" || { echo "$1 may not: ${*:2}"; exit 1; }; }
not() { ! as "$@" || { echo "$1 may: ${*:2}"; exit 1; }; }
may api cat $data/appliance.env
for user in db store llm; do not $user cat $data/appliance.env; done
for user in store api speech analysis house; do not $user ls $data/postgres; done
for user in db api speech analysis house; do not $user ls $data/swift; done
for user in db store speech analysis house; do not $user cat /etc/call-analytics/tls/server.key; done
for user in db store api speech analysis house; do not $user cat $data/postgres-owner.password; done

say "a call is analysed, over HTTPS by the certificate that the install made"
api login boss@dealer.example "$password"
call=$(api upload)
echo "$call" >/root/call
api processed "$call" >/root/call.json
cat /root/call.json

say "the demo password is refused"
! APPLIANCE_PASSWORD=password123 call-analytics users create x@dealer.example --name X || exit 1
if booted; then under_systemd; fi
}

under_systemd() {
say "systemd runs it, watches it, and lets it do no more than it must"
systemctl status --no-pager --lines=0 call-analytics.service call-analytics.target call-analytics-backup.timer
systemctl is-active call-analytics.service call-analytics.target call-analytics-backup.timer
systemctl is-enabled call-analytics.service call-analytics.target call-analytics-backup.timer
systemctl --failed --no-legend | grep . && exit 1
systemd-analyze security --no-pager call-analytics.service | tail -1
for process in /proc/[0-9]*; do
    case "$(stat -c %U "$process" 2>/dev/null)" in
        call-analytics*) grep -q '^CapEff:.0*$' "$process/status" && grep -q '^NoNewPrivs:.1$' "$process/status" ;;
    esac || { cat "$process/cmdline" "$process/status"; exit 1; }
done

say "a nightly backup is made at its time, and now"
systemctl list-timers --no-pager call-analytics-backup.timer
systemctl start call-analytics-backup.service
backup=$(call-analytics backup list /var/backups/call-analytics | tail -1 | cut -d' ' -f1)
call-analytics backup verify "$backup"

say "what answers nobody any more is started anew by the watchdog"
mkdir -p /etc/systemd/system/call-analytics.service.d
printf '[Service]\nWatchdogSec=50\n' >/etc/systemd/system/call-analytics.service.d/test.conf
systemctl daemon-reload
systemctl restart call-analytics.service
before=$SECONDS
for process in /proc/[0-9]*; do
    [ "$(stat -c %U "$process" 2>/dev/null)" != call-analytics-api ] || kill -STOP "${process#/proc/}"
done
until [ "$(systemctl show -P NRestarts call-analytics.service)" = 1 ]; do [ $((SECONDS - before)) -lt 180 ]; sleep 1; done
until systemctl is-active --quiet call-analytics.service; do [ $((SECONDS - before)) -lt 300 ]; sleep 1; done
echo "serves again after $((SECONDS - before)) s"
api processed "$call" | cmp - /root/call.json
rm -r /etc/systemd/system/call-analytics.service.d
systemctl daemon-reload
}

go_on() {
call=$(cat /root/call)
if booted; then
    say "after the machine was started anew it serves by itself"
    systemctl is-active call-analytics.service call-analytics.target call-analytics-backup.timer
    api processed "$call" | cmp - /root/call.json
fi

say "stop and start keep everything"
call-analytics down
! call-analytics status || exit 1
PORT=$port call-analytics up
api processed "$call" | cmp - /root/call.json

say "a backup takes the place of what is there"
call-analytics backup make /var/lib/call-analytics/backup/here
backup=$(call-analytics backup list /var/lib/call-analytics/backup/here | cut -d' ' -f1)
call-analytics backup verify "$backup"
call-analytics down
call-analytics backup restore "$backup" --replace
PORT=$port call-analytics up
api processed "$call" | cmp - /root/call.json

say "installing again changes nothing"
before=$(sha256sum /etc/call-analytics/appliance.env)
"$bundle/install" --port "$port" --language ru
[ "$before" = "$(sha256sum /etc/call-analytics/appliance.env)" ]
api processed "$call" | cmp - /root/call.json
call-analytics bundle verify "$bundle"

say "an upgrade that is killed in its migration returns with the next start"
before=$(readlink /opt/call-analytics/current)
/srv/next/install --language en >/tmp/killed.out 2>&1 &
upgrade=$!
until grep -q '"saved"' /var/lib/call-analytics/unfinished-upgrade 2>/dev/null; do kill -0 $upgrade; sleep 0.1; done
kill -9 $upgrade
wait $upgrade || true
call-analytics status >/tmp/killed.status || true # what the upgrade had started may still end
grep -q 'not finished' /tmp/killed.status
if booted; then systemctl start call-analytics.service; else call-analytics up; fi
[ "$before" = "$(readlink /opt/call-analytics/current)" ]
[ ! -e /var/lib/call-analytics/unfinished-upgrade ]
call-analytics status
api processed "$call" | cmp - /root/call.json

say "upgrade to the next version"
/srv/next/install --language en | tee /tmp/upgrade.out
grep 'no recordings were taken for' /tmp/upgrade.out
call-analytics status
[ "$(readlink /opt/call-analytics/current)" = releases/0.2.0 ]
api /api/health | grep -q '"0.2.0"'
api processed "$call" | cmp - /root/call.json

say "a downgrade is refused with the reason"
! "$bundle/install" --language en >/tmp/downgrade.out || exit 1
tail -3 /tmp/downgrade.out
grep -q 'later than this' /tmp/downgrade.out

say "an upgrade that fails in its migration, after it has deleted data, returns by itself"
! /srv/broken/install --language en || exit 1
[ "$(readlink /opt/call-analytics/current)" = releases/0.2.0 ]
call-analytics status
api /api/health | grep -q '"0.2.0"'
api processed "$call" | cmp - /root/call.json

say "off the machine, the data stay, and an installation finds them again"
call-analytics uninstall --yes
[ ! -e /opt/call-analytics ] && [ ! -e /usr/local/bin/call-analytics ]
! ls /etc/systemd/system/call-analytics* 2>/dev/null || exit 1
! find /proc -maxdepth 1 -user call-analytics 2>/dev/null | grep . || exit 1
/srv/next/install --port "$port" --language ru
api processed "$call" | cmp - /root/call.json

say "off the machine with everything"
! echo n | call-analytics uninstall || exit 1
call-analytics uninstall --with-data --yes
! ls -d /opt/call-analytics /var/lib/call-analytics /etc/call-analytics /var/log/call-analytics 2>/dev/null || exit 1
! id call-analytics 2>/dev/null || exit 1
! call-analytics status 2>/dev/null || exit 1
}

"$part"
