# peers.sh - peers of a server, by their names: what comes to Anna goes into a
# file Anna. For scripts that have read support.sh.

end=$'\n' # of a message; the Python version has none
declare -A peer reader # name -> the descriptor; who reads from it

seen_or_ended() { grep -aq -- "$1" "$2" || has_ended; }
until_seen() { # text, file: until it is there, or the server has ended
    wait_until seen_or_ended "$1" "$2" && grep -aq -- "$1" "$2"
}
hears() { # name, text, [otherwise]: waits for a line with it; it is in $heard
    until_seen "$2" "$1"
    heard=$(grep -a -- "$2" "$1" | tail -n 1)
    heard=${heard:-$3}
}

dial() { # name: without a greeting. 1: the server has ended
    exec {fd}<> "/dev/tcp/127.0.0.1/$port" || return 1
    peer[$1]=$fd
    : > "$1"
    cat <&"$fd" >> "$1" 2>&1 &
    reader[$1]=$!
}
connect() { # name, [otherwise]
    dial "$1" && hears "$1" CIAO "$2"
}
say() { # name, lines: in one piece; bash itself would send each line alone
    printf '%s' "$2$end" > lines
    cat lines >&"${peer[$1]}"
}
join() { # name
    connect "$1" && say "$1" "$1" && until_seen Benvenuto "$1"
}
hang_up() { # name; its reader has the connection, too, until it has ended
    kill "${reader[$1]}"
    wait "${reader[$1]}" 2> /dev/null
    eval "exec ${peer[$1]}>&-"
}
freeze() { # the server, until it is killed or goes on
    kill -STOP "$server"
    wait_until grep -q '^State:.T' "/proc/$server/status"
}
