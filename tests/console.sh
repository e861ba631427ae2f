#!/bin/bash
# The programs in a (pseudo) terminal: tmux types, and reads the screen.
#   console.sh CLIENT SERVER SOURCE_DIRECTORY TEST      exit code 77: skipped
# On 60 x 12, messages stand in rows 1 to 10, what is typed in rows 11 and 12.

. "$(dirname "$0")/support.sh"
export LC_ALL=C.UTF-8
unset TMUX NO_COLOR ENV
source=$3
need tmux tmux
need pkill procps

# Here `client` and `server` are commands, and `make run` finds them built.
cp "$source"/{Makefile,socket_compat.h,server.cpp,client.cpp} "$work"
cp "${CHAT_CLIENT:-$1}" "$work/client"
cp "${CHAT_SERVER:-$2}" "$work/server"
export PATH=$work:$PATH
shell="env PS1='\$ ' bash --norc --noprofile"

tmux_() { tmux -S "$work/socket" -f /dev/null "$@"; }

# First whoever runs there: a terminal that goes away while LeakSanitizer looks
# at a program can leave that spinning for ever.
close_terminal() {
    tmux_ list-panes -a -F '#{pane_pid}' | while read -r leader; do
        pkill -KILL -s "$leader"
    done
    tmux_ kill-server
} 2> /dev/null
trap 'close_terminal; clean_up' EXIT

# --- the screen -------------------------------------------------------------

type_() { tmux_ send-keys "$@"; }
screen() { tmux_ capture-pane -p "$@"; }
shows() { screen -J | grep -qE -- "$1"; }
has_shown() { screen -JS - | grep -qxF -- "$1"; }
row_is() { [ "$(screen | sed -n "${1}p")" = "$2" ]; }
has_size() { [ "$(stty -F "$tty" size)" = "$1" ]; } # as "12 60"

fail() { printf 'FAILED: %s\n--- the screen:\n' "$*"; screen; exit 1; }
wait_for() { wait_until "$@" || fail "never came: $*"; }
expect() { wait_for shows "$1"; }             # a regular expression
expect_message() { wait_for has_shown "$1"; } # even if it has scrolled away
expect_row() { wait_for row_is "$1" "$2"; }

# --- who is there -----------------------------------------------------------

serve() { start_server "$work/log" server 0; }

open_terminal() { # a shell, in a terminal without IUTF8
    tmux_ new-session -d -x "${1:-60}" -y "${2:-12}" "$shell"
    tmux_ set -g status off
    tmux_ set -g history-limit 5000
    tty=$(tmux_ display -p '#{pane_tty}')
    expect '^\$'
    type_ "stty -iutf8; stty -g > '$work/before'" Enter
    wait_for [ -s "$work/before" ]
}

enter() { # name: into the room, with a client that has just been started
    expect 'CIAO! Digita'
    type_ "$1" Enter
    expect "Benvenuto $1"
}

join() { # name, command: without one, a client for the server that runs
    type_ "clear; ${2:-client 127.0.0.1 $port}; echo code=\$?" Enter
    enter "$1"
}

begin() { # columns, rows
    serve
    open_terminal "$@"
    join Anna
}

say() { # name, lines...: another client, which leaves again
    printf '%s\n' "$@" | client 127.0.0.1 "$port" > /dev/null \
        || fail "the other client ended with $?"
}

# The client looks for another size ten times a second: what comes before that
# stands where it would have stood.
speaks_in_row() {
    say Eva ciao
    row_is "$1" 'Eva ha abbandonato la Chat.'
}

# The whole screen scrolls, and the terminal's settings are as before.
expect_shell() {
    expect '^\$ *$'
    for _ in 1 2 3; do # what is typed right after Ctrl+Z can get lost
        type_ C-u "clear; stty -g > '$work/now'; seq 40" Enter
        LIMIT=15 wait_until shows '^40$' && break
    done
    row_is 1 30 && row_is 11 40 || fail "the screen is still divided"
    cmp "$work/before" "$work/now" || fail "the terminal's settings"
}

case $4 in
a_conversation)
    begin
    type_ 'mezza perché' BSpace 'e' # with and without the IUTF8 of stty(1)
    say Bruno $(seq -f 'm%g' 30)
    expect_row 10 'Bruno ha abbandonato la Chat.'
    expect_row 9 'Bruno: m30'
    expect_row 12 'mezza perche'
    type_ ' no' Enter
    expect_row 10 'Anna: mezza perche no'
    [ "$(screen -S - | grep -c 'm30\|mezza')" = 2 ] || fail "not once"
    [ "$(tmux_ display -p '#{pane_title}')" = WhatsChat ] || fail "the title"
    tmux_ set-buffer "$(printf 'riga uno\nriga due\nmezza')"
    tmux_ paste-buffer -r
    expect_row 10 'Anna: riga due'
    expect_row 12 'mezza'
    type_ C-s
    say Eva dopo
    ! has_shown 'Eva: dopo' || fail "Ctrl+S stops nothing"
    type_ C-q
    expect_message 'Eva: dopo' ;;
long_lines)
    begin 40 12
    say Bruno "$(seq -s ' ' 100 174)" '漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字'
    expect '^Bruno: (漢字){12}$'
    expect_message "Bruno: $(seq -s ' ' 100 174)"
    typed=$(seq -s - 100 124) # 99 columns: three rows
    type_ "$typed"
    for said in uno $'due \U1F44D \U1F1EE\U1F1F9 e\u0301'; do
        expect_row 11 "${typed:40:40}"
        expect_row 12 "${typed:80}"
        say Eva "$said"
        expect_message "Eva: $said"
    done
    type_ Enter
    expect "^Anna: $typed$"
    expect_row 12 ''
    expect_row 11 '' ;;
ctrl_z_in_bursts)
    # in which somebody types, and presses Ctrl+Z
    begin
    for round in 1 2 3; do
        printf '%s\n' B$round $(seq 200000) | client 127.0.0.1 "$port" \
            > /dev/null &
        expect "^B$round: [0-9]+$"
        for letter in c r e s c e; do
            type_ $letter
            sleep 0.02
        done
        expect_row 12 cresce
        type_ C-z
        expect '^\$ *$'
        kill $!
        expect_shell
        type_ fg Enter
        expect_message "B$round ha abbandonato la Chat."
        expect_row 11 ''
        wait_for speaks_in_row 10 # soon the client has divided the screen
        type_ C-u mezza
        expect_row 12 mezza
        type_ C-u
    done ;;
other_sizes)
    begin
    type_ 'in mez'
    for size in '8 60' '16 60' '10 30' '20 90' '2 10' '4 20' '1 5' '12 60'; do
        tmux_ resize-window -x "${size#* }" -y "${size% *}"
        wait_for has_size "$size"
        say Eva "a $size"
        expect_message "Eva: a $size"
        [ "${size#* }" -lt 30 ] || wait_for speaks_in_row $((${size% *} - 2))
    done
    type_ C-r # the terminal shows again what was typed
    expect_row 12 'in mez'
    type_ 'zo' Enter
    expect_row 10 'Anna: in mezzo' ;;
no_size_for_a_moment)
    serve
    open_terminal
    for size in '0 0' '12 60'; do # it joins like that, or leaves
        stty -F "$tty" columns "${size#* }" rows "${size% *}"
        join Anna
        stty -F "$tty" columns 60 rows 12
        say Eva $(seq 20)
        wait_for speaks_in_row 10 # soon the window is there
        type_ mezza
        expect_row 12 mezza
        [ "$size" = '0 0' ] || stty -F "$tty" columns 0 rows 0
        type_ C-c
        expect '^code=0'
        stty -F "$tty" columns 60 rows 12
        expect_shell
    done ;;
every_way_out)
    serve
    open_terminal
    while read -r way code says keys; do
        join Anna
        say Bruno "prima di $way"
        type_ mezza
        expect_row 12 mezza
        # shellcheck disable=SC2086
        case $way in
        server) kill "$server" ;;
        kill) pkill "$keys" -x -s "$(tmux_ display -p '#{pane_pid}')" client ;;
        *) type_ $keys ;;
        esac
        expect "^code=$code$"
        expect "^${says//_/ }"
        expect_message "Bruno: prima di $way"
        expect_shell
    done << END
quit 0 Bruno C-u {quit} Enter
end 0 Uscendo_dalla_chat C-u C-d
interrupt 0 Uscendo_dalla_chat C-c
backslash 0 Uscendo_dalla_chat C-\\
kill 0 Uscendo_dalla_chat -TERM
kill 0 Uscendo_dalla_chat -HUP
server 1 La_connessione_con_il_server_e'_stata_interrotta
END
    ;;
ctrl_z)
    need make make
    serve
    open_terminal
    while read -r command; do
        join Anna "$command"
        [ "$command" = "${command#make}" ] || screen | grep -B 2 '^CIAO' \
            | grep -q '^Un altro terminale entra con: ./client' || fail "hint"
        for round in 1 2 3 4; do
            type_ C-z
            expect_shell
            type_ 'clear; fg' Enter
            expect "^${command%% *} " # bash says what goes on
            type_ 'tornè' BSpace "o $round" Enter
            expect "^Anna: torno $round$"
        done
        type_ '{quit}' Enter
        expect_shell
    done << END
client 127.0.0.1 $port
sh -c 'client 127.0.0.1 $port; :'
make -C '$work' run PORT=0
END
    ;;
ctrl_z_cannot_stop_it)
    # where it is ignored, and where no shell is
    serve
    open_terminal
    for before in "trap '' TSTP;" ''; do
        tmux_ respawn-pane -k "$before client 127.0.0.1 $port; :"
        enter Anna
        for round in 1 2 3; do
            type_ C-z
            type_ "resto $round" Enter
            expect "^Anna: resto $round$"
        done
    done ;;
names_stand_out)
    serve
    open_terminal
    for setting in NO_COLOR= NO_COLOR=1 TERM=dumb "env -u TERM"; do
        tmux_ respawn-pane -k "read -r; $setting client 127.0.0.1 $port; read"
        tmux_ pipe-pane "cat > '$work/raw'"
        type_ Enter
        enter Anna
        say Bruno ciao
        expect '^Bruno ha abbandonato'
        screen -e > "$work/seen"
        case $setting in # bold and faint; none; no sequences at all
        NO_COLOR=) grep -q '1m.*mBruno.*0m.*m: ciao' "$work/seen" \
            && grep -q '2mBruno ha abb' "$work/seen" ;;
        NO_COLOR=1) ! grep $'\033' "$work/seen" ;;
        *) grep -q Benvenuto "$work/raw" && ! grep $'\033' "$work/raw" ;;
        esac || fail "$setting"
    done ;;
the_picture_in_the_readme)
    # Anna's terminal is on the left, Bruno's beside it
    sed -n '/^```picture$/,/^```$/p' "$source/README.md" \
        | sed '/^```/d; s/ *│ \?/│/; s/ *$//' > "$work/picture"
    begin 77 "$(wc -l < "$work/picture")"
    tmux_ split-window -h -l 38 "$shell"
    join Bruno
    while IFS='│' read -r said beside; do
        tmux_ select-pane -t "$([ "${said%%: *}" = Anna ]; echo $?)"
        case $said in
        *:*) type_ -l "${said#*: }"; type_ Enter; expect_message "$said" ;;
        ?*)
            type_ -t 0 -l "$said"
            type_ -t 1 -l "$beside"
            expect "^$beside$" ;;
        esac
    done < "$work/picture"
    for pane in 0 1; do
        tmux_ select-pane -t $pane
        expect_message "$said"
        screen > "$work/$pane"
    done
    paste -d '|' "$work/0" "$work/1" | sed 's/|/│/' > "$work/seen"
    diff "$work/picture" "$work/seen" || fail "README shows something else" ;;
*) fail "no such test: $4" ;;
esac
exit 0
