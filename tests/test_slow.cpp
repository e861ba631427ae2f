// Readers that have stopped, readers that are slow, writers that are fast, and
// a thousand at once: the room goes on, and whoever reads loses nothing.

#include "hostile.h"

TEST(who_has_stopped_reading_is_dropped_and_the_room_goes_on) {
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    std::vector<Peer> stopped;
    Strings reasons;
    for (const string& name : Strings{"A", "B", "C", "D", "E"}) {
        stopped.push_back(Peer::join(server.port, name, SMALLEST));
        anna.skip_to(name + " si è unito all chat!\n");
        reasons.push_back(name + " (" + stopped.back().address()
                          + ") non legge i messaggi.\n");
    }
    int gone = 0, said = 0;
    while (gone < 5) {  // each message waits for its echo
        const string text = to_string(said++) + repeat(" parole", 140);
        anna.send_line(text);
        for (string line; line != "Anna: " + text;) {
            line = anna.read_line();
            gone += ends_with(line, " ha abbandonato la Chat.");
        }
        check(said < 100 * 1000, "nobody is dropped");
    }
    check(said > 200, "they are dropped after " + to_string(said) + " kB");
    anna.send_line("fine");
    anna.expect_line("Anna: fine");
    for (Peer& peer : stopped)  // it gets what was on its way, and the end
        peer.rest();
    server.stop();
    for (const string& reason : reasons)
        check_equal(count_of(server.log, reason), 1, "the log says why");
}

// Much longer than the server waits for anybody, a reader takes nothing; but
// it is not so far behind that somebody else would have to wait.
TEST(who_stops_for_a_while_among_humans_loses_nothing) {
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer slow = Peer::join(server.port, "Lento", SMALLEST);
    anna.expect_line("Lento si è unito all chat!");
    const string text = repeat("bla ", 200);
    for (int i = 0; i < 200; i++) {
        anna.send_line(text);
        anna.expect_line("Anna: " + text);
        pause_for(6);
    }
    slow.expect(repeat("Anna: " + text + "\n", 200));
    slow.send_line("eccomi");
    anna.expect_line("Lento: eccomi");
}

// The sender is slowed down to what the slow reader takes.
TEST(a_fast_sender_does_not_cost_a_slow_reader_its_place) {
    all_hear_all(1, 4000, 990, {0, 0, 1}, SMALL);
}

TEST(at_most_1000_clients) {
    set_limit(0, RLIMIT_NOFILE, 2500);
    Server server;
    std::thread log([&] { server.out.skip_to("non è entrato"); });
    const long before = status_of(server.pid(), "VmRSS");
    std::vector<Peer> peers;
    for (int i = 0; i < 1000; i++)  // some of them without a name
        peers.push_back(i % 10 ? Peer::join(server.port, to_string(i))
                               : Peer::connect(server.port));
    Peer late = Peer::connect(server.port);
    late.expect_line("Il server è pieno: riprova più tardi.");
    late.expect_end();
    log.join();
    server.out.expect_line(": il server è pieno.");
    peers[999].send_line("ciao");
    peers[999].expect_line("999: ciao");
    check_growth(server, before, 16 * 1000);
    peers[7].close();
    wait_until("there is room again", [&] {
        peers[7] = Peer::connect(server.port);
        return peers[7].read_line() == GREETING;
    });
    server.stop();
    for (Peer& peer : peers)
        check(peer.rest().find("{quit}") != string::npos, "one is not told");
}
