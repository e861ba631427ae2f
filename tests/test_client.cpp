// The client: against our server, against a bare one, against none.

#include "support.h"

#include <algorithm>

// A server of the test's own that greets.
static Peer greet(Listener& listener, const string& greeting)
{
    Peer peer = listener.accept();
    peer.send(greeting);
    return peer;
}

TEST(a_piped_conversation)
{
    Server server;
    Client anna(server.port);
    anna.in.send("Anna\nciao\n\nperché €\n{quit}\nnon più\n");
    check_equal(anna.out.rest(),
                GREETING + "\n" + Peer::welcome("Anna")
                    + "\nAnna: ciao\nAnna: perché €\n",
                "what it shows");
    anna.expect_exit(0);
    check_equal(anna.errors, string(), "standard error");
    server.stop();
}

TEST(input_that_just_ends_leaves_and_loses_nothing)
{
    Server server;
    Peer bruno = Peer::join(server.port, "Bruno");
    Client anna(server.port);
    anna.in.send("Anna\nciao\nsenza fine");
    anna.in.close();
    check_equal(anna.out.rest(),
                GREETING + "\n" + Peer::welcome("Anna")
                    + "\nAnna: ciao\nAnna: senza fine\n",
                "what it shows");
    anna.expect_exit(0);
    bruno.expect("Anna si è unito all chat!\nAnna: ciao\nAnna: senza fine\n"
                 "Anna ha abbandonato la Chat.\n");
    server.stop();
}

TEST(much_piped_at_once_arrives_and_comes_back)
{
    Server server;
    Client anna(server.port);
    string wanted = GREETING + "\n" + Peer::welcome("Anna") + "\n";
    string said = "Anna\n";
    for (int i = 0; i < 5000; i++) {
        said += "numero " + std::to_string(i) + "\n";
        wanted += "Anna: numero " + std::to_string(i) + "\n";
    }
    std::thread writer([&] {
        anna.in.send(said);
        anna.in.close();
    });
    check_equal(anna.out.rest(), wanted, "what it shows");
    writer.join();
    anna.expect_exit(0);
    server.stop();
}

TEST(ctrl_c_leaves_politely)
{
    Server server;
    Peer bruno = Peer::join(server.port, "Bruno");
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        Client anna(server.port);
        anna.in.send_line("Anna");
        anna.out.expect_line(GREETING);
        anna.out.expect_line(Peer::welcome("Anna"));
        bruno.expect_line("Anna si è unito all chat!");
        anna.signal(number);
        anna.out.expect(LEAVING);
        anna.out.expect_end();
        anna.expect_exit(0);
        bruno.expect_line("Anna ha abbandonato la Chat.");
    }
    server.stop();
}

TEST(ctrl_c_sends_quit)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, GREETING + "\n");
    client.out.expect_line(GREETING);
    client.signal(SIGINT);
    peer.expect("{quit}\n");
    peer.send("ancora questo\n");
    peer.close();
    client.out.expect(LEAVING + "ancora questo\n");
    client.expect_exit(0);
}

TEST(the_end_of_the_server_ends_the_client_with_1)
{
    Server server;
    Client client(server.port);
    client.out.expect_line(GREETING);
    client.in.send_line("Anna");
    client.out.expect_line(Peer::welcome("Anna"));
    server.stop();  // while the client waits for its keyboard
    client.out.expect(INTERRUPTED);
    client.expect_exit(1);
}

TEST(a_lost_connection_ends_the_client_with_1)
{
    for (const bool reset : {false, true}) {
        Listener listener;
        Client client(listener.port());
        Peer peer = greet(listener, GREETING + "\n");
        client.out.expect_line(GREETING);
        peer.send("meta' di una riga");
        if (reset)
            pause_for(200);
        reset ? peer.reset() : peer.close();
        client.out.expect("meta' di una riga\n" + INTERRUPTED);
        client.expect_exit(1);
    }
}

TEST(quit_from_the_server_is_not_shown_and_ends_with_1)
{
    for (const string& newline : {string("\n"), string()}) {
        Listener listener;
        Client client(listener.port());
        Peer peer = greet(listener, GREETING + newline);
        client.out.expect_line(GREETING);
        peer.send("{quit}" + newline);  // and does not even close
        client.out.expect(INTERRUPTED);
        client.out.expect_end();
        client.expect_exit(1);
    }
}

TEST(quit_in_a_text_is_no_quit)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, GREETING + "\n");
    client.out.expect_line(GREETING);
    peer.send("Eva: {quit}\n {quit}\n{quit} \n" + repeat("x", 4096)
              + "{quit}\nciao\n");
    client.out.expect("Eva: {quit}\n {quit}\n{quit} \n" + repeat("x", 4096)
                      + "\n{quit}\nciao\n");
    client.in.close();
    peer.expect("{quit}\n");
    peer.send("{quit}\n");  // the answer to ours: not shown
    peer.close();
    client.out.expect_end();
    client.expect_exit(0);
}

TEST(nobody_there_ends_with_1)
{
    int port = 0;
    {
        Listener listener;
        port = listener.port();
    }
    Client client(port);
    client.out.expect("Errore durante la connessione: ");
    client.out.skip_to("\nConnessione non riuscita\n");
    client.expect_exit(1);
}

TEST(an_unknown_name_ends_with_1)
{
    Program client(client_program(), {"perché.invalid", "5300"});
    client.out.expect("Errore durante la connessione: ");
    check(client.out.read_line().size() > 5, "no reason");
    client.out.expect_line("Connessione non riuscita");
    client.out.expect_line("Il server perché.invalid è avviato, e la sua porta"
                           " è 5300?");
    client.expect_exit(1);
}

// Connections that nobody accepts fill the backlog; the next is not answered.
TEST(connecting_has_a_time_limit)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    check(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0
              && ::listen(fd, 0) == 0, "cannot listen");
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    std::vector<Peer> waiting;
    for (int i = 0; i < 3; i++) {
        const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        ::connect(s, reinterpret_cast<sockaddr*>(&address), size);
        waiting.emplace_back(s);
    }
    pause_for(100);
    Client client(ntohs(address.sin_port));
    client.out.expect_line("Connessione non riuscita");
    client.expect_exit(1);
    Client impatient(ntohs(address.sin_port));
    pause_for(300);
    impatient.signal(SIGINT);
    impatient.out.expect(LEAVING);
    impatient.expect_exit(0);
    ::close(fd);
}

TEST(a_line_server_gets_whole_lines)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    const string text = repeat("è", 3000);
    client.in.send("Anna\n\n" + text + "\r\nx\xE8\x1b[2J\n");
    peer.expect("Anna\n" + text + "\nx\xEF\xBF\xBD [2J\n");
    client.in.close();
    peer.expect("{quit}\n");
    peer.close();
    client.expect_exit(0);
}

TEST(a_bare_server_gets_no_newline_and_no_glued_messages)
{
    for (const string& greeting : {string("Ciao"), string()}) {
        Listener listener;
        Client client(listener.port());
        Peer peer = greet(listener, greeting);
        const std::vector<string> said = {"Anna", "uno", "due", "tre"};
        for (const string& text : said)
            client.in.send_line(text);
        client.in.close();
        for (const string& text : said) {
            check(peer.read_some(), "nothing comes");
            check_equal(peer.got(), text, "one recv()");
            peer.expect(text);
        }
        peer.expect("{quit}");
        peer.close();
        client.expect_exit(0);
    }
}

TEST(a_long_text_is_cut_to_fit_a_bare_servers_recv)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao");
    for (const string& text :
         {repeat("€", 1000), repeat("x", 1024) + "{quit}", repeat("y", 1024)}) {
        client.in.send_line(text);
        string heard;
        while (heard.size() < text.size()) {
            check(peer.read_some(), "nothing comes");
            const string piece = peer.got();
            check(piece.size() <= 1024, "too long for recv(1024)");
            check((piece[0] & 0xC0) != 0x80, "cut in a character");
            check(piece != "{quit}", "a quit that nobody meant");
            peer.expect(piece);
            heard += piece == " {quit}" ? "{quit}" : piece;
        }
        check_equal(heard, text, "the pieces together");
    }
    client.in.close();
    peer.expect("{quit}");
    peer.close();
    client.expect_exit(0);
}

TEST(what_is_shown_is_whole_and_clean)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ci");
    pause_for(50);
    peer.send("ao\n");
    client.out.expect_line("Ciao");
    for (const char c : string("perché 😀\n")) {
        peer.send(string(1, c));
        pause_for(2);
    }
    client.out.expect_line("perché 😀");
    peer.send("uno\r\ndue\n\x1b[2J\x9b\xC2\x9b\x07\xE8\n");
    client.out.expect("uno\ndue\n [2J\xEF\xBF\xBD  \xEF\xBF\xBD\n");
    client.in.close();
    peer.expect("{quit}\n");
    peer.close();
    client.expect_exit(0);
}

TEST(a_bare_servers_chunk_is_a_line)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao");
    client.out.expect_line("Ciao");
    peer.send("perch\xC3");
    client.out.expect_line("perch");
    peer.send("\xA9");
    client.out.expect_line("é");
    peer.send("Eva: a\nBruno: falso\n{quit}");  // nobody can forge a line
    client.out.expect_line("Eva: a Bruno: falso {quit}");
    client.in.close();
    peer.expect("{quit}");
    peer.close();
    client.expect_exit(0);
}

// A server that does not close after {quit}, one that goes on talking, and one
// that reads nothing at all: the client leaves all the same.
TEST(leaving_has_a_time_limit)
{
    for (const int kind : {0, 1, 2}) {
        Listener listener;
        Client client(listener.port());
        Peer peer = greet(listener, "Ciao\n");
        client.out.expect_line("Ciao");
        bool stop = false;
        std::thread talker([&] {
            while (kind == 1 && !__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
                ::send(peer.fd(), "bla\n", 4, MSG_NOSIGNAL);
                pause_for(1);
            }
        });
        std::thread drain([&] { client.out.rest(); });
        if (kind == 2) {
            // until nothing has gone into the pipe for a while
            const string lines = repeat(repeat("x", 1000) + "\n", 60);
            pollfd p = {client.in.fd(), POLLOUT, 0};
            ::fcntl(p.fd, F_SETFL, O_NONBLOCK);
            while (::poll(&p, 1, 500) > 0)
                if (::write(p.fd, lines.data(), lines.size()) < 0)
                    pause_for(1);
            client.signal(SIGINT);
        } else {
            client.in.send_line("{quit}");
        }
        client.expect_exit(0);
        __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
        talker.join();
        drain.join();
    }
}
