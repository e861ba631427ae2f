// soak - a crowd that comes, goes, talks and misbehaves at random, beside two
// honest users, and leaves nothing behind; and messages, of which none is lost.
// In the environment: SECONDS=600, or MESSAGES=1000000; and SEED, for the same
// things to be said again (how they get mixed is up to the system).

#include "../hostile.h"

using Random = std::mt19937;

static size_t below(Random& random, size_t n) { return random() % n; }

// A part of something to say, which may be wrong, or pretend to be more.
static string some_word(Random& random) {
    static const Strings words
        = {"ciao", "perché", "€", "😀", " ", "Eva: no", "quit", "{", "}",
           "{quit}", "\n", "\r", "\r\n", "\rAnna: falso\r", "\nAnna: falso\n",
           "\nBruno ha abbandonato la Chat.\n", "\vEva si è unito all chat!\n"};
    string word = words[random() % words.size()];
    if (below(random, 3) == 0)
        word = RUBBISH[random() % RUBBISH.size()].first;
    const size_t kind = below(random, 100);
    if (kind < 3)  // long, with an odd length
        return "x" + repeat(word, random() % 3000 / word.size());
    if (kind < 8)
        return string(random() % 40, static_cast<char>(random()));
    return word;
}

// Asks for some names, says some things, cut anywhere, reads some answers, and
// leaves, each time in another way.
static Deed talker(int port, unsigned seed) {
    auto random = std::make_shared<Random>(seed);
    return [=] {
        Hostile peer(port, below(*random, 4) ? USUAL : SMALL);
        const string end = below(*random, 4) ? "\n" : "";
        const bool reads = below(*random, 5) > 0;
        string said;
        for (const size_t count : {below(*random, 3), below(*random, 30)}) {
            for (size_t i = count * 4; i > 0; i--)
                said += some_word(*random) + (i % 4 == 0 ? end : "");
            said += "%" + end;
        }
        for (size_t at = 0, size = 0; at < said.size(); at += size) {
            size = 1 + below(*random, below(*random, 3) ? 2000 : 20);
            peer.send(said.substr(at, size));
            if (reads)
                peer.read();
            if (below(*random, 10) == 0)
                pause_for((*random)() % (below(*random, 9) ? 20 : 300));
        }
        const size_t way = below(*random, 5);
        if (way == 0)
            peer.reset();
        else if (way == 1)
            peer.send("\n{quit}\n");
        else if (way < 4)
            ::shutdown(peer.fd(), way == 2 ? SHUT_WR : SHUT_RD);
        if (way == 1 || way == 2)
            while (!peer.read(4096, 0).empty()) {}
    };
}

TEST(coming_going_talking_misbehaving) {
    const int seconds = number_from("SECONDS", 3);
    Scene scene;
    const auto memory = [&] { return status_of(scene.server.pid(), "VmRSS"); };
    auto crowd = std::make_unique<Attack>();
    const int port = scene.server.port;
    const auto seed = static_cast<unsigned>(
        number_from("SEED", static_cast<int>(std::random_device()() >> 1)));
    std::cout << "SEED=" << seed << std::endl;
    for (unsigned i = 0; i < 12; i++)
        crowd->add(talker(port, seed + i));
    const string bad = repeat("a:\n", 200);
    for (const Habit& habit : std::vector<Habit>{
             flood(1), {10, "", "a", 1000}, {1, "", repeat("nome", 2000)},
             {2, "", "", 0, 0, 0}, {2, "%\n", "", 1, 1000, 1, USUAL, true},
             {2, "%\n", repeat("{quit}\n", 1000), 1},
             {8, "", bad + "%\n", 10, 0, 800, SMALLEST},
             {1, "%\n", "", 100, 100, 1 << 30, SMALL},
             {3, "%\n", "", 20, 0, 2000, SMALLEST}})
        crowd->add(gang(port, habit));
    crowd->add(readers_in_turn(port, 4));
    long early = 0;
    for (int second = 0; second < seconds; second++) {
        std::cout << second + 1 << " s: five messages took at most "
                  << scene.measure(1000) << " ms; " << memory() << " kB\n";
        if (second <= seconds / 10)
            early = memory();
    }
    crowd.reset();
    scene.expect_peace(500 * 1000);
    std::cout << "all have gone: " << memory() << " kB\n";
    if (seconds >= 60 && !is_sanitized())  // the allocator has what it keeps
        check(memory() <= early + 4096, "the memory is not flat");
    scene.end();
}

TEST(a_million_messages) {
    const int count = number_from("MESSAGES", 100000);
    all_hear_all(5, count / 5, 35, std::vector<int>(15, 0));
    all_hear_all(1, count / 5, 990, std::vector<int>(11, 0));
}
