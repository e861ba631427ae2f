// load.h - a room full of clients in one thread (epoll): they send, and they
// check and time every message that comes back to each of them.
//
// All clients get the same bytes. So whoever gets a byte first writes it into
// the stream; there each message is compared with what its sender has sent. All
// the others compare what they get with the stream. That costs little, and sees
// every message that is lost, cut, doubled or out of order, at every client.

#pragma once

#include "../support.h"

#include <sys/epoll.h>
#include <time.h>

#include <deque>

// QUICK in the environment: only to see that nothing is lost; the figures say
// little then.
const bool QUICK = std::getenv("QUICK") != nullptr;
const double TIME = QUICK ? 0.02 : 0.5;  // seconds that a load goes on
const size_t FLOOD_BYTES = (QUICK ? 1 : 32) * 1000 * 1000;
const size_t SENDERS = 10;

enum Mode {
    CLOSED_LOOP,    // a sender sends its next message when its own comes back
    ONE_AT_A_TIME,  // the senders in turn, 1 ms after everyone has got the last
    FLOOD,          // one sender, as fast as the server takes it
};

struct Workload {
    Mode mode;
    size_t clients;
    size_t in_flight;  // CLOSED_LOOP: messages of one sender under way
    size_t bytes;      // of a message's text, without name and '\n'
};

struct Result {
    double deliveries = 0;  // a second: one message to one client is one
    double p50 = 0;         // latency in seconds, from the sender's send() to
    double p99 = 0;         // the recv() of a receiver
    double seconds_each = 0;  // the time for one delivery,
    double cpu_each = 0;      // and the server's processor time
    double memory = 0;  // of the server, in kB a client, when all is quiet
};

// Seconds on one of the system's clocks.
inline double seconds_of(clockid_t clock) {
    timespec time = {};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec)
           + static_cast<double>(time.tv_nsec) * 1e-9;
}

inline double now() { return seconds_of(CLOCK_MONOTONIC); }

// The text of a sender's message number `number`: the number, then letters
// that begin at another place of the alphabet each time.
inline string text_of(size_t number, size_t bytes) {
    string text = to_string(number) + ' ';
    while (text.size() < bytes)
        text += static_cast<char>('a' + number++ % 26);
    return text;
}

class Room {
public:
    // Connects the clients, and brings them into the room of this server.
    Room(const string& server, int port, const Workload& load)
        : server_(server), load_(load), clients_(load.clients) {
        for (size_t i = 0; i < clients_.size(); i++) {
            const string name = "u" + to_string(i);
            clients_[i].prefix = name + ": ";
            clients_[i].peer = Peer::join(port, name);
            watch(i, EPOLL_CTL_ADD, EPOLLIN);
        }
        // All have entered: what is still on its way comes before this message.
        clients_[0].peer.send_line("start");
        for (Client& client : clients_) {
            client.peer.skip_to("u0: start\n");
            if (!client.peer.got().empty())
                fail(client, "got more behind the first message");
        }
    }

    // Sends and receives it all; `clock` is the processor time of the server.
    Result run(clockid_t clock) {
        const double cpu = seconds_of(clock);
        const double start = now();
        const double end = start + TIME;
        is_sending_ = load_.mode == CLOSED_LOOP;
        if (load_.mode == FLOOD)
            pour(0);
        for (size_t i = 0; is_sending_ && i < load_.in_flight; i++)
            for (size_t sender = 0; sender < SENDERS; sender++)
                say(sender);
        double time = start;
        while (!is_complete() || (load_.mode == ONE_AT_A_TIME && time < end)) {
            if (is_complete()) {
                pause_for(1);
                say(said_ % SENDERS);
            }
            wait_and_receive();
            time = now();
            is_sending_ = is_sending_ && time < end;
        }
        std::sort(latencies_.begin(), latencies_.end());
        const auto count = static_cast<double>(latencies_.size());
        Result result;
        result.deliveries = count / (time - start);
        result.p50 = latencies_[latencies_.size() / 2];
        result.p99 = latencies_[latencies_.size() * 99 / 100];
        result.seconds_each = (time - start) / count;
        result.cpu_each = (seconds_of(clock) - cpu) / count;
        say(0);  // whatever came too often comes before this one
        write(0);
        while (!is_complete())
            wait_and_receive();
        return result;
    }

private:
    struct Client {
        Peer peer;
        string prefix;  // "NAME: "
        string unsent;  // what the system has not taken yet
        bool waits_to_send = false;
        size_t at = 0;     // how much of the stream it has got
        size_t line = 0;   // how many lines of it
        size_t said = 0;   // messages that it has sent,
        size_t heard = 0;  // and how many of them are in the stream
        std::deque<double> sent_at;  // when it sent those that are not there
    };
    struct Line {
        size_t end;     // where it ends in the stream
        size_t sender;  // index of the client
        double sent_at;
    };

    [[noreturn]] void fail(const Client& client, const string& what) const {
        ::fail(server_ + ": " + client.prefix + what);
    }

    bool is_complete() const {
        return latencies_.size() == said_ * clients_.size();
    }

    void watch(size_t index, int how, uint32_t events) {
        epoll_event event = {events, {}};
        event.data.u64 = index;
        ::epoll_ctl(epoll_.fd(), how, clients_[index].peer.fd(), &event);
    }

    // Hands a client's bytes to the system; what it does not take goes out
    // when it can.
    void write(size_t sender) {
        Client& client = clients_[sender];
        const ssize_t n = ::send(client.peer.fd(), client.unsent.data(),
                                 client.unsent.size(), MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            fail(client, "the connection is lost");
        client.unsent.erase(0, n > 0 ? static_cast<size_t>(n) : 0);
        if (client.waits_to_send == client.unsent.empty()) {
            client.waits_to_send = !client.waits_to_send;
            watch(sender, EPOLL_CTL_MOD,
                  client.waits_to_send ? EPOLLIN | EPOLLOUT : EPOLLIN);
        }
    }

    // A client says its next message.
    void say(size_t sender) {
        Client& client = clients_[sender];
        client.sent_at.push_back(now());
        client.unsent += text_of(client.said++, load_.bytes) + '\n';
        said_++;
        if (load_.mode != FLOOD)
            write(sender);
    }

    // Hands on what is left; in a flood after some 64 kB more of messages.
    void pour(size_t sender) {
        while (load_.mode == FLOOD && said_ * load_.bytes < FLOOD_BYTES
               && clients_[sender].unsent.size() < 64 * 1024)
            say(sender);
        write(sender);
    }

    // Reads once for a client, and compares it with what the others have got.
    void receive(size_t index) {
        static char buffer[64 * 1024];
        Client& client = clients_[index];
        const ssize_t n
            = ::recv(client.peer.fd(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            fail(client, "the connection is lost");
        const auto size = static_cast<size_t>(n);
        const size_t known = std::min(size, stream_.size() - client.at);
        if (std::memcmp(buffer, &stream_[client.at], known) != 0)
            fail(client, "got something else than the others, from byte "
                         + to_string(client.at) + " on");
        stream_.append(buffer + known, size - known);
        check_lines(client);
        client.at += size;
        count_lines(index);
    }

    // Compares the new lines of the stream, which this client has got, with
    // what was sent.
    void check_lines(const Client& client) {
        size_t end = 0;
        while ((end = stream_.find('\n', checked_)) != string::npos) {
            const string line = stream_.substr(checked_, end - checked_);
            const size_t sender = std::strtoul(
                line.c_str() + (line[0] == 'u'), nullptr, 10);
            if (line[0] != 'u' || sender >= clients_.size()
                || clients_[sender].sent_at.empty())
                fail(client, "got what nobody has sent: " + printable(line));
            Client& from = clients_[sender];
            const string wanted
                = from.prefix + text_of(from.heard++, load_.bytes);
            if (line != wanted)
                fail(client, "got\n  " + printable(line) + "\ninstead of\n  "
                             + printable(wanted));
            checked_ = end + 1;
            lines_.push_back({checked_, sender, from.sent_at.front()});
            from.sent_at.pop_front();
        }
    }

    // Counts the lines that have just become complete at a client, and lets it
    // answer its own in a closed loop.
    void count_lines(size_t index) {
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
    void wait_and_receive() {
        epoll_event events[1024];
        const int count = ::epoll_wait(epoll_.fd(), events, 1024,
                                       static_cast<int>(LIMIT.count()));
        if (count == 0)
            ::fail(server_ + ": only " + to_string(latencies_.size()) + " of "
                   + to_string(said_ * clients_.size())
                   + " messages have come");
        for (int i = 0; i < count; i++) {
            if (events[i].events & EPOLLOUT)
                pour(events[i].data.u64);
            if (events[i].events & ~EPOLLOUT)
                receive(events[i].data.u64);
        }
    }

    const string server_;  // what it is called
    const Workload load_;
    std::vector<Client> clients_;
    const Stream epoll_{::epoll_create1(0)};
    bool is_sending_ = false;  // whoever gets its message back sends the next
    size_t said_ = 0;          // messages, by all clients
    string stream_;            // what everyone gets
    size_t checked_ = 0;       // how much of it has been compared
    std::vector<Line> lines_;  // of the stream
    std::vector<float> latencies_;  // seconds, one for each delivery
};
