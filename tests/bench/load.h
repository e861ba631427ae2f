// load.h - a room full of clients in one thread (epoll): they send, and they
// check and time every message that comes back to each of them.
//
// All clients of a chat get the same bytes. So whoever gets a byte first
// writes it into the stream; there each message is compared with what its
// sender has sent. All the others compare what they get with the stream. That
// costs little, and sees every message that is lost, cut, doubled or out of
// order, at every client.

#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using std::size_t;
using std::string;
using std::chrono::milliseconds;

const milliseconds PATIENCE{10000};  // what has not come by then is lost

// Something is lost, cut, doubled or out of order.
struct Damage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The server lets no more clients in.
struct Refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum Mode {
    CLOSED_LOOP,    // a sender sends its next message when its own comes back
    ONE_AT_A_TIME,  // the senders in turn, 1 ms after everyone has got the last
    FLOOD,          // one sender, as fast as the server takes it
};

struct Workload {
    Mode mode;
    int clients;
    int senders;
    int in_flight;       // messages of one sender that have yet to come back
    size_t bytes;        // of a message's text, without name and '\n'
    double seconds;      // so long they send
    size_t flood_bytes;  // text sent in all, in a FLOOD; else 0
};

struct Result {
    double deliveries = 0;    // a second: one message to one client is one
    double p50 = 0;           // latency from the sender's send() to the recv()
    double p99 = 0;           // of a receiver, in seconds
    double seconds_each = 0;  // the time for one delivery
    double cpu_each = 0;      // processor time of the server for one
};

// Seconds since some moment.
inline double now()
{
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

// Seconds of processor time that a process has used, all its threads.
inline double cpu_of(clockid_t clock)
{
    timespec time = {};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec)
           + static_cast<double>(time.tv_nsec) * 1e-9;
}

// The text of a sender's message number `number`: the number, then letters
// that begin at another place of the alphabet each time.
inline string text_of(size_t number, size_t bytes)
{
    static const string letters = [] {
        string some;
        for (int i = 0; i < 5000; i++)
            some += static_cast<char>('a' + i % 26);
        return some;
    }();
    string text = std::to_string(number) + ' ';
    if (text.size() < bytes)
        text.append(letters, number % 26, bytes - text.size());
    return text;
}

// A line for an error message: its beginning and its size.
inline string shorten(const string& line)
{
    return '"' + line.substr(0, 50) + "\" (" + std::to_string(line.size())
           + " bytes)";
}

class Room {
public:
    // Connects the clients and brings them into the room.
    Room(int port, int count);
    ~Room();
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    // Runs one workload; `clock` is the processor time of the server.
    // Throws Damage.
    Result run(const Workload& workload, clockid_t clock);

private:
    struct Client {
        int socket = -1;
        string prefix;         // "NAME: "
        string unsent;         // what the system has not taken yet
        bool waits_to_send = false;
        size_t at = 0;         // how much of the stream it has got
        size_t line = 0;       // how many lines of it
        size_t said = 0;       // messages it has sent,
        size_t heard = 0;      // and how many of them are in the stream
        std::deque<double> sent_at;  // when it sent those that are not there
    };
    struct Line {
        size_t end;      // where it ends in the stream
        size_t sender;   // index of the client
        double sent_at;
    };

    void connect(Client& client, int port);
    void read_until(Client& client, const string& wanted, bool at_end);
    void begin(const Workload& workload);
    void say(size_t sender);
    void write(size_t sender);
    void pour(size_t sender);
    void receive(size_t index);
    void check_lines(size_t index);
    void count_lines(size_t index);
    void wait_and_receive();
    bool is_complete() const;
    Result summary(double seconds, double cpu);

    std::vector<Client> clients_;
    int epoll_ = -1;
    Workload workload_ = {};
    bool is_sending_ = false;   // who gets its message back sends the next
    size_t said_ = 0;           // messages, by all clients
    string stream_;             // what everyone gets
    size_t checked_ = 0;        // so much of it has been compared
    std::vector<Line> lines_;   // of the stream
    std::vector<float> latencies_;  // seconds, one for each delivery
};

// --- into the room ----------------------------------------------------------

inline Room::Room(int port, int count)
    : clients_(static_cast<size_t>(count)), epoll_(::epoll_create1(0))
{
    for (Client& client : clients_)
        connect(client, port);
    for (size_t i = 0; i < clients_.size(); i++) {
        const string name = "u" + std::to_string(i);
        clients_[i].prefix = name + ": ";
        read_until(clients_[i], "CIAO! Digita il tuo Nome", false);
        clients_[i].unsent = name + '\n';
        write(i);
    }
    for (Client& client : clients_)
        read_until(client, "{quit} per uscire.\n", false);
    // All have entered: what is still on its way comes before this message.
    clients_[0].unsent = "start\n";
    write(0);
    for (Client& client : clients_)
        read_until(client, clients_[0].prefix + "start\n", true);
}

inline Room::~Room()
{
    for (Client& client : clients_)
        ::close(client.socket);
    ::close(epoll_);
}

// Connects a client to the server on this machine.
inline void Room::connect(Client& client, int port)
{
    client.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (::connect(client.socket, reinterpret_cast<sockaddr*>(&address),
                  sizeof address) != 0)
        throw Refusal(string("cannot connect: ") + std::strerror(errno));
    const int yes = 1;
    ::setsockopt(client.socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.u64 = static_cast<size_t>(&client - clients_.data());
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.socket, &event);
}

// Reads, and throws away, what comes up to this text. With `at_end` nothing
// may follow it.
inline void Room::read_until(Client& client, const string& wanted, bool at_end)
{
    string got;
    size_t found = string::npos;
    while ((found = got.find(wanted)) == string::npos || got.back() != '\n') {
        pollfd p = {client.socket, POLLIN, 0};
        char buffer[4096];
        const ssize_t n = ::poll(&p, 1, static_cast<int>(PATIENCE.count())) > 0
                              ? ::recv(client.socket, buffer, sizeof buffer, 0)
                              : 0;
        if (n > 0)
            got.append(buffer, static_cast<size_t>(n));
        else if (got.find("riprova") != string::npos)
            throw Refusal("the server says: " + got.substr(0, got.find('\n')));
        else
            throw Damage("on entering, \"" + wanted + "\" never came");
    }
    if (at_end && found + wanted.size() != got.size())
        throw Damage("more came behind the first message");
}

// --- sending ----------------------------------------------------------------

// Hands a client's bytes to the system; what it does not take goes out when
// it can.
inline void Room::write(size_t sender)
{
    Client& client = clients_[sender];
    const ssize_t n
        = ::send(client.socket, client.unsent.data(), client.unsent.size(),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        throw Damage(client.prefix + "the connection is lost");
    client.unsent.erase(0, n > 0 ? static_cast<size_t>(n) : 0);
    if (client.waits_to_send == !client.unsent.empty())
        return;
    client.waits_to_send = !client.unsent.empty();
    epoll_event event = {};
    event.events = client.waits_to_send ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u64 = sender;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, client.socket, &event);
}

// A client says its next message.
inline void Room::say(size_t sender)
{
    Client& client = clients_[sender];
    client.sent_at.push_back(now());
    client.unsent += text_of(client.said++, workload_.bytes) + '\n';
    said_++;
    if (workload_.mode != FLOOD)
        write(sender);
}

// Hands on what is left; in a flood after some 64 kB more of messages.
inline void Room::pour(size_t sender)
{
    while (clients_[sender].unsent.size() < 64 * 1024
           && said_ * workload_.bytes < workload_.flood_bytes)
        say(sender);
    write(sender);
}

// --- receiving --------------------------------------------------------------

// Reads once for a client, and compares it with what the others have got.
inline void Room::receive(size_t index)
{
    static char buffer[64 * 1024];
    Client& client = clients_[index];
    const ssize_t n
        = ::recv(client.socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n <= 0)
        throw Damage(client.prefix + "the connection is lost");
    const auto size = static_cast<size_t>(n);
    const size_t known = std::min(size, stream_.size() - client.at);
    if (std::memcmp(buffer, &stream_[client.at], known) != 0)
        throw Damage(client.prefix + "got something else than the others, from"
                     " byte " + std::to_string(client.at) + " on");
    if (size > known) {
        stream_.append(buffer + known, size - known);
        check_lines(index);
    }
    client.at += size;
    count_lines(index);
}

// Compares the new lines of the stream with what was sent. `index` is the
// client that has got them.
inline void Room::check_lines(size_t index)
{
    size_t end = 0;
    while ((end = stream_.find('\n', checked_)) != string::npos) {
        const string line = stream_.substr(checked_, end - checked_);
        const size_t sender
            = line[0] == 'u' ? std::strtoul(&line[1], nullptr, 10) : ~size_t{};
        const string who = clients_[index].prefix;
        if (sender >= clients_.size() || clients_[sender].sent_at.empty())
            throw Damage(who + "got what nobody has sent: "
                         + shorten(line));
        Client& from = clients_[sender];
        const string wanted
            = from.prefix + text_of(from.heard, workload_.bytes);
        if (line != wanted)
            throw Damage(who + "got\n  " + shorten(line) + "\ninstead of\n  "
                         + shorten(wanted));
        from.heard++;
        checked_ = end + 1;
        lines_.push_back({checked_, sender, from.sent_at.front()});
        from.sent_at.pop_front();
    }
}

// Counts the lines that have just become complete at a client, and lets it
// answer its own in a closed loop.
inline void Room::count_lines(size_t index)
{
    Client& client = clients_[index];
    const double time = now();
    while (client.line < lines_.size()
           && lines_[client.line].end <= client.at) {
        const Line& line = lines_[client.line++];
        latencies_.push_back(static_cast<float>(time - line.sent_at));
        if (line.sender == index && is_sending_)
            say(index);
    }
}

// Waits until something can be read or written, and does that.
inline void Room::wait_and_receive()
{
    epoll_event events[1024];
    const int count = ::epoll_wait(epoll_, events, 1024,
                                   static_cast<int>(PATIENCE.count()));
    if (count == 0)
        throw Damage("only " + std::to_string(latencies_.size()) + " of "
                     + std::to_string(said_ * clients_.size())
                     + " messages have come");
    for (int i = 0; i < count; i++) {
        if (events[i].events & EPOLLOUT)
            pour(events[i].data.u64);
        if (events[i].events & ~EPOLLOUT)
            receive(events[i].data.u64);
    }
}

// True if everyone has got everything.
inline bool Room::is_complete() const
{
    return latencies_.size() == said_ * clients_.size();
}

// --- one workload -----------------------------------------------------------

// Forgets the workload before. (All have got all of it.)
inline void Room::begin(const Workload& workload)
{
    workload_ = workload;
    for (Client& client : clients_)
        client.at = client.line = client.said = client.heard = 0;
    stream_.clear();
    lines_.clear();
    latencies_.clear();
    said_ = checked_ = 0;
}

// What was measured in so many seconds, and seconds of processor time.
inline Result Room::summary(double seconds, double cpu)
{
    Result result;
    const size_t count = latencies_.size();
    const auto part = [&](size_t percent) {
        const auto at = latencies_.begin()
                        + static_cast<std::ptrdiff_t>(count * percent / 100);
        std::nth_element(latencies_.begin(), at, latencies_.end());
        return static_cast<double>(*at);
    };
    result.deliveries = static_cast<double>(count) / seconds;
    result.p50 = part(50);
    result.p99 = part(99);
    result.seconds_each = seconds / static_cast<double>(count);
    result.cpu_each = cpu / static_cast<double>(count);
    return result;
}

inline Result Room::run(const Workload& workload, clockid_t clock)
{
    begin(workload);
    const auto senders = static_cast<size_t>(workload.senders);
    const double cpu = cpu_of(clock);
    const double start = now();
    const double end = start + workload.seconds;
    is_sending_ = workload.mode == CLOSED_LOOP;
    if (workload.mode == FLOOD)
        pour(0);
    for (int i = 0; is_sending_ && i < workload.in_flight; i++)
        for (size_t sender = 0; sender < senders; sender++)
            say(sender);
    while (!is_complete()
           || (workload.mode == ONE_AT_A_TIME && now() < end)) {
        if (is_complete()) {
            std::this_thread::sleep_for(milliseconds(1));
            say(said_ % senders);
        }
        wait_and_receive();
        if (now() > end)
            is_sending_ = false;
    }
    const double seconds = now() - start;
    const Result result = summary(seconds, cpu_of(clock) - cpu);
    say(0);  // whatever came too often comes before this one
    write(0);
    while (!is_complete())
        wait_and_receive();
    return result;
}

#endif
