#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Static checks: tests/static.sh format|cppcheck|clang-tidy|clang-tidy-deep.
set -uo pipefail
cd "$(dirname "$0")/.."
mapfile -t sources < <(git ls-files -- '*.c' '*.h' '*.cl')
[ ${#sources[@]} -gt 0 ] || mapfile -t sources < <(find proto schedulers broker agent tests -name '*.[ch]')
case "${1:-}" in
  format) clang-format --dry-run --Werror "${sources[@]}" ;;
  cppcheck)
    cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr \
      --error-exitcode=1 --suppressions-list=tests/cppcheck.supp -j "$(nproc)" -I . \
      proto schedulers broker agent
    ;;
  clang-tidy | clang-tidy-deep)
    # A third of the analyzer's default budget for a function takes 0.4 of the time; -deep has all of it.
    nodes=75000
    [ "$1" = clang-tidy ] || nodes=225000
    # How the product is compiled, and what is generated for that; nothing else is built.
    { cmake --preset ci-clang && cmake --build build/ci-clang --target sluice_wire_generated; } >/dev/null || exit 1
    printf '%s\n' "${sources[@]}" | grep -E '^(proto|schedulers|broker|agent)/.*\.c$' |
      xargs -P "$(nproc)" -n 8 clang-tidy --quiet -p build/ci-clang --warnings-as-errors='*' \
        --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg="max-nodes=$nodes"
    ;;
  *) echo "static.sh: say format, cppcheck, clang-tidy or clang-tidy-deep" >&2; exit 2 ;;
esac
