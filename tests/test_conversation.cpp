// What everyone sees in an ordinary conversation, byte for byte.

#include "support.h"

TEST(line_peers_hear_the_original_texts)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer bruno = Peer::join(server.port, "Bruno");
    anna.expect_line("Bruno si è unito all chat!");
    anna.send_line("ciao");
    anna.expect_line("Anna: ciao");
    bruno.expect_line("Anna: ciao");  // and not its own joining before
    bruno.send_line("perché no? €");
    anna.expect_line("Bruno: perché no? €");
    bruno.expect_line("Bruno: perché no? €");
    bruno.send_line("{quit}");
    bruno.expect_end();
    anna.expect_line("Bruno ha abbandonato la Chat.");
    server.stop();
    anna.expect_line("{quit}");
    anna.expect_end();
}

TEST(bare_peers_get_the_bytes_of_the_original)
{
    Server server;
    Peer anna = Peer::join_bare(server.port, "Anna");
    Peer bruno = Peer::join_bare(server.port, "Bruno");
    anna.expect("Bruno si è unito all chat!");
    anna.send("ciao");
    anna.expect("Anna: ciao");
    bruno.expect("Anna: ciao");
    bruno.send("{quit}");
    bruno.expect_end();
    anna.expect("Bruno ha abbandonato la Chat.");
    anna.expect_silence();  // no '\n' behind it
    server.stop();
    anna.expect("{quit}");
    anna.expect_end();
}

TEST(both_kinds_share_one_room)
{
    Server server;
    Peer line = Peer::join(server.port, "Riga");
    Peer bare = Peer::join_bare(server.port, "Nudo");
    line.expect_line("Nudo si è unito all chat!");
    line.send_line("uno");
    bare.expect("Riga: uno");
    bare.send("due");
    line.expect_line("Riga: uno");
    line.expect_line("Nudo: due");
    bare.expect("Nudo: due");
    server.stop();
}

TEST(empty_messages_are_ignored)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    anna.send("\n\r\n\n ciao \n\n");
    anna.expect_line("Anna:  ciao ");
    Peer bare = Peer::join_bare(server.port, "Nudo");
    anna.expect_line("Nudo si è unito all chat!");
    bare.send("\n\n");
    bare.send("ora");
    bare.expect("Nudo: ora");
    anna.expect_line("Nudo: ora");
    server.stop();
}

TEST(everyone_hears_the_same_order)
{
    Server server;
    const int count = 5;
    const int each = 300;
    std::vector<Peer> peers;
    for (int i = 0; i < count; i++) {
        peers.push_back(Peer::join(server.port, "P" + std::to_string(i)));
        for (int j = 0; j < i; j++)  // all have heard of it
            peers[j].expect_line("P" + std::to_string(i)
                                 + " si è unito all chat!");
    }
    for (int k = 0; k < each; k++)
        for (Peer& peer : peers)
            peer.send_line(std::to_string(k));
    std::vector<string> heard;
    for (Peer& peer : peers) {
        string all;
        for (int line = 0; line < count * each; line++)
            all += peer.skip_to("\n");
        heard.push_back(all);
    }
    for (int i = 0; i < count; i++) {
        check_equal(heard[i], heard[0], "the order differs");
        int next = 0;  // and each one's messages are complete, in their order
        std::istringstream lines(heard[0]);
        for (string line; std::getline(lines, line);)
            if (line == "P" + std::to_string(i) + ": " + std::to_string(next))
                next++;
        check_equal(next, each, "messages of one peer");
    }
    server.stop();
}

// From its welcome on a newcomer misses nothing, and gets nothing from before.
TEST(a_newcomer_misses_nothing_after_its_welcome)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    bool stop = false;
    int said = 0;
    std::thread talker([&] {
        while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
            anna.send_line(std::to_string(++said));
            if (said % 50 == 0)
                pause_for(1);
        }
        anna.send_line("fine");
    });
    std::vector<Peer> newcomers;
    for (int i = 0; i < 20; i++)
        newcomers.push_back(Peer::join(server.port, "N" + std::to_string(i)));
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    talker.join();
    for (int i = 0; i < 20; i++) {
        std::istringstream heard(newcomers[i].skip_to("Anna: fine\n"));
        int last = 0;
        int next_newcomer = i + 1;
        for (string line; std::getline(heard, line);) {
            if (line == "Anna: fine")
                break;
            if (line.compare(0, 6, "Anna: ") == 0) {
                const int number = std::atoi(line.c_str() + 6);
                check(last == 0 || number == last + 1,
                      "missing between " + std::to_string(last) + " and " + line);
                last = number;
            } else {
                check_equal(line, "N" + std::to_string(next_newcomer++)
                                      + " si è unito all chat!", "a joining");
            }
        }
        check(last == said || last == 0, "the last one is missing");
    }
    server.stop();
}

TEST(the_log_tells_who_came_and_who_left)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    sockaddr_in mine = {};
    socklen_t size = sizeof mine;
    ::getsockname(anna.fd(), reinterpret_cast<sockaddr*>(&mine), &size);
    const string address = "127.0.0.1:" + std::to_string(ntohs(mine.sin_port));
    server.out.expect_line(address + " si è collegato.");
    anna.send_line("{quit}");
    server.out.expect_line(address + " si è scollegato.");
    Peer bruno = Peer::join(server.port, "Bruno");
    server.out.skip_to(" si è collegato.\n");
    bruno.reset();
    server.out.expect("la connessione con 127.0.0.1:");
    server.out.skip_to(" si e' interrotta\n");
    server.stop();
    check_equal(server.log, string("Terminazione del server...\n"), "the log");
}
