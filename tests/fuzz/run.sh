#!/usr/bin/env bash
# Throws bytes at everything that reads from the network or the keyboard, and
# looks whether the right messages come out: see fuzz.h and fuzz_*.cpp.
#   run.sh [SECONDS]   looks for inputs that break it, for SECONDS in total
#                      (60), with clang's libFuzzer, in build/fuzz
#   run.sh replay COMPILER [FLAG...]
#                      only the seeds, and what has been found before, finds/*;
#                      with any compiler
# Exit code 77: skipped.

here=$(cd "$(dirname "$0")" && pwd)
CLANGXX=${CLANGXX:-clang++}
targets='text server client'
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

fail() {
    echo "FAILED: $*"
    exit 1
}

make_inputs() { # into $work/seeds
    mkdir "$work/seeds"
    bash "$here/seeds.sh" "$work/seeds" || fail "no seeds"
    for find in "$here"/finds/*; do
        [ ! -f "$find" ] || cp "$find" "$work/seeds/find-${find##*/}"
    done
}

build() { # target, program; the rest: compiler, flags, other sources
    local target=$1 program=$2
    shift 2
    "$@" -std=c++17 -g -Wall -Wextra "$here/fuzz_$target.cpp" \
        -o "$program" -pthread || fail "fuzz_$target does not compile"
}

if [ "$1" = replay ]; then
    shift
    [ $# -gt 0 ] || fail "run.sh replay COMPILER [FLAG...]"
    make_inputs
    for target in $targets; do
        build "$target" "$work/$target" "$@" "$here/replay.cpp"
        "$work/$target" "$work"/seeds/* > "$work/log" 2>&1 || {
            cat "$work/log"
            fail "fuzz_$target, with the input named last"
        }
        echo "fuzz_$target: $(tail -n 1 "$work/log")"
    done
    exit 0
fi

seconds=$((${1:-60} / 3))
[ $seconds -gt 0 ] || seconds=1
flags='-O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all'
echo '#include "fuzz.h"
int LLVMFuzzerTestOneInput(const std::uint8_t*, std::size_t) { return 0; }' \
    > "$work/empty.cpp"
# shellcheck disable=SC2086
"$CLANGXX" -std=c++17 $flags -I"$here" "$work/empty.cpp" -o "$work/empty" \
    > /dev/null 2>&1 || {
    echo "skipped: no clang++ with libFuzzer"
    exit 77
}

make_inputs
build=$here/../../build/fuzz
mkdir -p "$build" && build=$(cd "$build" && pwd) || exit 1
found=0
for target in $targets; do
    # shellcheck disable=SC2086
    build $target "$build/$target" "$CLANGXX" $flags
    mkdir "$work/$target"
    # A find is a file: what the program broke on.
    "$build/$target" -max_total_time=$seconds -max_len=5000 -timeout=60 \
        -dict="$here/text.dict" -artifact_prefix="$work/found-" \
        -print_final_stats=1 "$work/$target" "$work/seeds" \
        > "$build/$target.log" 2>&1
    code=$?
    for file in "$work"/found-*; do
        case $file in
        *'*' | */found-slow-unit-*) continue ;;
        esac
        found=1
        find=$build/$target-${file##*/found-}
        mv "$file" "$find"
        grep -aE '^BROKEN:|^  got:|^  wanted:|ERROR: |runtime error: ' \
            "$build/$target.log" | cut -c 1-500
        echo "FOUND: $find
  again:  $build/$target $find
  smaller: $build/$target -minimize_crash=1 -runs=99999 $find
  keep:   mkdir -p $here/finds && cp $find $here/finds/A_NAME"
    done
    [ $code -eq 0 ] || found=1
    execs=$(sed -n 's/^stat::number_of_executed_units: *//p' \
        "$build/$target.log")
    covered=$(grep -o 'cov: [0-9]*' "$build/$target.log" | tail -n 1)
    echo "fuzz_$target: ${execs:-?} runs in $seconds s, ${covered:-cov: ?}" \
        "(all in $build/$target.log)"
done
[ $found -eq 0 ] || fail "see above"
