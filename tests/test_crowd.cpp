// Many at once: coming and going, too many, and a system that refuses more.

#include "support.h"

static bool can_open(rlim_t files)
{
    rlimit limit = {};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < files)
        return false;
    limit.rlim_cur = files;
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

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
    for (int i = 0; i < 1000; i++) {
        peers.push_back(Peer::connect(server.port));
        peers.back().expect_line(GREETING);
    }
    for (int i = 0; i < 3; i++) {
        Peer late = Peer::connect(server.port);
        late.expect_line("Il server è pieno: riprova più tardi.");
        late.expect_end();
    }
    peers[500].send_line("Anna");
    peers[500].expect_line(Peer::welcome("Anna"));
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

TEST(no_descriptors_left)
{
    Server server([] {
        const rlimit limit = {24, 24};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    });
    std::vector<Peer> peers;
    peers.push_back(Peer::join(server.port, "Anna"));
    for (int i = 0; i < 40; i++)  // the system takes them, the server cannot
        peers.push_back(Peer::connect(server.port));
    server.out.skip_to("Per ora non entra nessuno: ");
    peers[0].send_line("chi c'è?");
    peers[0].expect_line("Anna: chi c'è?");  // who is in goes on
    while (peers.size() > 30)
        peers.pop_back();
    peers.erase(peers.begin() + 1, peers.begin() + 15);
    Peer bruno = Peer::join(server.port, "Bruno");  // served again
    peers[0].expect_line("Bruno si è unito all chat!");
    server.stop();
    size_t count = 0;  // it said so once, not at each try
    for (size_t at = 0;
         (at = server.log.find("Per ora", at)) != string::npos; at++)
        count++;
    check(count < 20, "said so " + std::to_string(count) + " times");
}

TEST(no_threads_left)
{
    if (is_sanitized())
        skip("a sanitizer needs more memory than this test leaves");
    // RLIMIT_NPROC does not bind root, the size of the address space does:
    // each thread wants 8 MB of it for its stack.
    Server server([] {
        const rlimit stack = {8 << 20, 8 << 20};
        ::setrlimit(RLIMIT_STACK, &stack);
        const rlimit limit = {300 << 20, 300 << 20};
        ::setrlimit(RLIMIT_AS, &limit);
    });
    std::vector<Peer> peers;
    peers.push_back(Peer::join(server.port, "Anna"));
    bool refused = false;
    for (int i = 0; i < 60 && !refused; i++) {
        peers.push_back(Peer::connect(server.port));
        refused = peers.back().read_line() != GREETING;
    }
    check(refused, "60 threads in 300 MB?");
    peers.back().expect_end();
    peers[0].send_line("ciao");
    peers[0].expect_line("Anna: ciao");
    peers.resize(1);
    wait_until("served again", [&] {
        Peer late = Peer::connect(server.port);
        return late.read_line() == GREETING;
    });
    server.stop();
    check(server.log.find("non è entrato") != string::npos, "the log");
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
    const long each = (status_of(server.pid(), "VmRSS") - before) * 1024 / count;
    std::cout << each << " bytes a client\n";
    check(each <= 16 * 1024, "too much");
    server.stop();
}
