#!/bin/bash
# What the compiler, the linker and the system say:
#
#   messages.sh SOURCE_DIRECTORY NOTES LABEL
#
# NOTES has a catalogue, tables with the header
#   | label | message | cause | cure |
# Each label here makes the mistake that the row with its name tells of, and
# the message quoted there must be among what is said, word for word. A row
# that Linux cannot provoke has `-` for its label. Works in a copy of its own,
# on this machine alone. Exit code 77: skipped.

ulimit -c 0  # some of these programs are made to crash: leave no core files
export LC_ALL=C
unset ASAN_OPTIONS TSAN_OPTIONS UBSAN_OPTIONS
script=$(realpath "$0")
source=$(realpath "$1")
notes=$(realpath "$2")
label=$3
work=$(mktemp -d)
cd "$work" || exit 1

clean_up() {
    # shellcheck disable=SC2046  # several words
    kill -KILL $(jobs -pr)  # what this script has started, and still runs
    wait
    rm -rf "$work"
} 2> /dev/null
trap clean_up EXIT

fail() {
    echo "FAILED: $*"
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

need() {
    command -v "$1" > /dev/null || skip "no $1"
}

# --- the catalogue

rows() {  # of the catalogue, without the header
    awk '/^\| label \| message \| cause \| cure \|$/ { inside = 1; next }
         !/^\|/ { inside = 0 }
         inside && !/^\|[-|]*$/' "$notes"
}

message_of() {  # label: its message, without the backticks round it
    rows | awk -F ' *[|] *' -v label="\`$1\`" '$2 == label { print $3 }' |
        sed -n 's/^\(``*\) *\(.*[^ ]\) *\1$/\2/p'
}

# --- programs with a mistake

change() {  # file sed-command: puts a typical mistake into it
    cp "$1" before
    sed "$2" before > "$1"
    ! cmp -s before "$1" || fail "$1 has no such line: $2"
}

build() {  # program [option...]
    g++ -std=c++17 -pthread "${@:2}" "$1.cpp" -o "$1" > errors 2>&1 || {
        cat errors
        fail "$1 does not build"
    }
}

# A small program with our own header, for one mistake or another.
snippet() {
    cat > snippet.cpp << 'END'
#include "socket_compat.h"

int main(int, char* argv[])
{
    const std::string name = argv[1];
    std::signal(SIGPIPE, SIG_DFL);  // as a shell starts a program
    start_sockets();
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* where = reinterpret_cast<sockaddr*>(&address);
    const socket_t listener = ::socket(AF_INET, SOCK_STREAM, 0);
    ::bind(listener, where, size);
    ::getsockname(listener, where, &size);
    if (name != "bound")  // else nobody listens there
        ::listen(listener, 0);
    if (name == "full")  // nobody accepts these; the next gets no answer
        for (int i = 0; i < 3; i++) {
            const socket_t s = ::socket(AF_INET, SOCK_STREAM, 0);
            set_nonblocking(s);
            ::connect(s, where, size);
        }
    print("(porta " + std::to_string(ntohs(address.sin_port)) + ")");
    if (name == "bound" || name == "full")
        ::pause();

    // Both ends of a connection, here and there.
    const socket_t here = ::socket(AF_INET, SOCK_STREAM, 0);
    ::connect(here, where, size);
    const socket_t there = ::accept(listener, nullptr, nullptr);
    char buffer[10];
    if (name == "unread") {
        send_all(here, "ciao");
        wait_readable(there, milliseconds(5000));
    }
    close_socket(there);
    if (name == "unread")
        recv_some(here, buffer, sizeof buffer, milliseconds(5000));
    else
        while (send_some(here, "ciao", 4) != LOST) {
        }
    print(socket_error());
}
END
    "$@"  # a change, perhaps
    build snippet
}

# --- programs that run

# Starts a server in the background; what it says is in the file `said`. Waits
# for its port.
start() {  # command...
    "$@" > said 2>&1 &
    started=$!
    wait_for '(porta ' said
    port=$(sed -n 's/.*(porta \([0-9]*\))$/\1/p' said)
}

wait_for() {  # text file
    for ((i = 0; i < 100; i++)); do
        ! grep -qF -e "$1" "$2" || return 0
        sleep 0.05
    done
    cat "$2"
    fail "no \"$1\" within 5 s"
}

connect() {  # descriptor: to the server
    eval "exec $1<> /dev/tcp/127.0.0.1/$port" || fail "no connection"
}

hear() {  # text: reads from descriptor 5 until it has come
    local heard="" byte
    until [[ $heard == *"$1"* ]]; do
        IFS= read -r -N 1 -t 5 -u 5 byte || fail "no \"$1\" came"
        heard+=$byte
    done
}

if [ "$label" != all_are_in_the_catalogue ]; then
    message=$(message_of "$label")
    [ -n "$message" ] || fail "$notes has no row (with a message) for $label"
    need g++
    [ "$(uname)" = Linux ] || skip "the messages are those of Linux"
    g++ --version | grep -q 'Free Software' || skip "g++ is no GCC here"
    cp "$source"/{server.cpp,client.cpp,socket_compat.h} .
    cp "$source"/tests/python_version/{server,client}.py .
fi

case $label in
all_are_in_the_catalogue)
    grep -oE '^[a-z_0-9]+\)$' "$script" | tr -d ')' |
        grep -v "^$label$" | sort > labels
    rows | awk -F ' *[|] *' '$2 != "-" { print $2 }' | tr -d '`' |
        sort > in_notes
    [ -s in_notes ] || fail "$notes has no catalogue"
    diff labels in_notes ||
        fail "< has no row in the notes, or > no label in the script"
    rows | grep -vE '^\| (-|`[a-z_0-9]+`) \| `[^|]*` \| [^|]+ \| [^|]+ \|$' &&
        fail "not a row of: label, message, cause, cure"
    exit 0
    ;;

# The compiler and the linker.

header_missing)
    rm socket_compat.h
    g++ server.cpp -o server > said 2>&1 && fail "it builds"
    ;;
thread_without_ref)
    change server.cpp 's/std::ref(client)/client/'
    g++ -std=c++17 server.cpp -o server > said 2>&1 && fail "it builds"
    ;;
client_copied)
    change server.cpp 's/auto& entry : clients/auto entry : clients/'
    g++ -std=c++17 server.cpp -o server > said 2>&1 && fail "it builds"
    ;;
send_as_in_python)
    change client.cpp 's/send_all(client_socket, .* : /send(client_socket, /'
    g++ -std=c++17 client.cpp -o client > said 2>&1 && fail "it builds"
    ;;
older_standard)
    g++ -std=c++14 server.cpp -o server > said 2>&1
    ;;
mingw_win32_threads)
    mingw=x86_64-w64-mingw32-g++-win32
    need $mingw
    $mingw -std=c++17 server.cpp -o server.exe > said 2>&1 &&
        skip "this $mingw has std::thread"
    ;;
two_mains)
    g++ -std=c++17 -pthread ./*.cpp -o chat > said 2>&1 && fail "it builds"
    ;;
no_ws2_32)
    mingw=x86_64-w64-mingw32-g++-posix
    need $mingw
    $mingw -std=c++17 server.cpp -o server.exe > said 2>&1 && fail "it builds"
    ;;

# Starting.

command_not_found)
    touch server
    chmod +x server
    PATH=/usr/bin:/bin bash -c 'server 5300' > said 2>&1
    ;;
address_in_use)
    build server
    start ./server 0
    if command -v python3 > /dev/null; then
        python3 server.py "$port" > said_by_python 2>&1
        grep -qF -e "$message" said_by_python || fail "Python says otherwise"
    fi
    ./server "$port" > said 2>&1
    ;;
port_below_1024)
    build server
    chmod 755 .
    user=()
    if [ "$(id -u)" = 0 ]; then  # who may do it
        need setpriv
        user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
    # A network of its own has the usual limit, whatever it is elsewhere.
    [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 80 ] ||
        user=(unshare --net "${user[@]}")
    "${user[@]}" test -x server || skip "no way to be somebody else"
    "${user[@]}" timeout 5 ./server 80 > said 2>&1
    ;;

# Connecting and talking.

connection_refused)
    build client
    snippet
    start ./snippet bound
    ./client 127.0.0.1 "$port" < /dev/null > said 2>&1
    ;;
nobody_answers)
    build client
    snippet
    start ./snippet full
    ./client 127.0.0.1 "$port" < /dev/null > said 2>&1
    ! grep Errore said || fail "it has a reason"
    ;;
unknown_name)
    build client
    # A name that no name server is asked for.
    ./client 127.0..1 5300 < /dev/null > said 2>&1
    ;;
connection_reset)
    snippet
    ./snippet unread > said 2>&1
    ;;
exit_code_141)
    snippet change snippet.cpp '/start_sockets();/d'
    ./snippet gone > /dev/null 2>&1
    echo $? > said
    ;;
too_many_open_files)
    build server
    start bash -c 'ulimit -n 6; exec ./server 0'
    connect 5
    connect 6
    connect 7
    ;;
bad_file_descriptor)
    change server.cpp 's/^ *::getsockname(SERVER/close_socket(SERVER);&/'
    build server
    start ./server 0
    ;;

# Threads and memory.

thread_not_joined)
    change server.cpp '/accept_thread.join();/d'
    build server
    start ./server 0
    kill -INT $started
    ;;
no_more_threads)
    change server.cpp 's/= start_thread(write_log)/= std::thread(write_log)/'
    build server
    # A thread's stack is as large as `ulimit -s` says.
    (ulimit -s 1000000 && ulimit -v 500000 && exec timeout 5 ./server 0) \
        > said 2>&1
    ;;
segmentation_fault)
    change server.cpp 's/^    if (sender) {/    {/'
    build server
    start bash -c 'timeout 9 ./server 0; exit'  # the shell says it
    connect 5
    echo Anna >&5
    ;;
tsan_does_not_start)
    need setarch
    build server -fsanitize=thread
    # The addresses that Linux gave to programs long ago.
    setarch -L true || skip "setarch may not"
    setarch -L timeout 5 ./server 0 > said 2>&1
    grep -q 'unexpected memory' said || skip "a newer one helps itself"
    ;;

# The Python version.

python_dictionary)
    need python3
    start python3 server.py 0
    connect 5
    hear CIAO
    printf Anna >&5
    hear Benvenuto
    printf ciao >&5
    hear 'Anna: ciao'
    kill -INT $started
    ;;
python_decode)
    need python3
    start python3 server.py 0
    connect 5
    hear CIAO
    printf 'Jos\351' >&5  # Latin-1
    ;;
*)
    fail "no such test: $label"
    ;;
esac

# What is running may yet say it.
for ((i = 0; i < 100; i++)); do
    [ -n "$(jobs -pr)" ] || break
    ! grep -qF -e "$message" said || break
    sleep 0.05
done
grep -F -m 1 -e "$message" said && exit 0
cat said
fail "the notes have: $message"
