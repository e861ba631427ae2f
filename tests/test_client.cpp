// The client: connecting, and an ordinary conversation with our server or with
// a bare one.

#include "support.h"

#include <net/if.h>
#include <sys/ioctl.h>

TEST(a_piped_conversation) {
    Server server;
    Client anna(server.port);
    anna.in.send("Anna\nciao\n\nperché €\n{quit}\nnon più\n");
    anna.expect_end(GREETING + "\n" + Peer::welcome("Anna")
                        + "\nAnna: ciao\nAnna: perché €\n", 0);
}

TEST(input_that_just_ends_leaves_and_loses_nothing) {
    Meeting meeting;
    const string said = numbers("numero ", 5000);
    const string longest = repeat("è", 3000);  // a line server gets it whole
    std::thread writer([&] {
        meeting.client.in.send("Anna\n\n" + longest + "\r\nx\xE8\x1b[2J\n"
                               + " {quit}\n" + said + "senza fine");
        meeting.client.in.close();
    });
    pause_for(300);  // until the pipe is full
    meeting.peer.expect("Anna\n" + longest + "\nx? [2J\n {quit}\n" + said
                        + "senza fine\n{quit}\n");
    writer.join();
    meeting.peer.send(said);
    meeting.peer.close();
    meeting.client.expect_end(LEAVING + said, 0);
}

TEST(nobody_there_ends_with_1) {
    const Listener nobody(Listener::DEAF);
    const string port = to_string(nobody.port());
    for (const string& name : Strings{"127.0.0.1", "perché.invalid"}) {
        Program client(client_program(), {name, port});
        client.out.skip_to("Errore durante la connessione: ");
        check(client.out.read_line().size() > 5, "no reason");
        client.expect_end("Connessione non riuscita\nIl server " + name
                              + " è avviato, e la sua porta è " + port + "?\n",
                          1);
    }
}

TEST(connecting_has_a_time_limit) {
    const Listener silent(0);
    const Peer first = Peer::connect(silent.port());  // now its queue is full
    Client client(silent.port()), impatient(silent.port());
    for (Client* one : {&client, &impatient}) {
        one->out.ignore("");
        one->out.expect(WAITING);
    }
    impatient.signal(SIGINT);
    impatient.expect_end(LEAVING, 0);
    client.expect_last_word("Connessione non riuscita\n", 1);
}

TEST(a_silent_address_leaves_time_for_the_next) {
    const Prepare know_two_addresses = by_oneself(CLONE_NEWNS, [] {
        std::ofstream("/mnt/hosts") << "127.0.0.1 due\n127.0.0.2 due\n";
        return ::mount("/mnt/hosts", "/etc/hosts", "", MS_BIND, nullptr) == 0;
    });
    const Listener silent(0);
    const Peer first = Peer::connect(silent.port());
    const Listener listener(50, "127.0.0.2", silent.port());
    Program client(client_program(), {"due", to_string(listener.port())},
                   know_two_addresses);
    listener.accept().send("Ciao\n");
    client.out.skip_to("Ciao\n");
}

TEST(a_connection_to_itself_is_none) {
    const int port = 40000;  // all connections come from there
    const Prepare come_from_port = by_oneself(CLONE_NEWNET, [=] {
        ifreq interface = {};
        std::strcpy(interface.ifr_name, "lo");
        interface.ifr_flags = IFF_UP;
        const Stream any(::socket(AF_INET, SOCK_DGRAM, 0));
        std::ofstream range("/proc/sys/net/ipv4/ip_local_port_range");
        range << port << " " << port << std::endl;
        return range && ::ioctl(any.fd(), SIOCSIFFLAGS, &interface) == 0;
    });
    Client client(port, come_from_port);
    client.out.skip_to("Errore durante la connessione: ");
    client.expect_last_word("Connessione non riuscita\n", 1);
}

// A bare server gets no newline, one message in each recv(1024), and in each
// of them there is room for a name.
TEST(a_bare_server_gets_no_newline_and_no_glued_messages) {
    const Strings lines = {"Anna", "uno", repeat("€", 1000), "due",
                           string(894, 'x') + "{quit}", string(1500, 'y')};
    string greeting = "Ciao";
    check_in_some_try("a message in each recv()", [&] {
        Meeting meeting(greeting);
        for (const string& line : lines)
            meeting.client.in.send_line(line);
        const auto start = steady_clock::now();
        for (const string& line : lines)
            for (string heard; heard.size() < line.size();) {
                const string piece = meeting.peer.read_chunk(1024);
                check(piece != "{quit}", "a quit that nobody meant");
                heard += piece == "{quit} " ? "{quit}" : piece;
                if (piece.size() > 894
                    || line.compare(0, heard.size(), heard) != 0)
                    return false;  // a busy machine reads two at once
                check_clean(piece);
            }
        meeting.part();
        return steady_clock::now() - start > milliseconds(400)
               && std::exchange(greeting, "").empty();  // now one without any
    });
}

TEST(a_bare_servers_chunk_is_a_line) {
    Meeting meeting("Ciao");
    const string long_text = "Eva: " + string(1018, 'x') + "{quit}";
    for (const Strings& one : std::vector<Strings>{
             {"perch\xC3", "perch"},
             {"\xA9", "é"}, {"{qu", "{qu"}, {"it}", "it}"},
             {"{quit} ", "{quit} "}, {" {quit}", " {quit}"},
             {"Eva: a\nBruno: falso\n{quit}", "Eva: a Bruno: falso {quit}"},
             {long_text, long_text},  // more than recv(1024) would bring
             {repeat("Eva: è ", 512), repeat("Eva: è ", 512)}}) {
        meeting.peer.send(one[0]);
        meeting.client.out.expect_line(one[1]);
    }
    meeting.part();
}
