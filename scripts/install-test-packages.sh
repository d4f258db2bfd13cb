#!/bin/sh
# What the tests use beside Python, from Debian's packages: a real Chromium for the pages, strace and systemd-analyze
# for the unit, a compiler for pyscard, mosquitto as MQTT broker, libnfc as a host for our simulated PN532, promtool for
# the alert rules, and on Debian 12 Patroni, etcd, PostgreSQL 15 and pgBackRest. Quiet when everything is there; where it
# cannot install (no root, no apt) it says so and goes on, and the tests that need a missing one skip with a reason. No
# service is started, now or at the next boot: the tests run what they need themselves, and PostgreSQL's cluster `main`
# is made but never runs.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"

missing=""
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
library() { # file name, package
    .venv/bin/python -c "import ctypes; ctypes.CDLL('$1')" 2>/dev/null || missing="$missing $2"
}
need chromium chromium
need certutil libnss3-tools # has Chromium trust a kiosk's authority
library libatomic.so.1 libatomic1 # Playwright's node
need strace strace
need systemd-analyze systemd
library libseccomp.so.2 libseccomp2
need udevadm udev
need mkfs.ext4 e2fsprogs
need pcscd pcscd
need mosquitto mosquitto
need unshare util-linux
[ -e /usr/lib/pcsc/drivers/serial/libifdvpcd.so ] || missing="$missing vsmartcard-vpcd"
if ! .venv/bin/python -c 'import smartcard.scard' 2>/dev/null; then # pyscard is built from its sources
    need swig swig
    need gcc gcc
    [ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
    [ -e /usr/include/PCSC/winscard.h ] || missing="$missing libpcsclite-dev"
    .venv/bin/python -c 'import sysconfig; open(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null ||
        missing="$missing python3-dev"
fi
need nfc-list libnfc-bin
need nginx nginx-light
need promtool prometheus
case "$(cat /etc/debian_version 2>/dev/null)" in 12.*) # config/ledger is written for its versions
    need patroni patroni
    need etcd etcd-server
    need pgbackrest pgbackrest
    [ -e /usr/lib/postgresql/15/bin/postgres ] || missing="$missing postgresql-15"
    ;;
esac

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "the tests that need them will be skipped; as root: apt install$missing" >&2
    exit 0
fi
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then # packages ask it whether they may start their services
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
install() {
    apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1
}
failed=""
apt-get update -qq >"$log" 2>&1 || echo "apt-get update failed; what apt knows already is tried" >&2
# $missing is a list of packages: word splitting is meant
# shellcheck disable=SC2086
if ! install $missing; then
    # One that this release has not must not keep the others away.
    for package in $missing; do
        install "$package" || failed="$failed $package"
    done
fi
if command -v systemctl >/dev/null 2>&1; then
    for pair in etcd-server:etcd patroni:patroni postgresql-15:postgresql prometheus:prometheus; do
        case "$missing " in *" ${pair%:*} "*) systemctl disable "${pair#*:}" >>"$log" 2>&1 ||
            echo "${pair#*:} may start at the next boot: systemctl disable ${pair#*:}" >&2 ;;
        esac
    done
fi
if [ -n "$failed" ]; then
    echo "could not install$failed; their tests will be skipped. The end of apt's log:" >&2
    tail -5 "$log" >&2
fi
rm -f "$log"
