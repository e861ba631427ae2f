// Our programs and the Python version understand each other, both ways.
//
// The Python version does not mark where a message ends, so those who talk to
// it wait for an answer or a moment before the next one, as people do.

#include "support.h"

static const string DIRECTORY = PYTHON_VERSION "/";

static void need_python()
{
    if (std::system("python3 -c '' >/dev/null 2>&1") != 0)
        skip("no python3");
}

struct PythonClient : Program {
    explicit PythonClient(int port)
        : Program("python3",
                  {DIRECTORY + "client.py", "127.0.0.1", std::to_string(port)})
    {
    }
};

struct PythonServer : Program {
    PythonServer() : Program("python3", {DIRECTORY + "server.py", "0"})
    {
        out.expect("In attesa di connessioni... (porta ");
        port = std::atoi(out.skip_to(")").c_str());
        out.skip_to("\n");
    }
    int port = 0;
};

static void say(Program& who, const string& text)
{
    pause_for(300);  // longer than the pause that ends a bare peer's name
    who.in.send_line(text);
}

TEST(python_clients_at_our_server)
{
    need_python();
    Server server;
    PythonClient anna(server.port);
    anna.out.expect_line(GREETING);
    say(anna, "Anna");
    anna.out.expect_line(Peer::welcome("Anna"));
    PythonClient bruno(server.port);
    bruno.out.expect_line(GREETING);
    say(bruno, "Bruno");
    bruno.out.expect_line(Peer::welcome("Bruno"));
    anna.out.expect_line("Bruno si è unito all chat!");
    say(anna, "perché no? €");
    anna.out.expect_line("Anna: perché no? €");
    bruno.out.expect_line("Anna: perché no? €");
    say(bruno, "{quit}");
    anna.out.expect_line("Bruno ha abbandonato la Chat.");
    server.stop();
    anna.out.expect(INTERRUPTED);
    anna.expect_exit(1);
}

TEST(a_python_client_without_a_name_is_told_that_our_server_closes)
{
    need_python();
    Server server;
    PythonClient anna(server.port);
    anna.out.expect_line(GREETING);
    pause_for(300);
    server.stop();
    anna.out.expect(INTERRUPTED);
    anna.expect_exit(1);
}

TEST(our_client_at_a_python_server)
{
    need_python();
    PythonServer server;
    Client anna(server.port);
    anna.out.expect_line(GREETING);
    anna.in.send_line("Anna");
    anna.out.expect_line(Peer::welcome("Anna"));
    Client bruno(server.port);
    bruno.out.expect_line(GREETING);
    bruno.in.send_line("Bruno");
    bruno.out.expect_line(Peer::welcome("Bruno"));
    anna.out.expect_line("Bruno si è unito all chat!");
    for (const string& text : {string("perché no? €"), string("due")}) {
        anna.in.send_line(text);
        anna.out.expect_line("Anna: " + text);
        bruno.out.expect_line("Anna: " + text);
    }
    bruno.in.send_line("{quit}");
    bruno.out.expect_end();
    bruno.expect_exit(0);
    anna.in.close();
    anna.out.skip_to("Bruno ha abbandonato la Chat.\n");
    anna.expect_exit(0);
}

TEST(a_piped_conversation_at_a_python_server)
{
    need_python();
    PythonServer server;
    Client anna(server.port);
    anna.in.send("Anna\nuno\ndue\n{quit}\n");
    // A Python that is kept waiting for over 50 ms glues even these two.
    const string shown = anna.out.rest();
    const string start = GREETING + "\n" + Peer::welcome("Anna") + "\n";
    check(shown == start + "Anna: uno\nAnna: due\n"
              || shown == start + "Anna: unodue\n", "it shows " + shown);
    anna.expect_exit(0);
}

TEST(a_python_server_that_closes_ends_our_client_with_1)
{
    need_python();
    PythonServer server;
    Client anna(server.port);
    anna.out.expect_line(GREETING);
    anna.in.send_line("Anna");
    anna.out.expect_line(Peer::welcome("Anna"));
    say(anna, "ciao");
    anna.out.expect_line("Anna: ciao");
    server.signal(SIGINT);
    anna.out.expect(INTERRUPTED);
    anna.expect_exit(1);
}

TEST(all_kinds_in_one_room_of_ours)
{
    need_python();
    Server server;
    PythonClient python(server.port);
    python.out.expect_line(GREETING);
    say(python, "Pitone");
    python.out.expect_line(Peer::welcome("Pitone"));
    Client ours(server.port);
    ours.out.expect_line(GREETING);
    ours.in.send_line("Nostro");
    ours.out.expect_line(Peer::welcome("Nostro"));
    python.out.expect_line("Nostro si è unito all chat!");
    Peer netcat = Peer::join(server.port, "Netcat");
    python.out.expect_line("Netcat si è unito all chat!");
    ours.out.expect_line("Netcat si è unito all chat!");
    say(python, "sono Python");
    ours.out.expect_line("Pitone: sono Python");
    netcat.expect_line("Pitone: sono Python");
    python.out.expect_line("Pitone: sono Python");
    pause_for(100);
    ours.in.send_line("sono C++");
    for (Stream* stream : {&python.out, &ours.out,
                           static_cast<Stream*>(&netcat)})
        stream->expect_line("Nostro: sono C++");
    python.signal(SIGINT);
    python.out.expect(LEAVING);
    python.expect_exit(0);
    netcat.expect_line("Pitone ha abbandonato la Chat.");
    ours.out.expect_line("Pitone ha abbandonato la Chat.");
    server.stop();
}

TEST(both_clients_in_a_python_room)
{
    need_python();
    PythonServer server;
    PythonClient python(server.port);
    python.out.expect_line(GREETING);
    say(python, "Pitone");
    python.out.expect_line(Peer::welcome("Pitone"));
    pause_for(100);
    Client ours(server.port);
    ours.out.expect_line(GREETING);
    ours.in.send_line("Nostro");
    ours.out.expect_line(Peer::welcome("Nostro"));
    python.out.expect_line("Nostro si è unito all chat!");
    say(python, "sono Python");
    ours.out.expect_line("Pitone: sono Python");
    python.out.expect_line("Pitone: sono Python");
    ours.in.send_line("sono C++");
    python.out.expect_line("Nostro: sono C++");
    ours.out.expect_line("Nostro: sono C++");
    ours.signal(SIGTERM);
    ours.out.expect(LEAVING);
    ours.expect_exit(0);
    python.out.expect_line("Nostro ha abbandonato la Chat.");
}
