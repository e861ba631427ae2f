#!/bin/bash
# What the compiler, the linker and the system say about typical mistakes:
#
#   messages.sh SOURCE_DIRECTORY NOTES LABEL        exit code 77: skipped
#
# NOTES has a table  | label | message | cause | cure |. Each label below makes
# the mistake of its row; what is then said goes into the file `said`, and must
# have the row's message, word for word. (Where Linux cannot provoke it, the
# label is `-`.) All happens in a copy, and on this machine.

. "$(dirname "$0")/support.sh"
. "$(dirname "$0")/peers.sh"
ulimit -c 0  # some of these programs are made to crash: no core files
export LC_ALL=C
script=$(realpath "$0")
source=$(realpath "$1")
notes=$(realpath "$2")
label=$3
cd "$work" || exit 1

rows() {  # of the catalogue, without the header
    sed -n '/^| label | message | cause | cure |$/,/^$/{/^| [-`]/p}' "$notes"
}

change() {  # file sed-command: puts a mistake into it
    cp "$1" before
    sed "$2" before > "$1"
    ! cmp -s before "$1" || fail "$1 has no such line: $2"
}

compile() {  # program compiler [option...]
    "${@:2}" -std=c++17 "$1.cpp" -o "$1" > said 2>&1
}

with_mingw() {  # kind of threads
    need "x86_64-w64-mingw32-g++-$1" "g++-mingw-w64-x86-64-$1"
    compile server "x86_64-w64-mingw32-g++-$1"
}

mistake() {  # program sed-command: one that the compiler sees
    change "$1.cpp" "$2"
    compile "$1" g++
}

build() {  # program [option...]
    compile "$1" g++ -pthread "${@:2}" || fail "$1: $(cat said)"
}

serve() {  # [command...] in front of ./server
    build server
    start_server said "$@" ./server 0
}

serve_python() {
    need python3 python3
    start_server said python3 server.py 0
    end=
    connect Anna
}

run_client() {  # address port
    build client
    ./client "$@" < /dev/null > said 2>&1
}

if [ "$label" = all_are_in_the_catalogue ]; then
    sed -n "s/^\([a-z_0-9]*\)).*/\1/p" "$script" | sed 1d | sort > labels
    rows | sed -n 's/^| `\([^`]*\).*/\1/p' | sort > listed
    rows | grep -vE '^\| (-|`[a-z_0-9]+`) \| `[^|]*` \| [^|]+ \| [^|]+ \|$' &&
        fail "not a row of: label, message, cause, cure"
    diff labels listed && exit
    fail "< has no row in the notes, or > no label in the script"
fi
need g++ g++
[ "$(uname)" = Linux ] && g++ --version | grep -q 'Free Software' || {
    skip "the messages are those of GCC on Linux"
}
message=$(rows | sed -n "s/^| \`$label\` | \(\`*\)\([^|]*\)\1 |.*/\2/p")
[ -n "$message" ] || fail "$notes has no row (with a message) for $label"
cp "$source"/{server.cpp,client.cpp,socket_compat.h} .
cp "$source"/tests/python_version/{server,client}.py .

case $label in
all_are_in_the_catalogue) ;;  # see above
# The compiler and the linker.
header_missing) rm socket_compat.h; compile server g++ ;;
thread_without_ref) mistake server 's/std::ref(client)/client/' ;;
client_copied) mistake server 's/for (auto& \[/for (auto [/' ;;
send_as_in_python) mistake client 's/send_some(\(client_socket\)/send(\1/' ;;
older_standard) g++ -std=c++14 server.cpp -o server > said 2>&1 ;;
gcc_instead_of_gxx) compile server gcc ;;
two_mains) g++ -std=c++17 -pthread ./*.cpp -o chat > said 2>&1 ;;
mingw_win32_threads) with_mingw win32 ;;
no_ws2_32) with_mingw posix ;;

# Starting and connecting.
command_not_found) build server; PATH=/bin bash -c 'server 5300' > said 2>&1 ;;
address_in_use)
    serve
    ! command -v python3 > /dev/null ||
        python3 server.py "$port" 2>&1 | grep -F "$message" || fail "Python"
    ./server "$port" > said 2>&1 ;;
port_below_1024)
    build server
    # As nobody, in a network that has the usual limit, if the system lets us.
    nobody='unshare --user --net'
    $nobody true 2> /dev/null || nobody=
    $nobody timeout 5 ./server 80 > said 2>&1 ;;
connection_refused)  # where a server has been
    serve && kill "$server" && wait "$server"
    run_client 127.0.0.1 "$port" ;;
nobody_answers)
    change server.cpp 's/listen(SERVER, MAX_CLIENTS)/listen(SERVER, 0)/'
    serve && freeze
    dial Anna  # who fills its queue
    run_client 127.0.0.1 "$port" ;;
unknown_name) run_client 127.0..1 5300 ;;  # no name server is asked for that

# Talking.
connection_reset)
    serve
    connect Anna
    freeze
    say Anna Anna
    kill -KILL "$server"
    wait "${reader[Anna]}"
    cp Anna said ;;
exit_code_141) "$source"/tests/experiments/run.sh sigpipe > said ;;
too_many_open_files)
    serve bash -c 'ulimit -n 6; exec "$@"' -
    for name in Anna Bruno Carla; do dial $name; done ;;
bad_file_descriptor)
    change server.cpp 's/^ *::getsockname(SERVER/close_socket(SERVER);&/'
    serve ;;

# Threads and memory.
thread_not_joined)
    change server.cpp '/accept_thread.join();/d'
    serve && kill "$server" ;;
no_more_threads)  # a thread's stack is as large as `ulimit -s` says
    build server
    (ulimit -s 1000000; ulimit -v 500000; timeout 5 ./server 0) > said 2>&1 ;;
segmentation_fault)
    change server.cpp 's/^int main(.*{/& *static_cast<int*>(nullptr) = 0;/'
    build server
    bash -c './server; exit' > said 2>&1 ;;
tsan_does_not_start)  # at the addresses that Linux gave to programs long ago
    build server -fsanitize=thread
    setarch -L timeout 5 ./server 0 > said 2>&1 ;;

# The Python version.
python_dictionary)
    serve_python
    say Anna Anna
    hears Anna Benvenuto
    say Anna ciao
    hears Anna 'Anna: ciao'
    kill -INT "$server" ;;
python_decode) serve_python; say Anna $'Jos\351' ;;  # Latin-1
*) fail "no such test: $label" ;;
esac

# What is running may yet say it.
wait_until grep -F -m 1 -e "$message" said \
    || fail "the notes have '$message', but: $(cat said)"
