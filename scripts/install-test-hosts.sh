#!/bin/sh
# Other people's readers' hosts, as judges of our simulated devices: nfcpy and Adafruit's library for the PN532, rdm6300
# for EM4100, in an environment of their own, since nothing of ours may depend on them. Quiet when they are there;
# without an index to install from it says so and goes on, and their tests skip with a reason.
set -eu
cd "$(dirname "$0")/.."

# Extras that `dev` leaves out: pyscard is built from its sources, with what install-test-packages.sh brought.
extra() { # module, extra
    .venv/bin/python -c "import $1" 2>/dev/null && return
    built=$(mktemp)
    if .venv/bin/pip install --quiet --disable-pip-version-check --editable ".[$2]" >"$built" 2>&1; then
        rm -f "$built"
    else
        echo "could not build the extra $2; its tests will be skipped. The end of pip's log:" >&2
        tail -5 "$built" >&2
    fi
}
extra smartcard pcsc
extra gpiod gpio

hosts=.venv/hosts
[ -e "$hosts/ready-2" ] && exit 0
log=$(mktemp)
if .venv/bin/python -m venv "$hosts" >"$log" 2>&1 && "$hosts/bin/pip" install --quiet --disable-pip-version-check \
    'nfcpy==1.0.4' 'adafruit-circuitpython-pn532==2.4.9' 'rdm6300==0.1.1' 'pyserial>=3.5' >>"$log" 2>&1; then
    touch "$hosts/ready" "$hosts/ready-2"
    rm -f "$log"
else
    rm -rf "$hosts"
    echo "could not install nfcpy, adafruit-circuitpython-pn532 and rdm6300; their tests will be skipped. The end of pip's log:" >&2
    tail -5 "$log" >&2
fi
