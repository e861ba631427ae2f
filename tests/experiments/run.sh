#!/bin/bash
# Break it on purpose: what happens if a line of the chat is missing, or wrong?
#   run.sh                    the experiments
#   run.sh NAME               one of them: the programs as they are, then with
#                             NAME.patch; all in a copy, your files stay
#   run.sh NAME seen          only what the changed programs do
#   run.sh NAME check NOTES TESTS   for CTest: it shows what its header and its
#                             row in the file NOTES promise, and a test in the
#                             build directory TESTS notices; 77: skipped
# CXX: the compiler. CHAT_EXPERIMENT_CACHE: a directory in which programs that
# were built as they are can be kept for the next experiment.

case $BASH_VERSION in
[123].*) echo "skipped: bash 4.1 or newer is needed"; exit 77 ;;
esac

# A signal that is ignored here would be ignored in all that is started here,
# and then a server that forgets to ignore SIGPIPE would live.
case $(trap -p PIPE) in
*"''"*)
    [ -z "$CHAT_SIGPIPE" ] || { echo "skipped: SIGPIPE is ignored"; exit 77; }
    CHAT_SIGPIPE=tried exec env --default-signal=PIPE bash "$0" "$@"
    ;;
esac

export LC_ALL=C # bytes are bytes, and errors have their English names
here=$(cd "$(dirname "$0")" && pwd)
source_directory=$here/../..
CXX=${CXX:-g++}
declare -A good # what each demonstration prints if all is well
declare -A peer # name -> the number of its connection
end=            # of a message: none in the Python version, a newline in ours

# --- what the demonstrations have in common ---------------------------------
#
# They run in a directory with ./server and ./client, talk to the server over
# connections of their own, with nothing but bash. Where they wait, they wait
# for something to happen, and give up after a limit of seconds.

start_server() { # [port]; sets $server, its process, and $port; its file: log
    : > log # of an earlier one
    ./server "${1:-0}" > log 2>&1 &
    server=$!
    wait_for porta log 10
    port=$(sed -n 's/.*porta \([0-9]*\).*/\1/p' log | head -n 1)
}

is_running() { kill -0 "$server"; }

has_ended() { # seconds: waits for that, and sets $code
    for ((i = 0; i < 20 * $1; i++)); do
        is_running || break
        sleep 0.05
    done
    is_running && return 1
    wait "$server"
    code=$?
}

press_ctrl_c() { kill -INT "$server"; }

wait_for() { # text file seconds
    for ((i = 0; i < 20 * $3; i++)); do
        grep -aq -- "$1" "$2" && return
        is_running || break
        sleep 0.05
    done
    grep -aq -- "$1" "$2"
}

connect() { # name
    exec {fd}<> "/dev/tcp/127.0.0.1/$port"
    peer[$1]=$fd
}

hang_up() { # name
    fd=${peer[$1]}
    exec {fd}>&-
}

say() { # name line
    printf '%s\n' "$2" >&"${peer[$1]}"
}

say_at_once() { # name lines: bash would send each line by itself
    cat <<< "$2" >&"${peer[$1]}"
}

# Reads the lines that come to NAME until one has this text; it is in $heard.
hears() { # name text [seconds]
    while IFS= read -r -t "${3:-10}" heard <&"${peer[$1]}"; do
        [[ $heard != *"$2"* ]] || return 0
    done
    return 1
}

join() { # name
    connect "$1"
    hears "$1" CIAO && say "$1" "$1" && hears "$1" Benvenuto
}

flood() { # name: it says a lot, without end, and reads what comes back
    cat <&"${peer[$1]}" > /dev/null &
    yes "$(printf 'bla %.0s' {1..200})" >&"${peer[$1]}" &
}

# The first thing that a sanitizer has to say, without numbers that change; and
# which threads it tells of: by the function at the bottom of the stack, or the
# one that main has called.
sanitizer_report() {
    press_ctrl_c
    has_ended 10
    grep -ao '\(WARNING\|ERROR\): [A-Za-z]*Sanitizer: [a-z()-]*[a-z ()-]*' log \
        | sed 's/ *$//; s/ (pid$//; s/ on address$//; 1q'
    awk '/^ *#[0-9]+ .*server\.cpp:/ {
            sub(/^ *#[0-9]+ (0x[0-9a-f]+ in )?/, "")
            sub(/[( ].*/, "")
            if ($0 != "main")
                bottom = $0
        }
        /^ *$/ && bottom {
            print "  in " bottom
            bottom = ""
            if (++stacks == 2)
                exit
        }' log | sort
}

# --- the experiments --------------------------------------------------------

good[no_lock]='Anna reads: Anna: ciao'
demo_no_lock() {
    start_server
    connect Anna
    hears Anna CIAO
    has_ended 1 # main comes by ten times
    say_at_once Anna $'Anna\nciao'
    hears Anna 'Anna: ciao' && echo "Anna reads: $heard"
    sanitizer_report
}

good[lock_twice]='Bruno reads: CIAO!'
demo_lock_twice() {
    start_server
    connect Anna
    say Anna Anna
    if hears Anna Benvenuto 3; then
        echo "Anna reads: $heard"
    else
        echo "Anna: no welcome within 3 seconds"
    fi
    connect Bruno
    if hears Bruno CIAO 1; then
        echo "Bruno reads: $heard"
    else
        echo "Bruno: not even a greeting"
    fi
}

good[wrong_order]='Anna reads: Anna: ciao'
demo_wrong_order() {
    demo_no_lock # the same conversation
}

good[no_framing]='Bruno reads: [Anna: tre]'
demo_no_framing() {
    start_server
    join Anna
    join Bruno
    say_at_once Anna $'uno\ndue\ntre'
    until [[ $heard == *tre* ]]; do
        hears Bruno 'Anna: ' || break
        echo "Bruno reads: [$heard]"
    done
}

cpu_time() { # of the server, in hundredths of a second (proc(5))
    sed 's/.*) //' "/proc/$server/stat" \
        | { read -ra field && echo $((field[11] + field[12])); }
}

good[end_ignored]='the server is idle'
demo_end_ignored() {
    start_server
    join Anna
    hang_up Anna
    before=$(cpu_time)
    for ((i = 0; i < 30 && $(cpu_time) - before < 15; i++)); do
        sleep 0.1
    done
    grep -ao 'si è scollegato' log
    if [ $i -lt 30 ]; then
        echo "Anna has hung up, and the server is busy"
    else
        echo "Anna has hung up, and the server is idle"
    fi
}

good[sigpipe]='Bruno reads: Benvenuto Bruno!'
demo_sigpipe() {
    start_server
    join Anna
    # While the server cannot look, she says a lot and hangs up: so this
    # happens every time, and not once in a hundred.
    kill -STOP "$server"
    say_at_once Anna "$(printf 'ciao a tutti %s\n' {1..2000})"
    hang_up Anna
    kill -CONT "$server"
    wait_for 'scollegato\|interrotta' log 5
    if has_ended 0; then
        echo "the server has ended with exit code $code"
    else
        join Bruno && echo "Bruno reads: $heard"
    fi
}

good[not_joined]='the server has ended with exit code 0'
demo_not_joined() {
    start_server
    join Anna
    press_ctrl_c
    has_ended 5
    grep -a terminate log
    echo "the server has ended with exit code $code"
}

good[no_time_limit]='Bruno: the room goes on'
demo_no_time_limit() {
    start_server
    join Carla # and from now on she reads nothing
    join Anna
    flood Anna
    join Bruno
    grep -a --line-buffered '^Bruno: ' <&"${peer[Bruno]}" > heard &
    for ((word = 1; ; word++)); do
        say Bruno "$word"
        if ! wait_for "^Bruno: $word$" heard 3; then
            echo "Bruno: no word of his own within 3 seconds"
            break
        elif grep -aq 'non legge i messaggi' log; then
            echo "Carla is dropped, since she does not read"
            echo "Bruno: the room goes on"
            break
        fi
    done
}

good[no_reuseaddr]='In attesa di connessioni...'
demo_no_reuseaddr() {
    start_server
    join Anna
    press_ctrl_c
    has_ended 5
    start_server "$port"
    head -n 1 log
}

good[close_only]='the server has ended with exit code 0'
demo_close_only() {
    start_server
    join Anna
    press_ctrl_c
    if has_ended 3; then
        echo "the server has ended with exit code $code"
    else
        echo "the server has not ended within 3 seconds of Ctrl+C"
    fi
}

good[no_cleaning]='Eva:  [2J'
demo_no_cleaning() {
    start_server
    mkfifo keyboard
    exec {keyboard}<> keyboard
    ./client 127.0.0.1 "$port" < keyboard > screen &
    echo Anna >&"$keyboard"
    wait_for Benvenuto screen 10
    join Eva
    say Eva $'\e[2J' # the sequence that clears a screen
    wait_for 'Eva: ' screen 10
    echo "Anna's screen gets: $(grep -a 'Eva: ' screen | cat -v)"
}

good[map_changes]='Carla is dropped'
demo_map_changes() {
    start_server
    join Carla # and from now on she reads nothing
    join Anna
    flood Anna
    wait_for 'non legge i messaggi' log 10 && echo "Carla is dropped"
    sanitizer_report
}

good[detached]='the log: 200 left'
demo_detached() {
    start_server
    for i in {1..200}; do
        connect "$i" && hears "$i" CIAO
    done
    echo "the log: $(grep -ac 'si è collegato' log) came"
    press_ctrl_c
    has_ended 10
    left=$(grep -ac 'si è scollegato' log)
    if [ "$left" -lt 200 ]; then
        echo "the log: not all of the 200 left"
    else
        echo "the log: $left left"
    fi
}

good[cin_word]='Bruno reads: Anna: ciao a tutti'
demo_cin_word() {
    start_server
    join Bruno
    printf 'Anna\nciao a tutti\n{quit}\n' \
        | ./client 127.0.0.1 "$port" > /dev/null
    until [[ $heard == *abbandonato* ]]; do
        hears Bruno Anna || break
        [[ $heard != 'Anna: '* ]] || echo "Bruno reads: $heard"
    done
}

# Two comparisons with the Python version. Each server gets what its own client
# sends: a message, and $end.

# Enters the room. All that comes to NAME goes into a file of that name.
join_python() { # name
    connect "$1"
    : > "$1"
    cat <&"${peer[$1]}" >> "$1" &
    wait_for CIAO "$1" 10
    send "$1" "$1"
    wait_for Benvenuto "$1" 10
}

send() { # name message
    printf '%s' "$2$end" >&"${peer[$1]}"
}

messages() { # name: what has come to it, a message a line
    local text
    text=$(cat "$1")
    grep -a . <<< "${text//Anna: /$'\n'Anna: }"
}

good[python_glued]='Anna: b'
demo_python_glued() {
    start_server
    join_python Anna
    for _ in {1..10}; do
        : > Anna
        kill -STOP "$server" # it is busy, let us say
        until [ "$(ps -o stat= -p "$server" | cut -c 1)" = T ]; do :; done
        send Anna a
        send Anna b
        sleep 0.2 # b leaves when a has been acknowledged (Nagle's algorithm)
        kill -CONT "$server"
        wait_for b Anna 5
        ! grep -aq ab Anna || break
    done
    echo "Anna says a and then b, while the server is busy. She reads:"
    messages Anna
}

good[python_split]='this is UTF-8'
demo_python_split() {
    start_server
    join_python Anna
    : > Anna
    # The bytes of è, \303 and \250, are the 1024th and the 1025th.
    send Anna "$(printf 'x%.0s' {1..1023})è"
    wait_for $'\250' Anna 5
    messages Anna | sed 's/xxx*/x...x/' | sed -n "l" | sed "s,\\$\$,,"
    if iconv -f UTF-8 -t UTF-8 Anna > converted; then
        echo "iconv: this is UTF-8"
    else
        echo "iconv: this is not UTF-8"
    fi
}

# --- building, and running them ---------------------------------------------

fail() {
    echo "FAILED: $*"
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

field() { # its name: from the header of the patch
    sed -n "/^---/q; s/^$1: //p" "$patch"
}

list_experiments() {
    echo "make experiment NAME=..., or run.sh NAME, where NAME is"
    for patch in "$here"/*.patch; do
        name=${patch##*/}
        printf '  %-14s %s\n' "${name%.patch}" "$(field Title)"
    done
}

compile() { # flavour source program
    local sanitize=
    [ "$1" = plain ] || sanitize=-fsanitize=$1
    # shellcheck disable=SC2086
    "$CXX" -std=c++17 -g -O0 -Wall -Wextra -pthread $sanitize "$2" -o "$3"
}

# A sanitizer that finds nothing here would find nothing in the chat either:
# some systems lack its library, on some it cannot start.
need_sanitizer() { # flavour
    case $1 in
    plain) return ;;
    thread)
        cat > "$work/known.cpp" << 'END'
#include <thread>
int n;
void count() { for (int i = 0; i < 1000; i++) n++; }
int main() { std::thread t(count); count(); t.join(); }
END
        ;;
    address)
        cat > "$work/known.cpp" << 'END'
int main() { int* p = new int(1); delete p; return *p; }
END
        ;;
    esac
    compile "$1" "$work/known.cpp" "$work/known" > "$work/known.log" 2>&1
    for _ in 1 2 3 4 5; do # on a busy machine it can miss a race
        [ ! -x "$work/known" ] || "$work/known" > "$work/known.log" 2>&1
        ! grep -aq 'SUMMARY: .*Sanitizer: ' "$work/known.log" || return 0
    done
    skip "-fsanitize=$1 does not work here"
}

# Builds what is not there yet in a directory with sources.
build() { # flavour directory
    local program
    for program in server client; do
        [ -x "$2/$program" ] \
            || compile "$1" "$2/$program.cpp" "$2/$program" \
                > "$2/$program.warnings" 2>&1 &
    done
    wait
    cat "$2"/*.warnings > "$2/warnings" 2> /dev/null
    [ -x "$2/server" ] && [ -x "$2/client" ]
}

copy_sources() { # directory
    mkdir "$1"
    cp "$source_directory"/{server.cpp,client.cpp,socket_compat.h} "$1"
}

# The programs as they are, in $work/as_it_is.FLAVOUR.
as_it_is() { # flavour
    local to=$work/as_it_is.$1 key
    [ ! -d "$to" ] || return 0
    copy_sources "$to"
    if [ -n "$CHAT_EXPERIMENT_CACHE" ]; then
        mkdir -p "$CHAT_EXPERIMENT_CACHE"
        key=$( (cat "$to"/*; "$CXX" --version) | cksum | tr ' ' '_')
        key=$CHAT_EXPERIMENT_CACHE/$1_$key
        # Who can make the first directory builds; the others wait for the
        # second, though not for ever: the builder may have been killed.
        if ! mkdir "$key.begun" 2> /dev/null; then
            for ((i = 0; i < 600; i++)); do
                [ ! -d "$key" ] || break
                sleep 0.1
            done
            cp "$key"/* "$to" 2> /dev/null
        fi
    fi
    build "$1" "$to" || fail "as it is: $(cat "$to/warnings")"
    if [ -n "$key" ] && [ ! -d "$key" ] && mkdir "$key.$$"; then
        cp "$to"/{server,client} "$key.$$"
        cp "$to"/*.warnings "$key.$$" 2> /dev/null
        mv "$key.$$" "$key"
    fi
}

# The programs with the patch, in $work/changed.FLAVOUR.
changed() { # flavour
    local to=$work/changed.$1 original=$work/as_it_is.$1 program
    [ ! -d "$to" ] || return 0
    copy_sources "$to"
    if [ "$1" = python ]; then
        cp "$work/as_it_is.plain/client" "$to"
        printf '#!/bin/sh\nexec python3 "%s" "$@"\n' \
            "$here/../python_version/server.py" > "$to/server"
        chmod +x "$to/server"
        return
    fi
    (cd "$to" && patch -p0 -F0 -s < "$patch") \
        || fail "$patch does not fit: have the programs been changed?"
    for program in server client; do # what has not changed need not be built
        cmp -s "$original/socket_compat.h" "$to/socket_compat.h" \
            && cmp -s "$original/$program.cpp" "$to/$program.cpp" \
            && cp "$original/$program" "$to"
    done
    build "$1" "$to" || fail "changed: $(cat "$to/warnings")"
}

# Runs the demonstration with the programs in a directory, and leaves none of
# what it started behind.
demonstrate() { # directory
    (
        mkdir "$1/run" && cd "$1/run" && cp "$1/server" "$1/client" . || exit
        ulimit -c 0
        export TSAN_OPTIONS=halt_on_error=1
        # shellcheck disable=SC2046
        trap 'kill -KILL $(jobs -p); wait' EXIT
        trap : PIPE # a server that has died must not end the demonstration
        "demo_$name"
    ) 2> "$1/errors" # bash says there what it has killed
}

mask() { sed 's/porta [0-9]*/porta N/'; }

run_test() { # directory: the test of `Noticed by`, with the programs there
    local options=
    [ "$noticed_flavour" = plain ] \
        || options='CHAT_SANITIZED=1 TSAN_OPTIONS=halt_on_error=1'
    # shellcheck disable=SC2086
    env CHAT_SERVER="$1/server" CHAT_CLIENT="$1/client" $options \
        "$tests/test_${noticed%%.*}" "${noticed#*.}" > "$work/test" 2>&1
}

check_demonstrations() {
    local shows directory
    for directory in "$as_it_is" "$changed"; do
        [ ! -s "$directory/warnings" ] \
            || fail "warnings: $(cat "$directory/warnings")"
    done
    shows=$(field Shows)
    [ -n "$shows" ] || fail "$patch does not say what it shows"
    [ -n "${good[$name]}" ] || fail "run.sh does not say what is good"
    grep -aqF -- "${good[$name]}" "$work/good" \
        || fail "as it is: no '${good[$name]}'; $(cat "$as_it_is/errors")"
    ! grep -aqF -- "$shows" "$work/good" || fail "as it is: '$shows'"
    grep -aqF -- "$shows" "$work/bad" \
        || fail "changed: no '$shows'; $(cat "$changed/errors")"
}

# All that is seen stands in the header of the patch, and what matters in the
# row of the notes, with the test that notices it.
check_texts() {
    local row
    mask < "$work/bad" | diff <(field Seen) - \
        || fail "$patch (<) says something else than was seen (>)"
    row=$(grep -F "| \`$name\` |" "$notes") || fail "$notes has no row for it"
    [[ $row == *"| \`$(field Shows)\` |"* ]] \
        || fail "$notes does not say '$(field Shows)'"
    [[ ${row//\`/} == *"| $(field 'Noticed by') |" ]] \
        || fail "$notes does not say 'noticed by $(field 'Noticed by')'"
}

check_test() {
    noticed=$(field 'Noticed by')
    [ "$noticed" != - ] || return 0
    noticed_flavour=plain
    case $noticed in
    *\ \(*\))
        noticed_flavour=${noticed##*(}
        noticed_flavour=${noticed_flavour%)}
        noticed=${noticed% (*}
        ;;
    esac
    need_sanitizer "$noticed_flavour"
    as_it_is "$noticed_flavour"
    changed "$noticed_flavour"
    run_test "$work/as_it_is.$noticed_flavour"
    case $? in
    0) ;;
    77) skip "$noticed: $(cat "$work/test")" ;;
    *) fail "$noticed, as it is: $(cat "$work/test")" ;;
    esac
    CHAT_LIMIT=8000 run_test "$work/changed.$noticed_flavour"
    local code=$?
    [ $code -eq 1 ] || fail "$noticed, changed: exit code $code, not 1"
    echo "--- noticed by $noticed:"
    head -n 5 "$work/test"
}

name=$1
mode=${2:-show}
notes=$3
tests=$4
patch=$here/$name.patch
if [ -z "$name" ] || [ ! -f "$patch" ]; then
    list_experiments
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v "$CXX" > /dev/null || skip "no $CXX"
command -v patch > /dev/null || skip "no patch"
[ "$name" != end_ignored ] || [ -r /proc/self/stat ] || skip "no /proc"
flavour=$(field Build)
if [ "$flavour" = python ]; then
    python3 -c '' 2> /dev/null || skip "no python3"
    flavours=(plain python)
else
    need_sanitizer "$flavour"
    flavours=("$flavour" "$flavour")
fi
as_it_is "${flavours[0]}"
changed "${flavours[1]}"
as_it_is=$work/as_it_is.${flavours[0]}
changed=$work/changed.${flavours[1]}

if [ "$mode" = seen ]; then
    demonstrate "$changed" | mask
    exit
fi
field Title
echo
sed -n '/^---/,$p' "$patch"
if [ "$mode" = show ] && [ -t 0 ]; then
    read -r -p "Guess what will happen, then press Enter. "
fi
echo "--- as it is:"
end=$'\n' demonstrate "$as_it_is" | tee "$work/good"
echo "--- changed:"
demonstrate "$changed" | tee "$work/bad"
if [ "$mode" = check ]; then
    check_demonstrations
    check_texts
    check_test
else
    grep -aqF -- "$(field Shows)" "$work/bad" \
        || echo "(It does not show every time: run it again.)"
    echo "(That was a copy, and is gone; your files are as they were.)"
fi
