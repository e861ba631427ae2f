#!/bin/bash
# The chat between two computers, which are network namespaces with a cable
# between them.   network.sh CLIENT SERVER TEST       exit code 77: skipped

. "$(dirname "$0")/support.sh"
export LC_ALL=C.UTF-8
client=$1
program=$2

if [ -z "$INSIDE" ]; then
    need ip iproute2
    unshare -rnm true 2> /dev/null || skip "no namespaces are permitted here"
    INSIDE=1 unshare -rnm bash "$0" "$@"
    exit
fi

set -m # each job is a process group
clean_up() {
    exec 2> /dev/null
    for job in $(jobs -p); do kill -KILL -- "-$job"; done
    rm -rf "$work"
}

fail() { echo "FAILED: $*"; tail -n 5 "$work"/*.log; exit 1; }

wait_for() { # what, and in which log
    wait_until grep -qs -- "$1" "$work/$2.log" || fail "never came: $1 ($2)"
}

# The servers are here, at 10.9.0.1. The other computer is 10.9.0.2.
mkfifo "$work/never"
unshare -n cat "$work/never" &
there=$!
on_the_other() { nsenter -t $there -n "$@"; }
until [ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
    sleep 0.05
done
{
    ip link set lo up && ip link add cable type veth peer name cable netns $there \
        && ip address add 10.9.0.1/24 dev cable && ip link set cable up \
        && on_the_other ip address add 10.9.0.2/24 dev cable \
        && on_the_other ip link set cable up
} 2> "$work/ip.log" || skip "no cable: $(cat "$work/ip.log")"

start_client() { # name, what it types, where
    { echo "$1"; $2; sleep 100; } 2> /dev/null \
        | { "${@:3}" "$client" 10.9.0.1 "$port"; echo "code=$?"; } \
        > "$work/$1.log" &
    wait_for 'Benvenuto' "$1"
}
talk() { while sleep 0.5 && echo io parlo; do :; done; }
ask() {
    until [ -e "$work/cut" ]; do sleep 0.1; done
    echo chi mi sente?
}

case $3 in
the_other_computer_is_switched_off)
    # In a quiet room, and in one where Dario talks. Anna, Carla and Eva are
    # over there; Carla goes on talking, Eva has one question.
    start_server "$work/quiet.log" "$program" 0
    start_client Bruno ''
    start_client Anna '' on_the_other
    start_server "$work/busy.log" "$program" 0
    start_client Dario talk
    start_client Carla talk on_the_other
    start_client Eva ask on_the_other
    wait_for '^Carla: io parlo' Eva
    # From now on nobody has the address that the cable carries packets to.
    ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev cable
    on_the_other ip neigh replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev cable
    SECONDS=0
    touch "$work/cut"
    for name in Carla Eva; do
        wait_for 'Il server non risponde' $name
        echo "$name asks after $SECONDS s whether the network works"
        ! grep -q 'stata interrotta' "$work/$name.log" || fail "$name: too late"
    done
    for name in Anna Carla Eva; do
        wait_for '^code=1' $name
        grep -q 'stata interrotta' "$work/$name.log" || fail "$name: no reason"
    done
    echo "they know after $SECONDS s that the connection is lost"
    wait_for '^Anna ha abbandonato' Bruno
    wait_for '^Carla ha abbandonato' Dario
    wait_for '^Eva ha abbandonato' Dario
    echo "the rooms know after $SECONDS s that they have left"
    ! grep 'non risponde' "$work/Bruno.log" "$work/Dario.log" \
        || fail "those on this side have had an answer to all that they said" ;;
*) fail "no such test: $3" ;;
esac
exit 0
