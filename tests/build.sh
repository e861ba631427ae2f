#!/bin/sh
# How the project is built and run by hand:  build.sh SOURCE_DIRECTORY TEST
# Works in a copy of its own. Exit code 77: skipped.

source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$source"/*.cpp "$source"/*.h "$source"/Makefile \
    "$source"/CMakeLists.txt "$source"/tests "$work"
cd "$work" || exit 1

fail() {
    echo "FAILED: $*"
    exit 1
}

need() {
    command -v "$1" > /dev/null 2>&1 || {
        echo "skipped: no $1"
        exit 77
    }
}

no_warnings() {  # compiler
    need "$1"
    for program in server client; do
        "$1" -std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
            -Werror -pthread $program.cpp -o $program || fail "$program"
    done
}

# `make run` with a port that is free: it may have been taken meanwhile.
make_run() {  # standard input goes to the client
    cat > input
    for port in 23171 24173 25183 26189 27191; do
        make run PORT=$port < input > output 2>&1
        code=$?
        grep -q 'non è disponibile' output || break
    done
    cat output
    return $code
}

case $2 in
one_line_of_gxx)
    need g++
    g++ server.cpp -o server && g++ client.cpp -o client || fail "g++"
    ./server --help | grep -q Uso && ./client --help | grep -q Uso
    ;;
no_warnings_gxx)
    no_warnings g++
    ;;
no_warnings_clangxx)
    no_warnings clang++
    ;;
windows_compiles)
    need x86_64-w64-mingw32-g++-posix
    for program in server client; do
        x86_64-w64-mingw32-g++-posix -std=c++17 -Wall -Wextra -Werror \
            -static $program.cpp -o $program.exe -lws2_32 || fail $program
    done
    ;;
make_run_is_a_chat)
    need make
    printf 'Anna\nciao\n{quit}\n' | make_run || fail "exit code $?"
    grep -q '^Anna: ciao$' output || fail "no conversation"
    grep -q 'Terminazione del server' server.log || fail "not stopped"
    ./server $port > again.log 2>&1 &
    again=$!
    until [ -s again.log ]; do sleep 0.1; done
    kill $again
    grep -q 'In attesa' again.log || fail "the port is still in use"
    ;;
make_run_tells_of_a_port_in_use)
    need make
    make server > /dev/null || fail make
    ./server 0 > first.log &
    first=$!
    until grep -q porta first.log; do sleep 0.1; done
    port=$(sed 's/.*porta \([0-9]*\).*/\1/' first.log)
    make run PORT="$port" < /dev/null > output 2>&1
    code=$?
    kill $first
    wait $first
    cat output
    [ $code -ne 0 ] || fail "exit code 0"
    grep -q "make run PORT=" output || fail "no advice"
    ;;
make_clean_leaves_nothing)
    need make
    before=$(ls -A)
    make > /dev/null && mkdir build && echo > server.log || fail make
    make clean > /dev/null
    [ "$(ls -A)" = "$before" ] || fail "left over: $(ls -A)"
    ;;
*)
    fail "no such test: $2"
    ;;
esac
