#!/bin/bash
# The client in a real (pseudo) terminal: tmux types, and reads the screen.
#   console.sh CLIENT SERVER README TEST         exit code 77: skipped
# README has the picture that one of the tests compares.

export LC_ALL=C.UTF-8

client=$1
server=$2
command -v tmux > /dev/null 2>&1 || {
    echo "skipped: no tmux"
    exit 77
}
work=$(mktemp -d)
port=
unset TMUX

tmux_() { tmux -S "$work/socket" -f /dev/null "$@"; }

clean_up() {
    # First the clients: a terminal that goes away while LeakSanitizer looks at
    # one can leave it spinning for ever.
    tmux_ list-panes -a -F '#{pane_pid}' 2> /dev/null | while read -r shell; do
        pkill -KILL -P "$shell"
    done
    tmux_ kill-server 2> /dev/null
    [ -z "$server_pid" ] || kill "$server_pid" 2> /dev/null
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $*"
    echo "--- the screen:"
    tmux_ capture-pane -p
    exit 1
}

start_server() {
    "$server" 0 > "$work/log" &
    server_pid=$!
    until grep -q porta "$work/log"; do sleep 0.05; done
    port=$(sed -n 's/.*porta \([0-9]*\).*/\1/p' "$work/log" | head -n 1)
}

start_terminal() { # columns rows
    ENV='' PS1='$ ' tmux_ new-session -d -x "$1" -y "$2" \
        "env -u ENV PS1='\$ ' bash --norc --noprofile"
    tmux_ set -g status off
    expect '\$'
}

start_client() { # its name
    type_ "clear; '$client' 127.0.0.1 $port; echo code=\$?" Enter
    expect 'CIAO! Digita'
    type_ "$1" Enter
    expect "Benvenuto $1"
}

type_() { tmux_ send-keys "$@"; }

screen() { tmux_ capture-pane -p "$@"; }

row() { screen | sed -n "${1}p"; }

last_row() { row "$(tmux_ display -p '#{pane_height}')"; }

# Waits until a row matches this regular expression.
expect() {
    for ((i = 0; i < 400; i++)); do
        screen | grep -qE -- "$1" && return
        sleep 0.05
    done
    fail "never came: $1"
}

expect_text() { # a whole row, as it is
    for ((i = 0; i < 400; i++)); do
        screen | grep -qxF -- "$1" && return
        sleep 0.05
    done
    fail "never came: $1"
}

expect_last_row() { # exactly
    for ((i = 0; i < 400; i++)); do
        [ "$(last_row)" = "$1" ] && return
        sleep 0.05
    done
    fail "the entry line is '$(last_row)', not '$1'"
}

say() { # name, lines...: another client, that leaves again
    printf '%s\n' "$@" | "$client" 127.0.0.1 "$port" > /dev/null \
        || fail "the other client ended with $?"
}

begin() { # columns rows
    start_server
    start_terminal "$1" "$2"
    start_client Anna
}

case $4 in
thirty_messages_over_a_half_typed_line)
    begin 60 12
    type_ 'mezza fra'
    expect_last_row 'mezza fra'
    say Bruno $(seq -f 'm%g' 30)
    expect '^Bruno ha abbandonato'
    expect_last_row 'mezza fra'
    [ "$(row 10)" = 'Bruno: m30' ] || fail "the last message"
    [ "$(tmux_ display -p '#{pane_title}')" = WhatsChat ] || fail "the title"
    type_ 'se' Enter
    expect '^Anna: mezza frase$'
    expect_last_row ''
    ;;
a_burst_of_1000_messages)
    begin 60 12
    tmux_ set -g history-limit 5000
    type_ 'intatta'
    expect_last_row 'intatta'
    say Bruno $(seq 1000)
    expect '^Bruno ha abbandonato'
    expect_last_row 'intatta'
    for i in 2 3 4 5 6 7 8 9 10; do
        [ "$(row $i)" = "Bruno: $((990 + i))" ] || fail "row $i"
    done
    screen -S - | grep -q '^Bruno: 500$' || fail "not in the scrollback"
    type_ Enter
    expect '^Anna: intatta$'
    ;;
typing_during_a_burst)
    begin 60 12
    printf 'Bruno\n%s\n' "$(seq 200000)" | "$client" 127.0.0.1 "$port" \
        > /dev/null &
    burst=$!
    expect '^Bruno: [0-9]+$'
    typed=
    for letter in $(printf 'la frase cresce mentre piove - ' \
        | sed 's/ /_/g; s/./& /g') {a..k}; do
        type_ -l "$letter"
        typed=$typed$letter
    done
    screen | grep -q '^Bruno: [0-9]*$' || fail "no burst any more"
    kill $burst
    expect_last_row "$typed"
    expect '^Bruno ha abbandonato'
    expect_last_row "$typed"
    type_ Enter
    expect_text "Anna: $typed"
    ;;
accents_and_backspace)
    begin 60 12
    type_ 'perché città'
    say Bruno ciao
    type_ BSpace BSpace BSpace 'bò'
    say Bruno ancora
    expect_last_row 'perché cibò'
    type_ Enter
    expect '^Anna: perché cibò$'
    expect_last_row ''
    ;;
long_and_wide_messages)
    begin 40 12
    type_ 'intatta'
    expect_last_row 'intatta'
    long=$(seq -s ' ' 100 174) # 299 columns
    say Bruno "$long"
    expect '^Bruno ha abbandonato'
    expect_last_row 'intatta'
    screen -J | grep -qF "Bruno: $long" || fail "the long message"
    say Eva '漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字' 'e´ é 👩‍👩‍👧 ﷽ 🇮🇹' \
        "$(printf 'a\314\201\314\202\314\203\314\204bc')"
    expect '^Eva ha abbandonato'
    expect_last_row 'intatta'
    expect '^漢字漢字|漢字$'
    type_ Enter
    expect '^Anna: intatta$'
    ;;
a_long_typed_line_is_sent_whole)
    begin 40 12
    long=$(seq -s ' ' 100 160)
    type_ "$long"
    say Bruno ciao
    type_ ' fine' Enter
    for ((i = 0; i < 200; i++)); do
        screen -J | grep -qF "Anna: $long fine" && break
        sleep 0.05
    done
    [ $i -lt 200 ] || fail "the long line"
    expect_last_row ''
    ;;
pasted_lines_and_a_half)
    begin 60 12
    tmux_ set-buffer "$(printf 'riga uno\nriga due\nmezza')"
    tmux_ paste-buffer -r
    expect '^Anna: riga due$'
    expect_last_row 'mezza'
    type_ ' e intera' Enter
    expect '^Anna: mezza e intera$'
    expect_last_row ''
    ;;
resizing_both_ways)
    begin 60 12
    say Bruno $(seq -f 'm%g' 30)
    type_ 'in mez'
    expect_last_row 'in mez'
    for size in '60 8' '60 16' '30 10' '90 20' '20 4' '60 12'; do
        # shellcheck disable=SC2086
        set -- $size
        tmux_ resize-window -x "$1" -y "$2"
        sleep 0.5
        say Eva "a $1 $2"
        expect "^Eva: a $1 $2$"
        expect_last_row 'in mez'
    done
    type_ 'zo' Enter
    expect '^Anna: in mezzo$'
    expect_last_row ''
    ;;
a_very_small_terminal)
    begin 60 12
    for size in '10 2' '5 1' '60 12'; do
        # shellcheck disable=SC2086
        set -- $size
        tmux_ resize-window -x "$1" -y "$2"
        sleep 0.5
        say Eva uno
    done
    type_ 'ciao' Enter
    expect '^Anna: ciao$'
    expect_last_row ''
    ;;
every_way_out_gives_the_terminal_back)
    start_server
    start_terminal 70 12
    for way in quit eof interrupt QUIT TERM HUP stopped lost; do
        start_client Anna
        say Bruno "prima di $way"
        expect "^Bruno: prima di $way"
        type_ 'mezza'
        expect_last_row mezza
        pid=$(tmux_ list-panes -F '#{pane_pid}' | xargs pgrep -P)
        code=0
        case $way in
        quit) type_ C-u '{quit}' Enter ;;
        eof) type_ C-u C-d ;;
        interrupt) type_ C-c ;;
        stopped) # the terminal, and then the client
            type_ C-s
            say Bruno "prima di $way" ancora
            kill -TERM "$pid"
            ;;
        lost)
            kill "$server_pid"
            code=1
            ;;
        *) kill -"$way" "$pid" ;;
        esac
        [ $way = interrupt ] || expect "^code=$code$"
        expect '^\$$'
        expect "^Bruno: prima di $way" # the last messages can be read
        case $way in
        interrupt | QUIT | TERM | HUP | stopped) expect '^Uscendo dalla chat\.\.\.$' ;;
        lost) expect "^La connessione con il server e' stata interrotta$" ;;
        esac
        [ "$(last_row)" = '$' ] || fail "$way: the last row"
        type_ 'clear; seq 40' Enter # the scroll region is gone
        expect '^40$'
        [ "$(row 11)" = 40 ] && [ "$(row 1)" = 30 ] || fail "$way: the region"
    done
    ;;
ctrl_z_and_fg)
    begin 60 12
    say Bruno prima
    type_ C-z
    expect 'Stopped'
    type_ 'seq 40' Enter
    expect '^40$'
    [ "$(row 11)" = 40 ] || fail "the shell has no whole screen"
    say Bruno intanto
    type_ 'fg' Enter
    expect '^Bruno: intanto'
    type_ 'mezza'
    say Bruno dopo
    expect '^Bruno ha abbandonato'
    expect_last_row 'mezza'
    type_ C-u '{quit}' Enter
    expect '^\$'
    ;;
ctrl_z_in_a_burst)
    begin 60 12
    for round in 1 2 3 4 5; do
        printf 'B%s\n%s\n' $round "$(seq 300000)" \
            | "$client" 127.0.0.1 "$port" > /dev/null &
        burst=$!
        expect "^B$round: [0-9]+$"
        type_ C-z
        expect 'Stopped'
        kill $burst
        type_ 'clear; seq 40' Enter
        expect '^40$'
        [ "$(row 11)" = 40 ] || fail "the shell has no whole screen"
        type_ 'fg' Enter
        expect "^B$round ha abbandonato"
        type_ 'mezza'
        expect_last_row 'mezza'
        type_ C-u
        expect_last_row ''
    done
    ;;
in_the_background_it_leaves_the_terminal_alone)
    start_server
    start_terminal 60 12
    type_ "'$client' 127.0.0.1 $port &" Enter
    sleep 1
    type_ jobs Enter # it wants to read: the system has stopped it
    expect 'Stopped'
    type_ 'clear; seq 40' Enter
    expect '^40$'
    [ "$(row 11)" = 40 ] || fail "the shell has no whole screen"
    ;;
ones_own_message_appears_once)
    begin 60 12
    type_ 'una volta' Enter
    expect '^Anna: una volta$'
    [ "$(screen -S - | grep -c 'una volta')" = 1 ] || fail "not once"
    ;;
plain_lines_where_the_terminal_is_dumb)
    start_server
    start_terminal 60 12
    type_ "exec env PS1='\$ ' sh" Enter # bash writes sequences of its own
    sleep 0.5
    for term in dumb ''; do
        tmux_ pipe-pane "cat > '$work/raw'"
        type_ "TERM=$term '$client' 127.0.0.1 $port" Enter
        expect 'CIAO! Digita'
        type_ Anna Enter
        expect '^Benvenuto Anna'
        type_ '{quit}' Enter
        expect '^\$$'
        tmux_ pipe-pane
        grep -q Benvenuto "$work/raw" || fail "nothing was recorded"
        grep -n "$(printf '\033')" "$work/raw" && fail "with TERM='$term'"
        type_ clear Enter
        sleep 0.5
    done
    ;;
two_clients_and_a_server_in_three_panes)
    start_terminal 80 24
    type_ "'$server' 0" Enter
    expect 'porta [0-9]+'
    port=$(screen | sed -n 's/.*porta \([0-9]*\).*/\1/p')
    tmux_ split-window -v "bash --norc --noprofile"
    start_client Anna
    tmux_ split-window -h "bash --norc --noprofile"
    start_client Bruno
    type_ 'ciao Anna' Enter
    expect '^Bruno: ciao Anna$'
    type_ 'io scr' # half a line
    tmux_ select-pane -L
    expect '^Bruno: ciao Anna$'
    type_ 'ciao Bruno, come va?' Enter
    expect '^Anna: ciao Bruno, come va\?$'
    tmux_ select-pane -R
    expect '^Anna: ciao Bruno, come va\?$'
    expect_last_row 'io scr'
    tmux_ select-pane -t 0
    expect 'si è collegato'
    type_ C-c
    expect 'Terminazione del server'
    tmux_ select-pane -t 1
    expect '^code=1$'
    ;;
the_picture_in_the_readme_is_real)
    start_server
    start_terminal 77 9
    tmux_ split-window -h -l 38 "bash --norc --noprofile"
    tmux_ select-pane -L
    start_client Anna
    tmux_ select-pane -R
    start_client Bruno
    for said in "Bruno ciao a tutti!" "Anna ciao Bruno, com'è andata?" \
        "Bruno l'esame? Passato!" "Anna complimenti!" \
        "Bruno grazie!" "Anna e il prossimo?" \
        "Bruno reti, fra un mese" "Anna allora si comincia dai socket"; do
        tmux_ select-pane -t "$([ "${said%% *}" = Anna ]; echo $?)"
        type_ "${said#* }" Enter
        expect_text "${said%% *}: ${said#* }"
    done
    type_ 'ho già il primo ese'
    expect_last_row 'ho già il primo ese'
    expect '^Anna: allora'
    tmux_ select-pane -R
    expect '^Anna: allora'
    type_ 'e io por'
    expect_last_row 'e io por'
    tmux_ select-pane -L
    screen > "$work/left"
    tmux_ select-pane -R
    screen > "$work/right"
    paste -d '\n' "$work/left" "$work/right" | {
        while IFS= read -r left && IFS= read -r right; do
            # printf counts bytes: fill by hand
            while [ ${#left} -lt 38 ]; do left="$left "; done
            line="$left│ $right"
            printf '%s\n' "${line%"${line##*[! ]}"}"
        done
    } > "$work/picture"
    cat "$work/picture"
    sed -n '/^```picture$/,/^```$/p' "$3" | sed '1d;$d' \
        | diff - "$work/picture" || fail "README shows something else"
    ;;
*)
    fail "no such test: $4"
    ;;
esac
exit 0
