# support.sh - what the scripts share; each of them reads it with `.` (bash).

work=$(mktemp -d)
clean_up() { # what is still running then, the script has started
    { kill -KILL $(jobs -p); wait; } 2> /dev/null
    rm -rf "$work"
}
trap clean_up EXIT

fail() { echo "FAILED: $*"; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
need() { # command, package
    command -v "$1" > /dev/null || skip "no $1 (apt install $2)"
}

LIMIT=60 # seconds; what has not happened by then does not happen
wait_until() { # command: until it succeeds
    local by=$((SECONDS + LIMIT))
    until "$@"; do
        [ $SECONDS -le $by ] || return 1
        sleep 0.02
    done
}

has_ended() { ! kill -0 "$server" 2> /dev/null; }
port_in() { sed -n 's/.*(porta \([0-9]*\)).*/\1/p' "$1" | head -n 1; }
says_port() { [ -n "$(port_in "$1")" ] || has_ended; }
start_server() { # log, command: sets $server, its process, and $port
    "${@:2}" > "$1" 2>&1 &
    server=$!
    wait_until says_port "$1"
    port=$(port_in "$1")
}
