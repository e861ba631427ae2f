// The system refuses: no descriptors, no threads, and a log that nobody takes.
// The server says what is wrong, keeps who is in the room, and recovers. Each
// limit is the real one, set for the server alone.

#include "support.h"

#include <regex>

const string NO_DESCRIPTORS
    = string("Per ora non entra nessuno: ") + std::strerror(EMFILE) + "\n";

// Whoever waits for something to become possible again may not spin. (At first
// it may still have something to do.)
static void check_it_rests(pid_t pid) {
    clockid_t its_clock = 0;
    ::clock_getcpuclockid(pid, &its_clock);
    check_in_some_try("it rests", [=] {
        timespec before = {}, now = {};
        ::clock_gettime(its_clock, &before);
        pause_for(300);
        ::clock_gettime(its_clock, &now);
        const long seconds = now.tv_sec - before.tv_sec;
        return seconds * 1000 + (now.tv_nsec - before.tv_nsec) / 1000000 < 100;
    });
}

TEST(no_descriptors_left) {
    Server server([] { set_limit(0, RLIMIT_NOFILE, 24); });
    Chat chat(server.port);
    const auto start = steady_clock::now();
    std::vector<Peer> peers;  // the system takes them all, the server cannot
    for (int i = 0; i < 50; i++)
        peers.push_back(Peer::connect(server.port));
    server.out.skip_to(NO_DESCRIPTORS);
    check_it_rests(server.pid());
    size_t let_in = 0;
    while (peers[let_in].read_some(milliseconds(0)))
        peers[let_in++].expect_line(GREETING);
    check(let_in > 5, "nobody was let in");
    chat.anna.send_line("ciao");  // whoever is in goes on
    chat.both_hear("Anna: ciao");
    for (size_t i = 0; i < let_in; i++)
        peers[i].close();  // whoever has waited longest is let in
    for (size_t i = let_in; i < 2 * let_in; i++)
        peers[i].expect_line(GREETING);
    set_limit(server.pid(), RLIMIT_NOFILE, RLIM_INFINITY);
    for (size_t i = 2 * let_in; i < peers.size(); i++)
        peers[i].expect_line(GREETING);
    chat.goes_on();
    const std::chrono::duration<double> time = steady_clock::now() - start;
    server.stop();
    check(count_of(server.log, NO_DESCRIPTORS) <= time.count() + 1,
          "it says so more than once a second");
}

// Newcomers come until one is refused, and then until one gets in.
TEST(no_threads_left) {
    if (is_sanitized())
        skip("a sanitizer has memory and threads of its own");
    Server server([] {
        set_limit(0, RLIMIT_STACK, 8 << 20);
        set_limit(0, RLIMIT_AS, 300 << 20);
    });
    Chat chat(server.port);
    std::vector<Peer> peers;
    string answer = GREETING;
    for (; answer == GREETING; answer = peers.back().read_line()) {
        check(peers.size() < 60, "60 threads?");
        peers.push_back(Peer::connect(server.port));
    }
    check_equal(answer, "Il server è pieno: riprova più tardi.",
                "what a newcomer is told");
    peers.back().expect_end();
    server.out.skip_to(peers.back().address()
                       + " non è entrato: il server è pieno.\n");
    chat.anna.send_line("ciao");
    chat.both_hear("Anna: ciao");
    peers.clear();
    wait_until("newcomers are served again", [&] {
        return Peer::connect(server.port).read_line() == GREETING;
    });
    chat.goes_on();
}

// A server whose standard output, where it would say its port, is what
// `prepare` makes of it, and a chat. The port is held until the server has it.
struct QuietServer : Listener, Program {
    explicit QuietServer(const Prepare& prepare)
        : Listener(DEAF, "0.0.0.0"),
          Program(server_program(), {to_string(port())}, prepare) {
        wait_until("it listens", [&] {
            check(is_running(), "the server has ended\n" + errors);
            return Stream(dial(port())).fd() >= 0;
        });
        chat = std::make_unique<Chat>(port());
    }

    // Its log has much to say, and nobody takes it; and the chat goes on.
    // (Visitors reset: closed connections keep their ports for a minute.)
    void much_happens() {
        for (int i = 0; i < 8; i++) {
            std::vector<Peer> visitors;
            for (int j = 0; j < 125; j++)
                visitors.push_back(Peer::connect(port()));
            for (Peer& visitor : visitors) {
                visitor.expect_line(GREETING);
                visitor.reset();
            }
            chat->goes_on();
        }
        check_it_rests(pid());
    }

    // Somebody comes of whom the log has to say this.
    string announced_visit() const {
        return Peer::greeted(port()).address() + " si è collegato.\n";
    }

    void stop() {
        signal(SIGINT);
        chat->is_closed();
        expect_exit(0);
    }

    std::unique_ptr<Chat> chat;
};

// A log is made of whole lines, each of which the server can have said. (One
// may be cut where no more was taken, and then the loss is told.)
static void check_log(const string& log) {
    const std::regex known(
        R"(In attesa di connessioni\.\.\. \(porta \d+\)|)"
        R"(127\.0\.0\.1:\d+ si è s?collegato\.|)"
        R"(la connessione con 127\.0\.0\.1:\d+ si e' interrotta|)"
        R"((Anna|Bruno|Carla) \(127\.0\.0\.1:\d+\) )"
        R"((si è unito all chat!|ha abbandonato la Chat\.)|)"
        R"(.*Qualche riga del registro è andata persa\.)");
    check(count_of(log, "andata persa.\n") > 0, "a word of lost lines");
    std::istringstream lines(log);
    for (string line; std::getline(lines, line);)
        check(std::regex_match(line, known), "no whole line: " + line);
}

// The log is taken again: it goes on, and tells that some lines are missing.
static void check_log_goes_on(const QuietServer& server, Stream& log) {
    string text;
    while (log.read_some(milliseconds(50)))  // then there is room for a line
        text += log.read_chunk();
    check_log(text + log.skip_to(server.announced_visit()));
}

// As `./server | less`: nobody reads for a while, and then nobody to the end.
TEST(nobody_reads_the_pipe_of_the_log) {
    QuietServer server([] { ::fcntl(1, F_SETPIPE_SZ, 4096); });
    server.much_happens();
    check_log_goes_on(server, server.out);
    server.much_happens();
    server.stop();
}

// A full disk, a pipe whose reader has gone (`./server | head -1`), a terminal
// that goes away without a signal, since it does not control the server.
TEST(nobody_can_ever_read_the_log) {
    auto terminal = std::make_unique<Terminal>();
    const std::vector<Prepare> cases = {
        [] { ::dup2(::open("/dev/full", O_WRONLY), 1); },
        nullptr,
        [slave = terminal->slave] { ::dup2(slave, 1); },
    };
    for (const Prepare& prepare : cases) {
        QuietServer server(prepare);
        server.out.close();
        if (&prepare == &cases.back())
            terminal.reset();
        server.much_happens();
        server.stop();
    }
}

// By Ctrl+S, or nobody takes what it gets (the other computer sleeps, say).
// Ctrl+C sets it going, a signal from elsewhere does not.
TEST(the_terminal_of_the_log_is_stopped) {
    for (const bool by_key : {true, false}) {
        Terminal terminal;
        QuietServer server([&] { terminal.become(); });
        terminal.screen.send(by_key ? "\x13" : "");
        server.much_happens();
        terminal.screen.send(by_key ? "\x11" : "");  // Ctrl+Q
        check_log_goes_on(server, terminal.screen);
        terminal.screen.send(by_key ? "\x13" : "");
        server.much_happens();
        terminal.screen.send(by_key ? "\x03" : "");
        server.stop();
    }
}
