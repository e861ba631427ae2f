// What can be said on the command line and at the prompts, and what happens
// when it is wrong: a clear text and an exit code, never a surprise.

#include "support.h"

static const string SERVER_QUESTION
    = "Inserisci la porta del server (Default 5300): ";

static void wrong(const string& program, const std::vector<string>& arguments,
                  int code, const string& text)
{
    Program run(program, arguments);
    run.in.close();
    const string out = run.out.rest();
    check(out.find(text) != string::npos, "it said: " + out);
    run.expect_exit(code);
}

TEST(server_help) { wrong(server_program(), {"--help"}, 0, "Uso: ./server"); }
TEST(client_help) { wrong(client_program(), {"--help"}, 0, "Uso: ./client"); }

TEST(a_bad_port_ends_with_2)
{
    for (const string& port : {string("abc"), string("80x"), string("-1"),
                               string("65536"), string("99999999999"),
                               string(" 80"), string("")}) {
        wrong(server_program(), {port}, 2, "Uso: ./server");
        wrong(client_program(), {"127.0.0.1", port}, 2, "Uso: ./client");
    }
    wrong(client_program(), {"127.0.0.1", "0"}, 2, "Uso: ./client");
    wrong(server_program(), {"0", "0"}, 2, "Uso: ./server");
    wrong(client_program(), {"127.0.0.1", "1", "2"}, 2, "Uso: ./client");
}

TEST(the_server_asks_again_after_a_bad_port)
{
    Program server(server_program(), {});
    server.out.expect(SERVER_QUESTION);
    for (const string& port : {string("abc"), string("70000"), string("5300 "),
                               string("-5")}) {
        server.in.send_line(port);
        server.out.expect("La porta è un numero da 0 a 65535: riprova.\n"
                          + SERVER_QUESTION);
    }
    server.in.send_line("0");
    server.out.expect("In attesa di connessioni... (porta ");
    const int port = std::atoi(server.out.skip_to(")").c_str());
    Peer::join(port, "Anna");
    server.signal(SIGINT);
    server.expect_exit(0);
}

// Whether or not somebody has that port at the moment.
TEST(no_answer_means_5300)
{
    for (const bool empty_line : {true, false}) {
        Program server(server_program(), {});
        server.out.expect(SERVER_QUESTION);
        if (empty_line)
            server.in.send_line("");
        server.in.close();
        const string line = server.out.read_line();
        if (line.find("La porta 5300 non è disponibile") == 0) {
            server.expect_exit(1);
        } else {
            check_equal(line,
                        string("In attesa di connessioni... (porta 5300)"),
                        "what it says");
            server.signal(SIGINT);
            server.expect_exit(0);
        }
    }
}

TEST(a_port_in_use_is_told)
{
    Server first;
    wrong(server_program(), {std::to_string(first.port)}, 1,
          "La porta " + std::to_string(first.port) + " non è disponibile");
    Peer::join(first.port, "Anna");  // the first one goes on
    first.stop();
}

TEST(the_client_asks_for_what_is_missing)
{
    Server server;
    Program client(client_program(), {});
    client.out.expect("Inserire l'ip del Server host: ");
    client.in.send_line("");
    client.out.expect("L'indirizzo non può essere vuoto.\n"
                      "Inserire l'ip del Server host: ");
    client.in.send_line("localhost");
    client.out.expect("Inserire la porta: (Default 5300) ");
    client.in.send_line("0");
    client.out.expect("La porta è un numero da 1 a 65535: riprova.\n"
                      "Inserire la porta: (Default 5300) ");
    client.in.send_line(std::to_string(server.port));
    client.out.expect_line(GREETING);
    client.in.send("Anna\n{quit}\n");
    client.out.expect_line(Peer::welcome("Anna"));
    client.out.expect_end();
    client.expect_exit(0);

    Program second(client_program(), {"127.0.0.1"});
    second.out.expect("Inserire la porta: (Default 5300) ");
    second.in.send_line(std::to_string(server.port));
    second.out.expect_line(GREETING);
    second.in.close();
    second.expect_exit(0);
    server.stop();
}

TEST(the_end_of_input_instead_of_an_address_is_an_error)
{
    wrong(client_program(), {}, 1, "Manca l'indirizzo");
}

TEST(ctrl_c_at_a_question_leaves)
{
    Program client(client_program(), {});
    client.out.expect("Inserire l'ip del Server host: ");
    client.signal(SIGINT);
    client.out.skip_to(LEAVING);
    client.expect_exit(0);
}
