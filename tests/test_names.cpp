// A name has 1 to 32 characters, no ':', is not blank, and is nobody else's;
// otherwise the server says why and asks again, on the same connection.

#include "support.h"

static void refuse(Peer& peer, const string& name, const string& why)
{
    peer.send_line(name);
    const string answer = peer.read_line();
    check(answer.find(why) != string::npos
              && answer.find(": digitane un altro.") != string::npos,
          "the answer to '" + name + "' was: " + answer);
}

TEST(bad_names_are_refused_and_asked_again)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer peer = Peer::connect(server.port);
    peer.expect_line(GREETING);
    refuse(peer, "Anna", "Anna è già in uso");
    refuse(peer, "a:b", "due punti");
    refuse(peer, "   ", "vuoto");
    refuse(peer, "\t\x1b", "vuoto");
    refuse(peer, repeat("x", 33), "al massimo 32 caratteri");
    refuse(peer, repeat("è", 33), "al massimo 32 caratteri");
    peer.send_line("");  // ignored
    const string longest = repeat("😀", 32);
    peer.send_line(longest);
    peer.expect_line(Peer::welcome(longest));
    anna.expect_line(longest + " si è unito all chat!");
    peer.send_line("Anna:");  // a message, now
    anna.expect_line(longest + ": Anna:");
    server.stop();
}

TEST(an_endless_name_gets_one_answer)
{
    Server server;
    Peer peer = Peer::connect(server.port);
    peer.expect_line(GREETING);
    peer.send(repeat("x", 200 * 1000) + "\n");
    check(peer.read_line().find("al massimo 32 caratteri") != string::npos, "the answer");
    peer.send_line("Anna");
    peer.expect_line(Peer::welcome("Anna"));
    server.stop();
}

TEST(a_bare_peer_is_asked_again_too)
{
    Server server;
    Peer peer = Peer::connect(server.port);
    peer.expect_line(GREETING);
    peer.send("a:b");
    peer.skip_to("digitane un altro.");
    peer.send("Nudo");
    peer.expect(Peer::welcome("Nudo"));
    peer.send("ciao");
    peer.expect("Nudo: ciao");
    server.stop();
}

TEST(a_name_is_cleaned)
{
    Server server;
    Peer peer = Peer::connect(server.port);
    peer.expect_line(GREETING);
    peer.send_line("A\x1b[2J\xE8");
    peer.expect_line(Peer::welcome("A [2J\xEF\xBF\xBD"));
    server.stop();
}

TEST(a_name_is_free_again_when_its_owner_has_left)
{
    Server server;
    Peer bruno = Peer::join(server.port, "Bruno");
    for (int i = 0; i < 50; i++) {
        Peer anna = Peer::join(server.port, "Anna");
        bruno.expect_line("Anna si è unito all chat!");
        anna.send_line("{quit}");
        anna.expect_end();
        bruno.expect_line("Anna ha abbandonato la Chat.");
    }
    server.stop();
}

TEST(two_at_once_cannot_both_have_it)
{
    Server server;
    for (int i = 0; i < 20; i++) {
        Peer a = Peer::connect(server.port);
        Peer b = Peer::connect(server.port);
        a.expect_line(GREETING);
        b.expect_line(GREETING);
        a.send_line("Anna");
        b.send_line("Anna");
        const string one = a.read_line();
        const string two = b.read_line();
        check((one == Peer::welcome("Anna")) != (two == Peer::welcome("Anna")),
              one + " / " + two);
        a.send_line("{quit}");
        b.send_line("{quit}");
        a.rest();
        b.rest();
    }
    server.stop();
}

TEST(quit_as_a_name_leaves)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer line = Peer::connect(server.port);
    line.expect_line(GREETING);
    line.send_line("{quit}");
    line.expect_end();
    Peer bare = Peer::connect(server.port);
    bare.expect_line(GREETING);
    bare.send("{quit}");
    bare.expect_end();
    Peer gone = Peer::connect(server.port);
    gone.expect_line(GREETING);
    gone.close();
    anna.send_line("solo io");
    anna.expect_line("Anna: solo io");  // nobody joined, nobody left
    server.stop();
}
