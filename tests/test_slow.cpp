// Readers that have stopped, readers that are slow, writers that are fast: the
// room goes on, and who reads loses nothing.

#include "support.h"

// A peer whose system buffers hardly anything for it.
static Peer join_with_small_buffer(int port, const string& name)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int small = 4096;
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    check(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address)
              == 0, "cannot connect");
    Peer peer(fd);
    peer.expect_line(GREETING);
    peer.send_line(name);
    peer.expect_line(Peer::welcome(name));
    return peer;
}

TEST(who_has_stopped_reading_is_dropped_and_the_room_goes_on)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    std::vector<Peer> stopped;
    for (int i = 0; i < 10; i++)
        stopped.push_back(Peer::join(server.port, "S" + std::to_string(i)));
    anna.skip_to("S9 si è unito all chat!\n");
    const string text = repeat("parole ", 140);
    int gone = 0;
    int said = 0;
    milliseconds longest{0};
    while (gone < 10) {  // each message waits for its echo
        const auto start = steady_clock::now();
        anna.send_line(std::to_string(said) + " " + text);
        for (bool heard = false; !heard;) {
            const string line = anna.read_line();
            if (line.find(" ha abbandonato la Chat.") != string::npos)
                gone++;
            else
                heard = line.compare(0, 6, "Anna: ") == 0;
        }
        longest = std::max(longest,
                           std::chrono::duration_cast<milliseconds>(
                               steady_clock::now() - start));
        said++;
        check(said < 100 * 1000, "nobody is dropped");
    }
    std::cout << "the longest wait for one message: " << longest.count()
              << " ms, of " << said << " messages\n";
    anna.send_line("fine");
    anna.expect_line("Anna: fine");
    for (Peer& peer : stopped)  // it gets what was under way, then the end
        peer.rest();
    server.stop();
    check(server.log.find(" non legge i messaggi.\n") != string::npos,
          "the log does not say why");
}

TEST(who_stops_for_a_while_among_humans_loses_nothing)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer slow = join_with_small_buffer(server.port, "Lento");
    anna.expect_line("Lento si è unito all chat!");
    string wanted;
    for (int i = 0; i < 40; i++) {
        const string text = std::to_string(i) + repeat(" bla", 200);
        anna.send_line(text);
        anna.expect_line("Anna: " + text);
        wanted += "Anna: " + text + "\n";
        pause_for(25);
    }
    slow.expect(wanted);
    slow.send_line("eccomi");
    anna.expect_line("Lento: eccomi");
    server.stop();
}

// The fast sender is slowed down to what the slow reader can take.
TEST(a_fast_sender_does_not_cost_a_slow_reader_its_place)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer slow = Peer::join(server.port, "Lento");
    anna.expect_line("Lento si è unito all chat!");
    const int count = 15000;
    const string text = repeat("x", 990);
    std::thread writer([&] {
        for (int i = 0; i < count; i++)
            anna.send_line(std::to_string(i) + " " + text);
    });
    std::thread drain([&] {
        for (int i = 0; i < count; i++)
            anna.expect_line("Anna: " + std::to_string(i) + " " + text);
    });
    for (int i = 0; i < count; i++) {
        slow.expect_line("Anna: " + std::to_string(i) + " " + text);
        if (i % 5 == 0)
            pause_for(1);  // about 4 MB/s; the sender could do a hundred
    }
    writer.join();
    drain.join();
    slow.send_line("ancora qui");
    slow.expect_line("Lento: ancora qui");
    server.stop();
}

TEST(a_flood_of_32_megabytes_to_10_readers_loses_nothing)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    std::vector<Peer> readers;
    for (int i = 0; i < 10; i++)
        readers.push_back(Peer::join(server.port, "R" + std::to_string(i)));
    const int count = 32 * 1000;
    const string text = repeat("abcdefghi ", 99) + "0123";
    const auto message = [&](int i) { return text + std::to_string(i); };
    anna.send_line("via");
    anna.skip_to("Anna: via\n");
    const long before = status_of(server.pid(), "VmRSS");
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        for (int i = 0; i < count; i++)
            anna.send_line(message(i));
    });
    threads.emplace_back([&] {
        for (int i = 0; i < count; i++)
            anna.expect_line("Anna: " + message(i));
    });
    for (Peer& reader : readers)
        threads.emplace_back([&] {
            reader.skip_to("Anna: via\n");
            for (int i = 0; i < count; i++)
                reader.expect_line("Anna: " + message(i));
        });
    for (std::thread& thread : threads)
        thread.join();
    const long growth = status_of(server.pid(), "VmRSS") - before;
    std::cout << "the server has grown by " << growth << " kB\n";
    if (!is_sanitized())
        check(growth < 4000, "memory is not flat");
    server.stop();
}

TEST(who_gets_a_word_in_during_a_flood)
{
    Server server;
    std::vector<std::pair<Peer, std::thread>> floods;
    bool stop = false;
    for (int i = 0; i < 3; i++)
        floods.emplace_back(Peer::join(server.port, "F" + std::to_string(i)),
                            std::thread());
    for (auto& flood : floods)
        flood.second = std::thread([&] {
            const string lines = repeat(repeat("x", 500) + "\n", 20);
            while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
                pollfd p = {flood.first.fd(), POLLIN | POLLOUT, 0};
                ::poll(&p, 1, 100);
                if (p.revents & POLLIN) {
                    char buffer[1 << 16];
                    if (::read(p.fd, buffer, sizeof buffer) <= 0)
                        return;
                }
                if (p.revents & POLLOUT)
                    ::send(p.fd, lines.data(), lines.size(),
                           MSG_DONTWAIT | MSG_NOSIGNAL);
            }
        });
    Peer anna = Peer::join(server.port, "Anna");
    for (int i = 0; i < 50; i++) {
        anna.send_line("parola " + std::to_string(i));
        anna.skip_to("Anna: parola " + std::to_string(i) + "\n");
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (auto& flood : floods)
        flood.second.join();
    server.stop();
}
