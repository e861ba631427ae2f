// Ctrl+C: everyone is told, everything ends, and the port is free at once.

#include "support.h"

TEST(all_kinds_of_connections_are_told)
{
    for (const int number : {SIGINT, SIGTERM}) {
        Server server;
        Peer silent = Peer::connect(server.port);
        Peer naming = Peer::connect(server.port);
        Peer line = Peer::join(server.port, "Riga");
        Peer bare = Peer::join_bare(server.port, "Nudo");
        line.expect_line("Nudo si è unito all chat!");
        Peer halfway = Peer::join(server.port, "Mezzo");
        Peer closing = Peer::join(server.port, "Chiuso");
        closing.half_close();
        closing.expect_end();
        naming.send("Nom");
        halfway.send("mezza parola");
        silent.expect_line(GREETING);
        naming.expect_line(GREETING);
        server.signal(number);
        server.out.skip_to("Terminazione del server...\n");
        silent.expect("{quit}");
        silent.expect_end();
        line.skip_to("{quit}\n");
        line.expect_end();
        bare.skip_to("{quit}");
        bare.expect_end();
        halfway.skip_to("{quit}\n");
        check(naming.rest().find("{quit}") != string::npos, "while naming");
        server.expect_exit(0);
        check_equal(server.errors, string(), "standard error");
    }
}

// Nobody's thread is cut off in the middle: the log knows of each that it left.
TEST(the_log_tells_that_all_have_left)
{
    Server server;
    std::vector<Peer> peers;
    for (int i = 0; i < 100; i++) {
        peers.push_back(Peer::connect(server.port));
        peers.back().expect_line(GREETING);
    }
    server.stop();
    size_t left = 0;
    for (size_t at = 0; (at = server.log.find("si è scollegato.\n", at))
                        != string::npos; at++)
        left++;
    check_equal(left, peers.size(), "how many have left");
}

// 3 MB wait for a reader that has stopped, another floods: still at once.
TEST(stuck_readers_and_floods_do_not_delay_the_end)
{
    Server server;
    Peer stuck = Peer::join(server.port, "Fermo");
    Peer anna = Peer::join(server.port, "Anna");
    std::thread flood([&] {
        const string lines = repeat(repeat("x", 900) + "\n", 50);
        while (::send(anna.fd(), lines.data(), lines.size(), MSG_NOSIGNAL) > 0) {
        }
    });
    std::thread drain([&] { anna.rest(); });
    pause_for(300);
    server.stop();
    flood.join();
    drain.join();
}

TEST(what_was_said_before_is_delivered_first)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    for (int i = 0; i < 50; i++)
        anna.send_line("n" + std::to_string(i));
    for (int i = 0; i < 50; i++)
        anna.expect_line("Anna: n" + std::to_string(i));
    server.stop();
    anna.expect_line("{quit}");
    anna.expect_end();
}

TEST(the_same_port_can_be_bound_again_at_once)
{
    int port = 0;
    for (int round = 0; round < 3; round++) {
        Server server(nullptr, port);  // the first time: any
        port = server.port;
        Peer anna = Peer::join(port, "Anna");
        Peer bruno = Peer::join(port, "Bruno");
        anna.expect_line("Bruno si è unito all chat!");
        server.stop();  // the server closes first: TIME_WAIT is on its side
        anna.expect_line("{quit}");
        anna.expect_end();
        bruno.expect_line("{quit}");
    }
}

TEST(a_server_without_clients_ends_too)
{
    Server server;
    server.stop();
    check_equal(server.log, string("Terminazione del server...\n"), "the log");
}

TEST(a_second_ctrl_c_does_no_harm)
{
    Server server;
    std::vector<Peer> peers;
    for (int i = 0; i < 50; i++)
        peers.push_back(Peer::join(server.port, "P" + std::to_string(i)));
    server.signal(SIGINT);
    server.signal(SIGINT);
    server.stop();
}
