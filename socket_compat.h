// socket_compat.h - what server.cpp and client.cpp need and C++ lacks:
//   1. sockets, the same on POSIX (Linux, macOS) and Windows (Winsock)
//   2. the console: Ctrl+C, Ctrl+Z, and the terminal behind the window
//   3. text: Python's print(), int() and decode(); and, new here, splitting the
//      stream that recv() brings into messages
// This is the only file that tests for the platform.

#ifndef SOCKET_COMPAT_H
#define SOCKET_COMPAT_H

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <system_error>

using std::size_t;
using std::string;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// --- 1. sockets -------------------------------------------------------------

#ifdef _WIN32

#define NOMINMAX 1  // otherwise std::min and std::max are hidden by macros
#include <winsock2.h>
#include <ws2tcpip.h>  // getaddrinfo, inet_ntop

using socket_t = SOCKET;  // unsigned: compare it with NO_SOCKET, never `< 0`
using length_t = int;     // of a buffer
const socket_t NO_SOCKET = INVALID_SOCKET;
const int SHUT_WR = SD_SEND;
const int SHUT_RDWR = SD_BOTH;
const int REUSE_ADDRESS = 0;  // here it would let a second server take the port
const milliseconds UNTIL_WOKEN{200};  // shutdown() does not wake WSAPoll()

inline void close_socket(socket_t s) { ::closesocket(s); }
inline int poll(pollfd* p, ULONG n, int ms) { return ::WSAPoll(p, n, ms); }
inline int socket_errno() { return ::WSAGetLastError(); }
inline bool would_block() { return socket_errno() == WSAEWOULDBLOCK; }

inline void set_nonblocking(socket_t s) {
    u_long on = 1;
    ::ioctlsocket(s, static_cast<long>(FIONBIO), &on);
}

inline void start_sockets() {
    WSADATA data;
    ::WSAStartup(MAKEWORD(2, 2), &data);
    ::SetConsoleOutputCP(CP_UTF8);  // for the accents in our texts
}

#else  // POSIX

#include <arpa/inet.h>
#include <csignal>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include <cerrno>

using socket_t = int;
using length_t = size_t;  // of a buffer
const socket_t NO_SOCKET = -1;
const int REUSE_ADDRESS = 1;  // otherwise "Address already in use" for a time
                              // (TIME_WAIT, RFC 9293, section 3.6.1)
const milliseconds UNTIL_WOKEN{-1};  // for ever: shutdown() wakes a poll()

inline void close_socket(socket_t s) { ::close(s); }
inline int socket_errno() { return errno; }
inline bool would_block() { return errno == EAGAIN || errno == EINPROGRESS; }
inline void set_nonblocking(socket_t s) { ::fcntl(s, F_SETFL, O_NONBLOCK); }

// main() calls it first. A send() on a broken connection raises SIGPIPE, which
// would end the program: signal(7). NOTE: after `./server >&-` the first socket
// gets the number 1, and everything printed goes to it.
inline void start_sockets() { std::signal(SIGPIPE, SIG_IGN); }

#endif

// Why the last socket call failed, in the system's words.
inline string socket_error() {
    return std::system_category().message(socket_errno());
}

inline void set_option(socket_t s, int level, int name, int value) {
    ::setsockopt(s, level, name, reinterpret_cast<const char*>(&value),
                 sizeof value);
}

// What both ends of a connection need.
inline void set_up_connection(socket_t s) {
    set_nonblocking(s);  // all waiting for a socket is done in wait_ready()
    // Each message leaves at once: TCP would keep a small one back until the
    // one before is acknowledged (Nagle's algorithm, RFC 896).
    set_option(s, IPPROTO_TCP, TCP_NODELAY, 1);
    // A computer that loses its power sends no goodbye: the system has to ask.
    // (RFC 9293, section 3.8.4. NOTE: Other systems ask after two hours. And
    // the last line also ends a connection whose peer is there, but has not
    // read for 25 s, once all queues on the way are full.)
    set_option(s, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_USER_TIMEOUT  // Linux: see tcp(7)
    set_option(s, IPPROTO_TCP, TCP_KEEPIDLE, 10);         // seconds
    set_option(s, IPPROTO_TCP, TCP_KEEPINTVL, 5);         // seconds
    set_option(s, IPPROTO_TCP, TCP_USER_TIMEOUT, 25000);  // milliseconds
#endif
}

// Waits until the socket is ready, but not longer than `limit`. POLLIN: there
// is something to recv() or accept(), or the stream has ended; POLLOUT: there
// is room for send(). False: it is not.
inline bool wait_ready(socket_t s, short events, milliseconds limit) {
    pollfd p = {s, events, 0};
    return ::poll(&p, 1, static_cast<int>(limit.count())) > 0;
}

// Sends as many of these bytes as the system takes, perhaps none, and erases
// them. False: the connection is broken.
inline bool send_some(socket_t s, string& bytes) {
    const auto n = ::send(s, bytes.data(), length_t(bytes.size()), 0);
    if (n > 0)
        bytes.erase(0, static_cast<size_t>(n));
    return n >= 0 || would_block();
}

// --- 2. the console ---------------------------------------------------------

const unsigned TIME_TO_END = 4;  // seconds from Ctrl+C to a forced end

inline std::atomic<bool> interrupted{false};  // Ctrl+C was pressed

// How many rows the client's window has (0: the terminal is not divided yet),
// or NO_WINDOW: there are only plain lines.
const int NO_WINDOW = -1;
inline std::atomic<int> window_rows{NO_WINDOW};

#ifdef _WIN32

// NOTE: Ctrl+C ends the read() of a console, but not that of a pipe.
inline void on_interrupt() {
    ::SetConsoleCtrlHandler([](DWORD) -> BOOL {
        interrupted = true;
        ::Sleep(TIME_TO_END * 1000);  // in a thread that Windows has started
        std::_Exit(0);
    }, TRUE);
}

// A console gives UTF-16: ReadFile() would lose the accents on Windows 10.
inline bool read_line(string& line) {
    const HANDLE console = ::GetStdHandle(STD_INPUT_HANDLE);
    DWORD size = 0;
    if (!::GetConsoleMode(console, &size))  // it is a file or a pipe
        return std::getline(std::cin, line) && !interrupted;
    WCHAR wide[1024] = {};
    char text[4096] = "";
    if (!::ReadConsoleW(console, wide, 1023, &size, nullptr) || interrupted)
        return false;
    ::WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, 4096, nullptr, nullptr);
    line = text;  // next_message() will drop its "\r\n"
    return text[0] != '\x1A' && text[0] != '\0';  // Ctrl+Z: the end of input
}

inline void ignore_interrupts() {}  // Windows calls the handler in a new thread
inline bool can_print() { return true; }  // NOTE: print() may wait on Windows
inline void never_wait_for_terminal() {}
inline bool open_terminal() { return false; }  // NOTE: there is no window
inline void close_terminal(bool) {}
inline int terminal_rows() { return 0; }

#else  // POSIX

// Lets this signal call `handler`, which may do only what signal-safety(7)
// allows. What was ignored when we started stays ignored: nohup relies on that.
inline void on_signal(int number, void (*handler)(int), unsigned flags = 0) {
    struct sigaction action = {};
    ::sigaction(number, nullptr, &action);
    if (action.sa_handler == SIG_IGN)
        return;
    action.sa_handler = handler;
    action.sa_flags = static_cast<int>(flags);
    ::sigaction(number, &action, nullptr);
}

// At Ctrl+C, Ctrl+\ or a kill, or when the terminal goes away, `interrupted` is
// set, and a read() under way ends. An alarm a second later ends a read() that
// had just begun. After TIME_TO_END the alarm ends the program.
inline void on_interrupt() {
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP})
        on_signal(number, [](int) {
            if (!interrupted.exchange(true))
                ::alarm(1);
        });
    on_signal(SIGALRM, [](int) {
        static std::atomic<unsigned> seconds{0};
        if (++seconds == TIME_TO_END)
            ::_exit(0);
        ::alarm(1);
    });
}

// The thread that calls it gets no signals, so that they reach main, and
// interrupt its read().
inline void ignore_interrupts() {
    sigset_t signals;
    sigfillset(&signals);  // without :: since it can be a macro
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// False for a program that was started with '&': if it read from the terminal,
// the system would stop it (SIGTTIN).
inline bool in_foreground() { return ::tcgetpgrp(0) == ::getpgrp(); }

// Python's input(), without the question. False: no more can be read, or Ctrl+C
// was pressed.
inline bool read_line(string& line) {
    if (interrupted || (::isatty(0) && !in_foreground()))
        return false;
    return std::getline(std::cin, line) && !interrupted;
}

// False if print() would wait: Ctrl+S was pressed, or a pipe is full.
inline bool can_print() { return wait_ready(1, POLLOUT, milliseconds(0)); }

// From now on print() fails where it would wait for a terminal. (O_NONBLOCK
// belongs to the open file, which we share with the shell: we open it again.)
inline void never_wait_for_terminal() {
    const char* name = ::isatty(1) ? ::ttyname(1) : nullptr;
    const int fd = name ? ::open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY) : -1;
    if (fd >= 0 && ::dup2(fd, 1) >= 0)
        ::close(fd);
}

inline int terminal_rows() {
    struct winsize size = {};
    return ::ioctl(1, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

inline struct termios old_terminal;  // as open_terminal() found it

inline void stop_program(int);

// Lets Backspace delete whole letters (IUTF8), sets the handler of Ctrl+Z, and
// marks the window as not divided yet.
inline void take_terminal() {
    struct termios terminal = old_terminal;
    terminal.c_iflag |= IUTF8;
    ::tcsetattr(0, TCSANOW, &terminal);
    on_signal(SIGTSTP, stop_program, SA_RESTART | SA_RESETHAND | SA_NODEFER);
    window_rows = 0;
}

// Ctrl+Z: lets the whole screen scroll again, and only then stops the program.
// (SIGTSTP has its default action here, because of SA_RESETHAND: sigaction(2).)
inline void stop_program(int) {
    window_rows = NO_WINDOW;
    ::poll(nullptr, 0, 5);  // 5 ms: show() may be printing
    if (::write(1, "\033[r\033[999;1H\n", 12) > 0)
        ::raise(SIGTSTP);
    take_terminal();
}

// Sets the terminal up for the window. False: input and output are not one
// terminal that understands control sequences such as ESC[K.
inline bool open_terminal() {
    const char* name = std::getenv("TERM");
    if (!::isatty(0) || !::isatty(1) || !in_foreground() || !name
        || name == string("dumb"))
        return false;
    ::tcgetattr(0, &old_terminal);
    take_terminal();
    return true;
}

// Restores the terminal. `forget` drops what was typed and not read: the shell
// would run it as a command.
inline void close_terminal(bool forget) {
    if (window_rows != NO_WINDOW && in_foreground())
        ::tcsetattr(0, forget ? TCSAFLUSH : TCSANOW, &old_terminal);
}

#endif

// --- 3. text ----------------------------------------------------------------

// Python's print(): a line, in one piece even when several threads print (stdio
// locks the stream for each call), and at once even when standard output is a
// file. False: not all of it could be written.
inline bool print(const string& text, const char* end = "\n") {
    const string line = text + end;
    return std::fwrite(line.data(), line.size(), 1, stdout) == 1
           && std::fflush(stdout) == 0;
}

// Python's int(), for a port: a whole number from `lowest` to 65535; blanks
// around it are allowed. Otherwise it prints an error, and returns -1.
inline int parse_port(const string& text, int lowest) {
    std::istringstream words(text);
    int port = -1;
    if (words >> port && (words >> std::ws).eof() && port >= lowest
        && port <= 65535)
        return port;
    print("La porta è un numero da 1 a 65535.");
    return -1;
}

// Python's int(input(question)), for a port: asks until it gets one. An empty
// line or the end of input means `by_default`.
inline int ask_port(const char* question, int lowest, int by_default) {
    string line;
    int port = -1;
    while (port < 0) {
        print(question, "");
        if (!read_line(line) || line.find_first_not_of(" \t\r\n") == line.npos)
            return by_default;
        port = parse_port(line, lowest);
    }
    return port;
}

// UTF-8 (RFC 3629): a character is one byte 0xxxxxxx, or a first byte 110xxxxx,
// 1110xxxx or 11110xxx and 1, 2 or 3 bytes 10xxxxxx, which continue it.
inline bool continues(char byte) { return (byte & 0xC0) == 0x80; }

// How many bytes a character with this first byte has; 0: none begins with it.
inline size_t length_from(char first) {
    const size_t lengths[] = {1, 0, 2, 3, 4, 0};  // by count of leading 1 bits
    size_t ones = 0;
    while (ones < 5 && (first & (0x80 >> ones)))
        ones++;
    return lengths[ones];
}

// Where a text can be cut without splitting a character: at `size`, or a few
// bytes before. `size` must be at least 1. (A text can end within a character.)
inline size_t place_to_cut(const string& text, size_t size) {
    size_t at = size - 1;
    while (at > 0 && size - at < 4 && continues(text[at]))
        at--;
    return at + length_from(text[at]) > size ? at : size;
}

const char32_t NOT_UTF8 = 0xFFFFFFFF;

// Returns the code point of the character at text[at], and sets `length` to its
// size in bytes. If these are not valid UTF-8: NOT_UTF8, and 1.
inline char32_t decode(const string& text, size_t at, size_t& length) {
    const char32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};  // of each length
    length = length_from(text[at]);
    char32_t c = static_cast<unsigned char>(text[at]) & (0xFFu >> length);
    size_t i = 1;
    for (; i < length && continues(text[at + i]); i++)
        c = c << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3Fu);
    if (i == length && c >= lowest[length] && c <= 0x10FFFF
        && (c < 0xD800 || c > 0xDFFF))  // these are for UTF-16
        return c;
    length = 1;
    return NOT_UTF8;
}

// Makes a text safe to show. A byte that is not UTF-8 becomes a question mark.
// Control characters, line separators and bidirectional controls become spaces:
// they could move another's cursor, or fake a line. No text gets longer.
inline string clean(const string& bytes) {
    string text;
    size_t length = 0;
    for (size_t at = 0; at < bytes.size(); at += length) {
        const char32_t c = decode(bytes, at, length);
        if (c == NOT_UTF8)
            text += '?';
        else if (c < 0x20 || (c >= 0x7F && c < 0xA0)
                 || (c >= 0x2028 && c <= 0x202E)
                 || (c >= 0x2066 && c <= 0x2069))
            text += ' ';
        else
            text.append(bytes, at, length);
    }
    return text;
}

// TCP delivers a stream of bytes, and knows nothing of messages (RFC 9293,
// section 2.2). An Inbox collects what recv() brings until it makes a message.
// Only one thread may use it.
struct Inbox {
    size_t limit = string::npos;  // bytes of a message; a longer one is cut
    bool lines = true;     // a '\n' ends a message
    bool chunks = false;   // the end of what one recv() brings ends one, too:
                           // the peer is bare, like the Python version
    bool is_cut = false;   // the last message was too long: its rest follows
    bool is_rest = false;  // the last message is the rest of one that was cut
    bool at_end = false;   // recv() will bring nothing more
    string received{};     // what is not a message yet
};

// Moves the next message out of the inbox, clean and without its '\n'; skips
// empty ones. False: there is none until recv() brings more.
inline bool next_message(Inbox& inbox, string& message) {
    string& bytes = inbox.received;
    message.clear();
    while (message.empty() && !bytes.empty()) {
        size_t newline = bytes.npos;
        if (inbox.lines)
            newline = bytes.find('\n');
        const bool is_long = std::min(newline, bytes.size()) > inbox.limit;
        size_t size = 0;  // of the message with its '\n'; 0: it is not complete
        if (is_long)
            size = place_to_cut(bytes, inbox.limit);
        else if (newline != bytes.npos)
            size = newline + 1;
        else if (inbox.at_end)
            size = bytes.size();
        else if (inbox.chunks)
            size = place_to_cut(bytes, bytes.size());
        if (size == 0)
            return false;
        size_t end = std::min(size, newline);
        if (!is_long && end > 0 && bytes[end - 1] == '\r')
            end--;
        message = clean(bytes.substr(0, end));
        bytes.erase(0, size);
        inbox.is_rest = inbox.is_cut;
        inbox.is_cut = is_long;
    }
    if (inbox.is_rest && message == "{quit}")
        message += ' ';  // the end of a long line, and not the command
    return !message.empty();
}

// What receive_into() can return instead of a number of bytes. LOST: the
// connection is broken; TIME_UP: nothing came within `limit`.
enum { LOST = -1, TIME_UP = -2 };

// Python's recv() with settimeout(), into the inbox; from a bare peer at most
// one message. Returns how many bytes came (0: the stream has ended), or LOST,
// or TIME_UP.
inline int receive_into(Inbox& inbox, socket_t s, milliseconds limit) {
    size_t size = 4096;
    if (inbox.chunks)
        size = std::min(size, inbox.limit - inbox.received.size());
    if (!wait_ready(s, POLLIN, limit))
        return TIME_UP;
    string bytes(size, ' ');  // on the stack it would cost each thread 4 kB
    const auto n = static_cast<int>(
        ::recv(s, &bytes[0], static_cast<length_t>(size), 0));
    if (n > 0)
        inbox.received.append(bytes, 0, static_cast<size_t>(n));
    inbox.at_end = n <= 0;
    return n;
}

#endif
