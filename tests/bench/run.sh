#!/bin/sh
# make bench: builds the server as it is, at -O2, and what it is compared with,
# and runs bench. With VARIANTS=1 also the server with each of variants/*.patch.
# Everything is built in a directory of its own.

[ "$(uname -s)" = Linux ] || {
    echo "make bench needs Linux (epoll and the processor time of a process)."
    exit 0
}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

build() {  # source program
    ${CXX:-g++} -std=c++17 -O2 -pthread "$1" -o "$2"
}

# The Title: of a patch, and a copy of the server with it.
variant() {  # patch
    name=$(basename "$1" .patch)
    mkdir "$work/$name"
    cp "$here"/../../server.cpp "$here"/../../socket_compat.h "$work/$name"
    (cd "$work/$name" && patch -s -p0 < "$1") \
        && build "$work/$name/server.cpp" "$work/$name/server"
}

echo "Building at -O2..." >&2
build "$here/bench.cpp" "$work/bench" & one=$!
build "$here/../../server.cpp" "$work/server" & two=$!
build "$here/floor.cpp" "$work/floor" || exit 2
wait $one || exit 2
wait $two || exit 2

set -- "$work/server" "$work/floor"
[ -z "$VARIANTS" ] || for patch in "$here"/variants/*.patch; do
    variant "$patch" || exit 2
    set -- "$@" "$(sed -n 's/^Title: //p' "$patch")" "$work/$name/server"
done
# In a network of its own, where the system lets us: nobody else's traffic and
# no rules of a firewall come in between.
cd "$work" || exit 2
if unshare -rn ip link set lo up 2> /dev/null; then
    unshare -rn sh -c 'ip link set lo up && exec "$@"' - ./bench "$@"
else
    ./bench "$@"
fi
