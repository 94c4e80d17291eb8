#!/usr/bin/env bash
# Installs the command below a prefix.
set -euo pipefail

readonly VERSION="1.4.0"
PREFIX=${PREFIX:-/usr/local}
declare -A installed
export PATH="$PREFIX/bin:$PATH"

# Says what happens, on standard error.
log() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

function fail {
  log "error: $1"
  exit "${2:-1}"
}

install_file() {
  local source=$1 target="$PREFIX/$2"
  mkdir -p "$(dirname "$target")"
  cp "$source" "$target" || fail "cannot write $target" 2
  installed[$target]=1
}

usage() {
  cat <<EOF
usage: ${0##*/} [--prefix DIR]
  fake() { not a function; }
EOF
}

while [ $# -gt 0 ]; do
  case $1 in
    --prefix) PREFIX=$2; shift 2 ;;
    -h|--help) usage; exit 0 ;;
    *) fail "unknown option $1" ;;
  esac
done

if command -v systemctl >/dev/null; then
  restart() { systemctl restart "$1"; }
fi

for file in bin/*; do
  install_file "$file" "$file"
done
