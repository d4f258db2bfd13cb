#!/bin/sh
# What the tests use beside Python, from Debian's packages: a real Chromium for the pages, strace and systemd-analyze
# for the unit, libnfc as a host for our simulated PN532. Quiet when everything is there; where it cannot install (no
# root, no apt) it says so and goes on, and the tests that need a missing one skip with a reason.
set -eu

missing=""
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need chromium chromium
need strace strace
need systemd-analyze systemd
need udevadm udev
need pcscd pcscd
need swig swig                   # pyscard is built from its sources
need unshare util-linux
[ -e /usr/lib/pcsc/drivers/serial/libifdvpcd.so ] || missing="$missing vsmartcard-vpcd"
[ -e /usr/include/PCSC/winscard.h ] || missing="$missing libpcsclite-dev"
need nfc-list libnfc-bin

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "tests that need$missing will be skipped: install these packages as root" >&2
    exit 0
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# $missing is a list of packages: word splitting is meant
# shellcheck disable=SC2086
if apt-get update -qq >"$log" 2>&1 && apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
    rm -f "$log"
else
    echo "could not install$missing; their tests will be skipped. The end of apt's log:" >&2
    tail -5 "$log" >&2
fi
