// Hostile peers: whatever they do, honest users get in and are heard, all that
// they say, and nothing of the others is left when they have gone. ATTACKS=1 in
// the environment makes each attack last ten seconds.

#include "hostile.h"

const int LENGTH = number_from("ATTACKS", 0) ? 10000 : 700;
const size_t CROWD = is_sanitized() ? 20 : 150;

struct Case {
    string title;
    std::vector<Habit> habits;
    std::function<Deed(int port)> deed = nullptr;
};

// One attack after the other, against the same server, which may not need more
// than so many kB for them.
static void withstand(long growth, const std::vector<Case>& cases) {
    Scene scene;
    for (const Case& one : cases) {
        auto attack = std::make_unique<Attack>();
        for (const Habit& habit : one.habits)
            attack->add(gang(scene.server.port, habit));
        if (one.deed)
            attack->add(one.deed(scene.server.port));
        std::cout << one.title << ": five messages took at most "
                  << scene.measure(LENGTH) << " ms" << std::endl;
        attack.reset();
        scene.expect_peace(growth);
    }
    scene.end();
}

TEST(coming_and_leaving) {
    const string quits = repeat("{quit}\n", 10000);
    withstand(50 * 1000, {
        {"come and leave at once", {{1, "", "", 0, 0, 0}}},
        {"come and reset at once", {{1, "", "", 0, 0, 0, USUAL, true}}},
        {"leave after the greeting", {{5, "", "", 1, 100, 0}}},
        {"leave after the name", {{5, "%\n", "", 2, 1000, 1}}},
        {"reset after the name", {{5, "%\n", "", 2, 1000, 1, USUAL, true}}},
        {"join and {quit}", {{3, "%\n", "{quit}\n", 2}}},
        {"{quit} 10000 times", {{1, "%\n", quits, 1}, {1, "", quits, 1}}},
    });
}

TEST(names) {
    const string bad = repeat("a:\n", 200);
    withstand(50 * 1000, {
        {"20 type a name, a byte a second",
         {{10, "", "a", 1000}, {10, "", ":", 1000}}},
        {"3 send names that never end", {{3, "", repeat("nome", 2000)}}},
        {"8 read no answer to bad names",
         {{8, "", bad, 10, 0, 800, SMALLEST},
          {1, "", repeat("a:\n", 20000), 100, 0, 1 << 30, SMALL}}},
        {"the same, and then they join",
         {{8, "", bad + "%\n", 10, 0, 800, SMALLEST}}},
        {"40 ask for bad names, and read the answers", {{40, "", bad}}},
    });
}

TEST(readers) {
    const auto in_turn = [](int port) { return readers_in_turn(port, 20); };
    withstand(250 * 1000, {
        {"3 readers of 1 kB/s, 2 flooders",
         {flood(2), {3, "%\n", "", 100, 100, 1 << 30, SMALL}}},
        {"10 readers who stop at once, 2 flooders",
         {flood(2), {10, "%\n", "", 20, 0, 2000, SMALLEST}}},
        {"20 readers who stop in turn, 2 flooders", {flood(2)}, in_turn},
        {"the same, with 40 flooders", {flood(20), flood(20)}, in_turn},
    });
}

TEST(senders) {
    set_limit(0, RLIMIT_NOFILE, 1000);
    withstand(500 * 1000, {
        {"a sender at full speed", {flood(1)}},
        {"a line that never ends", {{1, "%\n", string(5000, 'x')}}},
        {"10 senders at full speed", {flood(5), flood(5)}},
        {"32 say 'a', to 20 bare peers",
         {{20, "%"}, {32, "%\n", repeat("a\n", 512)}}},
        {"a crowd at full speed", {{CROWD, "%\n", string(999, 'x') + "\n"}}},
    });
}
