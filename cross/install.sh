#!/bin/sh
# Installs tidegate on a system without dpkg, with or without systemd; again for an upgrade. Configuration and data stay.
#
#   sudo ./install.sh               installs, and restarts a daemon that runs
#   sudo ./install.sh --remove      removes the programs; configuration and data stay
#   sudo ./install.sh --purge       removes these, too
set -eu
cd "$(dirname "$0")"
# For images that are put together elsewhere.
root=${DESTDIR:-}

running() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

remove() {
    if running; then
        systemctl disable --now tidegate.socket tidegate.service 2>/dev/null || true
        systemctl stop tidegate-clock.service 2>/dev/null || true
    fi
    # What this tarball brings, and nothing else.
    (cd root && find usr -type f) | while read -r file; do rm -f "$root/$file"; done
    find "$root"/usr/share/doc/tidegate* -depth -type d -empty -delete
    if running; then systemctl daemon-reload; fi
}

case ${1:-} in
    --remove) remove && exit ;;
    --purge) remove && rm -rf "$root/var/lib/tidegate" "$root/etc/tidegate" "$root/run/tidegate-clock" && exit ;;
    '') ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" && exit 2 ;;
esac

[ -n "$root" ] || [ "$(id -u)" = 0 ] || { echo "Run it as root: sudo $0" >&2 && exit 1; }
# Before anything is replaced: a binary of another architecture would leave the gateway without any.
[ -n "$root" ] || ./root/usr/bin/tidegate --version || { echo "This is not for $(uname -m). Take another tarball." >&2 && exit 1; }
(cd root && find usr -type f) | while read -r file; do
    mode=644
    case $file in usr/bin/*) mode=755 ;; esac
    mkdir -p "$root/$(dirname "$file")"
    # Beside it, then in its place: a daemon that runs keeps its own file.
    install -m "$mode" "root/$file" "$root/$file.new"
    mv "$root/$file.new" "$root/$file"
done
mkdir -p "$root/etc/tidegate"
if [ -e "$root/etc/tidegate/tidegate.toml" ]; then
    cp root/etc/tidegate/tidegate.toml "$root/etc/tidegate/tidegate.toml.new"
    echo "/etc/tidegate/tidegate.toml stays as it is; the sample is beside it as tidegate.toml.new"
else
    cp root/etc/tidegate/tidegate.toml "$root/etc/tidegate/tidegate.toml"
fi
[ -z "$root" ] || exit 0
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers tidegate.conf
elif ! id tidegate >/dev/null 2>&1; then
    # BusyBox and the shadow tools spell it differently.
    adduser -S -D -H -h /var/lib/tidegate -G nogroup tidegate 2>/dev/null ||
        useradd --system --no-create-home --home-dir /var/lib/tidegate tidegate
fi
if command -v systemd-tmpfiles >/dev/null; then systemd-tmpfiles --create tidegate.conf || true; fi
if running; then
    systemctl daemon-reload
    systemctl try-restart tidegate.service
    echo "Edit /etc/tidegate/tidegate.toml, then: sudo tidegate check && sudo systemctl enable --now tidegate"
else
    install -d -o tidegate -m 750 /var/lib/tidegate
    echo "Edit /etc/tidegate/tidegate.toml, then have your init system run, as the user tidegate and in /var/lib/tidegate:"
    echo "  STATE_DIRECTORY=/var/lib/tidegate tidegate run"
fi
