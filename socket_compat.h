// socket_compat.h - what server.cpp and client.cpp need and C++ lacks.
//
// Part 1: sockets, the same on POSIX (Linux, macOS) and on Windows (Winsock).
//         This is the only place with a test for the platform.
// Part 2: text: what Python's print(), int() and decode() do, and what nobody
//         did for it: to make messages of what recv() brings.

#ifndef SOCKET_COMPAT_H
#define SOCKET_COMPAT_H

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstdio>
#include <iostream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using std::chrono::milliseconds;

// ---------------------------------------------------------------------------
// Part 1: sockets
// ---------------------------------------------------------------------------

#ifdef _WIN32

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN  // else windows.h brings the old winsock.h along
#endif
#ifndef NOMINMAX
#define NOMINMAX  // else windows.h turns std::min and std::max into macros
#endif
#include <winsock2.h>
#include <ws2tcpip.h>  // getaddrinfo, inet_ntop
#include <windows.h>
#include <shellapi.h>  // CommandLineToArgvW

#if defined(__MINGW32__) && !defined(_GLIBCXX_HAS_GTHREADS)
#error "No std::thread here: use a MinGW-w64 with the posix thread model"
#endif
#ifdef _MSC_VER
#pragma comment(lib, "ws2_32")  // MinGW: add -lws2_32 to the command
#pragma comment(lib, "shell32")
#endif

using socket_t = SOCKET;  // unsigned: compare with NO_SOCKET, never `< 0`
using length_t = int;  // of a buffer
const socket_t NO_SOCKET = INVALID_SOCKET;
const milliseconds UNTIL_WOKEN{200};  // shutdown() wakes no WSAPoll()

inline void close_socket(socket_t s) { ::closesocket(s); }
inline int poll_one(pollfd* p, int ms) { return ::WSAPoll(p, 1, ms); }
inline bool would_block() { return ::WSAGetLastError() == WSAEWOULDBLOCK; }
inline bool no_descriptors() { return ::WSAGetLastError() == WSAEMFILE; }

inline void set_nonblocking(socket_t s)
{
    u_long yes = 1;
    ::ioctlsocket(s, FIONBIO, &yes);
}

// On Windows SO_REUSEADDR would let a second program take the port, and a
// port can be bound again at once without it.
inline void set_reuse_address(socket_t) {}

// Windows speaks UTF-16, we UTF-8. Returns `wide` up to its end of line.
inline std::string to_utf8(const WCHAR* wide)
{
    char text[1024] = "";
    ::WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, sizeof text - 1, nullptr,
                          nullptr);
    const std::string all = text;
    return all.substr(0, all.find_first_of("\r\n"));
}

// What an error code of Winsock means, in the system's words.
inline std::string error_text(int code)
{
    WCHAR text[256] = {};
    ::FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS,
                     nullptr, static_cast<DWORD>(code), 0, text, 255, nullptr);
    return to_utf8(text) + " (" + std::to_string(code) + ")";
}

inline std::string socket_error() { return error_text(::WSAGetLastError()); }
inline std::string address_error(int code) { return error_text(code); }

// The words on the command line behind the program's name.
inline std::vector<std::string> arguments(int, char*[])
{
    int count = 0;
    WCHAR** wide = ::CommandLineToArgvW(::GetCommandLineW(), &count);
    std::vector<std::string> words;
    for (int i = 1; i < count; i++)
        words.push_back(to_utf8(wide[i]));
    ::LocalFree(wide);
    return words;
}

inline void start_sockets()
{
    WSADATA data;
    ::WSAStartup(MAKEWORD(2, 2), &data);
    ::SetConsoleOutputCP(CP_UTF8);  // for the accents in our texts
    ::SetConsoleCP(CP_UTF8);
}

inline void on_interrupt(void (*handler)(int))
{
    static void (*call)(int) = nullptr;
    call = handler;
    ::SetConsoleCtrlHandler([](DWORD) -> BOOL {
        call(0);      // in a thread that Windows starts for it
        return TRUE;  // handled: do not end the program
    }, TRUE);
}

// Ends the program with code 0 after so many seconds, whatever is stuck.
inline void end_within(unsigned seconds)
{
    std::thread([seconds] {
        std::this_thread::sleep_for(std::chrono::seconds(seconds));
        std::_Exit(0);
    }).detach();
}

inline bool is_terminal() { return false; }  // NOTE: plain lines here
inline int terminal_rows() { return 0; }
inline void watch_terminal() {}
inline void drop_typed() {}
inline void go_on_after_ctrl_s() {}
inline void stop_program() {}
inline std::atomic<bool> stop_asked{false};
inline std::atomic<bool> has_gone_on{false};

inline void ignore_interrupts() {}  // no thread is chosen: it gets its own
inline bool end_input() { return false; }  // a console does it by itself

#else  // POSIX

#include <arpa/inet.h>
#include <csignal>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

using socket_t = int;
using length_t = std::size_t;  // of a buffer
const socket_t NO_SOCKET = -1;
const milliseconds UNTIL_WOKEN{-1};  // shutdown() wakes who is in poll()

inline void close_socket(socket_t s) { ::close(s); }
inline int poll_one(pollfd* p, int ms) { return ::poll(p, 1, ms); }
inline bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }
inline bool no_descriptors() { return errno == EMFILE || errno == ENFILE; }

inline void set_nonblocking(socket_t s)
{
    ::fcntl(s, F_SETFL, ::fcntl(s, F_GETFL, 0) | O_NONBLOCK);
}

// Without it bind() says "Address already in use" for a minute after the
// server has closed its connections (TIME_WAIT, RFC 9293 section 3.6.1).
inline void set_reuse_address(socket_t s)
{
    const int yes = 1;
    ::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

// Why the last socket call failed, in the system's words; and why
// getaddrinfo() did.
inline std::string socket_error() { return std::strerror(errno); }
inline std::string address_error(int code) { return ::gai_strerror(code); }

// The words on the command line behind the program's name.
inline std::vector<std::string> arguments(int argc, char* argv[])
{
    return {argv + 1, argv + argc};
}

inline void start_sockets()
{
    // Else a send() to a peer that has gone, or a log that is longer than
    // `ulimit -f` allows, ends the program: signal(7).
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    // Descriptors 0 to 2 are taken, also after `./server >&-`: else a socket
    // could get one of them, and with it what is printed.
    int fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2)
        fd = ::open("/dev/null", O_RDWR);
    ::close(fd);
}

// Calls `handler` on Ctrl+C and Ctrl+\, kill, and when the terminal goes away.
// It may do only what signal-safety(7) allows: set a flag, call end_input().
inline void on_interrupt(void (*handler)(int))
{
    struct sigaction action = {};
    action.sa_handler = handler;  // no SA_RESTART: a read() under way ends
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGQUIT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGHUP, &action, nullptr);
}

// Ends the program with code 0 after so many seconds, whatever is stuck. A
// signal handler may call it.
inline void end_within(unsigned seconds)
{
    struct sigaction action = {};
    action.sa_handler = [](int) { ::_exit(0); };
    ::sigaction(SIGALRM, &action, nullptr);
    ::alarm(seconds);
}

// True if people read and write here, at a terminal that knows sequences like
// ESC[K (ECMA-48); not for a pipe, TERM=dumb, or a program started with '&'.
inline bool is_terminal()
{
    const char* name = std::getenv("TERM");
    return ::isatty(0) && ::isatty(1) && ::tcgetpgrp(1) == ::getpgrp() && name
           && *name && std::string(name) != "dumb";
}

inline int terminal_rows()
{
    struct winsize size = {};
    return ::ioctl(1, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

// Forgets what has been typed and not been read.
inline void drop_typed() { ::tcflush(1, TCIFLUSH); }

// If Ctrl+S has stopped the terminal, it goes on: it takes both calls. A signal
// handler may call it.
inline void go_on_after_ctrl_s()
{
    if (::tcgetpgrp(1) != ::getpgrp())
        return;  // in the background the calls would stop the program
    ::tcflow(1, TCOOFF);
    ::tcflow(1, TCOON);
}

// The first is set by Ctrl+Z: who sees it gives the terminal back, and calls
// stop_program(). The second, when the program goes on after a stop.
inline std::atomic<bool> stop_asked{false};
inline std::atomic<bool> has_gone_on{false};

inline void stop_program() { ::raise(SIGSTOP); }

// From now on these two are set.
inline void watch_terminal()
{
    struct sigaction action = {};
    action.sa_flags = SA_RESTART;  // main's read() at the keyboard goes on
    action.sa_handler = [](int number) {
        (number == SIGTSTP ? stop_asked : has_gone_on) = true;
    };
    ::sigaction(SIGTSTP, &action, nullptr);
    ::sigaction(SIGCONT, &action, nullptr);
}

// The thread that calls it gets no interrupts: another one does.
inline void ignore_interrupts()
{
    sigset_t signals;
    sigfillset(&signals);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// Standard input is at its end from now on, also for a read() that has not
// begun yet, which the signal cannot end. A signal handler may call it.
// False: that cannot be done here.
inline bool end_input()
{
    const int old_errno = errno;  // whom the signal interrupts may look at it
    go_on_after_ctrl_s();
    const int nothing = ::open("/dev/null", O_RDONLY);
    const bool done = nothing >= 0 && ::dup2(nothing, 0) == 0;
    if (nothing > 0)
        ::close(nothing);
    errno = old_errno;
    return done;
}

#endif

// What recv_some() and send_some() return instead of a number of bytes.
const int LOST = -1;     // the connection is broken
const int TIME_UP = -2;  // nothing came in the time given

// Waits for something to read, a new connection or an end included, but not
// longer than `limit`. False: not yet.
inline bool wait_readable(socket_t s, milliseconds limit)
{
    pollfd p = {};
    p.fd = s;
    p.events = POLLIN;
    return poll_one(&p, static_cast<int>(limit.count())) > 0;
}

// Python's recv() under settimeout(): returns the number of bytes read, 0 at
// the end of the stream, LOST or TIME_UP.
inline int recv_some(socket_t s, char* buffer, std::size_t size,
                     milliseconds limit)
{
    if (!wait_readable(s, limit))
        return TIME_UP;
    const auto n = static_cast<int>(
        ::recv(s, buffer, static_cast<length_t>(size), 0));
    return n >= 0 ? n : would_block() ? TIME_UP : LOST;
}

// Hands bytes to the system: returns how many it took, or LOST. On a
// non-blocking socket it may take none of them: 0.
inline int send_some(socket_t s, const char* data, std::size_t size)
{
    const auto n = static_cast<int>(
        ::send(s, data, static_cast<length_t>(size), 0));
    return n >= 0 ? n : would_block() ? 0 : LOST;
}

// Python's sendall(), on a blocking socket: send() may take only a part.
inline bool send_all(socket_t s, const std::string& data)
{
    std::size_t sent = 0;
    while (sent < data.size()) {
        const int n = send_some(s, data.data() + sent, data.size() - sent);
        if (n <= 0)
            return false;
        sent += static_cast<std::size_t>(n);
    }
    return true;
}

// Every message leaves at once: TCP would keep a small one back until the one
// before is acknowledged, up to 40 ms (Nagle's algorithm, RFC 896).
inline void set_no_delay(socket_t s)
{
    const int yes = 1;
    ::setsockopt(s, IPPROTO_TCP, TCP_NODELAY,
                 reinterpret_cast<const char*>(&yes), sizeof yes);
}

// Python's accept(): the new connection, and its address as "IP:PORT";
// NO_SOCKET if there is none. Neither recv() nor send() blocks on it: waiting
// is done in poll(), with a time limit.
inline socket_t accept_client(socket_t listener, std::string& address)
{
    sockaddr_in from = {};
    socklen_t length = sizeof from;
    const socket_t s
        = ::accept(listener, reinterpret_cast<sockaddr*>(&from), &length);
    if (s != NO_SOCKET) {
        char ip[INET_ADDRSTRLEN] = "";
        ::inet_ntop(AF_INET, &from.sin_addr, ip, sizeof ip);
        address = std::string(ip) + ":" + std::to_string(ntohs(from.sin_port));
        set_nonblocking(s);
        set_no_delay(s);
    }
    return s;
}

// Ends the connection, so that who waits in recv_some() reads an end. The
// number stays valid until close_socket(), which is for the owner alone: the
// system gives a closed number to the next connection.
inline void shutdown_socket(socket_t s)
{
    ::shutdown(s, 2);  // both ways: SHUT_RDWR here, SD_BOTH on Windows
}

// Ends the connection so that the peer gets all that was sent: close() with
// bytes unread makes an RST, which destroys what is under way (RFC 2525,
// section 2.17). So what comes is thrown away, until the peer closes or `limit`
// has passed.
inline void finish_socket(socket_t s, milliseconds limit)
{
    ::shutdown(s, 1);  // our way: SHUT_WR here, SD_SEND on Windows
    const auto deadline = std::chrono::steady_clock::now() + limit;
    char unread[4096];
    while (recv_some(s, unread, sizeof unread, limit) > 0
           && std::chrono::steady_clock::now() < deadline) {
    }
}

// ---------------------------------------------------------------------------
// Part 2: text
// ---------------------------------------------------------------------------

// Python's print(): one whole line, at once, even when several threads print
// (stdio locks the stream for each call) and when standard output is a file.
// False: not all of it could be written.
inline bool print(const std::string& text, const char* end = "\n")
{
    const std::string line = text + end;
    const std::size_t n = std::fwrite(line.data(), 1, line.size(), stdout);
    return std::fflush(stdout) == 0 && n == line.size();
}

// Python's Thread(target=run).start(). If the system gives no thread it calls
// `give_up`, says so, and ends the program.
inline std::thread start_thread(void (*run)(), void (*give_up)() = nullptr)
{
    try {
        return std::thread(run);
    } catch (const std::system_error&) {
        if (give_up)
            give_up();
        print("Il sistema non ha più risorse: chiudi qualche programma e"
              " riprova.");
        std::_Exit(1);
    }
}

// Python's int(), for a port: -1 unless the text is a whole number from
// `lowest` to 65535 and nothing else.
inline int parse_port(const std::string& text, int lowest)
{
    if (text.empty() || text.size() > 5
        || text.find_first_not_of("0123456789") != std::string::npos)
        return -1;
    const int port = std::stoi(text);
    return port >= lowest && port <= 65535 ? port : -1;
}

// Python's input() and int(), for a port: asks until it is one. An empty line
// or the end of input means `by_default`.
inline int ask_port(const char* question, int lowest, int by_default)
{
    for (;;) {
        print(question, "");
        std::string answer;
        if (!std::getline(std::cin, answer) || answer.empty())
            return by_default;
        const int port = parse_port(answer, lowest);
        if (port >= 0)
            return port;
        print("La porta è un numero da " + std::to_string(lowest)
              + " a 65535: riprova.");
    }
}

// The length in bytes of the UTF-8 character at text[at]; 0: its last bytes
// have yet to come. Where it is no UTF-8, `valid` is false and the length is
// that of the part to replace (Unicode Standard, section 3.9, table 3-7).
inline std::size_t character_at(const std::string& text, std::size_t at,
                                bool& valid)
{
    const auto lead = static_cast<unsigned char>(text[at]);
    valid = lead < 0x80 || (lead >= 0xC2 && lead <= 0xF4);
    if (lead < 0x80 || !valid)
        return 1;
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    // The second byte is 80..BF, but no overlong form (E0, F0), no surrogate
    // (ED), nothing above U+10FFFF (F4).
    unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (std::size_t i = 1; i < length; i++) {
        if (at + i == text.size())
            return 0;
        const auto byte = static_cast<unsigned char>(text[at + i]);
        valid = byte >= lowest && byte <= highest;
        if (!valid)
            return i;
        lowest = 0x80;
        highest = 0xBF;
    }
    return length;
}

inline bool is_plain(char c) { return c >= ' ' && c <= '~'; }

// Python's decode() of one character, made safe for a terminal: control
// characters (C0, DEL, C1) become spaces, what is no UTF-8 becomes U+FFFD, and
// "\r\n" is one '\n'. Returns how many bytes of text it takes; 0: too few yet.
inline std::size_t decode_at(const std::string& text, std::size_t at,
                             std::string& shown)
{
    if (text[at] == '\r' && at + 1 == text.size())
        return 0;
    shown = "\n";
    if (text[at] == '\n')
        return 1;
    if (text[at] == '\r' && text[at + 1] == '\n')
        return 2;
    bool valid = true;
    const std::size_t length = character_at(text, at, valid);
    shown = text.substr(at, length);
    if (!valid)
        shown = "\xEF\xBF\xBD";  // U+FFFD, the replacement character
    else if (length == 1 && !is_plain(shown[0]))
        shown = " ";
    else if (length == 2 && shown < "\xC2\xA0")
        shown = " ";  // U+0080 to U+009F are control characters too
    return length;
}

struct Message {
    std::string text;      // clean, not empty, without its '\n'
    bool is_rest = false;  // the rest of one that was too long

    bool is_quit() const { return text == "{quit}" && !is_rest; }
};

// TCP is a stream: it keeps the bytes in order, but not what was sent
// together (RFC 9293, section 2.2). An Inbox collects what recv() brings until
// it makes a message. One thread uses it at a time. From a line peer '\n' ends
// a message; from a bare one the end of what recv() brought does, and for the
// server '\n' as well.
struct Inbox {
    std::size_t limit = 0;      // bytes in a message; a longer one is cut
    bool lines = true;          // '\n' ends a message (else it is a space)
    bool chunks = false;        // the end of what has been received does
    std::string received;       // bytes that have not been looked at
    std::string text;           // the message so far, clean
    bool text_is_rest = false;  // its first part was full, and has been taken
    bool at_end = false;        // recv() will bring nothing more

    bool is_empty() const
    {
        return received.empty() && text.empty() && !text_is_rest;
    }
};

// recv() has brought the last byte: what there is, is the last message.
inline void end_inbox(Inbox& inbox)
{
    inbox.received += '\n';
    inbox.lines = inbox.at_end = true;
}

// Appends printable ASCII from received[at] on to the text, as far as there is
// some and it fits: most texts are nothing else. Returns how much.
inline std::size_t take_plain(Inbox& inbox, std::size_t at)
{
    const std::size_t room = inbox.limit - inbox.text.size();
    std::size_t n = 0;
    while (n < room && at + n < inbox.received.size()
           && is_plain(inbox.received[at + n]))
        n++;
    inbox.text.append(inbox.received, at, n);
    return n;
}

// Moves the next message out of the inbox; an empty one is ignored. False:
// there is none before more bytes come.
inline bool next_message(Inbox& inbox, Message& message)
{
    std::size_t at = take_plain(inbox, 0);  // the next byte to look at
    bool complete = false;  // inbox.text is a message
    bool full = false;      // inbox.text is a message, and its rest follows
    std::string shown;
    while (at < inbox.received.size() && !complete && !full) {
        const std::size_t length = decode_at(inbox.received, at, shown);
        if (length == 0)
            break;  // the rest of this character has yet to come
        if (shown == "\n" && inbox.lines)
            complete = !inbox.text.empty();
        else if (inbox.text.size() + shown.size() > inbox.limit)
            full = true;
        else
            inbox.text += shown == "\n" ? " " : shown;
        if (!full)
            at += length;
        if (!full && !complete)
            at += take_plain(inbox, at);
    }
    inbox.received.erase(0, at);
    if (inbox.chunks && inbox.received == "\r")
        inbox.received.clear();  // here it can only have been an end of line
    if (inbox.chunks && !inbox.text.empty())
        complete = true;
    if (!complete && !full)
        return false;
    message = {inbox.text, inbox.text_is_rest};
    inbox.text.clear();
    inbox.text_is_rest = full;
    return true;
}

#endif
