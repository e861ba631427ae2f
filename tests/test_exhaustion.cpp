// The system refuses: no descriptors, no threads, no memory, and a log that
// nobody takes. The server says what is wrong, keeps who is in the room, and
// recovers. Each limit is the real one, set for the server alone.

#include "terminal.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <regex>

const string MEMORY_IS_SHORT
    = "La memoria sta finendo: per ora non entra nessuno, e chi è indietro"
      " viene scollegato.\n";
const string MEMORY_AGAIN = "C'è di nuovo memoria.\n";
const string LINES_LOST = "Qualche riga del registro è andata persa.\n";

// --- limits -----------------------------------------------------------------

static void lift_limit(pid_t pid, Resource which)
{
    set_limit(pid, which, RLIM_INFINITY);
}

// The processor time that a process has used so far, in seconds.
static double processor_time(pid_t pid)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    string unused;
    for (int i = 3; i < 14; i++)
        fields >> unused;
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// Spins for half a second; returns the processor time it got for that, which
// is little on a busy machine.
static double spin()
{
    const auto end = steady_clock::now() + milliseconds(500);
    while (steady_clock::now() < end) {
    }
    timespec used = {};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec)
           + static_cast<double>(used.tv_nsec) / 1e9;
}

// Who waits for something to become possible again may not spin: beside a
// thread that does, it uses hardly any time. (Three tries: at first it may
// still have something to do.)
static void check_it_rests(pid_t pid)
{
    double used = 0;
    double spun = 0;
    for (int i = 0; i < 3; i++) {
        const double before = processor_time(pid);
        std::thread([&] { spun = spin(); }).join();
        used = processor_time(pid) - before;
        if (used < spun / 4)
            return;
    }
    fail("it spins: " + std::to_string(used) + " s, where a spinning thread"
         " gets " + std::to_string(spun) + " s");
}

// --- a chat that has to go on -----------------------------------------------

struct Chat {
    explicit Chat(int its_port) : port(its_port)
    {
        anna = Peer::join(port, "Anna");
        bruno = Peer::join(port, "Bruno");
        anna.expect_line("Bruno si è unito all chat!");
    }

    void both_hear(const string& line)
    {
        anna.expect_line(line);
        bruno.expect_line(line);
    }

    // What Anna says comes to both, word by word, and nothing else does.
    void talk(int count)
    {
        const int first = said;
        while (said < first + count)
            anna.send_line("parola " + std::to_string(said++));
        for (int i = first; i < said; i++)
            both_hear("Anna: parola " + std::to_string(i));
    }

    // So does a newcomer.
    void goes_on()
    {
        talk(50);
        Peer carla = Peer::join(port, "Carla");
        both_hear("Carla si è unito all chat!");
        carla.send_line("ciao");
        both_hear("Carla: ciao");
        carla.send_line("{quit}");
        both_hear("Carla ha abbandonato la Chat.");
    }

    int port = 0;
    Peer anna;
    Peer bruno;
    int said = 0;
};

// --- a log that nobody takes ------------------------------------------------

// A port that nobody else gets while this exists, and that the server can
// listen on: both sockets have SO_REUSEADDR, and this one does not listen. For
// a server whose output, where it says its port, cannot be read.
class Port {
public:
    Port()
    {
        const int yes = 1;
        ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        socklen_t size = sizeof address;
        const auto any = reinterpret_cast<sockaddr*>(&address);
        check(::bind(fd_, any, size) == 0, "no port");
        ::getsockname(fd_, any, &size);
        number = ntohs(address.sin_port);
    }
    ~Port() { ::close(fd_); }
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    // A connection to the server that listens there; NO_PEER: none does.
    int connect() const
    {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<uint16_t>(number));
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::connect(fd, reinterpret_cast<sockaddr*>(&address),
                      sizeof address) == 0)
            return fd;
        ::close(fd);
        return NO_PEER;
    }

    static const int NO_PEER = -1;
    int number = 0;

private:
    int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

// A server whose standard output is what `prepare` makes of it.
class QuietServer : public Program {
public:
    QuietServer(const Port& its_port, const std::function<void()>& prepare)
        : Program(server_program(), {std::to_string(its_port.number)}, prepare),
          port(its_port.number)
    {
        Peer first;
        wait_until("the server listens, or has ended", [&] {
            first = Peer(its_port.connect());
            return first.fd() != Port::NO_PEER || !is_running();
        });
        check(is_running(), "the server has ended\n" + errors);
    }

    void stop()
    {
        signal(SIGINT);
        expect_exit(0);
        check_equal(errors, string(), "the server's standard error");
    }

    int port = 0;
};

// Visitors without a name, who give the log 80 bytes each. They leave with an
// RST, since closed connections would keep their ports for a minute.
static void visit(int port, int count)
{
    std::vector<Peer> visitors;
    for (int i = 0; i < count; i++)
        visitors.push_back(Peer::connect(port));
    for (Peer& visitor : visitors) {
        visitor.expect_line(GREETING);
        visitor.reset();
    }
}

// The log has more to say than 64 kB, which may wait, and what a small pipe or
// a terminal holds; and the chat goes on.
static void much_happens(Chat& chat)
{
    for (int i = 0; i < 12; i++) {
        visit(chat.port, 125);
        chat.goes_on();
    }
}

// Someone comes whom the log has to know of: returns what it has to say.
static string announced_visit(int port)
{
    Peer visitor = Peer::connect(port);
    visitor.expect_line(GREETING);
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    ::getsockname(visitor.fd(), reinterpret_cast<sockaddr*>(&address), &size);
    visitor.reset();
    return "127.0.0.1:" + std::to_string(ntohs(address.sin_port))
           + " si è collegato.\n";
}

// A log is made of whole lines, each of which the server can have said. Where
// it was full, `has_cut`, one may be cut, and then the loss is told.
static void check_whole_lines(const string& log, bool has_cut = false)
{
    static const std::regex known(
        "In attesa di connessioni\\.\\.\\. \\(porta [0-9]+\\)"
        "|127\\.0\\.0\\.1:[0-9]+ si è (s?)collegato\\."
        "|la connessione con 127\\.0\\.0\\.1:[0-9]+ si e' interrotta"
        "|Qualche riga del registro è andata persa\\."
        "|Terminazione del server\\.\\.\\.");
    std::istringstream lines(log);
    string next;
    for (string line; std::getline(lines, line);)
        if (!std::regex_match(line, known))
            check(has_cut && std::getline(lines, next)
                      && next + "\n" == LINES_LOST, "no whole line: " + line);
    check(log.empty() || log.back() == '\n', "the last line is not whole");
}

// The log is taken again: it goes on, in whole lines, and tells that some are
// missing.
static void check_log_goes_on(Chat& chat, Stream& log)
{
    string text = log.skip_to(LINES_LOST);
    text += log.skip_to(announced_visit(chat.port));
    check_whole_lines(text);
}

static string content_of(const string& path)
{
    std::ifstream file(path);
    return string((std::istreambuf_iterator<char>(file)), {});
}

// As above, for a log in a file. `lift` lets it grow again.
static void check_file_goes_on(Chat& chat, const string& path,
                               const std::function<void()>& lift)
{
    lift();
    // Each look brings a new line: the server may wait for one to try again.
    wait_until("the log goes on", [&] {
        const string line = announced_visit(chat.port);
        pause_for(50);
        return content_of(path).find(line) != string::npos;
    });
    const string log = content_of(path);
    check(log.find(LINES_LOST) != string::npos, "no word of lost lines");
    check_whole_lines(log.substr(0, log.rfind('\n') + 1), true);
}

// --- no descriptors ---------------------------------------------------------

const string NO_DESCRIPTORS
    = string("Per ora non entra nessuno: ") + std::strerror(EMFILE) + "\n";

// Reads the log as far as it goes: has it said this, after what has been
// skipped?
static bool has_said(Server& server, const string& text)
{
    while (server.out.read_some(milliseconds(0))) {
    }
    check(server.is_running(), "the server has died\n" + server.errors);
    return server.out.got().find(text) != string::npos;
}

TEST(no_descriptors_left)
{
    Server server([] { set_limit(0, RLIMIT_NOFILE, 24); });
    Chat chat(server.port);
    std::vector<Peer> room;
    std::vector<Peer> waiting;  // the system takes them, the server cannot
    while (!has_said(server, NO_DESCRIPTORS)) {
        check(room.size() < 24, "more clients than descriptors");
        Peer peer = Peer::connect(server.port);
        wait_until("it is let in, or the server says why not", [&] {
            return peer.read_some(milliseconds(5))
                   || has_said(server, NO_DESCRIPTORS);
        });
        if (peer.got().empty()) {
            waiting.push_back(std::move(peer));
            break;
        }
        peer.expect_line(GREETING);
        peer.send_line("P" + std::to_string(room.size()));
        peer.skip_to("uscire.\n");
        chat.both_hear("P" + std::to_string(room.size())
                       + " si è unito all chat!");
        room.push_back(std::move(peer));
    }
    server.out.skip_to(NO_DESCRIPTORS);
    for (int i = 0; i < 20; i++)
        waiting.push_back(Peer::connect(server.port));
    chat.talk(100);  // who is in goes on
    check_it_rests(server.pid());
    chat.talk(100);
    check(!has_said(server, NO_DESCRIPTORS), "it says so more than once");

    const size_t count = room.size();
    room.clear();  // some are free: who has waited longest is let in
    for (size_t i = 0; i < 10; i++)
        waiting[i].expect_line(GREETING);
    for (Peer* peer : {&chat.anna, &chat.bruno})
        for (size_t i = 0; i < count; i++)
            peer->skip_to(" ha abbandonato la Chat.\n");
    lift_limit(server.pid(), RLIMIT_NOFILE);
    for (size_t i = 10; i < waiting.size(); i++)
        waiting[i].expect_line(GREETING);
    chat.goes_on();
    server.stop();
}

// As where a server is full: who has no name yet makes room.
TEST(no_descriptors_left_but_some_have_no_name)
{
    Server server([] { set_limit(0, RLIMIT_NOFILE, 24); });
    Chat chat(server.port);
    std::vector<Peer> nameless;
    for (int i = 0; i < 40; i++) {
        nameless.push_back(Peer::connect(server.port));
        nameless.back().expect_line(GREETING);
    }
    nameless[0].expect_line(GIVES_WAY);
    nameless[0].expect_end();
    chat.goes_on();
    server.stop();
    size_t count = 0;
    for (size_t at = 0; (at = server.log.find(NO_DESCRIPTORS, at))
                        != string::npos; at++)
        count++;
    check(count <= 40, "the log is full of it");
}

// The limit comes when the server has been loaded, which takes descriptors.
TEST(no_descriptor_to_start_with)
{
    if (is_sanitized())
        skip("a sanitizer needs descriptors to look for leaks");
    Program server(server_program(), {});
    server.out.expect("Inserisci la porta del server (Default 5300): ");
    set_limit(server.pid(), RLIMIT_NOFILE, 3);
    server.in.send_line("0");
    const string text = server.out.rest();
    check(text.find(std::strerror(EMFILE)) != string::npos,
          "it does not say why: " + printable(text));
    server.expect_exit(1);
    check_equal(server.errors, string(), "standard error");
}

// --- no threads -------------------------------------------------------------

// Newcomers come until one is refused, and then until one gets in.
static void check_threads_run_out(Server& server,
                                  const std::function<void()>& lift)
{
    Chat chat(server.port);
    std::vector<Peer> peers;
    bool is_refused = false;
    for (int i = 0; i < 60 && !is_refused; i++) {
        peers.push_back(Peer::connect(server.port));
        const string answer = peers.back().read_line();
        is_refused = answer == NO_RESOURCES;
        if (!is_refused)
            check_equal(answer, GREETING, "what a newcomer is told");
    }
    check(is_refused, "60 threads?");
    peers.back().expect_end();
    server.out.skip_to(" non è entrato: Il server non ha più risorse.\n");
    chat.talk(100);
    lift();
    peers.clear();
    wait_until("served again", [&] {
        Peer late = Peer::connect(server.port);
        return late.read_line() == GREETING;
    });
    chat.goes_on();
    server.stop();
}

// Each thread wants 8 MB of the address space for its stack.
TEST(no_threads_left)
{
    if (is_sanitized())
        skip("a sanitizer needs more memory than this test leaves");
    for (const bool by_leaving : {true, false}) {
        Server server([] {
            set_limit(0, RLIMIT_STACK, 8 << 20);
            set_limit(0, RLIMIT_AS, 300 << 20);
        });
        check_threads_run_out(server, [&] {
            if (!by_leaving)
                lift_limit(server.pid(), RLIMIT_AS);
        });
    }
}

// A user may have no more threads. (The limit does not bind root, so the
// server runs as somebody who has nothing else running. It is opened before,
// as it may lie where only root gets to.)
TEST(a_user_has_no_threads_left)
{
    if (is_sanitized())
        skip("a sanitizer has threads of its own");
    const auto user = static_cast<uid_t>(100000 + ::getpid());
    if (::getuid() != 0)
        skip("only root can become a user with nothing else running");
    const string path = server_program();
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    Server server([&] {
        set_limit(0, RLIMIT_NPROC, 8);
        if (::setresuid(user, user, user) != 0)
            std::_Exit(1);
        string name = path;
        string port = "0";
        char* arguments[] = {&name[0], &port[0], nullptr};
        ::fexecve(file, arguments, environ);
    });
    ::close(file);
    check_threads_run_out(server, [] {});
}

// The stack of a thread does not fit, however much else would.
TEST(no_thread_to_start_with)
{
    if (is_sanitized())
        skip("a sanitizer needs more memory than this test leaves");
    Program server(server_program(), {"0"}, [] {
        set_limit(0, RLIMIT_STACK, 1 << 30);
        set_limit(0, RLIMIT_AS, 300 << 20);
    });
    const string text = server.out.rest();
    check(text.find(CANNOT_START) != string::npos,
          "it does not say why: " + printable(text));
    server.expect_exit(1);
    check_equal(server.errors, string(), "standard error");
}

// --- no memory --------------------------------------------------------------

// Sixteen who write at full speed and never read: much makes a round, and each
// of them is behind before long. Bruno sees that no line is missing.
struct Flood {
    static const int COUNT = 16;

    void come(int port)
    {
        for (int i = 0; i < COUNT; i++) {
            writers.push_back(Peer::join(port, "F" + std::to_string(i)));
            pending.push_back("");
            next_said.push_back(0);
            next_heard.push_back(0);
        }
    }

    // Returns how many are still there.
    int write()
    {
        int count = 0;
        for (size_t i = 0; i < writers.size(); i++) {
            while (pending[i].size() < 8000)
                pending[i] += std::to_string(next_said[i]++) + " "
                              + repeat("x", 900) + "\n";
            const ssize_t n = ::send(writers[i].fd(), pending[i].data(),
                                     pending[i].size(),
                                     MSG_DONTWAIT | MSG_NOSIGNAL);
            pending[i].erase(0, n > 0 ? static_cast<size_t>(n) : 0);
            count += n >= 0 || errno == EAGAIN;
        }
        return count;
    }

    void heard(const string& line)
    {
        const size_t colon = line.find(": ");
        if (line[0] != 'F' || colon == string::npos)
            return;
        const auto who = static_cast<size_t>(std::atoi(&line[1]));
        check_equal(std::atoi(&line[colon + 2]), next_heard.at(who)++,
                    "the order of what F" + std::to_string(who) + " said");
    }

    std::vector<Peer> writers;
    std::vector<string> pending;
    std::vector<int> next_said;
    std::vector<int> next_heard;
};

// A server that is about to have `spare` more bytes of memory than it uses.
struct Shortage {
    explicit Shortage(rlim_t its_spare)
        : spare(its_spare), server([] {
              // No room for a heap of its own for each thread (64 MB): what
              // one has to spare, another could still use up.
              set_limit(0, RLIMIT_STACK, 256 << 10);
              set_limit(0, RLIMIT_AS, 60 << 20);
          }),
          chat(server.port)
    {
        // Stacks of threads that have ended are used again, so a newcomer is
        // not refused for want of one: it then needs other memory.
        visit(server.port, 40);
        flood.come(server.port);
    }

    bool has_said(const string& text)
    {
        ::has_said(server, text);
        return server.out.got().find(text, looked_at) != string::npos;
    }

    // Both hear what Anna says, and Bruno what the flood does: every word.
    void anna_speaks()
    {
        const string word = "Anna: " + std::to_string(chat.said);
        chat.anna.send_line(std::to_string(chat.said++));
        for (Peer* peer : {&chat.anna, &chat.bruno})
            for (string line; line != word;) {
                line = peer->read_line();
                if (peer == &chat.bruno)
                    flood.heard(line);
                if (line.compare(0, 6, "Anna: ") == 0)
                    check_equal(line, word, "what Anna said");
            }
    }

    // A newcomer is let in, or told why not. It then has half a line to say.
    bool newcomer_gets_in()
    {
        Peer late = Peer::connect(server.port);
        const string answer = late.read_line();
        if (answer == GREETING) {
            late.send("N" + std::to_string(newcomers.size()) + "\n"
                      + repeat("y", 990));
            newcomers.push_back(std::move(late));
            return true;
        }
        check_equal(answer, NO_RESOURCES, "what a newcomer is told");
        late.expect_end();
        refused++;
        return false;
    }

    // Memory is needed while there is none, and then there is some again.
    void pass()
    {
        const auto size
            = static_cast<rlim_t>(status_of(server.pid(), "VmSize"));
        set_limit(server.pid(), RLIMIT_AS, (size << 10) + spare);
        for (int i = 0; i < 60; i++) {
            flood.write();
            if (i % 2 == 0)
                newcomer_gets_in();
            anna_speaks();
        }
        is_short = has_said(MEMORY_IS_SHORT);
        lift_limit(server.pid(), RLIMIT_AS);
        wait_until("there is memory again", [&] {
            anna_speaks();
            return !is_short || has_said(MEMORY_AGAIN);
        });
        wait_until("newcomers are served", [&] { return newcomer_gets_in(); });
        anna_speaks();
        std::cout << "+" << spare / 1024 << " kB: "
                  << (is_short ? "short, " : "enough, ") << refused
                  << " refused" << std::endl;
        looked_at = server.out.got().size();
    }

    rlim_t spare;
    Server server;
    Chat chat;
    Flood flood;
    std::vector<Peer> newcomers;
    size_t looked_at = 0;  // what is before has been found in the log
    int refused = 0;
    bool is_short = false;
};

TEST(no_memory_left)
{
    if (is_sanitized())
        skip("a sanitizer's memory is its own");
    for (const rlim_t spare : {0, 64, 1024}) {
        Shortage shortage(spare << 10);
        shortage.pass();
        if (spare == 0)
            check(shortage.is_short, "it says nothing of a shortage");
        shortage.server.stop();
    }
}

// It is the same the second time.
TEST(no_memory_left_twice)
{
    if (is_sanitized())
        skip("a sanitizer's memory is its own");
    Shortage shortage(0);
    shortage.pass();
    shortage.pass();
    shortage.server.stop();
}

// Nine hundred are behind in the same round, and each of them would have kept
// its part of it: much more than a server can have in reserve.
TEST(many_are_behind_when_there_is_no_memory)
{
    if (is_sanitized())
        skip("a sanitizer's memory is its own");
    const int count = 900;
    if (!can_open(2500))
        skip("fewer than 2500 descriptors allowed");
    Server server([] {
        set_limit(0, RLIMIT_STACK, 64 << 10);
        ::setenv("MALLOC_ARENA_MAX", "1", 1);  // see Shortage
    });
    std::vector<Peer> stopped;
    for (int i = 0; i < count; i++)
        stopped.push_back(Peer::join(server.port, "S" + std::to_string(i)));
    Flood flood;
    flood.come(server.port);
    const auto size = static_cast<rlim_t>(status_of(server.pid(), "VmSize"));
    set_limit(server.pid(), RLIMIT_AS, size << 10);
    wait_until("who floods is dropped too", [&] {
        return flood.write() == 0 && has_said(server, MEMORY_IS_SHORT);
    });
    lift_limit(server.pid(), RLIMIT_AS);
    wait_until("there is memory again",
               [&] { return has_said(server, MEMORY_AGAIN); });
    Peer anna = Peer::join(server.port, "Anna");
    anna.send_line("ciao");
    anna.skip_to("Anna: ciao\n");
    server.stop();
}

// From too little for the program to be loaded, up to enough: it says why it
// does not start, or why nobody gets in, and never just dies.
TEST(no_memory_to_start_with)
{
    if (is_sanitized())
        skip("a sanitizer's memory is its own");
    bool has_served = false;
    for (rlim_t size = 4 << 20; !has_served; size += 1 << 19) {
        const Port port;
        Program server(server_program(), {std::to_string(port.number)}, [&] {
            set_limit(0, RLIMIT_STACK, 256 << 10);
            set_limit(0, RLIMIT_AS, size);
        });
        Peer peer;
        wait_until("it listens, or has ended", [&] {
            peer = Peer(port.connect());
            return peer.fd() != Port::NO_PEER || !server.is_running();
        });
        if (peer.fd() != Port::NO_PEER && peer.read_some()) {
            const string answer = peer.read_line();
            has_served = answer == GREETING;
            if (!has_served)
                check_equal(answer, NO_RESOURCES, "what a newcomer is told");
            server.signal(SIGINT);
            server.expect_exit(0);
            continue;
        }
        const string text = server.out.rest();
        const int code = server.exit_code();
        if (text.empty() && (code == 127 || code == 128 + SIGSEGV))
            continue;  // the loader has said why: errors
        check(code == 1 && text.find(CANNOT_START) != string::npos,
              std::to_string(size) + " bytes: exit code "
                  + std::to_string(code) + "\n" + text + server.errors);
    }
}

// --- the log ----------------------------------------------------------------

TEST(the_disk_behind_the_log_is_full_from_the_start)
{
    const Port port;
    QuietServer server(port, [] {
        const int full = ::open("/dev/full", O_WRONLY);
        ::dup2(full, 1);
        ::close(full);
    });
    Chat chat(server.port);
    much_happens(chat);
    check_it_rests(server.pid());
    chat.goes_on();
    server.stop();
}

// As `./server | head -1`.
TEST(the_reader_of_the_log_has_gone)
{
    Server server;
    server.out.close();
    Chat chat(server.port);
    much_happens(chat);
    check_it_rests(server.pid());
    chat.goes_on();
    server.signal(SIGINT);
    server.expect_exit(0);
    check_equal(server.errors, string(), "standard error");
}

// As `./server | less`, while one reads.
TEST(nobody_reads_the_log_for_a_while)
{
    Server server([] { ::fcntl(1, F_SETPIPE_SZ, 4096); });
    Chat chat(server.port);
    for (int i = 0; i < 2; i++) {
        much_happens(chat);
        check_it_rests(server.pid());
        check_log_goes_on(chat, server.out);
    }
    chat.goes_on();
    server.stop();
    check_whole_lines(server.log);
}

TEST(nobody_reads_the_log_to_the_end)
{
    Server server([] { ::fcntl(1, F_SETPIPE_SZ, 4096); });
    Chat chat(server.port);
    much_happens(chat);
    server.signal(SIGINT);
    chat.anna.expect_line("{quit}");
    chat.anna.expect_end();
    server.expect_exit(0);
    check_equal(server.errors, string(), "standard error");
}

TEST(the_file_of_the_log_may_not_grow)
{
    const int file = ::fileno(std::tmpfile());
    const string path = "/proc/self/fd/" + std::to_string(file);
    const Port port;
    QuietServer server(port, [&] {
        ::dup2(file, 1);
        set_limit(0, RLIMIT_FSIZE, 10000);  // in the middle of a line
    });
    Chat chat(server.port);
    much_happens(chat);
    check_it_rests(server.pid());
    chat.goes_on();
    check_equal(content_of(path).size(), size_t(10000), "the file's size");
    check_file_goes_on(chat, path,
                       [&] { lift_limit(server.pid(), RLIMIT_FSIZE); });
    chat.goes_on();
    server.stop();
    check_whole_lines(content_of(path), true);
}

// For `prepare`: the program sees a disk of 64 kB in place of /mnt, and nobody
// else does. Of these a file takes 48 kB, until somebody removes it; the log
// takes the rest.
static bool mount_small_disk()
{
    if (::unshare(CLONE_NEWNS) != 0
        || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0
        || ::mount("none", "/mnt", "tmpfs", 0, "size=64k") != 0)
        return false;
    std::ofstream("/mnt/other") << string(48 * 1024, 'x');
    const int file = ::open("/mnt/log", O_WRONLY | O_CREAT, 0600);
    const bool done = ::dup2(file, 1) == 1;
    ::close(file);
    return done;
}

static bool can_mount()
{
    const pid_t pid = ::fork();
    if (pid == 0)
        std::_Exit(mount_small_disk() ? 0 : 1);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status == 0;
}

TEST(the_disk_behind_the_log_is_full_for_a_while)
{
    if (!can_mount())
        skip("no right to mount a small disk here");
    const Port port;
    QuietServer server(port, [] {
        if (!mount_small_disk())
            std::_Exit(1);
    });
    Chat chat(server.port);
    much_happens(chat);
    check_it_rests(server.pid());
    chat.goes_on();
    // Its files, as it sees them.
    const string disk = "/proc/" + std::to_string(server.pid()) + "/root/mnt/";
    check(content_of(disk + "log").size() < 64 * 1024, "it is not full");
    check_file_goes_on(chat, disk + "log",
                       [&] { ::unlink((disk + "other").c_str()); });
    chat.goes_on();
    server.stop();
}

// Descriptors 0, 1 and 2 are closed, in all combinations: no socket may get
// such a number, or what is printed would be sent to somebody.
TEST(standard_descriptors_are_closed)
{
    for (int closed = 1; closed < 8; closed++) {
        const Port port;
        QuietServer server(port, [&] {
            for (int fd = 0; fd < 3; fd++)
                if (closed & (1 << fd))
                    ::close(fd);
        });
        Chat chat(server.port);
        visit(server.port, 10);
        chat.goes_on();
        for (int fd = 0; fd < 3; fd++) {
            const string link = "/proc/" + std::to_string(server.pid())
                                + "/fd/" + std::to_string(fd);
            char target[100] = "";
            const ssize_t n = ::readlink(link.c_str(), target,
                                         sizeof target - 1);
            check(n <= 0 || string(target).compare(0, 7, "socket:") != 0,
                  "descriptor " + std::to_string(fd) + " is a socket");
        }
        server.stop();
        for (Peer* peer : {&chat.anna, &chat.bruno}) {
            peer->expect_line("{quit}");
            peer->expect_end();
        }
    }
}

TEST(ctrl_s_stops_the_terminal_of_the_log)
{
    const Port port;
    PseudoTerminal terminal(WITHOUT_RETURNS);
    QuietServer server(port, [&] { terminal.become(true); });
    Chat chat(server.port);
    terminal.master.send("\x13");
    much_happens(chat);
    check_it_rests(server.pid());
    terminal.master.send("\x11");
    check_log_goes_on(chat, terminal.master);
    chat.goes_on();
    terminal.master.send("\x03");
    terminal.master.skip_to("Terminazione del server...\n");
    server.expect_exit(0);
}

// Ctrl+C sets a stopped terminal going, a signal from elsewhere does not.
TEST(the_server_ends_while_its_terminal_is_stopped)
{
    for (const bool is_typed : {true, false}) {
        const Port port;
        PseudoTerminal terminal(WITHOUT_RETURNS);
        QuietServer server(port, [&] { terminal.become(true); });
        Chat chat(server.port);
        terminal.master.send("\x13");
        much_happens(chat);
        if (is_typed)
            terminal.master.send("\x03");
        else
            server.signal(SIGINT);
        chat.anna.expect_line("{quit}");
        chat.anna.expect_end();
        server.expect_exit(0);
    }
}

// A terminal that is not read, as over a connection that hangs.
TEST(nobody_reads_the_terminal_of_the_log)
{
    const Port port;
    PseudoTerminal terminal(WITHOUT_RETURNS);
    QuietServer server(port, [&] { terminal.become(true); });
    Chat chat(server.port);
    much_happens(chat);
    check_it_rests(server.pid());
    check_log_goes_on(chat, terminal.master);
    much_happens(chat);
    server.stop();
}

// A terminal that does not control the server goes away without a signal.
TEST(the_terminal_of_the_log_has_gone)
{
    const Port port;
    PseudoTerminal terminal(WITHOUT_RETURNS);
    QuietServer server(port, [&] { terminal.become(false); });
    Chat chat(server.port);
    terminal.master.close();
    much_happens(chat);
    check_it_rests(server.pid());
    chat.goes_on();
    server.stop();
}
