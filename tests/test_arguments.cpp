// What can be said on the command line and at the questions, and how a program
// is started: a clear text and an exit code, never a surprise.

#include "support.h"

const string SERVER_QUESTION = "Inserisci la porta del server (Default 5300): ";
const string IP_QUESTION = "Inserire l'ip del Server host: ";
const string PORT_QUESTION = "Inserire la porta: (Default 5300) ";
const string WRONG_PORT = "La porta è un numero da 1 a 65535.\n";
const string LISTENS = "In attesa di connessioni... (porta ";

// Without any input the program says this, and ends.
static void says(const string& program, const Strings& arguments, int code,
                 const string& text) {
    Program run(program, arguments);
    run.in.close();
    run.expect_last_word(text, code);
}

TEST(wrong_arguments_end_with_2) {
    const string server = server_program(), client = client_program();
    says(server, {"--help"}, 0, "Uso: ./server");
    says(client, {"--help"}, 0, "Uso: ./client");
    for (const string& port :
         Strings{"abc", "80x", "-1", "65536", "99999999999", "8 0", ""}) {
        says(server, {port}, 2, "Uso: ./server");
        says(client, {"127.0.0.1", port}, 2, "Uso: ./client");
    }
    says(client, {"127.0.0.1", "0"}, 2, "Uso: ./client");
    says(server, {"0", "0"}, 2, "Uso: ./server");
    says(client, {"127.0.0.1", "1", "2"}, 2, "Uso: ./client");
    says(client, {}, 1, "Manca l'indirizzo");
    Server first;
    const string port = to_string(first.port);
    says(server, {port}, 1, "porta " + port + " non è disponibile");
    Peer::join(first.port, "Anna");  // the first one goes on
}

// What the program says, and what it is answered, in turn. Blanks round an
// answer do not matter.
static void dialogue(Program& program, const Strings& turns) {
    for (size_t i = 0; i < turns.size(); i++)
        i % 2 ? program.in.send_line(turns[i]) : program.out.expect(turns[i]);
}

TEST(the_server_asks_again_after_a_bad_port) {
    const string again = WRONG_PORT + SERVER_QUESTION;
    Program server(server_program(), {});
    dialogue(server, {SERVER_QUESTION, "abc", again, "70000", again, "53 00",
                      again, "-5", again, "\t0 \r", LISTENS});
    Program(server_program(), {" 0 \r"}).out.expect(LISTENS);
}

TEST(the_client_asks_for_what_is_missing) {
    Listener listener;
    const string port = " " + to_string(listener.port()) + " \r";
    const Strings ip = {IP_QUESTION, "",
                        "L'indirizzo non può essere vuoto.\n" + IP_QUESTION,
                        "localhost \r"};
    const Strings then = {PORT_QUESTION, "0", WRONG_PORT + PORT_QUESTION, port};
    for (const bool has_ip : {true, false}) {
        Program client(client_program(),
                       has_ip ? Strings{" 127.0.0.1 \r"} : Strings{});
        dialogue(client, has_ip ? then : ip + then);
        listener.accept().send("Ciao\n");
        client.out.skip_to("Ciao\n");
    }
}

// Whether or not somebody has port 5300 at the moment.
TEST(no_answer_means_5300) {
    for (const string& answer : Strings{"\n", ""}) {
        Program server(server_program(), {});
        server.out.expect(SERVER_QUESTION);
        server.in.send(answer);
        server.in.close();
        const string line = server.out.read_line();
        const bool is_free = line == LISTENS + "5300)";
        check(is_free || line.find("La porta 5300 non è disponibile") == 0,
              "it says " + line);
        if (is_free)
            server.signal(SIGINT);
        server.expect_exit(is_free ? 0 : 1);
    }
}

// `./server &` can read no answer: the system would stop it.
TEST(in_the_background_the_server_takes_5300) {
    AtTerminal shell(server_program(), {},
                     "set -m; \"$@\" & read x; kill -INT $!; wait $!");
    shell.screen.skip_to("porta 5300");
    shell.screen.send("\n");
    shell.screen.skip_to("code=");
}

TEST(ctrl_c_at_a_question_leaves) {
    for (const bool is_server : {true, false}) {
        AtTerminal shell(is_server ? server_program() : client_program(), {});
        shell.screen.skip_to(is_server ? SERVER_QUESTION : IP_QUESTION);
        shell.screen.send("\x03");
        shell.screen.skip_to(is_server ? CLOSING : LEAVING);
        shell.screen.expect_line("code=0");
    }
}

// As with nohup, or behind a script's '&'.
TEST(signals_that_were_ignored_stay_ignored) {
    for (const int number : {SIGHUP, SIGINT, SIGQUIT}) {
        const auto ignore = [=] { ::signal(number, SIG_IGN); };
        Server server(ignore);
        Meeting meeting("Ciao\n", ignore);
        Chat chat(server.port);
        server.signal(number);
        meeting.client.signal(number);
        pause_for(200);
        chat.goes_on();
        meeting.client.in.send_line("ciao");
        meeting.peer.expect("ciao\n");
        meeting.part();
        server.signal(SIGTERM);
        server.expect_exit(0);
    }
}
