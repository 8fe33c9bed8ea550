#!/bin/sh
# Install what the environment and some tests need and Python's packages cannot bring. Debian, as root; only what is missing is asked for.
set -eu

log=${TMPDIR:-/tmp}/draftstream-system-packages.log

say() { printf '%s\n' "$*"; }
refuse() {
    printf '%s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
has_font() { [ -n "$(find /usr/share/fonts /usr/local/share/fonts -name 'NotoSansCJK*' -print -quit 2>/dev/null)" ]; }
has_compose() { has docker-compose || docker compose version >/dev/null 2>&1; }

missing=''
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
has chromium || missing="$missing chromium"
has_font || missing="$missing fonts-noto-cjk"
has node || missing="$missing nodejs"
has nginx || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
has dockerd || missing="$missing docker.io"
has_compose || missing="$missing docker-compose"
has iptables || [ -x /usr/sbin/iptables ] || missing="$missing iptables"
has busybox || missing="$missing busybox-static"
missing=${missing# }

if [ -z "$missing" ]; then
    say 'system packages: all there'
    exit 0
fi
[ -f /etc/debian_version ] && has apt-get ||
    refuse "This installs Debian packages and this is no Debian: install these by the system's own means: $missing."
[ "$(id -u)" = 0 ] || refuse "Installing packages needs root: run \`make system-packages\` as root (it installs: $missing)."

export DEBIAN_FRONTEND=noninteractive
say "system packages: reading the lists (log: $log)"
apt-get update -q >"$log" 2>&1 ||
    refuse "Debian's package lists could not be read: check the network and run it again; apt's words are in $log."
say "system packages: installing $missing"
# shellcheck disable=SC2086 # one word per package
apt-get install -q -y -o Acquire::Retries=3 $missing >>"$log" 2>&1 ||
    refuse "The packages could not be installed: apt's last words are in $log: $(tail -n 3 "$log" | tr '\n' ' ')"
say 'system packages: installed'
