// hostile.h - peers that mean no good, and two honest users who talk while
// they are there.
//
// A hostile peer checks nothing: the server may do with it what it likes. The
// honest users check every message, and measure how long it takes. No test
// fails for a time, unless it is LIMIT.

#ifndef HOSTILE_H
#define HOSTILE_H

#include "support.h"

#include <atomic>
#include <memory>
#include <mutex>

const int TIMEOUT_MS = 300;  // so long a hostile peer waits for the server

// --- what the system knows --------------------------------------------------

struct Usage {
    long memory;  // kB
    long threads;
    long descriptors;
};

inline Usage usage_of(pid_t pid)
{
    return {status_of(pid, "VmRSS"), status_of(pid, "Threads"),
            descriptors_of(pid)};
}

// --- connections ------------------------------------------------------------

// How much the two systems keep for who does not read.
enum Buffers {
    USUAL,      // megabytes
    SMALL,      // a few kilobytes on the peer's side
    SMALLEST,   // on the server's side too: it counts the packets' overhead,
                // and the packets are small
};

// A socket connected from this address. -1: it cannot be had.
inline int dial(int port, const string& from = "127.0.0.1",
                Buffers buffers = USUAL)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int bytes = 2048;
    const int packet = 88;
    if (buffers != USUAL)
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (buffers == SMALLEST)
        ::setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &packet, sizeof packet);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, from.c_str(), &address.sin_addr);
    // Its own port is chosen at connect(): it may be one that was just in use.
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address)
        == 0) {
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<uint16_t>(port));
        if (::connect(fd, reinterpret_cast<sockaddr*>(&address),
                      sizeof address) == 0)
            return fd;
    }
    ::close(fd);
    return -1;
}

// An honest user who comes from this address.
inline Peer connect_from(int port, const string& from, Buffers buffers = USUAL)
{
    const int fd = dial(port, from, buffers);
    if (fd < 0)
        fail("cannot connect from " + from + ": " + std::strerror(errno));
    return Peer(fd);
}

// A name that nobody has had yet.
inline string new_name()
{
    static std::atomic<int> count{0};
    return "x" + std::to_string(count++);
}

// A connection that may break at any time, and never waits long.
class Hostile {
public:
    Hostile() = default;
    explicit Hostile(int port, Buffers buffers = USUAL)
        : fd_(dial(port, "127.0.0.1", buffers))
    {
        const timeval limit = {0, TIMEOUT_MS * 1000};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (fd_ < 0)
            pause_for(1);
        else
            count_++;
    }
    Hostile(Hostile&& other) noexcept { *this = std::move(other); }
    Hostile& operator=(Hostile&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Hostile() { close(); }

    // One that is in the room, if it was let in.
    static Hostile join(int port, Buffers buffers = USUAL)
    {
        Hostile peer(port, buffers);
        peer.send(new_name() + "\n");
        peer.read_to("uscire.\n");
        return peer;
    }

    // How many there have been.
    static int connections() { return count_; }

    int fd() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }

    void close()
    {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
    }

    void reset()  // close with an RST
    {
        const linger now = {1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }

    // Sends this, or as much as is taken while it waits; or at once.
    void send(const string& bytes, int flags = 0)
    {
        if (fd_ >= 0
            && ::send(fd_, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL) < 0
            && errno != EAGAIN)
            close();
    }

    // Reads once, so many bytes at most. Empty: nothing came, or the end.
    string read(size_t size, int flags = 0)
    {
        static thread_local char buffer[1 << 16];
        const ssize_t n
            = fd_ < 0 ? 0
                      : ::recv(fd_, buffer, std::min(size, sizeof buffer),
                               flags);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            close();
        return string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
    }

    // Reads up to this text, or until nothing more comes.
    void read_to(const string& wanted)
    {
        string got = " ";
        for (size_t size = 0;
             size != got.size() && got.find(wanted) == string::npos;) {
            size = got.size();
            got += read(4096);
        }
    }

    // Sends as fast as it is taken, and reads what comes.
    void pour(const string& bytes)
    {
        pollfd p = {fd_, POLLIN | POLLOUT, 0};
        ::poll(&p, 1, TIMEOUT_MS);
        if (p.revents & ~POLLOUT)
            read(1 << 16, MSG_DONTWAIT);
        if (p.revents & POLLOUT)
            send(bytes, MSG_DONTWAIT);
    }

private:
    inline static std::atomic<int> count_{0};
    int fd_ = -1;
};

// --- an attack --------------------------------------------------------------

// What one hostile thread does, over and over.
using Deed = std::function<void()>;

class Attack {
public:
    ~Attack() { end(); }

    void add(const Deed& deed)
    {
        threads_.emplace_back([this, deed] {
            while (!has_ended_)
                deed();
        });
    }

    // All connections are closed then.
    void end()
    {
        has_ended_ = true;
        for (std::thread& thread : threads_)
            thread.join();
        threads_.clear();
    }

private:
    std::atomic<bool> has_ended_{false};
    std::vector<std::thread> threads_;
};

enum Moment { AT_ONCE, AFTER_GREETING, AFTER_NAME };

// Comes and leaves.
inline Deed visitor(int port, Moment moment, bool by_reset)
{
    return [=] {
        Hostile peer(port);
        if (moment != AT_ONCE)
            peer.read_to("\n");
        if (moment == AFTER_NAME) {
            peer.send(new_name() + "\n");
            peer.read_to("uscire.\n");
        }
        if (by_reset)
            peer.reset();
    };
}

// Joins, says something without an end, or with one, as fast as it can, and
// reads what comes back.
inline Deed flooder(int port, const string& text)
{
    auto peer = std::make_shared<Hostile>();
    return [=] {
        if (!peer->is_open())
            *peer = Hostile::join(port);
        peer->pour(text);
    };
}

inline Deed flooder(int port)
{
    return flooder(port, repeat(repeat("x", 500) + "\n", 20));
}

// Sends a name that never ends.
inline Deed endless_name(int port)
{
    auto peer = std::make_shared<Hostile>();
    return [=] {
        if (!peer->is_open())
            *peer = Hostile(port);
        peer->pour(repeat("nome", 2000));
    };
}

// Some that type a name, a byte a second. (A byte and a pause make a bare
// peer: those with a letter are in the room soon, those with ':' never.)
inline Deed slow_names(int port, int count)
{
    auto peers = std::make_shared<std::vector<Hostile>>(count);
    auto next_time = std::make_shared<steady_clock::time_point>();
    return [=] {
        if (steady_clock::now() >= *next_time) {
            for (int i = 0; i < count; i++) {
                Hostile& peer = (*peers)[static_cast<size_t>(i)];
                if (!peer.is_open())
                    peer = Hostile(port);
                peer.send(string(1, i % 2 ? ':' : static_cast<char>('a' + i)));
            }
            *next_time = steady_clock::now() + std::chrono::seconds(1);
        }
        for (Hostile& peer : *peers)
            peer.read(1 << 16, MSG_DONTWAIT);
        pause_for(20);
    };
}

// Joins, and reads about 1 kB a second.
inline Deed slow_reader(int port)
{
    auto peer = std::make_shared<Hostile>();
    return [=] {
        if (!peer->is_open())
            *peer = Hostile::join(port, SMALL);
        peer->read(100, MSG_DONTWAIT);
        pause_for(100);
    };
}

// So many join, and stop reading all at once, for good; after two seconds
// others do.
inline Deed stopped_readers(int port, size_t count)
{
    auto peers = std::make_shared<std::vector<Hostile>>();
    auto next_time = std::make_shared<steady_clock::time_point>();
    return [=] {
        if (steady_clock::now() >= *next_time) {
            for (size_t i = 0; i < count; i++)
                peers->push_back(Hostile::join(port, SMALLEST));
            if (peers->size() > 100)  // else this program has none left
                peers->erase(peers->begin(), peers->end() - 100);
            *next_time = steady_clock::now() + std::chrono::seconds(2);
        }
        pause_for(20);
    };
}

// So many readers take turns: each stops, and reads what there is just before
// it would be dropped, so that the room waits for one or another all the time.
inline Deed readers_in_turn(int port, size_t count)
{
    auto peers = std::make_shared<std::vector<Hostile>>(count);
    auto turn = std::make_shared<size_t>(0);
    return [=] {
        const auto end = steady_clock::now()
                         + std::chrono::microseconds(450 * 1000 / count);
        Hostile& peer = (*peers)[(*turn)++ % count];
        if (!peer.is_open())
            peer = Hostile::join(port, SMALLEST);
        const auto enough = end - milliseconds(450) / (2 * count);
        while (peer.is_open() && steady_clock::now() < enough)
            if (peer.read(1 << 16, MSG_DONTWAIT).empty())
                pause_for(1);
        std::this_thread::sleep_until(end);
    };
}

// Joins and leaves with {quit}, as fast as it can.
inline Deed quitter(int port, int quits, bool with_name)
{
    const string text = repeat("{quit}\n", static_cast<size_t>(quits));
    return [=] {
        Hostile peer(port);
        peer.send((with_name ? new_name() + "\n" : "") + text);
        peer.read_to("never");  // to the end
    };
}

// So many ask for names that they cannot have, and read none of the answers;
// ten times a second another one takes the place of the oldest. `joins`: each
// asks for a name that it can have before that.
inline Deed refused_names(int port, size_t count, bool joins)
{
    auto peers = std::make_shared<std::vector<Hostile>>(count);
    auto turn = std::make_shared<size_t>(0);
    return [=] {
        Hostile& oldest = (*peers)[*turn / 10 % peers->size()];
        if (*turn % 10 == 0)
            oldest = Hostile(port, SMALLEST);
        if (joins && *turn % 10 == 9)
            oldest.send(new_name() + "\n");
        for (Hostile& peer : *peers)
            peer.send(repeat("a:\n", 200), MSG_DONTWAIT);
        ++*turn;
        pause_for(10);
    };
}

// So many ask for names that they cannot have, as fast as it goes, and read the
// answers.
inline Deed bad_names(int port, size_t count)
{
    auto peers = std::make_shared<std::vector<Hostile>>(count);
    return [=] {
        for (Hostile& peer : *peers) {
            if (!peer.is_open())
                peer = Hostile(port);
            peer.send(repeat(":\n", 500), MSG_DONTWAIT);
            peer.read(1 << 16, MSG_DONTWAIT);
        }
    };
}

// So many are in the room, say the same over and over (or nothing) as fast as
// it goes, and read what comes. A bare one gives its name without a '\n'.
inline Deed talkers(int port, size_t count, const string& text, bool bare)
{
    auto peers = std::make_shared<std::vector<Hostile>>(count);
    return [=] {
        for (Hostile& peer : *peers) {
            if (!peer.is_open()) {
                peer = Hostile(port);
                peer.send(new_name() + (bare ? "" : "\n"));
            }
            if (!text.empty())
                peer.send(text, MSG_DONTWAIT);
            peer.read(1 << 16, MSG_DONTWAIT);
        }
        if (text.empty())
            pause_for(1);
    };
}

// --- the honest users -------------------------------------------------------

// Reads lines fast: a flood goes past the honest users too.
class Lines {
public:
    explicit Lines(int fd) : fd_(fd) {}

    // The next line, without its '\n'. False: the end.
    bool next(string& line)
    {
        static thread_local char buffer[1 << 16];
        size_t end = 0;
        while ((end = got_.find('\n', at_)) == string::npos) {
            got_.erase(0, at_);
            at_ = 0;
            pollfd p = {fd_, POLLIN, 0};
            ssize_t n = 0;
            if (::poll(&p, 1, -1) > 0)
                n = ::recv(fd_, buffer, sizeof buffer, 0);
            if (n <= 0)
                return false;
            got_.append(buffer, static_cast<size_t>(n));
        }
        line.assign(got_, at_, end - at_);
        at_ = end + 1;
        return true;
    }

private:
    int fd_;
    string got_;
    size_t at_ = 0;  // what is before it has been taken
};

struct Delays {
    double average = 0;  // milliseconds
    double longest = 0;
    size_t count = 0;
};

inline string show(const Delays& delays)
{
    char text[100];
    std::snprintf(text, sizeof text,
                  "average %.1f ms, longest %.1f ms (%zu messages)",
                  delays.average, delays.longest, delays.count);
    return text;
}

// Anna and Bruno. What Anna says must come to both of them, whole and in
// order, and to Bruno soon.
class Talk {
public:
    explicit Talk(int port)
        : anna_(Peer::join(port, "Anna")), bruno_(Peer::join(port, "Bruno"))
    {
        anna_.expect_line("Bruno si è unito all chat!");
        readers_.emplace_back([this] { listen(anna_, heard_by_anna_); });
        readers_.emplace_back([this] { listen(bruno_, heard_by_bruno_); });
    }
    ~Talk() { leave(); }

    // Anna says something every `gap`, for so long.
    Delays measure(milliseconds length, milliseconds gap = milliseconds(20))
    {
        const size_t first = sent_at_.size();
        const auto end = steady_clock::now() + length;
        while (steady_clock::now() < end) {
            say();
            std::this_thread::sleep_for(gap);
        }
        wait_until("Anna and Bruno have heard all that Anna has said", [this] {
            std::lock_guard<std::mutex> lock(mutex_);
            return heard_by_anna_ == sent_at_.size()
                   && heard_by_bruno_ == sent_at_.size();
        });
        return delays_from(first);
    }

    void leave()
    {
        is_leaving_ = true;
        ::shutdown(anna_.fd(), SHUT_RDWR);
        ::shutdown(bruno_.fd(), SHUT_RDWR);
        for (std::thread& reader : readers_)
            reader.join();
        readers_.clear();
    }

private:
    void say()
    {
        size_t number = 0;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            number = sent_at_.size();
            sent_at_.push_back(steady_clock::now());
        }
        anna_.send_line(text_of(number));
    }

    static string text_of(size_t number)
    {
        return std::to_string(number) + ' '
               + string(number % 60, static_cast<char>('a' + number % 26));
    }

    void listen(Peer& peer, size_t& heard)
    {
        Lines lines(peer.fd());
        string line;
        while (lines.next(line)) {
            if (line.compare(0, 6, "Anna: ") != 0)
                continue;
            const auto now = steady_clock::now();
            check_equal(line, "Anna: " + text_of(heard),
                        string("what ") + (&peer == &anna_ ? "Anna" : "Bruno")
                            + " hears");
            std::lock_guard<std::mutex> lock(mutex_);
            check(heard < sent_at_.size(), "nobody has said this: " + line);
            if (&peer == &bruno_)
                delays_.push_back(now - sent_at_[heard]);
            heard++;
        }
        check(is_leaving_, "an honest user has been thrown out");
    }

    Delays delays_from(size_t first)
    {
        Delays result;
        std::lock_guard<std::mutex> lock(mutex_);
        for (size_t i = first; i < delays_.size(); i++) {
            const double ms = std::chrono::duration<double, std::milli>(
                                  delays_[i]).count();
            result.average += ms;
            result.longest = std::max(result.longest, ms);
            result.count++;
        }
        if (result.count > 0)
            result.average /= static_cast<double>(result.count);
        return result;
    }

    Peer anna_;
    Peer bruno_;
    std::mutex mutex_;  // guards the next four
    std::vector<steady_clock::time_point> sent_at_;
    std::vector<steady_clock::duration> delays_;
    size_t heard_by_anna_ = 0;
    size_t heard_by_bruno_ = 0;
    std::atomic<bool> is_leaving_{false};
    std::vector<std::thread> readers_;
};

// --- a server under attack --------------------------------------------------

// A server, the two honest users, and somebody who reads its log.
class Scene {
public:
    Scene()
        : log_([this] { read_log(); }), talk_(server_.port),
          start_(usage_of(server_.pid()))
    {
    }

    int port() const { return server_.port; }
    Usage start() const { return start_; }
    Usage now() const { return usage_of(server_.pid()); }

    // How long a message takes, of those that Anna says in this time.
    Delays measure(milliseconds length, milliseconds gap = milliseconds(20))
    {
        return talk_.measure(length, gap);
    }

    // How many kB more than at the start it has ever had.
    long growth() const
    {
        return status_of(server_.pid(), "VmHWM") - start_.memory;
    }

    // The hostile ones have gone: nothing is left of them, and the server ends
    // as it should.
    void end()
    {
        measure(milliseconds(1));
        wait_until("the server's threads have ended",
                   [this] { return now().threads == start_.threads; });
        wait_until("the server's sockets are closed", [this] {
            return now().descriptors == start_.descriptors;
        });
        talk_.leave();
        server_.signal(SIGINT);
        log_.join();
        server_.expect_exit(0);
        check_equal(server_.errors, string(), "the server's standard error");
    }

private:
    void read_log()  // and throw it away: it can become long
    {
        char buffer[4096];
        while (::read(server_.out.fd(), buffer, sizeof buffer) > 0) {
        }
    }

    Server server_;
    std::thread log_;
    Talk talk_;
    Usage start_;
};

#endif
