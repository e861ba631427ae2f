#!/usr/bin/env bash
# Throws bytes at everything that reads from the network or the keyboard, and
# looks whether the right messages come out: see fuzz.h and fuzz_*.cpp.
#   run.sh [SECONDS [TARGET...]]   with clang's libFuzzer, for SECONDS in all (60)
#   RUNS=9000 run.sh 0 [TARGET...]   so many inputs each, from one seed
#   run.sh replay COMPILER [FLAG...]   only the seeds and finds/*, kept finds
# Exit code 77: skipped.

cd "$(dirname "$0")" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/seeds" ../../build ../../build/fuzz 2> /dev/null
build=$(cd ../../build/fuzz && pwd)

fail() {
    echo "FAILED: $*"
    exit 1
}

bash seeds.sh "$work/seeds" || fail "no seeds"
[ ! -d finds ] || cp finds/* "$work/seeds"
targets=("${@:2}")
compile=(clang++ -O1 -fno-sanitize-recover=all
    -fsanitize=fuzzer,address,undefined)
if [ "$1" = replay ]; then
    compile=("${@:2}" replay.cpp)
    targets=()
elif echo 'extern "C" int LLVMFuzzerTestOneInput(char*, long) { return 0; }' \
    > "$work/empty.cpp" \
    && ! "${compile[@]}" "$work/empty.cpp" -o "$work/empty" 2> /dev/null; then
    echo "skipped: no clang++ with libFuzzer (apt install clang)"
    exit 77
fi
[ ${#targets[@]} -gt 0 ] || targets=(text server client)
length=("-max_total_time=$((${1:-60} / ${#targets[@]}))")
[ -z "$RUNS" ] || length=(-seed=1 -entropic=0 -reload=0 "-runs=$RUNS")

for target in "${targets[@]}"; do
    program=$build/$target
    [ "$1" != replay ] || program=$work/$target
    "${compile[@]}" -std=c++17 -g -Wall -Wextra -Wno-return-type \
        "fuzz_$target.cpp" -o "$program" -pthread \
        || fail "fuzz_$target does not compile"
    log=$program.log
    if [ "$1" = replay ]; then
        "$program" "$work"/seeds/* > "$log" 2>&1
        code=$?
        tail -n 3 "$log"
        [ $code -eq 0 ] || fail "fuzz_$target, with the input named last"
        continue
    fi
    mkdir "$work/$target"
    "$program" "${length[@]}" -max_len=3000 -timeout=60 \
        -artifact_prefix="$program-" "$work/$target" "$work/seeds" \
        > "$log" 2>&1 || {
        grep -aA 1 -E '^BROKEN:|ERROR: |runtime error: ' "$log" | cut -c 1-300
        find=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        fail "again, or with -minimize_crash=1 smaller: $program $find
kept for ever: mkdir -p $PWD/finds && cp $find $PWD/finds/A_NAME"
    }
    echo "fuzz_$target: $(grep -a DONE "$log")"
done
