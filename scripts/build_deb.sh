#!/bin/sh
# Builds the kiosk's Debian package for one release into dist/: `sh scripts/build_deb.sh 12`. A release has one Python, and
# compiled libraries fit that one only. Times come from the last commit: the same commit makes the same bytes.
set -eu
cd "$(dirname "$0")/.."
release=${1:?name the Debian release: 12 or 13}
case $release in
12) python=3.11 next=3.12 ;;
13) python=3.13 next=3.14 ;;
*) echo "no Python is known for Debian $release" >&2 && exit 2 ;;
esac
command -v dpkg-deb >/dev/null || { echo 'dpkg-deb is missing: as root, apt install dpkg' >&2; exit 1; }
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
umask 022
upstream=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
version=${DEB_VERSION:-$upstream+$SOURCE_DATE_EPOCH}~deb$release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
lib=$tree/usr/lib/edge-agent
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }

pip wheel --no-deps --wheel-dir "$work" .
# pip would hold the libraries to the Python that runs it, whatever --python-version says; their hashes say which they are.
# The platforms of Debian 12's glibc 2.36 and older.
set -- --python-version "$python" --only-binary=:all: --no-compile --ignore-requires-python --target "$lib/site"
for glibc in 2_34 2_31 2_28 2_27 2_24 2_17 2_12 2_5; do set -- "$@" --platform "manylinux_${glibc}_x86_64"; done
# The markers are judged for the Python that runs pip, so the lines of another one are taken out here.
.venv/bin/python - "$python" >"$work/lock" <<'PYTHON'
import re, sys
from pathlib import Path
from packaging.markers import Marker

version = sys.argv[1]
place = {"python_version": version, "python_full_version": version + ".0"}
for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", Path("locks/kiosk.lock").read_text("utf-8")):
    first, _, rest = entry.partition("\n")
    pin, _, marker = first.rstrip(" \\").partition(" ; ")
    if pin and (not marker or Marker(marker).evaluate(place)):
        print(pin + " \\\n" + rest, end="")
PYTHON
pip install --no-deps --require-hashes "$@" -r "$work/lock"
pip install --no-deps "$@" "$work"/*.whl
# Where the wheel was built and pip's own scripts say nothing about the program, and differ from build to build.
rm -rf "$lib/site/bin"
find "$lib/site" -name direct_url.json -delete
mkdir -p "$tree/usr/share" "$lib/bin" "$tree/usr/bin" "$tree/DEBIAN"
rm -rf "$tree/usr/share/edge-agent" "$lib/site/share"
cp -r config "$tree/usr/share/edge-agent"
install -m 755 packaging/kiosk/launcher "$lib/bin/edge-agent"
install -m 755 packaging/kiosk/guard "$lib/bin/guard"
ln -s /opt/edge-agent/bin/edge-agent "$tree/usr/bin/edge-agent"
put() { # file of config, folder
    mkdir -p "$tree/$2"
    install -m 644 "config/$1" "$tree/$2/"
}
put systemd/edge-agent.service usr/lib/systemd/system
put systemd/edge-agent-screen.service usr/lib/systemd/system
put systemd/edge-agent-update.path usr/lib/systemd/system
put systemd/edge-agent-update.service usr/lib/systemd/system
put sysusers.d/edge-agent.conf usr/lib/sysusers.d
put tmpfiles.d/edge-agent.conf usr/lib/tmpfiles.d
put udev/70-edge-agent.rules usr/lib/udev/rules.d
put modprobe.d/edge-agent.conf usr/lib/modprobe.d
put modules-load.d/edge-agent.conf usr/lib/modules-load.d
put polkit-1/rules.d/50-edge-agent.rules usr/share/polkit-1/rules.d
size=$(find "$tree" -type f -printf '%s\n' | awk '{ n += int(($1 + 1023) / 1024) } END { print n }')
for name in control preinst postinst prerm postrm; do
    sed "s/@VERSION@/$version/; s/@SIZE@/$size/; s/@PYTHON@/$python/; s/@NEXT@/$next/" "packaging/kiosk/$name" >"$tree/DEBIAN/$name"
done
chmod 755 "$tree"/DEBIAN/p*
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p dist
dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "dist/edge-agent_${version}_amd64.deb"
