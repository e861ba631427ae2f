#!/bin/bash
# Break it on purpose: what happens if a line of the chat is missing, or wrong?
#   run.sh          the experiments
#   run.sh NAME     what one of them changes, and what then comes of a
#                   conversation; all in a copy, your files stay as they are
#   run.sh NAME NOTES TESTS   for CTest: what is seen is what NAME.sed and the
#                             notes say, and a test in TESTS notices the change
# NAME.sed is a sed script (by hand: sed -i -f NAME.sed server.cpp). Its first
# lines say what it is about; the conversation is below, under its name.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support.sh"
. "$here/../peers.sh"
export LC_ALL=C TSAN_OPTIONS=halt_on_error=1 # a byte is a character
LIMIT=30 # seconds
soon=1   # the same, where nothing is expected of the changed program

# bash ignores SIGINT for what runs in the background, and whoever has started
# us may ignore SIGPIPE: the server needs both as they usually are.
serve() { start_server log env --default-signal=INT,PIPE ./server "$1"; }
press_ctrl_c() { kill -INT "$server"; wait_until has_ended; }
tell_state() {
    has_ended || { echo "the server is still there"; return; }
    wait "$server"
    echo "the server has ended with exit code $?"
}

# What a sanitizer has to say first, and in which threads it happened.
sanitizer_report() {
    press_ctrl_c
    grep -ao '[A-Z]*: [A-Za-z]*Sanitizer: [a-z-]*\( race\)*' log | head -n 1
    grep -aow 'new_client_accept\|client_handler\|deliver' log | sort -u \
        | sed 's/^/  in /'
}

flood_carla() { # who joins, and then reads nothing; Anna says a lot, and leaves
    join Carla
    kill -STOP "${reader[Carla]}"
    join Anna
    text=$(printf ' bla%.0s' {1..200})
    { seq 15000 | sed "s/$/$text/"; echo '{quit}'; } >&"${peer[Anna]}" &
}

# --- the scenes, and what is done in them -----------------------------------

declare -A scenes=(
    [no_lock]="Anna connects, waits half a second, gives her name, and says
ciao. Then Ctrl+C ends the server."
    [lock_twice]="Anna connects and gives her name. Then Bruno connects."
    [join_locked]="Bruno and Anna join. Anna leaves. Then Bruno says ciao."
    [map_changes]="Bruno and Anna join. Anna leaves. Then Bruno says ciao, and
Ctrl+C ends the server."
    [part_sent]="Carla joins, and does not read for a while. Meanwhile Anna
joins, says 15000 long messages, and leaves. Then Carla reads."
    [no_framing]="Anna and Bruno join. Anna sends three lines in one piece."
    [end_ignored]="Anna joins, and hangs up without {quit}. Nobody else comes."
    [sigpipe]="Five clients join, one after the other. Each says a 15000 times,
more than its share of a round, and hangs up while the server is busy. It finds
that out when it sends again."
    [not_joined]="Anna joins. Then Ctrl+C ends the server."
    [close_only]="Anna joins. Then Ctrl+C ends the server."
    [no_time_limit]="Carla joins, and from then on she reads nothing. Anna
joins, says 12 MB, and leaves."
    [no_reuseaddr]="Anna joins. Ctrl+C ends the server, and it is started again
at once, with the same port."
    [no_cleaning]="Anna joins with our client. Then Eva joins, and says ESC[2J,
the control sequence that clears a screen."
    [detached]="Twenty clients connect. Then Ctrl+C ends the server."
    [cin_word]="Bruno joins. Then Anna uses our client: she types her name, the
sentence \"ciao a tutti\", and {quit}."
    [python_glued]="Anna joins, and says first a and then b, while the server is
busy with something else."
    [python_split]="Anna joins, and says 1023 times x and then è, which has two
bytes. The server of the Python version reads 1024 bytes at a time."
)

conversation() {
    case $name in
    no_lock)
        connect Anna
        sleep 0.5 # main comes by five times
        say Anna $'Anna\nciao'
        hears Anna 'Anna: ciao' 'nothing'
        echo "Anna reads: $heard"
        sanitizer_report ;;
    lock_twice)
        connect Anna
        say Anna Anna
        LIMIT=$soon hears Anna Benvenuto 'no welcome'
        echo "Anna: ${heard%%!*}"
        LIMIT=$soon connect Bruno 'not even a greeting'
        echo "Bruno: ${heard%%!*}" ;;
    join_locked | map_changes)
        join Bruno
        join Anna
        say Anna '{quit}'
        until_seen 'Anna .*abbandonato' log
        hang_up Anna
        [ $name = map_changes ] || LIMIT=$soon
        until_seen scollegato log # or the sanitizer has ended it
        say Bruno ciao
        LIMIT=$soon hears Bruno ciao 'nothing comes of what Bruno says'
        echo "$heard"
        [ $name = join_locked ] || sanitizer_report ;;
    no_framing)
        join Anna
        join Bruno
        say Anna $'uno\ndue\ntre'
        hears Bruno tre
        grep -a '^Anna: ' Bruno | sed 's/.*/Bruno reads: [&]/' ;;
    end_ignored)
        join Anna
        hang_up Anna
        sleep 1
        read -ra field < "/proc/$server/stat" # proc(5): hundredths of a second
        [ $((field[13] + field[14])) -gt 15 ] && is=busy || is=idle
        echo "Anna has hung up, and the server is $is" ;;
    sigpipe)
        for i in {1..5}; do
            join "Anna$i" || break
            freeze
            say "Anna$i" "$(yes a | head -n 15000)"
            hang_up "Anna$i"
            kill -CONT "$server"
            until_seen "Anna$i .*abbandonato" log || break
        done
        tell_state ;;
    not_joined | close_only)
        join Anna
        LIMIT=$soon press_ctrl_c
        grep -a terminate log
        tell_state ;;
    part_sent)
        flood_carla
        until [ "$(wc -c < Anna)" = "$size" ]; do # more comes back to her
            size=$(wc -c < Anna)
            sleep 0.2
        done
        kill -CONT "${reader[Carla]}"
        LIMIT=$soon until_seen abbandonato Carla
        whole=$(grep -c "^Anna: [0-9]*$text\$" Carla)
        [ "$whole" -eq 15000 ] || whole='not all, and some that are torn'
        echo "Carla reads 15000 messages: $whole" ;;
    no_time_limit)
        flood_carla
        LIMIT=$soon
        server=${reader[Anna]} wait_until has_ended && is= || is='not '
        echo "Anna says 12 MB and leaves; the end of it has ${is}come back"
        grep -ao 'Carla .*non legge' log | sed 's/(.*)/(IP:PORT)/' ;;
    no_reuseaddr)
        join Anna
        press_ctrl_c
        serve "$port"
        sed 's/porta [0-9]*/porta N/; q' log ;;
    no_cleaning)
        mkfifo keyboard
        exec {keyboard}<> keyboard
        ./client 127.0.0.1 "$port" < keyboard > screen &
        echo Anna >&"$keyboard"
        until_seen Benvenuto screen
        join Eva
        say Eva $'\e[2J' # the sequence that clears a screen
        hears screen 'Eva: '
        echo "Anna's screen gets: $(cat -v <<< "$heard")" ;;
    detached)
        for i in {1..20}; do connect "$i"; done
        echo "the log: $(grep -ac 'si è collegato' log) came"
        press_ctrl_c
        echo "the log: $(grep -ac 'si è scollegato' log) left" ;;
    cin_word)
        join Bruno
        printf 'Anna\nciao a tutti\n{quit}\n' \
            | ./client 127.0.0.1 "$port" > screen
        until_seen abbandonato Bruno
        grep -a '^Anna: ' Bruno | sed 's/^/Bruno reads: /' ;;
    python_glued)
        join Anna
        for _ in {1..10}; do
            : > Anna
            freeze # it is busy, let us say
            say Anna a
            say Anna b
            sleep 0.2 # b leaves when a is acknowledged (Nagle's algorithm)
            kill -CONT "$server"
            until_seen b Anna
            ! grep -aq ab Anna || break
        done
        echo "Anna says a and then b, while the server is busy. She reads:"
        sed 's/\(.\)Anna: /\1\nAnna: /g' Anna | grep -a . ;;
    python_split)
        join Anna
        : > Anna
        # The bytes of è, \303 and \250, are the 1024th and the 1025th.
        say Anna "$(printf 'x%.0s' {1..1023})è"
        until_seen $'\250' Anna
        sed 's/\(.\)Anna: /\1\nAnna: /g; s/xxx*/x...x/' Anna | sed -n l \
            | grep . | sed 's/\$$//'
        iconv -f UTF-8 -t UTF-8 Anna > converted && is= || is='not '
        echo "iconv: this is ${is}UTF-8" ;;
    esac
}

# --- building, and running them ---------------------------------------------

field() { sed -n "s/^# $1: //p" "$script"; } # from the head of the script
is_same() { cmp -s "$good/$1" "$seen/$1"; }

build() { # directory: what is not there yet
    make -s -j2 -C "$1" CXXFLAGS="$sanitize" 2> "$1/warnings"
    ! grep -q 'cannot find .*san' "$1/warnings" || skip "no $sanitize here"
    [ ! -s "$1/warnings" ] || fail "$(cat "$1/warnings")"
}

demonstrate() { # directory: it leaves nothing behind of what it starts
    (
        cd "$1" && trap 'kill -KILL $(jobs -p); wait' EXIT
        trap : PIPE # a server that has died must not end the conversation
        ulimit -c 0
        serve 0
        conversation
    ) 2> "$1/errors" | tee "$1/output"
}

show() { # directory, what is wanted of it; a busy machine may need more tries
    for _ in {1..3}; do
        demonstrate "$1"
        [ "$tests" ] && [ "$(field "$2")" != "$(cat "$1/output")" ] || return 0
    done
    ! grep -aq 'FATAL: .*Sanitizer' "$1/log" || skip "no $sanitize here"
    fail "$(field "$2")?"
}

name=$1 notes=$2 tests=$3
script=$here/$name.sed
if [ -z "$name" ] || [ ! -f "$script" ]; then
    echo "make experiment NAME=..., or run.sh NAME, where NAME is"
    cd "$here" && grep '^# Title: ' *.sed | sed 's/^/  /; s/.sed:# Title//'
    [ -z "$name" ]
    exit
fi
[ -n "${scenes[$name]}" ] || fail "$0 tells no scene of $name"
need "${CXX:-g++}" g++
need make make
need diff diffutils
unset MAKEFLAGS # of `make experiment`
env --default-signal=INT true 2> /dev/null \
    || skip "no env --default-signal (apt install coreutils)"
good=$work/good seen=$work/seen
mkdir "$good" "$seen"
for file in server.cpp client.cpp socket_compat.h Makefile; do
    cp "$here/../../$file" "$good"
    sed -f "$script" "$good/$file" > "$seen/$file"
    diff -U 1 --label "$file" --label "$file, changed" \
        "$good/$file" "$seen/$file"
done > "$work/change"
sanitize=$(field Build)
if [[ $name = python_* ]]; then
    need python3 python3
    printf '#!/bin/sh\nexec python3 "%s" "$@"\n' \
        "$here/../python_version/server.py" > "$seen/server"
    chmod +x "$seen/server"
else
    [ -s "$work/change" ] || fail "$script changes nothing in the programs"
fi

printf '%s\n\n%s\n\n' "$(field Title)" "${scenes[$name]}"
cat "$work/change" # to read while the programs are built
if [ -n "$tests" ]; then # where CMake has built the programs as they are
    cp "$tests/../client" "$good"
    [ -n "$sanitize" ] || cp "$tests/../server" "$good"
fi
build "$good"
for program in server client; do # what has not changed need not be built
    is_same socket_compat.h && is_same $program.cpp \
        && cp -n "$good/$program" "$seen"
done
build "$seen"
[ -n "$tests" ] || [ ! -t 0 ] \
    || read -r -p "Guess what will happen, then press Enter. "
echo "=== as it is:"
soon=$LIMIT show "$good" Good
[[ $name != python_* ]] || end=
echo "=== changed:"
show "$seen" Seen
[ -n "$tests" ] \
    || { echo "(That was a copy; your files are as they were.)"; exit; }

# For CTest: the notes' row is right, and the test that it names fails.
row=$(grep -F "| \`$name\` |" "$notes") || fail "$notes has no row for $name"
IFS='|' read -r _ _ _ what _ by _ <<< "${row//\`/}"
grep -qF -- "$(echo $what)" "$seen/output" || fail "$notes: not seen: $what"
noticed=$(field 'Noticed by')
[ "$(echo $by)" = "$noticed" ] || fail "$notes: not noticed by $by"
[ "$noticed" != - ] || exit 0
test=${noticed%% *}
env CHAT_SERVER="$seen/server" CHAT_CLIENT="$seen/client" CHAT_LIMIT=2000 \
    CHAT_SANITIZED=${sanitize:+1} "$tests/test_${test%%.*}" "${test#*.}" \
    > "$work/test" 2>&1
[ $? -eq 1 ] || fail "$noticed does not notice it: $(cat "$work/test")"
echo "=== noticed by $noticed:"
head -n 5 "$work/test"
