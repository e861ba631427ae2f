// Exercises: what the chat cannot do yet. Each has a test, which fails until
// you have taught it; the comment above the test is all that is wanted.
//
//   make exercise NAME=list    builds ./server and ./client as you have changed
//                              them, and tries the exercise `list` on them
//
// "FAILED: list: ..." says which step went wrong, what was wanted there, and
// what the programs said instead (bytes that are no plain ASCII as \xNN).
// When it says "passed: list", see that the chat still does all that it did
// (`make test`), and read your change once more: which thread runs it, and
// which mutex does it hold? A test cannot see all that can go wrong between
// threads, and a build with -fsanitize=thread sees more. Three exercises change
// what some of those tests rely on, so these then fail, and rightly: all tests
// know the log without `stamp`; for `history` and `poll` check.sh names them.
//
// Some rules hold for all exercises:
//   - A command is a whole message. The rest of a line that was too long for
//     one message is no command, whatever it says: see Message::is_rest.
//   - No message is longer than 1024 bytes (DEFAULT_BUFF), '\n' included.
//   - A word that only begins like a command, such as /lista, is none.

#include "../support.h"

#include <ctime>
#include <set>

// What is wrong begins with the exercise's name; check.sh knows by it that the
// exercise failed, and not the machine. If nothing comes, it does not.
static string read_line(Peer& peer, const string& wanted, const string& what)
{
    while (peer.got().find('\n') == string::npos)
        if (!peer.read_some())
            fail("nothing came (" + what + ")\n  wanted: " + printable(wanted)
                 + "\n  got:    " + printable(peer.got()));
    return peer.read_line();
}

// The next line that a peer gets.
static void hears(Peer& peer, const string& wanted, const string& what)
{
    check_equal(read_line(peer, wanted, what), wanted, what);
}

// The next line is the same for each of them.
static void all_hear(const std::vector<Peer*>& peers, const string& wanted,
                     const string& what)
{
    for (Peer* peer : peers)
        hears(*peer, wanted, what);
}

// A line that fills one message to the last byte, and a command behind it.
static string command_in_the_rest(const string& name, const string& command)
{
    return repeat("x", 1024 - (name + ": \n").size()) + command;
}

// One of the messages that a long text has become; returns it without `prefix`.
static string hear_piece(Peer& peer, const string& prefix, const string& what)
{
    const string line = read_line(peer, prefix, what);
    check(line.compare(0, prefix.size(), prefix) == 0,
          what + ": each message of a long text begins with '" + prefix
              + "'\n  got:    " + printable(line));
    check(line.size() < 1024,
          what + ": a message has at most 1024 bytes, '\\n' included; this one"
              " has " + std::to_string(line.size() + 1));
    return line.substr(prefix.size());
}

// All of them, put together; `size` bytes.
static string hear_pieces(Peer& peer, const string& prefix, size_t size,
                          const string& what)
{
    string heard;
    while (heard.size() < size)
        heard += hear_piece(peer, prefix, what);
    return heard;
}

// --- stamp ------------------------------------------------------------------

// Whether a line of the log begins with a time from `since` to now.
static bool is_stamped(const string& line, std::time_t since)
{
    for (std::time_t t = since; t <= std::time(nullptr); t++) {
        char stamp[16] = "";
        std::strftime(stamp, sizeof stamp, "%H:%M:%S ", std::localtime(&t));
        if (line.compare(0, std::strlen(stamp), stamp) == 0)
            return true;
    }
    return false;
}

// stamp (10 minutes): the time in the server's log.
//
// Each line of the log, from "In attesa di connessioni..." on, begins with the
// local time (std::localtime) and a space:
//
//     16:20:05 127.0.0.1:40000 si è collegato.
//
// All threads of the server print lines. Look up what std::localtime() returns,
// and think what happens when two threads call it at once.
TEST(stamp)
{
    ::setenv("TZ", "PROVA-5:30", 1);  // a clock of our own, not that of UTC
    const std::time_t start = std::time(nullptr);
    Program server(server_program(), {"0"});
    std::vector<string> log;
    const auto read_log = [&](size_t lines) {
        while (log.size() < lines) {
            log.push_back(server.out.read_line());
            check(is_stamped(log.back(), start),
                  "stamp: each line of the log begins with the local time, as"
                  " in '16:20:05 In attesa di connessioni...'\n  got:    "
                      + printable(log.back()));
        }
    };
    read_log(1);
    const string waiting = "In attesa di connessioni... (porta ";
    check_equal(log[0].substr(9, waiting.size()), waiting,
                "stamp: behind the time the line is as it was");
    const int port = std::atoi(log[0].c_str() + 9 + waiting.size());

    {
        std::vector<Peer> peers;  // all leave at once: a thread each tells it
        for (int i = 0; i < 40; i++)
            peers.push_back(Peer::join(port, "P" + std::to_string(i)));
        read_log(1 + 40);
        peers[0].reset();
    }
    read_log(1 + 80);
    int broken = 0;
    for (size_t i = 1; i < log.size(); i++) {
        const string line = log[i].substr(9);
        const bool is_broken
            = line.compare(0, 28, "la connessione con 127.0.0.1") == 0;
        broken += is_broken ? 1 : 0;
        check(is_broken || line.compare(0, 10, "127.0.0.1:") == 0,
              "stamp: behind the time the line is as it was\n  got:    "
                  + printable(log[i]));
    }
    check(broken >= 1, "stamp: nothing in the log of the connection lost");

    server.signal(SIGINT);
    read_log(1 + 80 + 1);
    check_equal(log.back().substr(9), string("Terminazione del server..."),
                "stamp: the last line of the log");
    server.out.expect_end();
    server.expect_exit(0);
}

// --- list -------------------------------------------------------------------

// list (20 minutes): who is here?
//
// The message /list is not shown to the room. Who writes it, and nobody else,
// gets the names of all who are in the room, the own one too:
//
//     In chat: Anna, Bruno
//
// in alphabetical order, which is the one of std::sort and std::set for
// std::string. Who is connected but has not given a name yet is not in it. If
// the names are too many for one message, they go out in several, each with
// "In chat: " before it, and no name is cut in two.
TEST(list)
{
    Server server;
    Peer bruno = Peer::join(server.port, "Bruno");
    Peer anna = Peer::join(server.port, "Anna");
    hears(bruno, "Anna si è unito all chat!", "list: joining is as it was");
    Peer nameless = Peer::connect(server.port);
    nameless.expect_line(GREETING);

    anna.send_line("/list");
    hears(anna, "In chat: Anna, Bruno", "list: /list is answered to Anna");
    anna.send_line("ciao");
    all_hear({&anna, &bruno}, "Anna: ciao",
             "list: only Anna gets an answer, and her /list is no message");

    Peer nudo = Peer::join_bare(server.port, "Nudo");
    all_hear({&anna, &bruno}, "Nudo si è unito all chat!", "list: joining");
    nudo.send("/list");
    nudo.expect("In chat: Anna, Bruno, Nudo");
    bruno.send_line("{quit}");
    bruno.expect_end();
    hears(anna, "Bruno ha abbandonato la Chat.",
          "list: Anna hears nothing of the list that Nudo has asked for");
    anna.send_line("/list");
    hears(anna, "In chat: Anna, Nudo", "list: who has left is not in the list");

    for (const string& text : {string("/lista"), string("/list di tutti")}) {
        anna.send_line(text);
        hears(anna, "Anna: " + text, "list: an ordinary message");
    }
    anna.send_line(command_in_the_rest("Anna", "/list"));
    anna.read_line();
    hears(anna, "Anna: /list", "list: the rest of a long line is no command");

    // Names of 125 bytes: eight of them are more than a message can hold.
    std::set<string> names = {"Anna", "Nudo"};
    std::vector<Peer> crowd;
    for (char letter = 'P'; letter > 'D'; letter--) {
        const string name = letter + repeat("😀", 31);
        names.insert(name);
        crowd.push_back(Peer::join(server.port, name));
        hears(anna, name + " si è unito all chat!", "list: joining");
    }
    string all;
    for (const string& name : names)
        all += (all.empty() ? "" : ", ") + name;
    anna.send_line("/list");
    string heard;
    while (heard.size() < all.size())
        heard += (heard.empty() ? "" : ", ")
                 + hear_piece(anna, "In chat: ", "list");
    check_equal(heard, all, "list: the parts of a long list together");
    server.stop();
}

// --- me ---------------------------------------------------------------------

// me (20 minutes): to do, not to say.
//
// When Anna writes "/me ride", everyone gets
//
//     * Anna ride
//
// "/me" alone, or with nothing but a space behind it, is an ordinary message. A
// text that is too long for one message goes out as several, as ever, and each
// begins with "* Anna ". Compare the length of that with that of "Anna: ", for
// which the server leaves room.
TEST(me)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer bruno = Peer::join(server.port, "Bruno");
    Peer nudo = Peer::join_bare(server.port, "Nudo");
    hears(anna, "Bruno si è unito all chat!", "me: joining is as it was");
    all_hear({&anna, &bruno}, "Nudo si è unito all chat!", "me: joining");
    const std::vector<Peer*> both = {&anna, &bruno};

    anna.send_line("/me ride");
    all_hear(both, "* Anna ride", "me: '/me ride' is shown to everyone");
    nudo.expect("* Anna ride");
    nudo.send("/me saluta");
    all_hear(both, "* Nudo saluta", "me: a bare peer can do it, too");
    nudo.expect("* Nudo saluta");
    anna.send_line("e basta");
    all_hear(both, "Anna: e basta", "me: the next message is an ordinary one");
    anna.send_line("/me {quit}");
    all_hear(both, "* Anna {quit}", "me: '/me {quit}' does not leave");
    for (const string& text :
         {string("/mela"), string("/me"), string("/me "), string("è /me io")}) {
        anna.send_line(text);
        all_hear(both, "Anna: " + text, "me: an ordinary message");
    }
    anna.send_line(command_in_the_rest("Anna", "/me ride"));
    for (Peer* peer : both)
        peer->read_line();
    all_hear(both, "Anna: /me ride",
             "me: the rest of a long line is no command");

    for (const string& letter : {string("x"), string("è"), string("😀")}) {
        const string text = repeat(letter, 5000 / letter.size());
        anna.send_line("/me " + text);
        anna.send_line("ora parlo");
        for (Peer* peer : both) {
            check_equal(hear_pieces(*peer, "* Anna ", text.size(), "me"), text,
                        "me: the messages of a long text together");
            hears(*peer, "Anna: ora parlo", "me: behind a long one");
        }
    }
    server.stop();
}

// --- rename -----------------------------------------------------------------

// rename (an hour): another name, without leaving.
//
// When Anna writes "/name Anna2", everyone gets
//
//     Anna ora si chiama Anna2
//
// and from then on she is Anna2: in front of her messages, when she leaves, and
// for who wants that name, while Anna is free again. A name that a newcomer
// could not have is refused in the words that a newcomer gets ("Il nome Bruno
// è già in uso: digitane un altro."), and nobody else hears of it; if it was so
// long that it came in several messages, she gets one answer, and the rest is
// not shown. Two who want one name at the same moment cannot both have it.
// With the longest of names, 32 characters of four bytes each, no message gets
// longer than 1024 bytes.
TEST(rename)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer bruno = Peer::join(server.port, "Bruno");
    hears(anna, "Bruno si è unito all chat!", "rename: joining is as it was");
    const std::vector<Peer*> both = {&anna, &bruno};

    anna.send("prima\n/name Anna2\ndopo\n");
    all_hear(both, "Anna: prima", "rename: before it");
    all_hear(both, "Anna ora si chiama Anna2", "rename: everyone is told");
    all_hear(both, "Anna2: dopo", "rename: the next message has the new name");

    const string too_long = "Il nome può avere al massimo 32 caratteri";
    for (const auto& bad : std::vector<std::pair<string, string>>{
             {"Bruno", "Il nome Bruno è già in uso"},
             {"a:b", "Il nome non può contenere i due punti"},
             {"   ", "Il nome non può essere vuoto"},
             {repeat("è", 33), too_long},
             {repeat("x", 4000), too_long}}) {
        anna.send_line("/name " + bad.first);
        hears(anna, bad.second + ": digitane un altro.",
              "rename: a bad name is refused");
    }
    anna.send_line("/names");
    all_hear(both, "Anna2: /names",
             "rename: only who asked hears of a bad name, and only once; and"
             " /names is no command");

    Peer carla = Peer::connect(server.port);
    carla.expect_line(GREETING);
    carla.send("Anna2\nAnna\n");
    hears(carla, "Il nome Anna2 è già in uso: digitane un altro.",
          "rename: the new name is in use");
    hears(carla, Peer::welcome("Anna"), "rename: the old name is free");
    all_hear(both, "Anna si è unito all chat!", "rename: a newcomer");

    const string longest = repeat("😀", 32);
    anna.send_line("/name " + longest);
    all_hear({&anna, &bruno, &carla}, "Anna2 ora si chiama " + longest,
             "rename: a name of 32 characters");
    for (const string& text : {repeat("x", 5000), repeat("😀", 1250)}) {
        anna.send_line(text);
        for (Peer* peer : {&anna, &bruno, &carla})
            check_equal(hear_pieces(*peer, longest + ": ", text.size(),
                                    "rename"),
                        text, "rename: the messages of a long text together");
    }
    anna.send_line(command_in_the_rest(longest, "/name Eva"));
    for (Peer* peer : {&anna, &bruno, &carla}) {
        peer->read_line();
        hears(*peer, longest + ": /name Eva",
              "rename: the rest of a long line is no command");
    }
    anna.send_line("{quit}");
    anna.expect_end();
    all_hear({&bruno, &carla}, longest + " ha abbandonato la Chat.",
             "rename: who leaves is called by the new name");

    string names[2] = {"Bruno", "Anna"};
    for (int i = 0; i < 50; i++) {
        const string wanted = "Nome" + std::to_string(i);
        const string refusal
            = "Il nome " + wanted + " è già in uso: digitane un altro.";
        bruno.send_line("/name " + wanted);
        carla.send_line("/name " + wanted);
        string news[2];
        int refused = 0;
        for (int who = 0; who < 2; who++) {
            Peer& peer = who == 0 ? bruno : carla;
            for (int j = 0; j < 2 && news[who].empty(); j++) {
                const string line = peer.read_line();
                if (line == refusal)
                    refused++;
                else
                    news[who] = line;
            }
        }
        const int winner = news[0] == names[0] + " ora si chiama " + wanted
                               ? 0 : 1;
        for (const string& one : news)
            check_equal(one, names[winner] + " ora si chiama " + wanted,
                        "rename: two want one name, and one gets it");
        if (refused == 0)  // its refusal can come after the news
            hears(winner == 0 ? carla : bruno, refusal,
                  "rename: two want one name, and the other is refused");
        names[winner] = wanted;
    }
    server.stop();
}

// --- whisper ----------------------------------------------------------------

// whisper (an hour): a message for one.
//
// When Anna writes "/msg Bruno ciao", Bruno and she, and nobody else, get
//
//     (privato) Anna: ciao
//
// (once, if she writes to herself). If there is no Bruno in the room, she alone
// gets
//
//     Bruno non è in chat.
//
// - A name can have spaces in it. If "Anna" and "Anna Maria" are here, a text
//   that begins with "Anna Maria " is for Anna Maria: the longest name counts.
//   If nobody's name is there, the one in the answer ends at the first space.
// - What one client writes arrives in the order in which it was written,
//   private or not. (What does main send, and what does tell()?)
// - A private text that is too long for one message goes out as several, each
//   with the prefix, and all of them as private as the first; none if the
//   name was unknown. The prefix is longer than the server leaves room for.
TEST(whisper)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer bruno = Peer::join(server.port, "Bruno");
    Peer carla = Peer::join(server.port, "Carla");
    hears(anna, "Bruno si è unito all chat!", "whisper: joining is as it was");
    all_hear({&anna, &bruno}, "Carla si è unito all chat!", "whisper: joining");
    const std::vector<Peer*> all = {&anna, &bruno, &carla};

    anna.send_line("/msg Bruno ciao");
    all_hear({&bruno, &anna}, "(privato) Anna: ciao",
             "whisper: Bruno and Anna get it");
    anna.send_line("/msg Dario ciao Dario");
    hears(anna, "Dario non è in chat.", "whisper: Dario is unknown");
    anna.send_line("/msg Anna da sola");
    hears(anna, "(privato) Anna: da sola", "whisper: Anna to herself");
    anna.send_line("/messaggio");
    all_hear(all, "Anna: /messaggio", "whisper: others hear nothing, nobody"
             " hears it twice, and /messaggio is no command");
    anna.send_line(command_in_the_rest("Anna", "/msg Bruno ciao"));
    for (Peer* peer : all)
        peer->read_line();
    all_hear(all, "Anna: /msg Bruno ciao",
             "whisper: the rest of a long line is no command");

    string said;
    const int count = 300;
    for (int i = 0; i < count; i++) {
        const string number = std::to_string(i);
        said += "uno " + number + "\n/msg Bruno due " + number
                + "\n/msg Nessuno due\ntre " + number + "\n";
    }
    anna.send(said);
    for (int i = 0; i < count; i++) {
        const string number = std::to_string(i);
        const string order = "whisper: all comes in the order of its writing";
        all_hear(all, "Anna: uno " + number, order);
        all_hear({&anna, &bruno}, "(privato) Anna: due " + number, order);
        hears(anna, "Nessuno non è in chat.", order);
        all_hear(all, "Anna: tre " + number, order);
    }

    Peer maria = Peer::join(server.port, "Anna Maria");
    Peer b = Peer::join(server.port, "B");
    Peer nudo = Peer::join_bare(server.port, "Nudo");
    for (Peer* peer : {&anna, &bruno, &carla, &maria, &b})
        peer->skip_to("Nudo si è unito all chat!\n");
    bruno.send_line("/msg Anna Maria ciao");
    all_hear({&maria, &bruno}, "(privato) Bruno: ciao",
             "whisper: the longest name in front of the text counts");
    bruno.send_line("/msg Anna Mario ciao");
    all_hear({&anna, &bruno}, "(privato) Bruno: Mario ciao",
             "whisper: the longest name in front of the text counts");
    nudo.send("/msg Anna nudo");
    hears(anna, "(privato) Nudo: nudo", "whisper: from a bare peer");
    nudo.expect("(privato) Nudo: nudo");
    anna.send_line("/msg Nudo vestito");
    hears(anna, "(privato) Anna: vestito", "whisper: to a bare peer");
    nudo.expect("(privato) Anna: vestito");

    for (const string& text : {repeat("x", 5000), repeat("😀", 1250)}) {
        anna.send_line("/msg B " + text);
        for (Peer* peer : {&b, &anna})
            check_equal(hear_pieces(*peer, "(privato) Anna: ", text.size(),
                                    "whisper"),
                        text, "whisper: the messages of a long text together");
        anna.send_line("/msg Dario " + text);
        hears(anna, "Dario non è in chat.", "whisper: Dario is unknown");
    }
    anna.send_line("a tutti");
    for (Peer* peer : {&anna, &bruno, &carla, &maria, &b})
        hears(*peer, "Anna: a tutti",
              "whisper: nobody else hears any part of a long one");
    b.send_line("{quit}");
    b.expect_end();
    hears(anna, "B ha abbandonato la Chat.", "whisper: leaving");
    anna.send_line("/msg B dove sei?");
    hears(anna, "B non è in chat.", "whisper: who has left is not here");
    server.stop();
}

// --- history ----------------------------------------------------------------

// history (two hours): what was said before.
//
// Right after its welcome, and before anything new, a newcomer gets the last
// ten messages of the room, in their order, as the others got them:
//
//     Anna: ciao
//     Bruno: ciao Anna
//
// or fewer, if fewer were said. Who came and who left is not among them. From a
// long text that went out as several messages each of these is one.
//
// And it fits together with what comes next: of each message it gets either
// none, or one, and from the first that it gets on, none is missing. Others are
// writing while it comes in! Find the one moment that divides what was said
// before from what comes after, and the mutex that makes it one.
TEST(history)
{
    const string what = "history: after its welcome a newcomer gets the last"
                        " ten messages, or all if there are fewer";
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    const auto say = [&](const string& text) {
        anna.send_line(text);
        anna.skip_to("Anna: " + text + "\n");
    };
    // Lets one in and has Anna speak: it hears these, then her, nothing else.
    const auto come = [&](const std::vector<string>& before) {
        static int number = 0;
        Peer peer = Peer::join(server.port, "N" + std::to_string(++number));
        anna.send_line("nuovo");
        for (const string& text : before)
            hears(peer, "Anna: " + text, what);
        hears(peer, "Anna: nuovo", "history: then what is new, and nothing"
              " else: neither joining nor leaving nor an eleventh message");
        peer.send_line("{quit}");
        peer.expect_end();
        anna.skip_to(" ha abbandonato la Chat.\n");
    };
    say("uno");
    come({"uno"});
    say("due");
    come({"uno", "nuovo", "due"});
    std::vector<string> last;
    for (int i = 1; i <= 25; i++)
        say(std::to_string(i));
    for (int i = 16; i <= 25; i++)
        last.push_back(std::to_string(i));
    come(last);

    Peer nudo = Peer::join_bare(server.port, "Nudo");
    last.erase(last.begin());
    string all;
    for (const string& text : last)
        all += "Anna: " + text;
    nudo.expect(all + "Anna: nuovo");  // a bare peer: without '\n', as ever
    nudo.close();
    anna.skip_to("Nudo ha abbandonato la Chat.\n");

    const string text = repeat("x", 12 * 1000);  // at least twelve messages
    anna.send_line(text);
    hear_pieces(anna, "Anna: ", text.size(), "history");
    Peer reader = Peer::join(server.port, "Lettore");
    anna.send_line("nuovo");
    for (int i = 0; i < 10; i++) {
        const string line = reader.read_line();
        check(line.compare(0, 10, "Anna: xxxx") == 0 && line.size() < 1024,
              what + "\n  got:    " + printable(line));
    }
    hears(reader, "Anna: nuovo", what);
    reader.close();
    anna.send_line("{quit}");
    anna.rest();

    // While four are writing as fast as they can, many come in.
    bool stop = false;
    std::vector<std::thread> writers;
    for (int i = 0; i < 4; i++)
        writers.emplace_back([&server, &stop, i] {
            const string name = "W" + std::to_string(i);
            Peer peer = Peer::join(server.port, name);
            for (int number = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE);) {
                string lines;
                for (int j = 0; j < 100; j++)
                    lines += std::to_string(++number) + "\n";
                peer.send(lines);
                peer.skip_to(name + ": " + std::to_string(number) + "\n");
            }
        });
    for (int i = 0; i < 300; i++) {
        Peer peer = Peer::join(server.port, "N" + std::to_string(i));
        std::vector<int> next(4, 0);  // 0: not heard of
        for (int heard = 0; heard < 400;) {
            const string line = peer.read_line();
            const size_t end = line.find(": ");
            if (line[0] != 'W' || end == string::npos)
                continue;  // who came, who left
            heard++;
            int& expected = next[static_cast<size_t>(line[1] - '0')];
            const int number = std::atoi(line.c_str() + end + 2);
            check(expected == 0 || number == expected,
                  "history: others write while a newcomer comes in, and it "
                  + string(number < expected ? "gets a message twice"
                                             : "misses a message")
                  + "\n  got:    " + line + "\n  wanted: "
                  + std::to_string(expected));
            expected = number + 1;
        }
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (std::thread& writer : writers)
        writer.join();
    server.stop();
}

// --- poll -------------------------------------------------------------------

// The processor time that a program has used, in ticks (100 a second).
static long ticks_of(pid_t pid)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    string line;
    std::getline(file, line);
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    string skipped;
    for (int i = 0; i < 11; i++)
        fields >> skipped;
    long user = 0;
    long system = 0;
    fields >> user >> system;
    return user + system;
}

static void check_threads(const Server& server, const string& when)
{
    if (!is_sanitized())  // a sanitizer has a thread of its own
        check_equal(status_of(server.pid(), "Threads"), 1L,
                    "poll: the threads of the server " + when);
}

// poll (a weekend): one thread instead of many.
//
// The server has one thread, which waits in poll() (or WSAPoll) for all its
// sockets at once, and does at once what can be done. Nothing changes for the
// clients: that is the exercise. In particular
// - 50 clients in the room are still one thread;
// - who has sent half a line, or nothing at all, holds up nobody;
// - a bare peer's name ends 250 ms after its bytes, though nothing more comes;
// - a client that does not read is dropped, and the room goes on meanwhile;
// - however somebody leaves, the others are told, and what it said came first;
// - Ctrl+C tells everyone, and ends the server at once;
// - a server that has nothing to do uses no time of the processor.
TEST(poll)
{
    {
        Server server;
        std::vector<Peer> peers;
        for (int i = 0; i < 50; i++)
            peers.push_back(Peer::join(server.port, "P" + std::to_string(i)));
        check_threads(server, "with 50 clients in the room");

        Peer silent = Peer::connect(server.port);
        silent.expect_line(GREETING);
        peers[0].send("meta' di");
        for (int i = 1; i < 50; i++)
            peers[i].send_line("ciao");
        for (Peer& peer : peers) {
            std::set<string> heard;
            while (heard.size() < 49) {
                const string line = peer.read_line();
                if (line.find(" si è unito all chat!") == string::npos)
                    check(line.find(": ciao") != string::npos
                              && heard.insert(line).second,
                          "poll: 49 of 50 say 'ciao' once\n  got:    " + line);
            }
        }
        peers[0].send_line(" una riga");
        for (Peer& peer : peers)
            hears(peer, "P0: meta' di una riga", "poll: half a line, and its"
                  " other half later");

        Peer nudo = Peer::join_bare(server.port, "Nudo");
        nudo.send("senza fine");
        nudo.expect("Nudo: senza fine");
        for (Peer& peer : peers) {
            hears(peer, "Nudo si è unito all chat!", "poll: a bare peer");
            hears(peer, "Nudo: senza fine", "poll: a bare peer");
        }

        // By {quit}, by closing, by a half-close in a line, and by an RST.
        peers[1].send("addio\n{quit}\n");
        hears(peers[1], "P1: addio", "poll: it gets its own words");
        peers[1].expect_end();
        peers[0].expect("P1: addio\nP1 ha abbandonato la Chat.\n");
        peers[2].send_line("addio");
        peers[2].close();
        peers[0].expect("P2: addio\nP2 ha abbandonato la Chat.\n");
        peers[3].send("addi\xC3");
        peers[3].half_close();
        peers[3].skip_to("P3: addi\xEF\xBF\xBD\n");
        peers[3].expect_end();
        peers[0].expect("P3: addi\xEF\xBF\xBD\nP3 ha abbandonato la Chat.\n");
        peers[4].reset();
        peers[0].expect("P4 ha abbandonato la Chat.\n");

        const long before = ticks_of(server.pid());
        pause_for(1000);
        check(ticks_of(server.pid()) - before < 50,
              "poll: nobody says anything, and the server is never idle");
        check_threads(server, "after some have left");

        server.stop();
        for (size_t i = 5; i < peers.size(); i++) {
            peers[i].skip_to("P4 ha abbandonato la Chat.\n");
            peers[i].expect("{quit}\n");
            peers[i].expect_end();
        }
        nudo.skip_to("P4 ha abbandonato la Chat.");
        nudo.expect("{quit}");
        nudo.expect_end();
        silent.expect("{quit}");
        silent.expect_end();
    }

    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer muto = Peer::join(server.port, "Muto");
    hears(anna, "Muto si è unito all chat!", "poll: joining");
    const string text = repeat("parole ", 140);
    bool is_gone = false;
    for (int said = 0; !is_gone; said++) {  // each waits for its echo
        check(said < 100 * 1000,
              "poll: who does not read is never dropped");
        anna.send_line(text);
        for (bool heard = false; !heard;) {
            const string line = anna.read_line();
            is_gone = is_gone || line == "Muto ha abbandonato la Chat.";
            heard = line == "Anna: " + text;
        }
    }
    anna.send_line("avanti");
    hears(anna, "Anna: avanti", "poll: the room goes on without it");
    muto.rest();
    Peer full = Peer::join(server.port, "Pieno");  // reads nothing, to the end
    hears(anna, "Pieno si è unito all chat!", "poll: joining");
    for (int said = 0; said < 500; said++) {
        anna.send_line(text);
        hears(anna, "Anna: " + text, "poll: the room goes on");
    }
    server.stop();
    anna.expect("{quit}\n");
    anna.expect_end();
}
