#!/bin/sh
# make bench: builds the server as it is, at -O2, and what it is compared with,
# and runs bench. With VARIANTS=1 also the server as variants/*.sed change it.
# Everything is built in a directory of its own.

[ "$(uname -s)" = Linux ] || {
    echo "make bench needs Linux (epoll and the processor time of a process)."
    exit 0
}
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 2

build() {  # source program: it waits for no other
    ${CXX:-g++} -std=c++17 $flags -pthread -I"$root" "$1" -o "$2" \
        -DSERVER_PATH='""' -DCLIENT_PATH='""' || touch failed &
}

flags=-O2
[ -z "$QUICK" ] || flags=-O0  # nobody looks at the figures
echo "Building with $flags..." >&2
build "$here/bench.cpp" bench
build "$here/floor.cpp" floor
build "$root/server.cpp" server
export OTHERS=
[ -z "$VARIANTS" ] || for script in "$here"/variants/*.sed; do
    name=$(basename "$script" .sed)
    sed -f "$script" "$root/server.cpp" > "$name.cpp"
    ! cmp -s "$root/server.cpp" "$name.cpp" || {
        echo "FAILED: $script changes nothing in server.cpp"
        exit 2
    }
    build "$name.cpp" "$name"
    OTHERS="$OTHERS $name"
done
wait
[ ! -e failed ] || exit 2

# In a network of its own, where the system lets us: nobody else's traffic and
# no rules of a firewall come in between.
alone='unshare -rn'
$alone ip link set lo up 2> /dev/null || alone=
$alone sh -c '[ -z "$1" ] || ip link set lo up; ./bench' - "$alone"
