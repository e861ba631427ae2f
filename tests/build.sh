#!/bin/bash
# How the project is built and run by hand.
#   build.sh SOURCE_DIRECTORY CLIENT SERVER TEST       exit code 77: skipped
# Works in a copy of its own, in a folder with an awkward name.

. "$(dirname "$0")/support.sh"
source=$1
programs=("$2" "$3")
folder="$work/A folder/con è e (1)"
mkdir -p "$folder"
cp "$source"/*.cpp "$source"/*.h "$source"/Makefile "$folder"
cd "$folder" || exit 1

fail() {
    cat output 2> /dev/null
    echo "FAILED: $*"
    exit 1
}

no_warnings() { # package, compiler, [more for make]
    need "$2" "$1"
    need make make
    make -s CXX="$2" "${@:3}" || fail "$2 warns"
}
strict='CXXFLAGS=-Wpedantic -Wconversion -Wshadow -Werror'

built() { # so that make has nothing to do
    need make make
    cp "${programs[0]}" client
    cp "${programs[1]}" server
}

chat_with() { # make, or what else it is called
    make=$1
    need "$make" "$make"
    built
    # What an earlier run has left must not be taken for this one's.
    echo 'In attesa di connessioni... (porta 1)' > server.log
    printf 'Anna\nciao\n{quit}\n' | "$make" run PORT=0 > output 2>&1 \
        || fail "exit code $?"
    grep -q '^Anna: ciao$' output || fail "no conversation"
    grep -q 'Terminazione del server' server.log || fail "not stopped"
    ! grep -q 'No such file' output || fail "a message that means nothing"
    port=$(port_in server.log)
    grep -q "con: ./client 127.0.0.1 $port$" output || fail "no hint"
    ./client 127.0.0.1 "$port" < /dev/null && fail "the server goes on"
    "$make" run PORT=0 < /dev/null || fail "the second time"
}

case $4 in
one_line_of_gxx)
    need g++ g++
    for program in server client; do
        g++ $program.cpp -o $program || fail "$program"
        ./$program --help | grep -q Uso || fail "$program does not run"
    done ;;
no_warnings_gxx) no_warnings g++ g++ "$strict" ;;
no_warnings_clangxx) no_warnings clang clang++ "$strict" ;;
windows_compiles)
    no_warnings g++-mingw-w64-x86-64-posix x86_64-w64-mingw32-g++-posix \
        OS=Windows_NT CXXFLAGS='-Werror -static' ;;
make_run_is_a_chat) chat_with make ;;
bsd_make_run_is_a_chat) chat_with bmake ;;
make_run_tells_of_a_port_in_use)
    built
    start_server first.log ./server 0
    ! make run PORT="$port" < /dev/null > output 2>&1 || fail "exit code 0"
    grep -q "make run PORT=" output || fail "no advice" ;;
make_builds_with_the_flags_it_needs)
    need make make
    make > output 2>&1 && ./client --help > /dev/null || fail make
    ! grep -q warning output || fail "a warning"
    CXXFLAGS=-DMINE make -nB > output || fail make
    [ "$(grep -c 'std=c++17.*pthread.*-DMINE' output)" = 2 ] || fail "flags"
    OS=Windows_NT make -nB > output
    grep -q -- '-o client.*-lws2_32' output || fail "Windows" ;;
make_debug_stops_at_each_step)
    need gdb gdb
    built
    mkdir tests
    cp "$source/tests/debug.gdb" tests
    printf '%s\n' run continue continue continue continue continue \
        'print clients' kill > commands
    start_server output sh -c 'make debug PORT=0 < commands'
    [ "$port" ] || skip "no debugger is permitted here"
    echo Anna | ./client 127.0.0.1 "$port"
    wait
    grep -q '^In a second terminal:  nc 127.0.0.1' output || fail "no hint"
    for step in new_client_accept client_handler broadcast send_some; do
        grep -q "hit Breakpoint [1-4], $step (" output || fail "not at $step"
    done
    grep -q 'std::map with 1 element' output || fail "the map cannot be read" ;;
make_clean_leaves_nothing)
    before=$(ls -A)
    built
    mkdir build
    echo > server.log
    make clean > /dev/null
    [ "$(ls -A)" = "$before" ] || fail "left over: $(ls -A)" ;;
*) fail "no such test: $4" ;;
esac
