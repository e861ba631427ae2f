// What everyone sees in an ordinary conversation, byte for byte.

#include "support.h"

// A line peer gets each text with a '\n', a bare one the original's bytes.
TEST(the_original_texts_for_both_kinds) {
    for (const string& annas_end : Strings{"\n", ""})
        for (const string& brunos_end : Strings{"\n", ""}) {
            Server server;
            Peer anna = Peer::join(server.port, "Anna", USUAL, annas_end);
            Peer bruno = Peer::join(server.port, "Bruno", USUAL, brunos_end);
            const auto both_hear = [&](const string& text) {
                anna.expect(text + annas_end);
                bruno.expect(text + brunos_end);
            };
            anna.expect("Bruno si è unito all chat!" + annas_end);
            anna.send("ciao" + annas_end);
            both_hear("Anna: ciao");  // and Bruno not its own joining before
            bruno.send("perché no? €" + brunos_end);
            both_hear("Bruno: perché no? €");
            bruno.send("{quit}" + brunos_end);
            bruno.expect_end();
            anna.expect("Bruno ha abbandonato la Chat." + annas_end);
            server.stop();
            anna.expect("{quit}" + annas_end);
            anna.expect_end();
        }
}

// It hears what Anna hears from its joining on, and nothing from before.
TEST(a_newcomer_misses_nothing_after_its_welcome) {
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    std::atomic<bool> stop{false};
    std::thread talker([&] {
        for (int said = 0; !stop; pause_for(said % 50 == 0))
            anna.send_line(to_string(++said));
        anna.send_line("fine");
    });
    std::vector<Peer> newcomers;
    for (int i = 0; i < 20; i++)
        newcomers.push_back(Peer::join(server.port, "N" + to_string(i)));
    stop = true;
    talker.join();
    const string all = anna.skip_to("Anna: fine\n");
    for (size_t i = 0; i < newcomers.size(); i++) {
        const string joins = "N" + to_string(i) + " si è unito all chat!\n";
        const string wanted = all.substr(all.find(joins) + joins.size());
        check_equal(newcomers[i].skip_to("Anna: fine\n"), wanted, "a newcomer");
    }
}

TEST(the_log_tells_who_came_and_who_left) {
    Server server;
    for (const bool by_reset : {false, true}) {
        Peer anna = Peer::join(server.port, "Anna");
        const string address = anna.address();
        const string named = "Anna (" + address + ") ";
        server.out.expect_line(address + " si è collegato.");
        server.out.expect_line(named + "si è unito all chat!");
        by_reset ? anna.reset() : anna.send_line("{quit}");
        server.out.expect_line(named + "ha abbandonato la Chat.");
        if (by_reset)
            server.out.expect_line("la connessione con " + address
                                   + " si e' interrotta");
        server.out.expect_line(address + " si è scollegato.");
    }
    server.stop();
    check_equal(server.log, CLOSING, "the rest of the log");
}
