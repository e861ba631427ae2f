// Ctrl+C: everyone is told, everything ends, and the port is free at once.

#include "support.h"

TEST(all_kinds_of_connections_are_told) {
    for (const int number : {SIGINT, SIGTERM}) {
        Server server;
        Peer silent = Peer::greeted(server.port);
        Peer naming = Peer::greeted(server.port);
        Peer halfway = Peer::join(server.port, "Mezzo");
        Peer closing = Peer::join(server.port, "Chiuso");
        closing.half_close();
        closing.expect_end();
        halfway.send("mezza parola");
        naming.send("Nom");
        server.signal(number);
        server.out.skip_to(CLOSING);
        silent.expect("{quit}");
        silent.expect_end();
        halfway.skip_to("{quit}\n");
        halfway.expect_end();
        check(naming.rest().find("{quit}") != string::npos, "while naming");
        server.expect_exit(0);
    }
}

// Nobody's thread is cut off in the middle: the log knows of each that it left.
TEST(the_log_tells_that_all_have_left) {
    Server server;
    std::vector<Peer> peers;
    for (int i = 0; i < 100; i++)
        peers.push_back(Peer::greeted(server.port));
    server.stop();
    check_equal(count_of(server.log, " si è scollegato.\n"), 100,
                "how many have left");
}

// A hundred things wait for a reader that has stopped, or there is a flood of
// them; and Ctrl+C is pressed twice.
TEST(stuck_readers_and_floods_do_not_delay_the_end) {
    for (const int count : {100, 100000}) {
        Server server;
        Peer stuck = Peer::join(server.port, "Fermo", SMALLEST);
        Peer anna = Peer::join(server.port, "Anna");
        std::thread flood([&] {
            const string line = string(900, 'x') + "\n";
            for (int i = 0; i < count; i++)
                ::send(anna.fd(), &line[0], line.size(), MSG_NOSIGNAL);
        });
        std::thread drain([&] { anna.rest(); });
        pause_for(300);
        server.signal(SIGINT);
        server.stop();
        check_equal(count_of(server.log, " si è scollegato.\n"), 2, "gone");
        flood.join();
        drain.join();
    }
}

// They would be at it until the program is ended by force.
TEST(nobody_gets_in_after_ctrl_c) {
    Server server;
    std::vector<Peer> late;
    for (int i = 0; i < 10; i++)
        late.push_back(Peer::greeted(server.port));
    server.signal(SIGINT);
    for (size_t i = 0; i < late.size(); i++) {
        late[i].expect("{quit}");
        const string text = to_string(i) + "\n" + repeat("x\n", 100000);
        ::send(late[i].fd(), &text[0], text.size(), MSG_NOSIGNAL);
    }
    server.stop();
    check_equal(count_of(server.log, " si è scollegato.\n"), 10, "gone");
}

TEST(the_same_port_can_be_bound_again_at_once) {
    int port = 0;  // the first time: any
    for (int round = 0; round < 3; round++) {
        Server server(nullptr, port);
        port = server.port;
        Chat chat(port);
        chat.goes_on();
        server.stop();  // the server closes first: TIME_WAIT is on its side
        chat.is_closed();
    }
}

TEST(a_server_without_clients_ends_too) {
    Server server;
    server.stop();
    check_equal(server.log, CLOSING, "the log");
}
