// support.h - what all tests share: run the programs, talk to them over
// sockets, pipes and terminals, compare what comes back byte for byte.
//
// The tests see what a user or a peer sees, and nothing else. No test fails
// because a machine is slow: LIMIT only ends what hangs. CHAT_SERVER and
// CHAT_CLIENT in the environment replace the programs ("wine server.exe").

#pragma once

#include "text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <thread>

using std::to_string;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Strings = std::vector<string>;
using Prepare = std::function<void()>;  // runs in a new process, at its start

// A number from the environment.
inline int number_from(const char* variable, int by_default) {
    const char* value = std::getenv(variable);
    return value && *value ? std::atoi(value) : by_default;
}

// No answer takes this long, however slow the machine: something hangs.
// CHAT_LIMIT (milliseconds) shortens it where a hang is what is expected.
const milliseconds LIMIT{number_from("CHAT_LIMIT", 60000)};

// What the server tells a peer, and what the programs print.
const string GREETING = "CIAO! Digita il tuo Nome seguito dal tasto Invio!";
const string INTERRUPTED = "La connessione con il server e' stata interrotta\n";
const string WAITING = "Connessione in corso...\n";
const string LEAVING = "Uscendo dalla chat...\n";
const string CLOSING = "Terminazione del server...\n";

// --- checks -----------------------------------------------------------------

[[noreturn]] inline void fail(const string& why) {
    std::cout << "FAILED: " << why << std::endl;
    std::_Exit(1);
}

[[noreturn]] inline void skip(const string& why) {
    std::cout << "skipped: " << why << std::endl;
    std::_Exit(77);  // for CTest: SKIP_RETURN_CODE
}

inline void check(bool condition, const string& what) {
    if (!condition)
        fail(what);
}

inline void check_equal(const string& got, const string& wanted,
                        const string& what) {
    if (got != wanted)
        fail(what + "\n  wanted: " + printable(wanted) + "\n  got:    "
             + printable(got));
}

inline void check_equal(long got, long wanted, const string& what) {
    check_equal(to_string(got), to_string(wanted), what);
}

inline string repeat(const string& text, size_t times) {
    string result;
    for (size_t i = 0; i < times; i++)
        result += text;
    return result;
}

// So many lines: this text, and a number.
inline string numbers(const string& text, int count) {
    string lines;
    for (int i = 0; i < count; i++)
        lines += text + to_string(i) + "\n";
    return lines;
}

inline bool ends_with(const string& text, const string& end) {
    const size_t size = std::min(text.size(), end.size());
    return text.compare(text.size() - size, size, end) == 0;
}

// How often `part` stands in a text.
inline long count_of(const string& text, const string& part) {
    long count = 0;
    for (size_t at = 0; (at = text.find(part, at)) != string::npos; at++)
        count++;
    return count;
}

inline void pause_for(int ms) {
    std::this_thread::sleep_for(milliseconds(ms));
}
inline void wait_until(const string& what,
                       const std::function<bool()>& condition) {
    const auto deadline = steady_clock::now() + LIMIT;
    for (; !condition(); pause_for(5))
        check(steady_clock::now() < deadline, "waited in vain: " + what);
}

// A busy machine can spoil what depends on the time between two events. So
// that is tried again and again, and must come right once.
inline void check_in_some_try(const string& what,
                              const std::function<bool()>& comes_right) {
    for (int i = 0; i < 20; i++)
        if (comes_right())
            return;
    fail("never in 20 tries: " + what);
}

// Fails unless this is UTF-8 that does a terminal no harm.
inline void check_clean(const string& text) {
    for (size_t at = 0, length = 1; at < text.size(); at += length) {
        length = 1;
        if (text[at] == '\n' || (text[at] >= ' ' && text[at] <= '~'))
            continue;  // the fast way, for most
        const string shown = shown_at(text, at, length);
        if (shown != text.substr(at, length))
            fail("not clean, byte " + to_string(at) + " of:  "
                 + printable(text.substr(at < 60 ? 0 : at - 60, 120)));
    }
}

// --- a stream of bytes, from a socket or a pipe -----------------------------

class Stream {
public:
    // A Windows program prints "\r\n" for '\n', and so does a terminal:
    // `drop_returns` drops the '\r'.
    explicit Stream(int fd = -1, bool drop_returns = false)
        : fd_(fd), drop_returns_(drop_returns) {}
    Stream(Stream&& other) noexcept { *this = std::move(other); }
    Stream& operator=(Stream&& other) noexcept {
        std::swap(fd_, other.fd_);
        std::swap(got_, other.got_);
        std::swap(ignored_, other.ignored_);
        std::swap(drop_returns_, other.drop_returns_);
        return *this;
    }
    ~Stream() { close(); }

    int fd() const { return fd_; }
    const string& got() const { return got_; }  // read, not yet expected
    void ignore(const string& line) { ignored_ = line; }
    void close() {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
    }

    // Reads once, waiting up to `limit`. False: the end, or nothing came.
    bool read_some(milliseconds limit = LIMIT, size_t most = 1 << 16) {
        pollfd p = {fd_, POLLIN, 0};
        if (::poll(&p, 1, static_cast<int>(limit.count())) <= 0)
            return false;
        static thread_local char buffer[1 << 16];
        const ssize_t n = ::read(fd_, buffer, most);
        at_end_ = n <= 0;
        for (ssize_t i = 0; i < n; i++)
            if (!drop_returns_ || buffer[i] != '\r')
                got_ += buffer[i];
        if (got_.compare(0, ignored_.size(), ignored_) == 0)
            got_.erase(0, ignored_.size());
        return n > 0;
    }

    // What is there, or what one recv(`most`) brings.
    string read_chunk(size_t most = 1 << 16) {
        check(!got_.empty() || read_some(LIMIT, most), "nothing comes");
        return std::exchange(got_, "");
    }

    // The next bytes are exactly these.
    void expect(const string& wanted) {
        while (got_.size() < wanted.size()
               && wanted.compare(0, got_.size(), got_) == 0 && read_some()) {}
        if (got_.compare(0, wanted.size(), wanted) != 0)
            fail("wrong text\n  wanted: " + printable(wanted) + what_came());
        got_.erase(0, wanted.size());
    }

    void expect_line(const string& wanted) { expect(wanted + "\n"); }
    void expect_end() { check_equal(rest(), "", "after the end"); }
    void send_line(const string& text) { send(text + "\n"); }

    // Drops everything up to and with this text; returns what was dropped.
    string skip_to(const string& wanted) {
        size_t at = 0;
        if (!read_to(wanted, at))
            fail("never came: " + printable(wanted) + what_came());
        const string dropped = got_.substr(0, at + wanted.size());
        got_.erase(0, dropped.size());
        return dropped;
    }

    // The next line, without its '\n'. False: the end.
    bool next_line(string& line) {
        size_t end = 0;
        if (!read_to("\n", end))
            return false;
        line.assign(got_, 0, end);
        got_.erase(0, end + 1);
        return true;
    }

    string read_line() {
        const string line = skip_to("\n");
        return line.substr(0, line.size() - 1);
    }

    // Everything up to the end of the stream.
    string rest() {
        at_end_ = false;
        while (read_some()) {}
        if (!at_end_)
            fail("no end came" + what_came());
        return std::exchange(got_, "");
    }

    void send(const string& bytes) {
        for (size_t sent = 0; sent < bytes.size();) {
            const ssize_t n = ::write(fd_, &bytes[sent], bytes.size() - sent);
            check(n > 0, string("cannot write: ") + std::strerror(errno));
            sent += static_cast<size_t>(n);
        }
    }

protected:
    // Reads until this text is there. False: it never comes.
    bool read_to(const string& wanted, size_t& at) {
        size_t from = 0;
        while ((at = got_.find(wanted, from)) == string::npos) {
            from = got_.size() - std::min(got_.size(), wanted.size());
            if (!read_some(LIMIT, 1 << 14))  // few: each line moves the rest
                return false;
        }
        return true;
    }

    string what_came() const {
        return "\n  got:    " + printable(got_) + (at_end_ ? ", the end" : "");
    }

    int fd_ = -1;
    string got_;
    string ignored_;  // a line that may come first, or not
    bool at_end_ = false;
    bool drop_returns_ = false;
};

// Fills a pipe or a connection until nothing more is taken.
inline void fill(int fd, const string& text) {
    pollfd p = {fd, POLLOUT, 0};
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    while (::poll(&p, 1, 200) > 0)
        check(::write(fd, text.data(), text.size()) > 0, "cannot fill it");
}

inline sockaddr_in address_of(int port, const char* ip = "127.0.0.1") {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, ip, &address.sin_addr);
    address.sin_port = htons(static_cast<uint16_t>(port));
    return address;
}

inline int port_of(int fd) {
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
}

inline void set_option(int fd, int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
}

// How much the two systems keep for a peer that does not read.
enum Buffers {
    USUAL,     // megabytes
    SMALL,     // a few kilobytes on the peer's side
    SMALLEST,  // on the server's side too: it counts the packets' overhead,
               // and the packets are small
};

// A connected socket; -1: there is none to be had.
inline int dial(int port, Buffers buffers = USUAL) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (buffers != USUAL)
        set_option(fd, SOL_SOCKET, SO_RCVBUF, 2048);
    if (buffers == SMALLEST)
        set_option(fd, IPPROTO_TCP, TCP_MAXSEG, 88);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    const sockaddr_in address = address_of(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address),
                  sizeof address) == 0)
        return fd;
    ::close(fd);
    return -1;
}

struct Peer : Stream {
    using Stream::Stream;

    static Peer connect(int port, Buffers buffers = USUAL) {
        Peer peer(dial(port, buffers));
        check(peer.fd() >= 0, "cannot connect");
        return peer;
    }
    static Peer greeted(int port, Buffers buffers = USUAL) {
        Peer peer = connect(port, buffers);
        peer.expect_line(GREETING);
        return peer;
    }

    // One that has joined the room: a line peer, or with no `end` of a message
    // a bare one, as the Python client is.
    static Peer join(int port, const string& name, Buffers buffers = USUAL,
                     const string& end = "\n") {
        Peer peer = greeted(port, buffers);
        peer.send(name + end);
        peer.expect(welcome(name) + end);
        return peer;
    }
    static string welcome(const string& name) {
        return "Benvenuto " + name
               + "! Se vuoi lasciare la Chat, scrivi {quit} per uscire.";
    }

    string address() const { return "127.0.0.1:" + to_string(port_of(fd_)); }

    void half_close() { ::shutdown(fd_, SHUT_WR); }
    void reset() {  // close with an RST
        const linger now = {1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }
};

// How a peer ends its connection; nullptr: it does not.
using End = void (Peer::*)();

// A server of the test's own, for the client to meet.
struct Listener {
    static const int DEAF = -1;  // it holds its port, and does not listen

    explicit Listener(int backlog = 50, const char* ip = "127.0.0.1",
                      int port = 0) {
        // Another one may listen on a port that we hold.
        set_option(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1);
        sockaddr_in address = address_of(port, ip);
        check(::bind(socket.fd(), reinterpret_cast<sockaddr*>(&address),
                     sizeof address) == 0
                  && (backlog == DEAF || ::listen(socket.fd(), backlog) == 0),
              "cannot listen");
    }
    int port() const { return port_of(socket.fd()); }
    Peer accept() const {
        pollfd p = {socket.fd(), POLLIN, 0};
        check(::poll(&p, 1, static_cast<int>(LIMIT.count())) > 0,
              "nobody connects");
        return Peer(::accept4(p.fd, nullptr, nullptr, SOCK_CLOEXEC));
    }

    Stream socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

inline Strings operator+(Strings words, const Strings& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

// A path is one word, whatever is in it; "wine server.exe" is two.
inline Strings words_of(const string& command) {
    std::istringstream words(command);
    if (::access(command.c_str(), F_OK) == 0)
        return {command};
    return {std::istream_iterator<string>(words), {}};
}

class Program {
public:
    Stream in;      // its standard input: write
    Stream out;     // its standard output: read
    string errors;  // its standard error, once it has ended

    Program(const string& command, const Strings& arguments,
            const Prepare& prepare = nullptr) {
        ::signal(SIGPIPE, SIG_IGN);
        int in_pipe[2];
        int out_pipe[2];
        check(::pipe2(in_pipe, O_CLOEXEC) == 0
                  && ::pipe2(out_pipe, O_CLOEXEC) == 0, "no pipe");
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(in_pipe[0], 0);
            ::dup2(out_pipe[1], 1);
            ::dup2(::fileno(error_file_), 2);
            ::signal(SIGPIPE, SIG_DFL);
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it never outlives the test
            if (prepare)
                prepare();
            Strings words = words_of(command) + arguments;
            std::vector<char*> argv;
            for (string& word : words)
                argv.push_back(&word[0]);
            argv.push_back(nullptr);
            ::execvp(argv[0], argv.data());
            std::perror(argv[0]);
            ::_exit(126);
        }
        ::close(in_pipe[0]);
        ::close(out_pipe[1]);
        in = Stream(in_pipe[1]);
        out = Stream(out_pipe[0], command.find(".exe") != string::npos);
    }
    ~Program() {
        if (is_running()) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        std::fclose(error_file_);
    }

    pid_t pid() const { return pid_; }
    void signal(int number) const {
        if (pid_ > 0)  // -1, after its end, would mean everybody
            ::kill(pid_, number);
    }
    bool is_running() {
        int status = 0;
        if (pid_ < 0 || ::waitpid(pid_, &status, WNOHANG) != pid_)
            return pid_ > 0;
        pid_ = -1;
        code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                    : WEXITSTATUS(status);
        std::rewind(error_file_);
        for (int c; (c = std::fgetc(error_file_)) != EOF;)
            errors += static_cast<char>(c);
        return false;
    }

    // Waits until it ends by itself, with this exit code (128 + N: signal N)
    // and with nothing on its standard error: no word from a sanitizer.
    void expect_exit(int wanted) {
        wait_until("the program ends", [&] { return !is_running(); });
        if (code_ != wanted)
            fail("exit code " + to_string(code_) + ", not " + to_string(wanted)
                 + "; it said " + printable(out.got()) + "\n" + errors);
        check_equal(errors, "", "standard error");
    }

    int read_port() {  // a server says it first
        out.skip_to("In attesa di connessioni... (porta ");
        return std::atoi(out.skip_to(")\n").c_str());
    }

    void expect_end(const string& text, int code) {  // it says only this
        check_equal(out.rest(), text, "the last that it says");
        expect_exit(code);
    }
    void expect_last_word(const string& text, int code) {
        out.skip_to(text);
        out.rest();
        expect_exit(code);
    }

private:
    pid_t pid_ = -1;
    int code_ = -1;
    std::FILE* error_file_ = std::tmpfile();
};

inline string program(const char* variable, const char* built) {
    const char* other = std::getenv(variable);
    return other && *other ? other : built;
}

inline string server_program() { return program("CHAT_SERVER", SERVER_PATH); }
inline string client_program() { return program("CHAT_CLIENT", CLIENT_PATH); }

// It ends as it should, at the latest with the test.
struct Server : Program {
    explicit Server(const Prepare& prepare = nullptr, int wanted_port = 0)
        : Program(server_program(), {to_string(wanted_port)}, prepare),
          port(read_port()) {}
    ~Server() {
        if (is_running())
            stop();
    }

    void stop() {  // with Ctrl+C
        signal(SIGINT);
        log = out.rest();
        expect_exit(0);
    }

    const int port;
    string log;  // what it printed, from the last read to its end
};

struct Client : Program {
    explicit Client(int port, const Prepare& prepare = nullptr)
        : Program(client_program(), {"127.0.0.1", to_string(port)}, prepare) {
        out.ignore(WAITING);  // it says so on a busy machine
    }
};

enum Way { QUIT, INTERRUPT, END_OF_INPUT };
const std::vector<Way> WAYS = {QUIT, INTERRUPT, END_OF_INPUT};

// A server of the test's own, and our client, which it has greeted: "Ciao\n"
// is a line server's greeting, "Ciao" a bare one's.
struct Meeting {
    explicit Meeting(const string& greeting = "Ciao\n",
                     const Prepare& prepare = nullptr)
        : client(listener.port(), prepare), peer(listener.accept()),
          end(greeting.find('\n') == string::npos ? "" : "\n") {
        peer.send(greeting);
        if (greeting == "Ciao" + end)
            client.out.expect_line("Ciao");
    }

    // The user leaves.
    void leave(Way way) {
        if (way == QUIT)
            client.in.send_line("{quit}");
        else if (way == INTERRUPT)
            client.signal(SIGINT);
        else
            client.in.close();
    }

    // The same; the server has heard nothing else, and closes.
    void part() {
        leave(END_OF_INPUT);
        peer.expect("{quit}" + end);
        peer.close();
        client.expect_end(LEAVING, 0);
    }

    Listener listener;
    Client client;
    Peer peer;
    const string end;  // of a message, to and from this server
};

// Anna and Bruno, in a room that goes on.
struct Chat {
    explicit Chat(int its_port)
        : port(its_port), anna(Peer::join(port, "Anna")),
          bruno(Peer::join(port, "Bruno")) {
        anna.expect_line("Bruno si è unito all chat!");
    }

    void both_hear(const string& line) {
        anna.expect_line(line);
        bruno.expect_line(line);
    }

    // What Anna says comes to both, word by word, and nothing else does. So
    // does what a newcomer says.
    void goes_on() {
        anna.send(numbers("parola ", 20));
        anna.expect(numbers("Anna: parola ", 20));
        bruno.expect(numbers("Anna: parola ", 20));
        Peer carla = Peer::join(port, "Carla");
        both_hear("Carla si è unito all chat!");
        carla.send_line("ciao\n{quit}");
        both_hear("Carla: ciao");
        both_hear("Carla ha abbandonato la Chat.");
    }

    // The server has been told to end.
    void is_closed() {
        both_hear("{quit}");
        anna.expect_end();
        bruno.expect_end();
    }

    const int port;
    Peer anna;
    Peer bruno;
};

// A terminal of the test's own. `screen` shows what it gets, and types.
struct Terminal {
    Stream screen;
    int slave = -1;  // where a program reads and writes

    Terminal() {
        const winsize size = {24, 80, 0, 0};
        int master = -1;
        if (::openpty(&master, &slave, nullptr, nullptr, &size) != 0)
            skip("no pseudo terminals here");
        ::fcntl(master, F_SETFD, FD_CLOEXEC);
        screen = Stream(master, true);
    }
    ~Terminal() { ::close(slave); }

    // For `prepare`: the program leads a session here, and Ctrl+C reaches it.
    void become() const {
        ::setenv("TERM", "xterm", 1);
        ::login_tty(slave);
    }
};

// A program that is typed into a shell at that terminal: the screen says
// "code=N" when it has ended, and stays until this object goes.
struct AtTerminal : Terminal, Program {
    AtTerminal(const string& command, const Strings& arguments,
               const string& script = "\"$@\"")
        : Program("sh", Strings{"-c", "trap : INT QUIT HUP; " + script
                                      + "; code=$?; echo code=$code; read x;"
                                        "exit $code", "sh"}
                            + words_of(command) + arguments,
                  [this] { become(); }) {}
};

// One number of /proc/PID/status ("VmRSS" in kB, "Threads").
inline long status_of(pid_t pid, const string& key) {
    std::ifstream file("/proc/" + to_string(pid) + "/status");
    for (string line; std::getline(file, line);)
        if (line.compare(0, key.size() + 1, key + ":") == 0)
            return std::atol(line.c_str() + key.size() + 1);
    skip("no " + key + " in /proc/PID/status here");
}

// How many threads and descriptors a process has.
using Usage = std::pair<long, long>;
inline Usage usage_of(pid_t pid) {
    std::filesystem::directory_iterator all("/proc/" + to_string(pid) + "/fd");
    return {status_of(pid, "Threads"), std::distance(begin(all), end(all))};
}

inline bool is_sanitized() { return number_from("CHAT_SANITIZED", 0) != 0; }

// It has never had so many kB more than `before`.
inline void check_growth(const Program& program, long before, long limit) {
    const long growth = status_of(program.pid(), "VmHWM") - before;
    check(is_sanitized() || growth <= limit,
          "it has grown by " + to_string(growth) + " kB");
}

// Sets a limit of a process (0: of the caller's own, and of all programs that
// it starts). Only the "soft" one, which may be raised up to the "hard" one.
inline void set_limit(pid_t pid, decltype(RLIMIT_AS) which, rlim_t size) {
    rlimit limit = {};
    ::prlimit(pid, which, nullptr, &limit);
    if (size != RLIM_INFINITY && limit.rlim_max < size)
        skip("no limit of " + to_string(size) + " is allowed here");
    limit.rlim_cur = std::min(size, limit.rlim_max);
    check(::prlimit(pid, which, &limit, nullptr) == 0,
          string("prlimit: ") + std::strerror(errno));
}

// For `prepare`: `deed`, with file systems (CLONE_NEWNS; an empty one of 64 kB
// is /mnt) or a network (CLONE_NEWNET) that nobody else sees.
inline Prepare by_oneself(int what, const std::function<bool()>& deed) {
    const bool is_root = ::getuid() == 0;
    if (std::system("command -v unshare >/dev/null") != 0)
        skip("no unshare (apt install util-linux)");
    if (std::system("unshare -Umn true 2>/dev/null") != 0)
        skip("not allowed to have a disk or a network of one's own here");
    return [=] {
        bool works = ::unshare(what | (is_root ? 0 : CLONE_NEWUSER)) == 0;
        if (what == CLONE_NEWNS) {
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
            works = ::mount("none", "/mnt", "tmpfs", 0, "size=64k") == 0;
        }
        if (!works || !deed())
            std::perror("by_oneself");
    };
}

// --- the tests of a file ----------------------------------------------------

inline std::vector<std::pair<string, void (*)()>> all_tests;

// TEST(name) { ... }: CMakeLists.txt finds these lines and makes a CTest of
// each, named FILE.NAME.
#define TEST(name)                                                         \
    static void name();                                                    \
    static const bool name##_is_known                                      \
        = (all_tests.push_back({#name, name}), true);                    \
    static void name()

int main(int argc, char* argv[]) {
    ::signal(SIGPIPE, SIG_IGN);
    int found = 0;
    for (const auto& [name, test] : all_tests)
        if (argc < 2 || name == argv[1]) {
            test();
            std::cout << "passed: " << name << std::endl;
            found++;
        }
    return found > 0 ? 0 : 1;
}
