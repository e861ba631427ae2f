// soak - for as long as one likes: a crowd that comes, goes, talks and
// misbehaves, and leaves nothing behind; and a million messages, of which none
// is lost.
//
//   SECONDS=600 ./soak coming_going_talking_misbehaving
//   MESSAGES=1000000 ./soak a_million_messages

#include "../hostile.h"

#include <random>

const long NOISE = 4096;  // kB; the allocator's, not a leak of each connection

static int number_from(const char* variable, int by_default)
{
    const char* value = std::getenv(variable);
    return value && *value ? std::atoi(value) : by_default;
}

// --- the crowd --------------------------------------------------------------

// Something to say: words, a long line, or any bytes.
static string something(std::minstd_rand& random)
{
    const auto size = static_cast<size_t>(random() % 300);
    switch (random() % 4) {
    case 0:
        return repeat("però € 😀 ", size / 10) + "\n";
    case 1:
        return repeat("lungo ", size * 4) + "\r\n";
    case 2: {
        string bytes;
        while (bytes.size() < size)
            bytes += static_cast<char>(random() % 256);
        return bytes;
    }
    default:
        return "ciao\n";
    }
}

// Joins, says some things, reads some answers, and leaves, each time in
// another way.
static Deed talker(int port, unsigned seed)
{
    auto random = std::make_shared<std::minstd_rand>(seed);
    return [=] {
        Hostile peer(port);
        peer.read_to("\n");
        const bool is_bare = (*random)() % 4 == 0;
        peer.send(new_name() + (is_bare ? "" : "\n"));
        peer.read_to("uscire.");
        for (auto left = (*random)() % 30; left > 0; left--) {
            peer.send(something(*random));
            peer.read(1 << 16, MSG_DONTWAIT);
            pause_for(static_cast<int>((*random)() % 20));
        }
        const auto way = (*random)() % 4;
        if (way == 0)
            peer.reset();
        else if (way == 1)
            peer.send("{quit}\n");
        else if (way == 2)
            ::shutdown(peer.fd(), SHUT_WR);
        if (way > 0 && is_bare)
            peer.read_to("never");  // to the end
    };
}

static void let_loose(Attack& crowd, int port)
{
    for (unsigned seed = 1; seed <= 8; seed++)
        crowd.add(talker(port, seed));
    for (const bool by_reset : {false, true}) {
        crowd.add(visitor(port, AT_ONCE, by_reset));
        crowd.add(visitor(port, AFTER_GREETING, by_reset));
        crowd.add(visitor(port, AFTER_NAME, by_reset));
    }
    crowd.add(quitter(port, 1, true));
    crowd.add(quitter(port, 1000, false));
    crowd.add(slow_names(port, 10));
    crowd.add(endless_name(port));
    crowd.add(refused_names(port, 8, true));
    crowd.add(slow_reader(port));
    crowd.add(stopped_readers(port, 3));
    crowd.add(readers_in_turn(port, 4));
    crowd.add(flooder(port));
}

static void print_usage(const char* moment, const Usage& usage)
{
    std::printf("%-18s %8ld %8ld %12ld\n", moment, usage.memory, usage.threads,
                usage.descriptors);
    std::fflush(stdout);
}

// What the server has, about once a second, while Anna and Bruno talk.
static std::vector<Usage> watch(Scene& scene, int seconds)
{
    std::vector<Usage> usage;
    const auto end = steady_clock::now() + std::chrono::seconds(seconds);
    while (steady_clock::now() < end) {
        const Delays delays = scene.measure(milliseconds(1000));
        check(delays.count > 0, "nobody talks");
        usage.push_back(scene.now());
    }
    return usage;
}

TEST(coming_going_talking_misbehaving)
{
    const int seconds = number_from("SECONDS", 5);
    Scene scene;
    Attack crowd;
    let_loose(crowd, scene.port());
    const std::vector<Usage> usage = watch(scene, seconds);
    crowd.end();
    const Delays delays = scene.measure(milliseconds(1000));
    wait_until("the crowd's threads and sockets have gone", [&] {
        return scene.now().threads == scene.start().threads
               && scene.now().descriptors == scene.start().descriptors;
    });
    const Usage end = scene.now();
    const Usage early = usage[usage.size() / 10];
    std::printf("%d seconds, %d connections\n", seconds,
                Hostile::connections());
    std::printf("%-18s %8s %8s %12s\n", "", "RSS kB", "threads",
                "descriptors");
    print_usage("start", scene.start());
    print_usage("after a tenth", early);
    print_usage("in the middle", usage[usage.size() / 2]);
    print_usage("at the end", usage.back());
    print_usage("all have gone", end);
    std::cout << "a message then: " << show(delays) << "\n";
    if (!is_sanitized())
        check(end.memory <= early.memory + NOISE, "the memory is not flat");
    scene.end();
}

// --- a million messages -----------------------------------------------------

const int SENDERS = 5;
const int READERS = 10;  // and the senders read too

static string text_of(int number)
{
    return std::to_string(number) + ' '
           + string(static_cast<size_t>(number % 70),
                    static_cast<char>('a' + number % 26));
}

// Reads `count` messages of each sender: each exactly once, and in order.
// Returns a hash of all lines: the same order gives the same hash.
static size_t read_all(Peer& peer, int count)
{
    Lines lines(peer.fd());
    int next[SENDERS] = {};
    size_t hash = 0;
    string line;
    for (int left = count * SENDERS; left > 0; left--) {
        check(lines.next(line), "a reader has been thrown out");
        const int sender = line[0] == 'S' ? line[1] - '0' : -1;
        check(sender >= 0 && sender < SENDERS, "nobody has said: " + line);
        check_equal(line.substr(2), ": " + text_of(next[sender]++),
                    "a message of S" + std::to_string(sender));
        hash = hash * 1099511628211u + std::hash<string>()(line);
    }
    return hash;
}

static std::vector<Peer> fill_room(int port)
{
    std::vector<Peer> peers;
    for (int i = 0; i < SENDERS + READERS; i++) {
        const string name = (i < SENDERS ? "S" : "R") + std::to_string(i);
        peers.push_back(Peer::join(port, name));
        for (int before = 0; before < i; before++)
            peers[static_cast<size_t>(before)].expect_line(
                name + " si è unito all chat!");
    }
    return peers;
}

TEST(a_million_messages)
{
    const int count = number_from("MESSAGES", 100000) / SENDERS;
    Server server;
    std::vector<Peer> peers = fill_room(server.port);
    std::vector<size_t> hashes(peers.size());
    std::vector<std::thread> threads;
    const auto start = steady_clock::now();
    for (size_t i = 0; i < peers.size(); i++)
        threads.emplace_back(
            [&, i] { hashes[i] = read_all(peers[i], count); });
    for (size_t i = 0; i < SENDERS; i++)
        threads.emplace_back([&, i] {
            for (int number = 0; number < count; number++)
                peers[i].send_line(text_of(number));
        });
    for (std::thread& thread : threads)
        thread.join();
    const std::chrono::duration<double> time = steady_clock::now() - start;
    for (const size_t hash : hashes)
        check_equal(hash, hashes[0], "the order is not the same for all");
    std::printf("%d messages, each to %zu: none lost, the same order for all;"
                " %.1f s\n", count * SENDERS, peers.size(), time.count());
    server.stop();
}
