#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs every test. Last line: N passed, M failed, K skipped.
#
#   tests/run.sh              everything: gcc and clang with warnings as errors, unit tests,
#                             sanitizers, 200 seeds of the simulator, fuzzing, static analysis,
#                             formatting, end-to-end tests with real processes under fire
#   tests/run.sh --quick      unit tests and house rules of one build
#   tests/run.sh --asan       unit tests under AddressSanitizer, UBSan and LeakSanitizer
#   tests/run.sh --seeds N    only the simulator, N seeds; --seed S [--trace] one of them, as a story;
#                             other options of sluice-sim may follow (see --seed 1 --help)
#   tests/run.sh --mutants    the simulator must see each bug that is put in on purpose
#   tests/run.sh --kills N    only real processes under fire, until N were killed
#   tests/run.sh --fuzz       only the fuzzers, 15 s a target
#   tests/run.sh --long       clang-tidy with its whole budget, an hour of fuzzing a target (or 10^7 inputs), then
#                             1,000 kills, which go on where they were cut off (tests/out/fire.state)
#   tests/run.sh --coverage   coverage by folder, and what is not covered for which reason
#   tests/run.sh --no-deps    (first, with any of them) trust that everything is installed
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD

what=all
deps=yes
rest=()
while [ $# -gt 0 ]; do
  case "$1" in
    --quick | --asan | --fuzz | --long | --coverage) what=${1#--} ;;
    --no-deps) deps=no ;;
    --seeds | --seed | --mutants | --kills)
      what=${1#--}
      rest=("$@")
      break
      ;;
    -h | --help) sed -n '3,23s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
  esac
  shift
done
[ $deps = no ] || deploy/install-deps.sh --tests || exit 1

out=$root/tests/out
mkdir -p "$out"
rm -f "$out"/*.xml "$out"/*.log "$out"/*.ended "$out"/results.txt # the state of --long stays
results=$out/results.txt
: >"$results"
models=${SLUICE_MODELS:-$root/build/models}
export SLUICE_TEST_MODEL=${SLUICE_TEST_MODEL:-$models/all-MiniLM-L6-v2.gguf}
jobs=$(nproc)

say() { printf '\n== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }

# record NAME STATUS [REASON]: one counted result.
record() { printf '%s\t%s\t%s\n' "$2" "$1" "${3:-}" >>"$results"; }

# step NAME COMMAND...: a step that is one test by itself.
step() {
  local name=$1
  shift
  say "$name"
  if "$@" >"$out/$name.log" 2>&1; then
    record "$name" passed
  else
    record "$name" failed "see tests/out/$name.log"
    tail -n 40 "$out/$name.log"
  fi
}

# begin_behind NAME COMMAND [NAME COMMAND]...: steps one after the other in the background, with what the
# processors have left over: tests wait for disks, peers and clocks much of the time.
begin_behind() {
  set -m # a process group of its own, for the end
  {
    chrt --idle --pid 0 "$BASHPID"
    while [ $# -gt 0 ]; do
      # shellcheck disable=SC2086 # a command and its options
      if $2 >"$out/$1.log" 2>&1; then echo passed; else echo failed; fi >"$out/$1.ended"
      shift 2
    done
  } &
  behind=$!
  set +m
  trap 'kill -- -$behind 2>/dev/null' EXIT
}

# await NAME: the result of one of them, when it is there.
await() {
  local name=$1
  say "$name"
  while [ ! -s "$out/$name.ended" ] && kill -0 "$behind" 2>/dev/null; do
    sleep 0.5
  done
  if [ -s "$out/$name.ended" ] && [ "$(<"$out/$name.ended")" = passed ]; then
    record "$name" passed
  else
    record "$name" failed "see tests/out/$name.log"
    tail -n 40 "$out/$name.log"
  fi
}

configure_and_build() {
  cmake --preset "$1" && cmake --build "build/$1" -j "$jobs"
}

# get_model PRESET: for the unit test of the real model and the end-to-end tests. Only the latter cannot do
# without it.
get_model() {
  say model
  if deploy/get-models.sh --dir "$models" --convert "build/$1/agent/convert/sluice-convert" \
    >"$out/model.log" 2>&1; then
    record model passed
    return
  fi
  tail -n 5 "$out/model.log"
  if [ $what = all ]; then
    record model failed "see tests/out/model.log"
  else
    record model skipped "it could not be fetched; see tests/out/model.log"
  fi
}

# unit_tests PRESET [ctest options]: every ctest entry counts, and every cmocka test that was skipped.
# count.py reads what the tests printed, so their output must not be cut.
unit_tests() {
  local preset=$1
  shift
  say "tests of build $preset"
  # Twice as many as cores: many wait for a disk or a peer.
  ctest --preset "$preset" -j $((jobs * 2)) --output-junit "$out/$preset.xml" \
    --test-output-size-passed 1000000 --timeout 600 "$@" >"$out/ctest-$preset.log" 2>&1
  python3 tests/count.py "$out/$preset.xml" "$preset" >>"$results" ||
    record "tests-$preset" failed "no test report; see tests/out/ctest-$preset.log"
  # What a failed test said, which ctest prints behind its line; the assertion that failed first of all.
  awk '/^ *[0-9]+\/[0-9]+ Test/ { show = /\*\*\*(Failed|Timeout|Exception)/ ? 60 : 0; failed = show > 0 }
       /^ *Start +[0-9]+:/ { next }
       show > 0 || failed && /error:|ERROR|FAILED|Assert|Sanitizer/ { print; show-- }' "$out/ctest-$preset.log"
  tail -n 4 "$out/ctest-$preset.log"
}

# simulate PRESET OPTIONS...: builds the simulator alone and becomes it.
simulate() {
  local preset=$1
  shift
  if ! { cmake --preset "$preset" && cmake --build "build/$preset" -j "$jobs" --target sluice-sim; } \
    >"$out/build-$preset.log" 2>&1; then
    tail -n 40 "$out/build-$preset.log"
    exit 1
  fi
  exec "build/$preset/tests/sim/sluice-sim" "$@"
}

# fuzz OPTIONS...: every target from its corpus; a finding is kept and its path printed.
build_fuzzers() {
  cmake --preset fuzz && cmake --build build/fuzz -j "$jobs" --target fuzz
}
fuzz() {
  if [ -n "${behind:-}" ]; then await build-fuzz; else step build-fuzz build_fuzzers; fi
  step fuzz tests/fuzz/run --build build/fuzz "$@"
  tail -n 25 "$out/fuzz.log"
}

# fire OPTIONS...: real programs, killed, stopped, cut off, on full disks, with clocks that jump.
fire() {
  step build-gcc configure_and_build ci
  get_model ci
  say "real programs under fire"
  if python3 tests/e2e/fire.py --build build/ci --models "$models" "$@"; then
    record fire passed
  else
    record fire failed "see tests/out/fire"
  fi
}

case $what in
  seeds | seed) simulate release "${rest[@]}" ;;
  mutants) simulate mutants "${rest[@]}" ;;
  kills) fire "${rest[@]}" ;;
  fuzz) fuzz ;;
  long)
    step clang-tidy-deep tests/static.sh clang-tidy-deep
    fuzz --long
    fire --long --state "$out/fire.state"
    ;;
  coverage) exec tests/coverage ;;
  quick)
    step build configure_and_build ci
    get_model ci
    unit_tests ci -L unit
    ;;
  asan)
    step build-asan configure_and_build asan
    get_model asan
    unit_tests asan
    ;;
  all)
    step build-gcc configure_and_build ci
    get_model ci
    begin_behind build-asan "configure_and_build asan" build-tsan "configure_and_build tsan" \
      build-fuzz build_fuzzers cppcheck "tests/static.sh cppcheck" clang-tidy "tests/static.sh clang-tidy"
    unit_tests ci
    step simulator build/ci/tests/sim/sluice-sim --seeds 200
    tail -n 70 "$out/simulator.log"
    say "end-to-end" # what waits most comes first: builds go on behind it
    python3 tests/e2e/run.py --build build/ci --models "$models" --results "$results" ||
      grep -qP '\te2e/' "$results" || record end-to-end failed "no test ran"
    await build-asan
    unit_tests asan -LE bare
    await build-tsan
    unit_tests tsan -L tsan
    fuzz --seed 1 --seconds 3 # the same inputs every time: who looks for new ones says --fuzz or --long
    step same-bytes tests/same_bytes
    step format tests/static.sh format
    await cppcheck
    await clang-tidy
    ;;
esac

say "result"
grep -P '^failed\t' "$results" | sed 's/^failed\t/FAILED: /'
grep -P '^skipped\t' "$results" | sed 's/^skipped\t/skipped: /'
passed=$(grep -cP '^passed\t' "$results")
failed=$(grep -cP '^failed\t' "$results")
skipped=$(grep -cP '^skipped\t' "$results")
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
