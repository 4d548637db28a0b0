#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job on this machine: installs, builds, fetches the model, then hashes, leases and hashes
# again, by prices and bids alone, and proves what it did. Everything it leaves is in demo-out/.
#
#   deploy/demo.sh                      the whole story (about 10 minutes with installation)
#   deploy/demo.sh --ci                 the short form (at most 4 minutes after installation and build)
#   deploy/demo.sh --hold               afterwards leave broker, agent, pool and price replay running
#   deploy/demo.sh --stop               end what --hold left running
#   deploy/demo.sh --pool URL --user U  mine on a real pool (stratum+tcp://host:port)
#   deploy/demo.sh --no-deps            trust that everything is installed
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
out=$root/demo-out

stop_all() {
  if [ ! -f "$out/env" ]; then
    echo "demo.sh: nothing is running (there is no demo-out/env)"
    return 0
  fi
  local name pid
  for name in AGENT BROKER POOL; do
    pid=$(sed -n "s/^${name}_PID=//p" "$out/env" | tr -d "'")
    [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || continue
    # Only a process of this demo: pids are used again.
    grep -qE 'sluice-(agent|broker|test-pool)' "/proc/$pid/cmdline" 2>/dev/null || continue
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in $(seq 200); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then
      kill -KILL "$pid" 2>/dev/null || true
      echo "demo.sh: $name did not end within 20 s and was killed" >&2
    fi
  done
  echo "demo.sh: stopped"
}

options=()
deps=yes
while [ $# -gt 0 ]; do
  case "$1" in
    --ci | --hold) options+=("$1") ;;
    --pool | --user)
      [ $# -ge 2 ] || { echo "demo.sh: $1 needs a value" >&2; exit 2; }
      options+=("$1" "$2")
      shift
      ;;
    --stop) stop_all; exit 0 ;;
    --no-deps) deps=no ;;
    -h | --help) sed -n '3,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "demo.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
  esac
  shift
done

[ $deps = no ] || deploy/install-deps.sh
mkdir -p "$root/build"
echo "Building (build/release) ..."
if ! { cmake --preset release -DSLUICE_TESTS=ON -DSLUICE_UNIT_TESTS=OFF && cmake --build build/release -j "$(nproc)"; } \
  >"$root/build/demo-build.log" 2>&1; then
  tail -n 40 "$root/build/demo-build.log" >&2
  echo "demo.sh: the build failed; the whole log is build/demo-build.log" >&2
  exit 1
fi
models=${SLUICE_MODELS:-$root/build/models}
deploy/get-models.sh --dir "$models" --convert "$root/build/release/agent/convert/sluice-convert"

[ ! -f "$out/env" ] || stop_all >/dev/null
rm -rf "$out"
mkdir -m 0700 "$out"
exec python3 deploy/demo/demo.py --build "$root/build/release" --out "$out" --models "$models" \
  ${options[@]+"${options[@]}"}
