#!/bin/bash
# Checks an exercise and its solution:  check.sh SOURCE TESTS NAME
#   SOURCE   the project's root
#   TESTS    where CMake has built test_conversation, ... and exercises
# The test must fail on the programs as they are, and pass on the solution, which
# must spoil nothing else. The solution is a program, NAME.cpp, or a sed script;
# a teacher applies it with: sed -i -f tests/exercises/NAME.sed server.cpp

source=$1
tests=$2
name=$3
here=$source/tests/exercises
. "$source/tests/support.sh"
unset CHAT_SERVER CHAT_CLIENT CHAT_LIMIT

fail() {
    echo "FAILED: $name: $*"
    cat "$work/output"
    exit 1
}

need "${CXX:-g++}" g++

# 1. The programs as they are fail, for what they do and not because they hang:
# what the test itself finds missing begins with its name.
CHAT_LIMIT=5000 "$tests/exercises" "$name" > "$work/output" 2>&1
code=$?
[ $code -eq 1 ] || fail "exit code $code, not 1, without the solution"
grep -q "^FAILED: $name: " "$work/output" \
    || fail "it does not say what is missing, without the solution"
[ "$(wc -l < "$work/output")" -le 2 ] || fail "it says more than two lines"

# 2. The solution changes the server, and can be compiled.
others='conversation framing leaving names'
if [ -f "$here/$name.cpp" ]; then
    others='conversation framing leaving shutdown'
    solution=$here/$name.cpp
else
    cp "$source"/*.h "$work"
    solution=$work/server.cpp
    sed -f "$here/$name.sed" "$source/server.cpp" > "$solution"
    ! cmp -s "$source/server.cpp" "$solution" || fail "it changes nothing"
fi
"${CXX:-g++}" -std=c++17 -Wall -Wextra -pthread "$solution" -o "$work/server" \
    > "$work/output" 2>&1 && [ ! -s "$work/output" ] || fail "it is not compiled"

# 3. It is one, and all else is as it was.
export CHAT_SERVER="$work/server"
"$tests/exercises" "$name" > "$work/output" 2>&1 \
    || fail "exit code $?, not 0, with the solution"
for file in $others; do
    "$tests/test_$file" > "$work/output" 2>&1 \
        || [ $? -eq 77 ] || fail "test_$file, with the solution"
done
echo "passed: $name"
