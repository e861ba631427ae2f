// Many at once: coming and going, and too many.

#include "support.h"

TEST(sixteen_come_and_go_while_two_talk)
{
    Server server;
    std::thread log([&] { server.out.rest(); });  // a pipe holds only 64 kB
    Peer anna = Peer::join(server.port, "Anna");
    Peer bruno = Peer::join(server.port, "Bruno");
    const long threads = status_of(server.pid(), "Threads");
    const int count = 400;
    std::vector<std::thread> visitors;
    bool stop = false;
    for (int v = 0; v < 16; v++)
        visitors.emplace_back([&, v] {
            unsigned random = static_cast<unsigned>(v) * 7919 + 1;
            for (int visit = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE);
                 visit++) {
                random = random * 1103515245 + 12345;
                Peer peer = Peer::connect(server.port);
                const unsigned way = (random >> 16) % 6;
                if (way == 0)
                    continue;  // gone before it has a name
                peer.expect_line(GREETING);
                const string name
                    = "v" + std::to_string(v) + "." + std::to_string(visit);
                peer.send(name + "\n");
                if (way == 1)
                    continue;
                peer.skip_to(Peer::welcome(name));
                peer.send("x\n");
                if (way == 2)
                    peer.reset();
                else if (way == 3)
                    peer.half_close();
                else if (way == 4)
                    peer.send("{quit}\n");
                pause_for(static_cast<int>((random >> 20) % 5));
            }
        });
    std::thread talker([&] {
        for (int i = 0; i < count; i++) {
            anna.send_line("n" + std::to_string(i));
            pause_for(2);
        }
    });
    int next = 0;
    while (next < count) {
        const string line = bruno.read_line();
        if (line.compare(0, 6, "Anna: ") == 0)
            check_equal(line, "Anna: n" + std::to_string(next++), "the order");
    }
    talker.join();
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (std::thread& visitor : visitors)
        visitor.join();
    wait_until("all visitors' threads have ended",
               [&] { return status_of(server.pid(), "Threads") == threads; });
    server.signal(SIGINT);
    log.join();
    server.expect_exit(0);
    check_equal(server.errors, string(), "standard error");
}

TEST(at_most_1000_clients)
{
    if (!can_open(2500))
        skip("fewer than 2500 descriptors allowed");
    Server server;
    std::vector<Peer> peers;
    for (int i = 0; i < 1000; i++)
        peers.push_back(Peer::join(server.port, "P" + std::to_string(i)));
    for (int i = 0; i < 3; i++) {
        Peer late = Peer::connect(server.port);
        late.expect_line(IS_FULL);
        late.expect_end();
    }
    peers[999].send_line("ciao");
    peers[999].expect_line("P999: ciao");
    peers[7].close();
    wait_until("there is room again", [&] {
        Peer late = Peer::connect(server.port);
        if (late.read_line() != GREETING)
            return false;
        late.send_line("Bruno");
        late.expect_line(Peer::welcome("Bruno"));
        return true;
    });
    server.stop();
}

// A thousand clients, some stuck, some without a name: all are told at once.
TEST(a_thousand_are_told_when_the_server_closes)
{
    if (!can_open(2500))
        skip("fewer than 2500 descriptors allowed");
    Server server;
    std::vector<Peer> peers;
    for (int i = 0; i < 1000; i++)
        peers.push_back(i % 2 ? Peer::join(server.port, std::to_string(i))
                              : Peer::connect(server.port));
    server.stop();
    for (Peer& peer : peers) {
        const string rest = peer.rest();
        check(rest.size() >= 6 && rest.find("{quit}") != string::npos,
              "no {quit}: " + printable(rest));
    }
}

TEST(an_idle_client_costs_16_kilobytes_at_most)
{
    if (is_sanitized())
        skip("a sanitizer's memory is its own");
    if (!can_open(2500))
        skip("fewer than 2500 descriptors allowed");
    Server server;
    const long before = status_of(server.pid(), "VmRSS");
    std::vector<Peer> peers;
    const int count = 900;
    for (int i = 0; i < count; i++) {
        peers.push_back(Peer::join(server.port, "P" + std::to_string(i)));
        peers.back().send_line("ciao");
        peers.back().skip_to(": ciao\n");
    }
    const long each
        = (status_of(server.pid(), "VmRSS") - before) * 1024 / count;
    std::cout << each << " bytes a client\n";
    check(each <= 16 * 1024, "too much");
    server.stop();
}
