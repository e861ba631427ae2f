// support.h - what all tests share: run the programs, talk to them over
// sockets and pipes, compare what comes back byte for byte.
//
// Tests are black boxes: they see what a user or a peer sees. No port is
// fixed, no test fails for a time; LIMIT is only there so that a hang ends.
// CHAT_SERVER and CHAT_CLIENT in the environment replace the two programs
// (other builds, or Windows programs under wine).

#ifndef SUPPORT_H
#define SUPPORT_H

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using std::string;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// No answer takes this long, however slow the machine: then something hangs.
// CHAT_LIMIT (milliseconds) in the environment makes it shorter, where a hang
// is what is expected.
inline milliseconds limit_of_patience()
{
    const char* value = std::getenv("CHAT_LIMIT");
    return milliseconds(value && *value ? std::atoi(value) : 60000);
}
const milliseconds LIMIT = limit_of_patience();

// What the server tells a peer: a message.
const string GREETING = "CIAO! Digita il tuo Nome seguito dal tasto Invio!";
const string IS_FULL = "Il server è pieno: riprova più tardi.";
const string GIVES_WAY = "Il server è pieno, e chi non ha un nome cede il"
                         " posto: riprova più tardi.";
const string NO_RESOURCES
    = "Il server non ha più risorse: riprova più tardi.";

// What the programs print, the last one both of them: a line.
const string INTERRUPTED
    = "La connessione con il server e' stata interrotta\n";
const string LEAVING = "Uscendo dalla chat...\n";
const string CANNOT_START
    = "Il sistema non ha più risorse: chiudi qualche programma e riprova.\n";

// --- checks -----------------------------------------------------------------

inline string printable(const string& bytes)
{
    string text;
    for (const char c : bytes) {
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\x%02x",
                      static_cast<unsigned char>(c));
        text += c >= ' ' && c <= '~' ? string(1, c) : c == '\n' ? "\\n" : hex;
    }
    if (text.size() > 1500)
        text = text.substr(0, 700) + " [...] " + text.substr(text.size() - 700);
    return text;
}

inline std::vector<pid_t>& running_programs()
{
    static std::vector<pid_t> pids;
    return pids;
}

// Ends the test, and the programs that it has started.
[[noreturn]] inline void end_test(int code)
{
    for (const pid_t pid : running_programs())
        ::kill(pid, SIGKILL);
    std::_Exit(code);
}

[[noreturn]] inline void fail(const string& why)
{
    std::cout << "FAILED: " << why << std::endl;
    end_test(1);
}

// CTest knows exit code 77: SKIP_RETURN_CODE in CMakeLists.txt.
[[noreturn]] inline void skip(const string& why)
{
    std::cout << "skipped: " << why << std::endl;
    end_test(77);
}

inline void check(bool condition, const string& what)
{
    if (!condition)
        fail(what);
}

template <class T> void check_equal(const T& got, const T& wanted,
                                    const string& what)
{
    if (got == wanted)
        return;
    std::ostringstream message;
    message << what << "\n  wanted: " << wanted << "\n  got:    " << got;
    fail(message.str());
}

template <> inline void check_equal<string>(const string& got,
                                            const string& wanted,
                                            const string& what)
{
    if (got != wanted)
        fail(what + "\n  wanted: " + printable(wanted) + "\n  got:    "
             + printable(got));
}

inline string repeat(const string& text, size_t times)
{
    string result;
    for (size_t i = 0; i < times; i++)
        result += text;
    return result;
}

inline void pause_for(int ms)
{
    std::this_thread::sleep_for(milliseconds(ms));
}

// Waits until `condition` holds.
inline void wait_until(const string& what,
                       const std::function<bool()>& condition)
{
    const auto deadline = steady_clock::now() + LIMIT;
    while (!condition()) {
        if (steady_clock::now() > deadline)
            fail("waited in vain: " + what);
        pause_for(5);
    }
}

// --- a stream of bytes, from a socket or a pipe -----------------------------

class Stream {
public:
    // A Windows program prints "\r\n" for '\n': `drop_returns` drops the '\r'.
    explicit Stream(int fd = -1, bool drop_returns = false)
        : fd_(fd), drop_returns_(drop_returns)
    {
    }
    Stream(Stream&& other) noexcept { *this = std::move(other); }
    Stream& operator=(Stream&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        std::swap(got_, other.got_);
        std::swap(drop_returns_, other.drop_returns_);
        return *this;
    }
    ~Stream() { close(); }

    int fd() const { return fd_; }
    const string& got() const { return got_; }  // read, not yet expected

    void close()
    {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
    }

    // Reads once, waiting up to `limit`. False: the end, or nothing came.
    bool read_some(milliseconds limit = LIMIT)
    {
        pollfd p = {fd_, POLLIN, 0};
        if (::poll(&p, 1, static_cast<int>(limit.count())) <= 0)
            return false;
        static thread_local char buffer[1 << 16];
        const ssize_t n = ::read(fd_, buffer, sizeof buffer);
        at_end_ = n <= 0;
        for (ssize_t i = 0; i < n; i++)
            if (!drop_returns_ || buffer[i] != '\r')
                got_ += buffer[i];
        return n > 0;
    }

    // The next bytes are exactly these.
    void expect(const string& wanted)
    {
        while (got_.size() < wanted.size()
               && wanted.compare(0, got_.size(), got_) == 0 && read_some()) {
        }
        if (got_.compare(0, wanted.size(), wanted) != 0
            || got_.size() < wanted.size())
            fail("wrong text\n  wanted: " + printable(wanted) + "\n  got:    "
                 + printable(got_) + (at_end_ ? "  and the end" : ""));
        got_.erase(0, wanted.size());
    }

    void expect_line(const string& wanted) { expect(wanted + "\n"); }

    // Drops everything up to and with this text; returns what was dropped.
    string skip_to(const string& wanted)
    {
        size_t from = 0;
        size_t at;
        while ((at = got_.find(wanted, from)) == string::npos) {
            from = got_.size() < wanted.size() ? 0
                                               : got_.size() - wanted.size();
            if (!read_some())
                fail("never came: " + printable(wanted) + "\n  got:    "
                     + printable(got_) + (at_end_ ? "  and the end" : ""));
        }
        const string dropped = got_.substr(0, at + wanted.size());
        got_.erase(0, at + wanted.size());
        return dropped;
    }

    string read_line()
    {
        string line = skip_to("\n");
        line.pop_back();
        return line;
    }

    // Everything up to the end of the stream.
    string rest()
    {
        at_end_ = false;
        while (read_some()) {
        }
        if (!at_end_)
            fail("no end came; got: " + printable(got_));
        return std::exchange(got_, "");
    }

    void expect_end() { check_equal(rest(), string(), "after the end"); }

    // Nothing comes for a while. (A wrong text may come later: this check can
    // miss a fault, but never invents one.)
    void expect_silence(int ms = 300)
    {
        check(got_.empty() && !read_some(milliseconds(ms)),
              "silence expected, got: " + printable(got_));
        check(!at_end_, "silence expected, not the end");
    }

    void send(const string& bytes)
    {
        size_t sent = 0;
        while (sent < bytes.size()) {
            const ssize_t n
                = ::write(fd_, bytes.data() + sent, bytes.size() - sent);
            if (n <= 0)
                fail(string("cannot write: ") + std::strerror(errno));
            sent += static_cast<size_t>(n);
        }
    }

    void send_line(const string& text) { send(text + "\n"); }

protected:
    int fd_ = -1;
    string got_;
    bool at_end_ = false;
    bool drop_returns_ = false;
};

// --- a peer: the other end of a connection ----------------------------------

class Peer : public Stream {
public:
    explicit Peer(int fd = -1) : Stream(fd)
    {
        const int yes = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }

    static Peer connect(int port)
    {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<uint16_t>(port));
        if (::connect(fd, reinterpret_cast<sockaddr*>(&address),
                      sizeof address) != 0)
            fail(string("cannot connect: ") + std::strerror(errno));
        return Peer(fd);
    }

    // A line peer that has joined the room.
    static Peer join(int port, const string& name)
    {
        Peer peer = connect(port);
        peer.expect_line(GREETING);
        peer.send_line(name);
        peer.expect_line(welcome(name));
        return peer;
    }

    // A bare peer, as the Python client: no end to any message.
    static Peer join_bare(int port, const string& name)
    {
        Peer peer = connect(port);
        peer.expect_line(GREETING);
        peer.send(name);
        peer.expect(welcome(name));
        return peer;
    }

    static string welcome(const string& name)
    {
        return "Benvenuto " + name
               + "! Se vuoi lasciare la Chat, scrivi {quit} per uscire.";
    }

    void half_close() { ::shutdown(fd_, SHUT_WR); }

    void reset()  // close with an RST
    {
        const linger now = {1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }
};

// A server of the test's own, for the client to meet.
class Listener {
public:
    Listener()
    {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        check(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0
                  && ::listen(fd_, 5) == 0,
              "cannot listen");
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }
    ~Listener() { ::close(fd_); }
    int port() const { return port_; }
    Peer accept()
    {
        pollfd p = {fd_, POLLIN, 0};
        check(::poll(&p, 1, static_cast<int>(LIMIT.count())) > 0,
              "nobody connects");
        return Peer(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
    }

private:
    int fd_ = -1;
    int port_ = 0;
};

// --- a program --------------------------------------------------------------

class Program {
public:
    Stream in;     // its standard input: write
    Stream out;    // its standard output: read
    string errors;  // its standard error, once it has ended

    // `prepare` runs in the new process, before the program does.
    Program(const string& command, const std::vector<string>& arguments,
            const std::function<void()>& prepare = nullptr)
    {
        ::signal(SIGPIPE, SIG_IGN);
        int in_pipe[2];
        int out_pipe[2];
        check(::pipe2(in_pipe, O_CLOEXEC) == 0
                  && ::pipe2(out_pipe, O_CLOEXEC) == 0, "no pipe");
        error_file_ = std::tmpfile();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(in_pipe[0], 0);
            ::dup2(out_pipe[1], 1);
            ::dup2(::fileno(error_file_), 2);
            ::signal(SIGPIPE, SIG_DFL);
            if (prepare)
                prepare();
            std::istringstream words(command);  // "wine server.exe"
            std::vector<string> all;
            for (string word; words >> word;)
                all.push_back(word);
            all.insert(all.end(), arguments.begin(), arguments.end());
            std::vector<char*> argv;
            for (string& word : all)
                argv.push_back(&word[0]);
            argv.push_back(nullptr);
            ::execvp(argv[0], argv.data());
            std::perror(argv[0]);
            ::_exit(126);
        }
        running_programs().push_back(pid_);
        ::close(in_pipe[0]);
        ::close(out_pipe[1]);
        in = Stream(in_pipe[1]);
        out = Stream(out_pipe[0], command.find(".exe") != string::npos);
    }
    ~Program()
    {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            int status = 0;
            ::waitpid(pid_, &status, 0);
            remember(status);
        }
        std::fclose(error_file_);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    bool is_running()
    {
        int status = 0;
        if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_)
            remember(status);
        return pid_ > 0;
    }

    // Waits until it ends by itself; returns its exit code (128 + N: signal N)
    int exit_code()
    {
        wait_until("the program ends", [&] { return !is_running(); });
        return code_;
    }

    void expect_exit(int wanted)
    {
        if (exit_code() != wanted)
            fail("exit code " + std::to_string(code_) + ", not "
                 + std::to_string(wanted) + "\n" + errors);
    }

private:
    void remember(int status)
    {
        code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                    : WEXITSTATUS(status);
        auto& pids = running_programs();
        pids.erase(std::find(pids.begin(), pids.end(), pid_));
        pid_ = -1;
        std::rewind(error_file_);
        char buffer[4096];
        for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, error_file_));)
            errors.append(buffer, n);
    }

    pid_t pid_ = -1;
    int code_ = -1;
    std::FILE* error_file_ = nullptr;
};

inline string program(const char* variable, const char* built)
{
    const char* other = std::getenv(variable);
    return other && *other ? other : built;
}

inline string server_program() { return program("CHAT_SERVER", SERVER_PATH); }
inline string client_program() { return program("CHAT_CLIENT", CLIENT_PATH); }

class Server : public Program {
public:
    explicit Server(const std::function<void()>& prepare = nullptr,
                    int wanted_port = 0)
        : Program(server_program(), {std::to_string(wanted_port)}, prepare)
    {
        out.skip_to("In attesa di connessioni... (porta ");
        port = std::atoi(out.skip_to(")").c_str());
        out.skip_to("\n");
    }

    // Ctrl+C: it ends with 0, and no sanitizer has said anything.
    void stop()
    {
        signal(SIGINT);
        log = out.rest();
        expect_exit(0);
        check_equal(errors, string(), "the server's standard error");
    }

    int port = 0;
    string log;  // what it printed, from the last read to its end
};

// `./client 127.0.0.1 PORT`
class Client : public Program {
public:
    explicit Client(int port)
        : Program(client_program(), {"127.0.0.1", std::to_string(port)})
    {
    }
};

// --- what the system knows and allows ---------------------------------------

// One number of /proc/PID/status ("VmRSS", "Threads"). -1: it is not there, as
// the memory of a process that has ended.
inline long status_if_any(pid_t pid, const string& key)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    for (string line; std::getline(file, line);)
        if (line.compare(0, key.size() + 1, key + ":") == 0)
            return std::atol(line.c_str() + key.size() + 1);
    return -1;
}

inline long status_of(pid_t pid, const string& key)
{
    const long value = status_if_any(pid, key);
    if (value < 0)
        skip("no /proc/PID/status here");
    return value;
}

// How many descriptors a process has open.
inline long descriptors_of(pid_t pid)
{
    DIR* directory
        = ::opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
    if (!directory)
        skip("no /proc/PID/fd here");
    long count = 0;
    while (const dirent* entry = ::readdir(directory))
        count += entry->d_name[0] != '.';
    ::closedir(directory);
    return count;
}

using Resource = decltype(RLIMIT_AS);  // an enum here, an int elsewhere

// Sets a limit of a process (0: of the caller's own). Only the "soft" one,
// which anybody may raise again up to the "hard" one.
inline void set_limit(pid_t pid, Resource which, rlim_t size)
{
    rlimit limit = {};
    ::prlimit(pid, which, nullptr, &limit);
    limit.rlim_cur = std::min(size, limit.rlim_max);
    check(::prlimit(pid, which, &limit, nullptr) == 0,
          string("prlimit: ") + std::strerror(errno));
}

// Lets this program, and those that it starts, have so many descriptors.
inline bool can_open(rlim_t files)
{
    rlimit limit = {};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < files)
        return false;
    limit.rlim_cur = std::max(limit.rlim_cur, files);
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// True in a build with a sanitizer, whose memory and threads are its own.
inline bool is_sanitized()
{
    const char* value = std::getenv("CHAT_SANITIZED");
    return value && *value;
}

// --- the tests of a file ----------------------------------------------------

struct Test {
    const char* name;
    void (*run)();
};

inline std::vector<Test>& all_tests()
{
    static std::vector<Test> tests;
    return tests;
}

// TEST(name) { ... }: CMakeLists.txt finds these lines and makes a CTest of
// each, named FILE.NAME.
#define TEST(name)                                                         \
    static void name();                                                    \
    static const bool name##_is_known                                      \
        = (all_tests().push_back({#name, name}), true);                    \
    static void name()

int main(int argc, char* argv[])
{
    ::signal(SIGPIPE, SIG_IGN);
    bool found = false;
    for (const Test& test : all_tests()) {
        if (argc < 2 || string(argv[1]) == test.name) {
            found = true;
            test.run();
            std::cout << "passed: " << test.name << std::endl;
        }
    }
    return found ? 0 : 1;
}

#endif
