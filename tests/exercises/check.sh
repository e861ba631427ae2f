#!/bin/sh
# Checks an exercise and its solution:  check.sh SOURCE TESTS NAME
#   SOURCE   the project's root
#   TESTS    where CMake has built test_conversation, ... and exercises
# The test must fail on the programs as they are, and pass on the solution,
# NAME.patch, which must spoil nothing else. Exit code 77: skipped.
#
# How a student works is told in exercises.cpp. A teacher sees a solution with
#   patch -p0 -F0 < tests/exercises/NAME.patch    (and takes it back with -R)

source=$1
tests=$2
name=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
unset CHAT_SERVER CHAT_CLIENT CHAT_LIMIT

fail() {
    echo "FAILED: $name: $*"
    [ ! -s "$work/output" ] || cat "$work/output"
    exit 1
}

for tool in patch g++; do
    command -v $tool > /dev/null 2>&1 || {
        echo "skipped: no $tool"
        exit 77
    }
done

# 1. The programs as they are fail, for what they do and not because they hang:
# what the test itself finds wrong begins with its name.
CHAT_LIMIT=5000 "$tests/exercises" "$name" > "$work/output" 2>&1
code=$?
[ $code -eq 1 ] || fail "exit code $code, not 1, without the solution"
grep -q "^FAILED: $name: " "$work/output" \
    || fail "it does not say what was wanted, without the solution"

# 2. The solution can be applied and compiled.
cp "$source"/*.cpp "$source"/*.h "$work" || fail "no copy"
patch -p0 -F0 -d "$work" < "$source/tests/exercises/$name.patch" \
    > "$work/output" 2>&1 || fail "the patch does not apply"
for program in server client; do
    g++ -std=c++17 -Wall -Wextra -pthread "$work/$program.cpp" \
        -o "$work/$program" > "$work/output" 2>&1 || fail "g++ $program.cpp"
    [ ! -s "$work/output" ] || fail "warnings in $program.cpp"
done

# 3. It is one.
export CHAT_SERVER="$work/server" CHAT_CLIENT="$work/client"
"$tests/exercises" "$name" > "$work/output" 2>&1 \
    || fail "exit code $?, not 0, with the solution"

# 4. All else is as it was, but for the tests that know better: `others` are
# their names.
others=
case $name in
stamp)
    # These tests know the log without the time: it is taken away again.
    cat > "$work/unstamped" <<END
#!/bin/sh
log=\$(mktemp -u "$work/log.XXXXXX")
mkfifo "\$log"
sed -u 's/^[0-2][0-9]:[0-5][0-9]:[0-5][0-9] //' < "\$log" &
exec "$work/server" "\$@" > "\$log"
END
    chmod +x "$work/unstamped"
    export CHAT_SERVER="$work/unstamped"
    ;;
history)
    # A newcomer hears there what was said before, which they do not expect.
    others='empty_messages_are_ignored cuts_make_no_difference'
    ;;
poll)
    # They count a thread for each client (leave_by() in test_leaving.cpp).
    others='by_quit by_end_of_stream by_closing_with_unread_text
        by_half_close in_the_middle_of_a_line
        in_the_middle_of_a_character by_reset
        quit_without_a_newline_at_the_end_is_a_quit'
    ;;
esac
for file in conversation framing names leaving; do
    names=$(sed -n 's/^TEST(\([a-z0-9_]*\)).*/\1/p' \
        "$source/tests/test_$file.cpp")
    [ -n "$names" ] || fail "no tests in test_$file.cpp"
    for test in $names; do
        ! echo "$others" | grep -qw "$test" || continue
        "$tests/test_$file" "$test" > "$work/output" 2>&1
        code=$?
        [ $code -eq 0 ] || [ $code -eq 77 ] \
            || fail "$file.$test does not pass any more, with the solution"
    done
done
echo "passed: $name"
