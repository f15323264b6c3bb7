#!/bin/sh
set -eu

usage() {
    cat <<'END'
Installs tidegate on a system without dpkg, with or without systemd; again for an upgrade. Configuration and data stay.

  sudo ./install.sh               installs; systemd restarts a daemon that runs
  sudo ./install.sh --remove      removes the programs; configuration and data stay
  sudo ./install.sh --purge       removes these, too

DESTDIR=/folder for images that are put together elsewhere.
END
}

root=${DESTDIR:-}

running() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

remove() {
    if running; then
        systemctl disable --now tidegate.socket tidegate.service 2>/dev/null || true
        systemctl stop tidegate-clock.service 2>/dev/null || true
    fi
    # What this tarball brings, and nothing else.
    (cd root && find usr -type f) | while read -r file; do rm -f "$root/$file"; done
    (cd root && find usr/share/doc -mindepth 1 -depth -type d) | while read -r folder; do
        rmdir "$root/$folder" 2>/dev/null || true
    done
    if running; then systemctl daemon-reload; fi
}

purge() {
    remove
    rm -rf "$root/etc/tidegate" "$root/run/tidegate-clock"
    # The store may have a file system of its own: then its folder cannot go.
    rm -rf "$root/var/lib/tidegate" 2>/dev/null || [ -z "$(ls -A "$root/var/lib/tidegate")" ]
}

# Beside it, then in its place: a daemon that runs keeps its own file.
put() {
    mkdir -p "$(dirname "$root/$1")"
    cp "root/$1" "$root/$1.new"
    chmod "$2" "$root/$1.new"
    mv "$root/$1.new" "$root/$1"
}

put_configuration() {
    local_file=$root/etc/tidegate/tidegate.toml
    mkdir -p "$root/etc/tidegate"
    if [ -e "$local_file" ]; then
        cp root/etc/tidegate/tidegate.toml "$local_file.new"
        echo "/etc/tidegate/tidegate.toml stays as it is; the sample is beside it as tidegate.toml.new"
    else
        cp root/etc/tidegate/tidegate.toml "$local_file"
    fi
}

add_account() {
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers tidegate.conf
    elif ! id tidegate >/dev/null 2>&1; then
        # BusyBox and the shadow tools spell it differently.
        addgroup -S tidegate 2>/dev/null || groupadd --system tidegate || true
        adduser -S -D -H -h /var/lib/tidegate -G tidegate tidegate 2>/dev/null ||
            useradd --system --gid tidegate --no-create-home --home-dir /var/lib/tidegate tidegate || {
            echo "Nothing here adds accounts: make a user and a group called tidegate, then run this again." >&2
            exit 1
        }
    fi
    # Secrets are beside the configuration: nobody else comes past the folder.
    chown root:tidegate /etc/tidegate /etc/tidegate/tidegate.toml
    chmod 750 /etc/tidegate
    chmod 640 /etc/tidegate/tidegate.toml
}

case ${1:-} in
    '' | --remove | --purge) ;;
    *) usage && exit 2 ;;
esac
if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "Run it as root: sudo $0 $*" >&2
    exit 1
fi
cd "$(dirname "$0")"
case ${1:-} in
    --remove)
        remove
        exit ;;
    --purge)
        purge
        exit ;;
esac

# Before anything is replaced: a binary of another architecture would leave the gateway without any.
if [ -z "$root" ] && ! ./root/usr/bin/tidegate --version; then
    echo "This is not for $(uname -m). Take another tarball." >&2
    exit 1
fi
(cd root && find usr -type f) | while read -r file; do
    case $file in
        usr/bin/*) put "$file" 755 ;;
        *) put "$file" 644 ;;
    esac
done
put_configuration
[ -z "$root" ] || exit 0
add_account
if running; then
    systemctl daemon-reload
    systemctl try-restart tidegate.service
    echo "Edit /etc/tidegate/tidegate.toml, then: sudo tidegate check && sudo systemctl enable --now tidegate"
else
    mkdir -p /var/lib/tidegate
    chown tidegate:tidegate /var/lib/tidegate
    chmod 750 /var/lib/tidegate
    echo "Edit /etc/tidegate/tidegate.toml, then have your init system run, as the user tidegate and in /var/lib/tidegate:"
    echo "  STATE_DIRECTORY=/var/lib/tidegate tidegate run"
fi
