// The client against a hostile server, and against a hostile system: it never
// hangs past its time limits, never grows, never lets an escape sequence
// through.

#include "support.h"
#include "terminal.h"

#include <atomic>
#include <memory>

const size_t LONGEST = 4096;  // bytes of a message that the client shows
const long GROWTH = 4096;     // kB, by which a process may grow for nothing

enum Way { QUIT, INTERRUPT, END_OF_INPUT };
const std::vector<Way> WAYS = {QUIT, INTERRUPT, END_OF_INPUT};

static void leave(Program& client, Way way)
{
    if (way == QUIT)
        client.in.send_line("{quit}");
    else if (way == INTERRUPT)
        client.signal(SIGINT);
    else
        client.in.close();
}

static Peer greet(Listener& listener, const string& greeting)
{
    Peer peer = listener.accept();
    peer.send(greeting);
    return peer;
}

// Sends the same block again and again, until it is told to stop or the client
// has gone.
class Flood {
public:
    Flood(const Peer& peer, const string& block, int pause_ms = 0)
        : fd_(peer.fd()), block_(block), pause_(pause_ms),
          thread_([this] { run(); })
    {
    }
    ~Flood() { stop(); }
    // Nothing has been taken for a while.
    void wait_until_stuck() const
    {
        size_t last = 0;
        wait_until("the server is stuck", [&] {
            const size_t before = last;
            last = sent_;
            pause_for(300);
            return last > 0 && last == before;
        });
    }
    void stop()
    {
        stopping_ = true;
        if (thread_.joinable())
            thread_.join();
    }

private:
    void run()
    {
        while (!stopping_) {
            pollfd p = {fd_, POLLOUT, 0};
            if (::poll(&p, 1, 50) <= 0)
                continue;
            const size_t at = sent_ % block_.size();
            const ssize_t n = ::send(fd_, &block_[at], block_.size() - at,
                                     MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN)
                return;
            sent_ += static_cast<size_t>(n > 0 ? n : 0);
            if (pause_ > 0)
                pause_for(pause_);
        }
    }

    int fd_;
    string block_;
    int pause_;
    std::atomic<size_t> sent_{0};
    std::atomic<bool> stopping_{false};
    std::thread thread_;  // last: it uses the others
};

// How much a test pours: a sanitizer makes the client slow.
static size_t much(size_t megabytes)
{
    return (megabytes << 20) / (is_sanitized() ? 16 : 1);
}

// The next `bytes` that the client shows, or somewhat more.
static string read_bytes(Stream& out, size_t bytes)
{
    while (out.got().size() < bytes)
        if (!out.read_some())
            fail("after " + std::to_string(out.got().size()) + " of "
                 + std::to_string(bytes) + " bytes no more comes");
    const string text = out.got();
    out.expect(text);
    return text;
}

// Checks that no line is longer than a message may be; returns them in one.
static string joined(const string& lines)
{
    string text;
    size_t length = 0;
    for (const char c : lines) {
        length = c == '\n' ? 0 : length + 1;
        if (length > LONGEST)
            fail("a message of more than " + std::to_string(LONGEST)
                 + " bytes: " + printable(lines));
        if (c != '\n')
            text += c;
    }
    return text;
}

static void check_only(const string& text, char c)
{
    const size_t at = text.find_first_not_of(c);
    if (at != string::npos)
        fail("something else than " + string(1, c) + ": "
             + printable(text.substr(at, 80)));
}

static void check_growth(Program& client, long before)
{
    check(client.is_running(), "it has ended");
    const long growth = status_of(client.pid(), "VmRSS") - before;
    std::cout << "it has grown by " << growth << " kB\n";
    if (!is_sanitized())  // whose memory is its own
        check(growth <= GROWTH, "it grows");
}

// A server that sends 'x' without an end: what it is shows in `greeting`.
static void endless(const string& greeting, Way way)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, greeting);
    client.out.expect(greeting);
    Flood flood(peer, repeat("x", 1 << 16));
    check_only(joined(read_bytes(client.out, much(1))), 'x');
    const long before = status_of(client.pid(), "VmRSS");
    check_only(joined(read_bytes(client.out, much(way == QUIT ? 16 : 1))), 'x');
    check_growth(client, before);
    leave(client, way);
    std::thread server([&] {
        peer.expect(greeting.empty() ? "{quit}" : "{quit}\n");
        if (way == QUIT)
            return;  // it goes on, and the client leaves all the same
        flood.stop();
        peer.half_close();
    });
    string rest = client.out.rest();
    const size_t at = rest.find(LEAVING);
    check((at != string::npos) == (way == INTERRUPT), "how it leaves");
    if (way == INTERRUPT)
        rest.erase(at, LEAVING.size());
    check_only(joined(rest), 'x');
    client.expect_exit(0);
    server.join();
    check_equal(client.errors, string(), "standard error");
}

TEST(an_endless_greeting)
{
    for (const Way way : WAYS)
        endless("", way);
}

TEST(an_endless_line)
{
    for (const Way way : WAYS)
        endless("Ciao\n", way);
}

// A byte now and then, for ever: it would be a greeting after minutes.
TEST(a_greeting_that_trickles)
{
    Listener listener;
    Client client(listener.port());
    client.in.send_line("Anna");
    Peer peer = listener.accept();
    Flood flood(peer, "x", 100);
    peer.expect("Anna");
    client.in.send_line("ciao");
    peer.expect("ciao");
    client.in.send_line("{quit}");
    peer.expect("{quit}");
    check_only(joined(client.out.rest()), 'x');  // it goes on, and on
    client.expect_exit(0);
}

// --- rubbish ----------------------------------------------------------------

struct Rubbish {
    string sent;   // again and again
    string shown;  // what each of them becomes
};

const string UNKNOWN = "\xEF\xBF\xBD";  // U+FFFD

// What a terminal would take for an order: alone, and with what belongs to it.
static std::vector<Rubbish> rubbish()
{
    std::vector<Rubbish> all = {
        {"\n", ""},
        {string(1, '\0'), " "},
        {"\r", " "},
        {"\x7f", " "},
        {"\xC3", UNKNOWN},
        {"\xF0\x9F\x98", UNKNOWN},
        {"\xED\xA0\x80", UNKNOWN + UNKNOWN + UNKNOWN},  // a surrogate
        {"\xC1\x9B", UNKNOWN + UNKNOWN},                // ESC [, overlong
        {"\xE0\x82\x9B", UNKNOWN + UNKNOWN + UNKNOWN},  // the same
        {"\xFF\xFE", UNKNOWN + UNKNOWN},
        {"\033", " "},
        {"\033[2J\033[1;1H", " [2J [1;1H"},
        {"\033[6n\033[c\033Z\005", " [6n [c Z "},    // it would answer
        {"\033]0;titolo\a", " ]0;titolo "},          // another title
        {"\033]52;c;eA==\033\\", " ]52;c;eA== \\"},  // the clipboard
        {"\033P$qm\033\\\033(0\016", " P$qm \\ (0 "},
        {"\a\b\t\v\f", "     "},
        {"\0338\0337\033[r\033[K", " 8 7 [r [K"},  // the client's own
        {"\xE2\x80\xAE\xEF\xBB\xBF", "\xE2\x80\xAE\xEF\xBB\xBF"},  // clean
    };
    string raw, raw_shown, encoded, encoded_shown, controls, controls_shown;
    for (int c = 0x80; c < 0xA0; c++) {
        raw += static_cast<char>(c);
        raw_shown += UNKNOWN;
        encoded += string("\xC2") + static_cast<char>(c);
        encoded_shown += ' ';
    }
    for (int c = 0; c < 0x20; c++) {
        if (c == '\n')
            continue;
        controls += static_cast<char>(c);
        controls_shown += ' ';
    }
    all.push_back({raw, raw_shown});
    all.push_back({encoded, encoded_shown});
    all.push_back({controls, controls_shown});
    return all;
}

// 40 kB of each, and then a line that ends it. (A '\r' before that '\n' is a
// part of it.)
static string pour(const Rubbish& what)
{
    const size_t times = 40000 / what.sent.size();
    return repeat(what.sent, times) + (what.sent == "\r" ? "x\n" : "\n");
}

static string poured(const Rubbish& what)
{
    const size_t times = 40000 / what.sent.size();
    return repeat(what.shown, times) + (what.sent == "\r" ? "x" : "");
}

TEST(rubbish_on_a_pipe)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.out.expect_line("Ciao");
    for (const Rubbish& what : rubbish()) {
        std::thread sender([&] { peer.send(pour(what) + "fine\n"); });
        const string shown = client.out.skip_to("fine\n");
        sender.join();
        check_clean(shown);
        check_equal(joined(shown), poured(what) + "fine",
                    printable(what.sent));
    }
    client.in.close();
    peer.expect("{quit}\n");
    peer.close();
    client.out.expect_end();
    client.expect_exit(0);
}

// What the client shows, in one, up to this text, which may come in pieces.
static string read_to(Stream& out, const string& wanted)
{
    string text;
    while (text.size() < wanted.size()
           || text.substr(text.size() - wanted.size()) != wanted)
        text += joined(out.read_line() + "\n");
    return text;
}

// From a bare server a '\n' is nothing special, and what it sends is cut where
// recv() cuts it: then a '\r' may be dropped.
TEST(rubbish_from_a_bare_server)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao");
    client.out.expect_line("Ciao");
    for (const Rubbish& what : rubbish()) {
        std::thread sender([&] { peer.send(pour(what) + "fine"); });
        const string shown = read_to(client.out, "fine");
        sender.join();
        check_clean(shown);
        if (what.sent.find_first_of("\r\n") == string::npos)
            check_equal(shown, poured(what) + " fine",
                        printable(what.sent));
    }
    client.in.close();
    peer.expect("{quit}");
    peer.close();
    client.out.expect_end();
    client.expect_exit(0);
}

TEST(rubbish_on_a_terminal)
{
    Listener listener;
    TerminalClient client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.wait_for("Ciao");
    string wanted = "Ciao";
    for (const Rubbish& what : rubbish()) {
        std::thread sender([&] { peer.send(pour(what) + "fine\n"); });
        client.wait_for("fine" + SHOWN);
        sender.join();
        wanted += poured(what) + "fine";
    }
    client.type("{quit}\n");
    peer.expect("{quit}\n");
    peer.close();
    const Screen screen = ScreenReader(client.expect_exit(0)).read();
    string shown;
    for (const string& message : screen.messages)
        shown += joined(message);
    check_equal(shown, wanted, "the messages");
    check_equal(screen.echo, string("{quit}\n"), "the echo");
    check(screen.is_closed, "the terminal is not given back");
}

// Every byte there is, in no order, at full speed.
TEST(noise_does_not_make_it_grow)
{
    string noise;
    unsigned random = 1;
    while (noise.size() < 1 << 16) {
        random = random * 1103515245 + 12345;
        noise += static_cast<char>(random >> 16);
    }
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.out.expect_line("Ciao");
    Flood flood(peer, noise);
    read_bytes(client.out, much(1));
    const long before = status_of(client.pid(), "VmRSS");
    string shown = read_bytes(client.out, much(6));
    check_growth(client, before);
    flood.stop();
    peer.half_close();
    shown += client.out.rest();
    shown.erase(0, shown.find('\n'));  // whole characters from here on
    check_clean(shown);
    client.expect_exit(1);
}

// --- {quit} -----------------------------------------------------------------

// The server sends these pieces, with a pause between them, and then nothing:
// the client must take leave, having shown `shown`.
static void expect_quit(const string& greeting,
                        const std::vector<string>& pieces,
                        const string& shown = "")
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, greeting);
    if (!greeting.empty())
        client.out.expect_line("Ciao");
    for (const string& piece : pieces) {
        peer.send(piece);
        pause_for(50);
    }
    client.out.expect(shown + INTERRUPTED);
    client.out.expect_end();
    client.expect_exit(1);
}

TEST(quit_in_pieces_is_one_to_a_line_client)
{
    expect_quit("Ciao\n", {"{qu", "it}\n"});
    expect_quit("Ciao\n", {"{", "q", "u", "i", "t", "}", "\r", "\n"});
    expect_quit("Ciao\n", {"uno\n{qu", "it}\ndue\n"}, "uno\n");
    expect_quit("Ciao\n", {"\n\r\n{quit}\r\n"});
    expect_quit("Ciao\n", {repeat("{quit}\n", 10000)});
    expect_quit("Ciao", {"{quit}"});
    expect_quit("Ciao", {"{quit}\r"});
}

TEST(quit_as_the_greeting)
{
    expect_quit("", {"{quit}\n"});
    expect_quit("", {"{quit}"});
    expect_quit("", {"\n{quit}\nCiao\n"});
}

// The stream ends, and no '\n' came: what there is counts.
TEST(quit_at_the_end_of_the_stream)
{
    for (const string& last : {string("{quit}"), string("{quit}\r")}) {
        Listener listener;
        Client client(listener.port());
        Peer peer = greet(listener, "Ciao\n");
        client.out.expect_line("Ciao");
        peer.send(last);
        pause_for(50);
        client.out.expect_silence(100);  // it may yet become a text
        peer.close();
        client.out.expect(INTERRUPTED);
        client.out.expect_end();
        client.expect_exit(1);
    }
}

TEST(a_text_that_nearly_is_a_quit_is_shown)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.out.expect_line("Ciao");
    peer.send("{quit\n}\n{QUIT}\n{quit}{quit}\n\r{quit}\n{qu\033it}\n"
              "\xC3{quit}\n{quit}\xC3\n{quit}\t\n\xEF\xBB\xBF{quit}\n");
    client.out.expect("{quit\n}\n{QUIT}\n{quit}{quit}\n {quit}\n{qu it}\n"
                      + UNKNOWN + "{quit}\n{quit}" + UNKNOWN
                      + "\n{quit} \n\xEF\xBB\xBF{quit}\n");
    peer.send(repeat("x", 2 * LONGEST) + "{quit}\n");
    client.out.expect(repeat(repeat("x", LONGEST) + "\n", 2) + "{quit}\n");
    peer.send("{quit");
    peer.close();
    client.out.expect("{quit\n" + INTERRUPTED);
    client.expect_exit(1);
}

// Each piece is a text of its own, since it is read alone.
TEST(quit_in_pieces_is_none_from_a_bare_server)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao");
    client.out.expect_line("Ciao");
    for (const string& text :
         {string("{qu"), string("it}"), string("{quit} "), string(" {quit}"),
          string("{quit}{quit}"), string("x{quit}")}) {
        peer.send(text);
        client.out.expect_line(text);
    }
    peer.send("{quit}\n");
    client.out.expect_line("{quit} ");
    peer.send("\xE2\x82");  // the rest of it comes before the {quit}
    pause_for(50);
    peer.send("\xAC{quit}");
    client.out.expect_line("€{quit}");
    peer.send("{quit}");
    client.out.expect(INTERRUPTED);
    client.expect_exit(1);
}

TEST(many_quits_answer_ours)
{
    for (const Way way : WAYS) {
        Listener listener;
        Client client(listener.port());
        Peer peer = greet(listener, "Ciao\n");
        client.out.expect_line("Ciao");
        leave(client, way);
        peer.expect("{quit}\n");
        peer.send(repeat("{quit}\n", 10000));  // and it does not close
        client.out.expect(way == INTERRUPT ? LEAVING : "");
        client.out.expect_end();
        client.expect_exit(0);
    }
}

// --- RST at each step -------------------------------------------------------

// Here the RST may even come before connect() has returned.
static void reset_at_once(const string& sent, const string& shown)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, sent);
    peer.reset();
    const string all = client.out.rest();
    if (all.find("Errore durante la connessione: ") == 0)
        check(all.find("\nConnessione non riuscita\n") != string::npos,
              "shown: " + printable(all));
    else
        check_equal(all, shown + INTERRUPTED, "what it shows");
    client.expect_exit(1);
    check_equal(client.errors, string(), "standard error");
}

TEST(reset_before_or_within_the_greeting)
{
    for (int i = 0; i < 5; i++) {
        reset_at_once("", "");
        reset_at_once("CIA", "CIA\n");
        reset_at_once("perch\xC3", "perch\n" + UNKNOWN + "\n");
        reset_at_once("Ciao\n", "Ciao\n");
    }
}

static void reset_after(const string& typed, const string& heard,
                        const string& sent, const string& shown)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.out.expect_line("Ciao");
    client.in.send(typed);
    peer.expect(heard);
    peer.send(sent);
    peer.reset();
    client.out.expect(shown + INTERRUPTED);
    client.out.expect_end();
    client.expect_exit(1);
    check_equal(client.errors, string(), "standard error");
}

TEST(reset_before_the_user_leaves)
{
    reset_after("", "", "", "");
    reset_after("Anna\n", "Anna\n", "", "");
    reset_after("Anna\nciao\n", "Anna\nci", "", "");
    reset_after("", "", "uno\nEva: \xE2\x82",
                "uno\nEva: " + UNKNOWN + "\n");
    reset_after("", "", "uno\n{quit", "uno\n{quit\n");
}

TEST(reset_after_the_user_has_left)
{
    for (const Way way : WAYS) {
        Listener listener;
        Client client(listener.port());
        Peer peer = greet(listener, "Ciao\n");
        client.out.expect_line("Ciao");
        leave(client, way);
        peer.expect("{quit}\n");
        peer.send("ultimo\nmezzo");
        peer.reset();
        client.out.expect(way == INTERRUPT ? LEAVING : "");
        client.out.expect("ultimo\nmezzo\n");
        client.out.expect_end();
        client.expect_exit(0);
    }
}

// The server will say no more, but still reads: it is over all the same.
TEST(half_a_close_is_an_end)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.in.send_line("Anna");
    peer.expect("Anna\n");
    peer.half_close();
    client.out.expect("Ciao\n" + INTERRUPTED);
    client.expect_exit(1);
    peer.expect_end();
}

// A byte out of band is none of the stream (RFC 6093), and nobody waits for it.
TEST(urgent_bytes_are_left_out)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.out.expect_line("Ciao");
    for (int i = 0; i < 20; i++) {
        peer.send("uno\n");
        ::send(peer.fd(), "!", 1, MSG_OOB);
        peer.send("due\n");
        client.out.expect("uno\ndue\n");
    }
    ::send(peer.fd(), "!", 1, MSG_OOB);
    leave(client, END_OF_INPUT);
    peer.expect("{quit}\n");
    peer.close();
    client.out.expect_end();
    client.expect_exit(0);
}

// --- silence at each step ---------------------------------------------------

// The server sends `greeting`, hears all that was typed and {quit}, and never
// says or does anything more. Each way to leave takes its time limit: so all
// three at the same time.
static void silent(const string& greeting, const std::vector<string>& typed)
{
    const bool line = greeting.find('\n') != string::npos;
    const string end = line ? "\n" : "";  // of a message to this server
    Listener listener;
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<Peer> peers;
    for (size_t i = 0; i < WAYS.size(); i++) {
        clients.push_back(std::make_unique<Client>(listener.port()));
        peers.push_back(greet(listener, greeting));
    }
    for (const string& text : typed) {
        for (const auto& client : clients)
            client->in.send_line(text);
        for (Peer& peer : peers)
            peer.expect(text + end);
    }
    for (const Way way : WAYS)
        leave(*clients[way], way);
    for (const Way way : WAYS) {
        Client& client = *clients[way];
        peers[way].expect("{quit}" + end);
        client.out.expect(greeting + (greeting.empty() || line ? "" : "\n"));
        client.out.expect(way == INTERRUPT ? LEAVING : "");
        client.out.expect_end();
        client.expect_exit(0);
        check_equal(client.errors, string(), "standard error");
    }
}

TEST(silence_instead_of_a_greeting)
{
    silent("", {});
}

TEST(silence_before_and_after_the_name)
{
    silent("", {"Anna"});
}

TEST(silence_within_the_greeting)
{
    silent("CIA", {"Anna", "ciao"});
}

TEST(silence_after_the_greeting)
{
    silent("Ciao\n", {});
}

TEST(silence_after_the_name)
{
    silent("Ciao\n", {"Anna", "ciao"});
}

// --- a server that never reads ----------------------------------------------

// A user who has so much to say that no pipe holds it: a file. How far the
// client has read in it, can be seen from here.
class LongInput {
public:
    LongInput()
    {
        string lines;
        for (int i = 0; i < 100; i++)
            lines += repeat("ciao ", 20) + std::to_string(i) + "\n";
        for (size_t size = 0; size < 32 << 20; size += lines.size())
            std::fwrite(lines.data(), 1, lines.size(), file_);
        std::fflush(file_);
        ::lseek(fd(), 0, SEEK_SET);
    }
    ~LongInput() { std::fclose(file_); }
    int fd() const { return ::fileno(file_); }

    void wait_until_stuck() const
    {
        off_t last = 0;
        wait_until("the client is stuck", [&] {
            const off_t before = last;
            last = ::lseek(fd(), 0, SEEK_CUR);
            pause_for(300);
            return last > 0 && last == before;
        });
        check(last < 32 << 20, "it has read all of it");
    }

private:
    std::FILE* file_ = std::tmpfile();
};

// What ends it: Ctrl+C, or the server, which closes.
static void never_read(bool talks, bool closes)
{
    LongInput input;
    Listener listener;
    Program client(client_program(),
                   {"127.0.0.1", std::to_string(listener.port())},
                   [&] { ::dup2(input.fd(), 0); });
    Peer peer = greet(listener, "Ciao\n");
    client.out.expect_line("Ciao");
    const long before = status_of(client.pid(), "VmRSS");
    std::unique_ptr<Flood> flood;
    if (talks)
        flood = std::make_unique<Flood>(peer, "bla bla bla\n");
    std::thread reader([&] {
        client.out.skip_to(closes ? INTERRUPTED : LEAVING);
    });
    input.wait_until_stuck();
    check_growth(client, before);
    if (flood && closes)
        flood->stop();
    if (closes)
        peer.close();
    else
        client.signal(SIGINT);
    reader.join();
    client.out.rest();
    client.expect_exit(closes ? 1 : 0);
    check_equal(client.errors, string(), "standard error");
}

TEST(a_server_that_never_reads)
{
    never_read(false, false);
}

TEST(a_server_that_never_reads_but_talks)
{
    never_read(true, false);
}

TEST(a_server_that_never_reads_and_then_closes)
{
    never_read(false, true);
    never_read(true, true);
}

// --- a user who does not read, or cannot ------------------------------------

// The client's output is a pipe, and nobody takes anything from it.
static void wait_until_full(const Program& client)
{
    int last = 0;
    wait_until("the pipe is full", [&] {
        const int before = last;
        ::ioctl(client.out.fd(), FIONREAD, &last);
        pause_for(300);
        return last > 4096 && last == before;
    });
}

TEST(ctrl_c_while_the_output_is_a_full_pipe)
{
    for (const int number : {SIGINT, SIGTERM}) {
        Listener listener;
        Client client(listener.port());
        Peer peer = greet(listener, "Ciao\n");
        Flood flood(peer, repeat("bla ", 20) + "\n");
        wait_until_full(client);
        wait_until("it ends, however often it is asked to", [&] {
            client.signal(number);
            pause_for(1000);
            return !client.is_running();
        });
        client.expect_exit(0);
        check_clean(client.out.rest());
    }
}

// Nobody reads for a while: nothing of it is lost.
TEST(a_reader_that_comes_late)
{
    string wanted = "Ciao\n";
    for (int i = 0; i < 20000; i++)
        wanted += "messaggio numero " + std::to_string(i) + "\n";
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    std::thread sender([&] {
        pause_for(50);
        peer.send(wanted.substr(5));
        peer.expect("Anna\n{quit}\n");
        peer.close();
    });
    wait_until_full(client);
    client.in.send_line("Anna");  // it is sent all the same
    client.in.close();
    check_equal(client.out.rest(), wanted, "what it shows");
    sender.join();
    client.expect_exit(0);
}

// What was typed arrives, and nothing else does: a socket that got one of the
// numbers 0 to 2 would be taken for the input or the output.
static void without(const std::function<void()>& prepare, const string& typed)
{
    Listener listener;
    Program client(client_program(),
                   {"127.0.0.1", std::to_string(listener.port())}, prepare);
    Peer peer = greet(listener, "Ciao\nnon per il server\n");
    client.in.send(typed);
    client.in.close();
    peer.expect(typed + "{quit}\n");
    peer.send("ancora\n");
    peer.half_close();
    client.expect_exit(0);
    peer.expect_end();
}

TEST(without_standard_output)
{
    without([] { ::close(1); }, "Anna\nciao\n");
}

TEST(without_standard_error)
{
    without([] { ::close(2); }, "Anna\nciao\n");
}

TEST(without_standard_input)
{
    without([] { ::close(0); }, "");
}

TEST(without_all_three)
{
    without([] { ::close(0), ::close(1), ::close(2); }, "");
}

TEST(a_full_disk_as_output)
{
    if (::access("/dev/full", W_OK) != 0)
        skip("no /dev/full here");
    without([] { ::dup2(::open("/dev/full", O_WRONLY), 1); }, "Anna\nciao\n");
}

TEST(a_pipe_whose_reader_has_gone)
{
    Listener listener;
    Client client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.out.expect_line("Ciao");
    client.out.close();
    for (int i = 0; i < 10; i++) {
        peer.send("c'è nessuno?\n");
        client.in.send_line("sì");
        peer.expect("sì\n");
    }
    client.in.close();
    peer.expect("{quit}\n");
    peer.close();
    client.expect_exit(0);
    check_equal(client.errors, string(), "standard error");
}

// --- a terminal that is stopped ---------------------------------------------

const string CTRL_C = "\x03";
const string CTRL_D = "\x04";
const string CTRL_Q = "\x11";
const string CTRL_S = "\x13";
const int STOPPED_COUNT = 3000;

// On a terminal, which then is stopped; the server goes on talking.
class StoppedClient {
public:
    Listener listener;
    TerminalClient client;
    Peer peer;

    StoppedClient() : client(listener.port()), peer(greet(listener, "Ciao\n"))
    {
        client.wait_for("Ciao" + SHOWN);
        client.type(CTRL_S);
        client.watch(100);
        for (int i = 0; i < STOPPED_COUNT; i++)
            said_ += "numero " + std::to_string(i) + "\n";
        sender_ = std::thread([this] { peer.send(said_); });
        client.watch(300);
    }
    ~StoppedClient()
    {
        if (sender_.joinable())
            sender_.join();
    }

    // The server has heard {quit}, says a last word, and closes.
    void finish()
    {
        peer.expect("{quit}\n");
        sender_.join();
        peer.send("ultimo\n");
        peer.close();
    }

    // All was shown, in order, and the terminal given back.
    void check_all(const string& echo)
    {
        const Screen screen = ScreenReader(client.expect_exit(0)).read();
        string shown;
        for (const string& message : screen.messages)
            shown += message + "\n";
        check_equal(shown, "Ciao\n" + said_ + "ultimo\n", "the messages");
        check_equal(screen.echo, echo, "the echo");
        check(screen.is_closed, "the terminal is not given back");
    }

private:
    string said_;
    std::thread sender_;
};

TEST(a_stopped_terminal_goes_on_with_all)
{
    StoppedClient stopped;
    stopped.client.type("Anna\n");
    stopped.client.watch(100);
    stopped.client.type(CTRL_Q);
    const string last = std::to_string(STOPPED_COUNT - 1);
    stopped.client.wait_for("numero " + last + SHOWN);
    stopped.peer.expect("Anna\n");
    stopped.client.type("{quit}\n");
    stopped.finish();
    stopped.check_all("Anna\n{quit}\n");
}

TEST(quit_on_a_stopped_terminal)
{
    StoppedClient stopped;
    stopped.client.type("{quit}\n");
    stopped.finish();
    stopped.check_all("{quit}\n");
}

TEST(ctrl_d_on_a_stopped_terminal)
{
    StoppedClient stopped;
    stopped.client.type(CTRL_D);
    stopped.finish();
    stopped.check_all("");
}

// Ctrl+C makes the system throw away what is on its way to the terminal: so
// some of it can be missing.
TEST(ctrl_c_on_a_stopped_terminal)
{
    StoppedClient stopped;
    stopped.client.type(CTRL_C);
    stopped.finish();
    const string all = stopped.client.expect_exit(0);
    check(all.find(LEAVING.substr(0, LEAVING.size() - 1)) != string::npos
              && all.size() > CLOSED.size()
              && all.substr(all.size() - CLOSED.size()) == CLOSED,
          "the end of: " + printable(all));
}

// Runs in the child, before it becomes the client: a job in the background of
// the terminal. Who leads the session says by its exit code whether it stopped.
static void become_background_job(const PseudoTerminal& terminal)
{
    const int fd = terminal.open();
    const pid_t client = ::fork();
    if (client == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::setpgid(0, 0);
        ::dup2(fd, 1);  // standard input stays the pipe
        return;
    }
    for (int other = 3; other < 256; other++)
        if (other != fd)
            ::close(other);  // else the pipe would never be at its end
    int status = 0;
    ::waitpid(client, &status, WUNTRACED);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

TEST(in_the_background_it_leaves_and_is_not_stopped)
{
    Listener listener;
    PseudoTerminal terminal;
    Program client(client_program(),
                   {"127.0.0.1", std::to_string(listener.port())},
                   [&] { become_background_job(terminal); });
    Peer peer = greet(listener, "Ciao\n");
    client.in.send_line("Anna");
    client.in.close();
    peer.expect("Anna\n{quit}\n");
    peer.close();
    client.expect_exit(0);
}

// Nobody takes what it gets (the other computer sleeps, say), and nothing
// stops that. As above, some of it can be missing, whatever ends the client.
TEST(ctrl_c_on_a_terminal_that_nobody_reads)
{
    for (const bool typed : {true, false}) {
        Listener listener;
        TerminalClient client(listener.port());
        Peer peer = greet(listener, "Ciao\n");
        client.wait_for("Ciao" + SHOWN);
        Flood flood(peer, "bla bla bla\n");
        flood.wait_until_stuck();
        if (typed)
            client.type(CTRL_C);
        else
            ::kill(client.pid(), SIGTERM);
        wait_until("it ends", [&] { return ::kill(client.pid(), 0) != 0; });
        client.expect_exit(0);
    }
}

TEST(the_terminal_goes_away)
{
    if (is_sanitized())
        skip("LeakSanitizer can spin for ever when the terminal goes away");
    Listener listener;
    TerminalClient client(listener.port());
    Peer peer = greet(listener, "Ciao\n");
    client.wait_for("Ciao" + SHOWN);
    Flood flood(peer, "bla bla bla\n");
    client.wait_for("bla");
    client.unplug();
    peer.expect("{quit}\n");
    client.expect_exit(0);
}

// --- a system that has nothing left -----------------------------------------

// The limit comes when the program is there: loading it takes descriptors.
TEST(no_descriptors_left)
{
    Listener listener;
    Program client(client_program(), {});
    client.out.expect("Inserire l'ip del Server host: ");
    set_limit(client.pid(), RLIMIT_NOFILE, 3);
    client.in.send("127.0.0.1\n" + std::to_string(listener.port()) + "\n");
    client.out.expect("Inserire la porta: (Default 5300) ");
    client.out.expect_line("Errore durante la connessione: "
                           + string(std::strerror(EMFILE)));
    client.out.expect_line("Connessione non riuscita");
    client.expect_exit(1);
    check_equal(client.errors, string(), "standard error");
}

// Each thread wants a stack as large as RLIMIT_STACK, and gets none.
static void limit_threads(rlim_t stack, rlim_t memory)
{
    set_limit(0, RLIMIT_STACK, stack);
    set_limit(0, RLIMIT_AS, memory);
}

static void need_thread_limits()
{
    if (is_sanitized())
        skip("a sanitizer needs more memory than this test leaves");
    rlimit limit = {};
    ::getrlimit(RLIMIT_STACK, &limit);
    if (limit.rlim_max < (1 << 30))
        skip("no stacks of 1 GB");
}

TEST(no_thread_to_connect)
{
    need_thread_limits();
    Listener listener;
    Program client(client_program(),
                   {"127.0.0.1", std::to_string(listener.port())},
                   [] { limit_threads(1 << 30, 512 << 20); });
    check_equal(client.out.rest(), CANNOT_START, "what it shows");
    client.expect_exit(1);
    check_equal(client.errors, string(), "standard error");
}

// It has connected, and waits for the greeting: there its one thread can have
// no second one any more. (glibc keeps the stack of the one that has connected,
// but none of 64 MB.) False: that took so long that it waits no longer.
static bool starve(pid_t pid, steady_clock::time_point started)
{
    const auto late = started + milliseconds(1900);
    wait_until("it has connected", [&] {
        return status_of(pid, "Threads") == 1 || steady_clock::now() > late;
    });
    set_limit(pid, RLIMIT_AS, 48 << 20);
    return steady_clock::now() < late;
}

static bool try_without_receive()
{
    const auto started = steady_clock::now();
    Listener listener;
    Program client(client_program(),
                   {"127.0.0.1", std::to_string(listener.port())},
                   [] { limit_threads(64 << 20, 512 << 20); });
    Peer peer = listener.accept();
    if (!starve(client.pid(), started))
        return false;
    peer.send("Ciao\n");
    check_equal(client.out.rest(), CANNOT_START, "what it shows");
    client.expect_exit(1);
    check_equal(client.errors, string(), "standard error");
    check_equal(peer.rest(), string(), "what it sends");
    return true;
}

TEST(no_thread_to_receive)
{
    need_thread_limits();
    wait_until("it starves in time", try_without_receive);
}

static bool try_without_receive_on_a_terminal()
{
    const auto started = steady_clock::now();
    Listener listener;
    TerminalClient client(listener.port(),
                          [] { limit_threads(64 << 20, 512 << 20); });
    Peer peer = listener.accept();
    if (!starve(client.pid(), started))
        return false;
    peer.send("Ciao\n");
    const string all = client.expect_exit(1);
    const string text = CANNOT_START.substr(0, CANNOT_START.size() - 1);
    const size_t closed = all.find(CLOSED);
    check(closed != string::npos, "the terminal is not given back");
    check_equal(all.substr(closed), CLOSED + text + "\r\n", "the end");
    return true;
}

TEST(no_thread_to_receive_on_a_terminal)
{
    need_thread_limits();
    wait_until("it starves in time", try_without_receive_on_a_terminal);
}
