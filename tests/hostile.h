// hostile.h - peers that mean no good, and two honest users who talk while
// they are there. A hostile peer checks nothing: the server may do with it what
// it likes. The honest users check every line that they hear, and measure how
// long their messages take; but no test fails for that.

#pragma once

#include "support.h"

#include <map>
#include <random>
#include <set>

// A connection that may break at any time, and never waits long.
class Hostile : public Peer {
public:
    Hostile() = default;
    explicit Hostile(int port, Buffers buffers = USUAL)
        : Peer(dial(port, buffers)) {
        const timeval limit = {0, 300 * 1000};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (fd_ < 0)
            pause_for(1);
    }

    // Sends this, or as much as is taken while it waits; or at once. Each '%'
    // becomes a name that nobody has had yet.
    void send(string bytes, int flags = 0) {
        static std::atomic<int> names{0};
        for (size_t at; (at = bytes.find('%')) != string::npos;)
            bytes.replace(at, 1, "x" + to_string(names++));
        if (fd_ >= 0
            && ::send(fd_, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL) < 0
            && errno != EAGAIN)
            close();
    }

    // Reads once. Empty: nothing came, or the end.
    string read(size_t size = 1 << 16, int flags = MSG_DONTWAIT) {
        static thread_local char buffer[1 << 16];
        const ssize_t n = fd_ < 0 ? 0 : ::recv(fd_, buffer, size, flags);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            close();
        return string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
    }
};

using Deed = std::function<void()>;  // of a hostile thread, over and over

// It lasts as long as this object; then all connections are closed.
struct Attack {
    ~Attack() {
        has_ended = true;
        for (std::thread& thread : threads)
            thread.join();
    }
    void add(const Deed& deed) {
        threads.emplace_back([this, deed] {
            while (!has_ended)
                deed();
        });
    }

    std::atomic<bool> has_ended{false};
    std::vector<std::thread> threads;
};

// What so many hostile peers do, again and again.
struct Habit {
    size_t count = 1;
    string hello = "%\n";    // when they come: a name, mostly
    string says = "";        // again and again
    int pause = 0;           // milliseconds; 0: as fast as it goes
    size_t reads = 1 << 16;  // bytes, at most, each time
    int stays = 1 << 30;     // milliseconds: then another takes its place
    Buffers buffers = USUAL;
    bool resets = false;  // it leaves with an RST
};

inline Deed gang(int port, const Habit& habit) {
    using Guests = std::vector<std::pair<Hostile, steady_clock::time_point>>;
    auto guests = std::make_shared<Guests>(habit.count);
    return [=] {
        std::vector<pollfd> polled;
        for (auto& [peer, leaves_at] : *guests) {
            const auto now = steady_clock::now();
            if (peer.fd() < 0 || now > leaves_at) {
                if (habit.resets)
                    peer.reset();
                peer = Hostile(port, habit.buffers);
                leaves_at = now + milliseconds(habit.stays);
                peer.send(habit.hello);
            }
            const int out = habit.says.empty() ? 0 : POLLOUT;
            polled.push_back({peer.fd(), static_cast<short>(POLLIN | out), 0});
        }
        if (habit.pause == 0)
            ::poll(polled.data(), polled.size(), 300);
        else
            pause_for(habit.pause);
        for (auto& [peer, leaves_at] : *guests) {
            if (habit.reads > 0)
                peer.read(habit.reads);
            if (habit.says != "")
                peer.send(habit.says, MSG_DONTWAIT);
        }
    };
}

inline Habit flood(size_t count) {
    return {count, "%\n", repeat(repeat("x", 500) + "\n", 20)};
}

// So many readers take turns: each reads what there is, and then stops for
// nearly as long as the server waits for anybody, so that the room waits for
// one or another all the time.
inline Deed readers_in_turn(int port, size_t count) {
    auto peers = std::make_shared<std::vector<Hostile>>(count);
    auto turn = std::make_shared<size_t>(0);
    return [=] {
        const auto end = steady_clock::now() + milliseconds(450) / count;
        Hostile& peer = (*peers)[(*turn)++ % count];
        if (peer.fd() < 0) {
            peer = Hostile(port, SMALLEST);
            peer.send("%\n");
        }
        while (steady_clock::now() < end)
            if (peer.read().empty())
                pause_for(1);
    };
}

// What somebody says: a number, and a letter so many times.
inline string text_of(size_t number, size_t size) {
    return to_string(number) + ' '
           + string(size, static_cast<char>('a' + number % 26));
}

inline void add_to_hash(size_t& hash, const string& line) {
    hash = hash * 1099511628211u + std::hash<string>()(line);
}

// A server, and Anna and Bruno in its room. What Anna says must come to both of
// them, whole and in order, and both must hear the same clean lines, of people
// who are there.
class Scene {
public:
    Scene() {
        readers_.emplace_back([this] { listen(chat_.anna, anna_); });
        readers_.emplace_back([this] { listen(chat_.bruno, bruno_); });
        readers_.emplace_back([this] {
            for (string line; server.out.next_line(line);)
                check_clean(line);
        });
    }

    // For so many milliseconds Anna says five things at a time. Returns how
    // many it took, at most, until Bruno had heard them.
    long measure(int ms) {
        const auto end = steady_clock::now() + milliseconds(ms);
        steady_clock::duration longest{0};
        do {
            const auto start = steady_clock::now();
            string text;
            for (int i = 0; i < 5; i++, said_++)
                text += text_of(said_, said_ % 60) + "\n";
            chat_.anna.send(text);
            wait_until("both have heard what Anna has said", [this] {
                return anna_.count == said_ && bruno_.count == said_;
            });
            check(anna_.hash_then == bruno_.hash_then, "not the same for both");
            longest = std::max(longest, bruno_.heard_at - start);
            pause_for(20);
        } while (steady_clock::now() < end);
        return std::chrono::duration_cast<milliseconds>(longest).count();
    }

    // The hostile ones have gone, nothing is left of them, and the server has
    // never had so many kB more than at the start.
    void expect_peace(long growth) {
        wait_until("threads and sockets are as at the start", [this] {
            return usage_of(server.pid()) == usage_;
        });
        measure(1);
        check_growth(server, memory_, growth);
    }

    // The server ends as it should, and has told Anna and Bruno.
    void end() {
        is_ending_ = true;
        server.signal(SIGINT);
        for (std::thread& reader : readers_)
            reader.join();
        server.expect_exit(0);
    }

    Server server;

private:
    struct Ear {
        size_t hash = 0;  // of all lines
        std::set<string> room = {"Anna", "Bruno"};
        // When Anna was last heard (`count` is set last, and read first):
        size_t hash_then = 0;
        steady_clock::time_point heard_at;
        std::atomic<size_t> count{0};  // of what she said
    };

    void listen(Peer& peer, Ear& ear) {
        string line;
        while (peer.next_line(line) && (line != "{quit}" || !is_ending_)) {
            add_to_hash(ear.hash, line);
            check_line(line, ear.room);
            if (line.compare(0, 6, "Anna: ") != 0)
                continue;
            const string text = text_of(ear.count, ear.count % 60);
            check_equal(line, "Anna: " + text, "what is heard");
            ear.hash_then = ear.hash;
            ear.heard_at = steady_clock::now();
            ear.count++;
        }
        check_equal(line, "{quit}", "the last that an honest user hears");
    }

    static void check_line(const string& line, std::set<string>& room) {
        const string joins = " si è unito all chat!";
        const string leaves = " ha abbandonato la Chat.";
        const size_t colon = line.find(": ");
        bool is_right = false;
        if (colon != string::npos)
            is_right = room.count(line.substr(0, colon)) == 1
                       && line.size() > colon + 2 && line.size() < 1024;
        else if (ends_with(line, joins))
            is_right = room.insert(line.substr(0, line.rfind(joins))).second;
        else if (ends_with(line, leaves))
            is_right = room.erase(line.substr(0, line.rfind(leaves))) == 1;
        check_clean(line);
        if (!is_right)
            fail("it cannot be: " + printable(line));
    }

    Chat chat_{server.port};
    const long memory_ = status_of(server.pid(), "VmRSS");  // at the start
    const Usage usage_ = usage_of(server.pid());
    Ear anna_, bruno_;
    size_t said_ = 0;  // by Anna
    std::atomic<bool> is_ending_{false};
    std::vector<std::thread> readers_;
};

// The first `senders` of some peers say `count` things each, of `size` bytes,
// as fast as it goes. All get all of it, each thing once and in order, and in
// the same order. `rests`: for each peer, a pause after every five lines.
inline void all_hear_all(size_t senders, int count, size_t size,
                         const std::vector<int>& rests, Buffers buffers = USUAL)
{
    Server server;
    std::vector<Peer> peers;
    for (size_t i = 0; i < rests.size(); i++)
        peers.push_back(Peer::join(server.port, "P" + to_string(i), buffers));
    peers[0].send_line("via");
    for (Peer& peer : peers)
        peer.skip_to("P0: via\n");
    const long before = status_of(server.pid(), "VmRSS");
    std::vector<size_t> hashes(peers.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < peers.size(); i++)
        threads.emplace_back([&, i] {
            std::map<string, size_t> next;  // for each sender
            size_t left = senders * static_cast<size_t>(count);
            for (; left > 0; left--) {
                const string line = peers[i].read_line();
                const string name = line.substr(0, line.find(": "));
                const string text = text_of(next[name]++, size);
                check_equal(line, name + ": " + text, name);
                add_to_hash(hashes[i], line);
                if (left % 5 == 0 && rests[i] > 0)
                    pause_for(rests[i]);
            }
        });
    for (size_t i = 0; i < senders; i++)
        threads.emplace_back([&, i] {
            for (int number = 0; number < count; number++)
                peers[i].send_line(text_of(static_cast<size_t>(number), size));
        });
    for (std::thread& thread : threads)
        thread.join();
    for (const size_t hash : hashes)
        check(hash == hashes[0], "not all have heard it in the same order");
    check_growth(server, before, 3000 * static_cast<long>(peers.size()));
}
