// Exercises: what the chat cannot do yet. Each has a test, which fails until
// you have taught it; the comment above the test is all that is wanted.
//
//   make exercise NAME=list    tries the exercise `list` on your chat
//
// "FAILED: list: ..." says what is missing, what came instead, and where to
// begin. When it says "passed: list", see that the chat still does all that it
// did (`make test`), and read your change once more: which thread runs it, and
// does it hold the mutex? A test cannot see all that can go wrong between
// threads; a build with -fsanitize=thread sees more.
//
// In all exercises a command is a whole message: the rest of a line that was
// too long is no command (see Inbox::is_rest), nor is a word that only begins
// like one, such as /lista. No message has more than 1024 bytes (DEFAULT_BUFF).

#include "../support.h"

#include <ctime>
#include <set>

using People = std::vector<Peer*>;

static string exercise, first_step;  // the one that is tried; where to begin

// A text in quotes; of a long one the beginning and the size.
static string brief(const string& text) {
    const size_t size = text.find_last_of(" x", 60);  // no letter is torn there
    if (text.size() <= 80 || size == string::npos)
        return "\"" + text + "\"";
    return "\"" + text.substr(0, size) + "...\", " + to_string(text.size())
           + " bytes";
}

[[noreturn]] static void fail(const string& what, const string& wanted,
                              const string& got) {
    fail(exercise + ": " + what + "\n  wanted: " + brief(wanted) + "; got: "
         + (got.empty() ? "nothing" : brief(got)) + "; begin in " + first_step);
}

// The next line that a peer gets. What does not come for some seconds does not.
static string next_line(Peer& peer, const string& wanted, const string& what) {
    while (peer.got().find('\n') == string::npos)
        if (!peer.read_some(std::min(LIMIT, milliseconds(10000))))
            fail(what, wanted, peer.got());
    return peer.read_line();
}

// The next line is this one for each of them.
static void hear(const People& who, const string& wanted, const string& what) {
    for (Peer* peer : who) {
        const string line = next_line(*peer, wanted, what);
        if (line != wanted)
            fail(what, wanted, line);
    }
}

// One of them says something, and this is what comes of it.
static void say(Peer& who, const string& text, const People& people,
                const string& wanted, const string& what) {
    who.send_line(text);
    hear(people, wanted, what);
}

// A long text comes in several messages. Each begins with the prefix.
static void hear_long(const People& who, const string& prefix,
                      const string& text, const string& between = "") {
    for (Peer* peer : who)
        for (string heard; heard.size() < text.size();) {
            const string line = next_line(*peer, prefix + "...", "a long text");
            heard += between;
            heard += line.substr(std::min(line.size(), prefix.size()));
            if (line.size() >= 1024 || line.compare(0, prefix.size(), prefix)
                || text.compare(0, heard.size(), heard))
                fail("each message of a long text begins with the prefix, and"
                     " has at most 1024 bytes", prefix + "...", line);
        }
}

// A line that fills one message to the last byte, and a command behind it.
static void say_in_a_rest(Peer& who, const string& name, const string& command,
                          const People& people) {
    const string first = repeat("x", 1024 - (name + ": \n").size());
    say(who, first + command, people, name + ": " + first, "a long line");
    hear(people, name + ": " + command, "the rest of a line is no command");
}

struct Room {
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer bruno = Peer::join(server.port, "Bruno");
    const People both = {&anna, &bruno};

    Room() { anna.expect_line("Bruno si è unito all chat!"); }
    Peer join(const string& name, const string& end = "\n") {
        Peer peer = Peer::join(server.port, name, USUAL, end);
        hear(both, name + " si è unito all chat!", "joining is as it was");
        return peer;
    }
};

// stamp (20 minutes): the time in the server's log.
//
// With STAMP=1 in the environment (std::getenv) each line of the log begins
// with the local time (std::localtime) and a space; without it the log is as it
// was.
//     16:20:05 127.0.0.1:40000 si è collegato.
// All threads of the server print lines. Look up what std::localtime() returns,
// and think what happens when two threads call it at once. Begin in log_line().
TEST(stamp) {
    exercise = "stamp", first_step = "log_line()";
    const std::time_t start = std::time(nullptr);
    const auto stamped = [start](Stream& log, const string& wanted) {
        const string line = log.read_line();
        for (std::time_t t = start; t <= std::time(nullptr); t++) {
            char stamp[16] = "";
            std::strftime(stamp, sizeof stamp, "%H:%M:%S ", std::localtime(&t));
            if (line.compare(0, 9 + wanted.size(), stamp + wanted) == 0)
                return line.substr(9);
        }
        fail("each line begins with the time", "16:20:05 " + wanted, line);
    };
    Program(server_program(), {"0"}).out.expect("In attesa");
    ::setenv("TZ", "PROVA-5:30", 1);  // a clock of our own, not that of UTC
    ::setenv("STAMP", "1", 1);
    Program server(server_program(), {"0"});
    const string first = stamped(server.out, "In attesa di connessioni...");
    const int port = std::atoi(&first[first.find("ta ") + 3]);
    std::vector<Peer> peers;
    for (int i = 0; i < 40; i++)
        peers.push_back(Peer::join(port, "P" + to_string(i)));
    peers.clear();  // all leave at once: a thread each tells it
    for (int left = 0; left < 40;)
        left += ends_with(stamped(server.out, ""), " scollegato.");
    server.signal(SIGINT);
    stamped(server.out, "Terminazione del server...");
    server.expect_end("", 0);
}

// list (40 minutes): who is here?
//
// The message /list is not shown to the room. Whoever writes it, and nobody
// else, gets the names of all who are in the room, the own one too:
//     In chat: Anna, Bruno
// in alphabetical order, which is the one of std::sort and std::set for
// std::string. Who is connected but has not given a name yet is not in it. If
// the names are too many for one message, they go out in several, each with
// "In chat: " before it, and no name is cut in two. Begin in client_handler(),
// where a message is passed on.
TEST(list) {
    exercise = "list", first_step = "client_handler()";
    Room room;
    Peer& anna = room.anna;
    Peer nameless = Peer::connect(room.server.port);
    say(anna, "/list", {&anna}, "In chat: Anna, Bruno", "/list is answered");
    say(anna, "ciao", room.both, "Anna: ciao", "only Anna gets an answer");
    Peer nudo = room.join("Nudo", "");
    nudo.send("/list");  // it is a bare peer
    nudo.expect("In chat: Anna, Bruno, Nudo");
    say(room.bruno, "{quit}", {&anna}, "Bruno ha abbandonato la Chat.", "Nudo"
        " alone gets an answer");
    say(anna, "/list", {&anna}, "In chat: Anna, Nudo", "Bruno has left");
    for (const string text : {"/lista", "/list di tutti", "list"})
        say(anna, text, {&anna}, "Anna: " + text, "an ordinary message");
    say_in_a_rest(anna, "Anna", "/list", {&anna});

    // Names of 125 bytes: eight of them are more than a message can hold.
    std::set<string> names = {"Anna", "Nudo"};
    std::vector<Peer> crowd;
    for (char letter = 'O'; letter < 'Z'; letter++) {
        names.insert(letter + repeat("😀", 31));
        crowd.push_back(Peer::join(room.server.port, *names.rbegin()));
    }
    string all;
    for (const string& name : names)
        all += ", " + name;
    anna.send_line("/list");
    anna.skip_to(*names.rbegin() + " si è unito all chat!\n");
    hear_long({&anna}, "In chat: ", all, ", ");
}

// me (30 minutes): to do, not to say.
//
// When Anna writes "/me ride", everyone gets
//     * Anna ride
// "/me" alone, or with nothing but a space behind it, is an ordinary message. A
// text that is too long for one message goes out as several, as ever, and each
// begins with "* Anna ". That is longer than "Anna: ", for which read_name()
// leaves room (Inbox::limit). Begin in client_handler().
TEST(me) {
    exercise = "me", first_step = "client_handler()";
    Room room;
    auto& [server, anna, bruno, both] = room;
    Peer nudo = room.join("Nudo", "");
    say(anna, "/me ride", both, "* Anna ride", "'/me ride' is shown to all");
    nudo.expect("* Anna ride");
    nudo.send("/me saluta");
    hear(both, "* Nudo saluta", "a bare peer can do it, too");
    say(anna, "e basta", both, "Anna: e basta", "the next message is as ever");
    say(anna, "/me {quit}", both, "* Anna {quit}", "'/me {quit}' is no {quit}");
    for (const string text : {"/mela", "/me", "/me ", "è /me io"})
        say(anna, text, both, "Anna: " + text, "an ordinary message");
    say_in_a_rest(anna, "Anna", "/me ride", both);
    for (const string letter : {"xxx", "èè", "😀"}) {
        const string text = repeat(letter, 1250);
        anna.send_line("/me " + text);
        hear_long(both, "* Anna ", text);
        say(anna, "ora parlo", both, "Anna: ora parlo", "behind a long one");
    }
}

// rename (an hour and a half): another name, without leaving.
//
// When Anna writes "/name Anna2", everyone gets
//     Anna ora si chiama Anna2
// and from then on she is Anna2: in front of her messages, when she leaves, and
// for whoever wants that name, while Anna is free again. A name that a newcomer
// could not have is refused in the words that a newcomer gets ("Il nome Bruno
// è già in uso: digitane un altro."), and nobody else hears of it; if it was
// too long for one message she gets one answer, and the rest is not shown. Two
// who want one name at the same moment cannot both have it. With the longest of
// names, 32 characters of four bytes, no message is longer than 1024 bytes.
// Begin in client_handler(): what depends on the name there?
TEST(rename) {
    exercise = "rename", first_step = "client_handler()";
    Room room;
    auto& [server, anna, bruno, both] = room;
    say(anna, "/name Anna2\ndopo", both, "Anna ora si chiama Anna2",
        "everyone is told");
    hear(both, "Anna2: dopo", "the next message has the new name");
    for (const string& bad : Strings{"Bruno", "a:b", "  ", repeat("x", 4000)}) {
        anna.send_line("/name " + bad);
        const string line = next_line(anna, "Un nome...", "a bad name");
        if (!ends_with(line, ": digitane un altro."))
            fail("a bad name is refused", "... digitane un altro.", line);
    }
    say(anna, "/names", both, "Anna2: /names",
        "each bad name is refused once, to her alone; /names is no command");
    Peer carla = Peer::connect(server.port);
    carla.send("Anna2\nAnna\n");
    carla.expect_line(GREETING);
    hear({&carla}, "Il nome Anna2 è già in uso: digitane un altro.", "used");
    hear({&carla}, Peer::welcome("Anna"), "the old name is free");
    hear(both, "Anna si è unito all chat!", "a newcomer");
    const string longest = repeat("😀", 32);
    const People all = {&anna, &bruno, &carla};
    say(anna, "/name " + longest, all, "Anna2 ora si chiama " + longest,
        "a name of 32 characters");
    anna.send_line(repeat("x", 5000));
    hear_long(all, longest + ": ", repeat("x", 5000));
    say_in_a_rest(anna, longest, "/name Eva", all);
    say(anna, "{quit}", {&bruno, &carla}, longest + " ha abbandonato la Chat.",
        "who leaves is called by the new name");
    const string what = "two want one name: one gets it, and both hear that";
    string names[2] = {"Bruno", "Anna"};  // now, of Bruno and of Carla
    for (int i = 0; i < 50; i++) {
        const string name = "Nome" + to_string(i);
        bruno.send_line("/name " + name);
        carla.send_line("/name " + name);
        const string news = next_line(bruno, "", what);
        const int winner = news == names[1] + " ora si chiama " + name;
        if (news != names[winner] + " ora si chiama " + name)
            fail(what, "... ora si chiama " + name, news);
        hear({&carla}, news, what);
        hear({winner ? &bruno : &carla},
             "Il nome " + name + " è già in uso: digitane un altro.",
             "two want one name, and the other one is refused");
        names[winner] = name;
    }
}

// whisper (an hour): a message for one.
//
// When Anna writes "/msg Bruno ciao", Bruno and she, and nobody else, get
//     (privato) Anna: ciao
// (once, if she writes to herself). If there is no Bruno in the room, she alone
// gets "Bruno non è in chat."
// - A name can have spaces in it: if "Anna" and "Anna Maria" are here, "Anna
//   Maria ciao" is for Anna Maria. The longest name counts. If nobody's name is
//   there, the one in the answer ends at the first space.
// - What one client writes arrives in the order of its writing, private or not.
// - A private text that is too long for one message goes out as several, all
//   with the prefix, for which read_name() leaves too little room, and all as
//   private as the first; none if the name was unknown.
// Begin in client_handler(), and see tell(), which is for one client.
TEST(whisper) {
    exercise = "whisper", first_step = "client_handler(), and see tell()";
    Room room;
    auto& [server, anna, bruno, both] = room;
    Peer maria = room.join("Anna Maria");
    Peer carla = room.join("Carla");
    maria.expect_line("Carla si è unito all chat!");
    const People all = {&anna, &bruno, &carla, &maria};
    say(anna, "/msg Bruno ciao", both, "(privato) Anna: ciao", "for Bruno");
    say(anna, "/msg Dario ciao", {&anna}, "Dario non è in chat.", "for nobody");
    say(anna, "/msg Anna io", {&anna}, "(privato) Anna: io", "Anna to herself");
    say(anna, "/messaggio", all, "Anna: /messaggio", "Carla heard nothing, and"
        " nobody hears it twice; /messaggio is no command");
    say_in_a_rest(anna, "Anna", "/msg Bruno ciao", all);
    string said;
    for (int i = 0; i < 300; i++)
        said += "uno\n/msg Bruno " + to_string(i) + "\n/msg Nessuno due\ntre\n";
    anna.send(said);
    for (int i = 0; i < 300; i++) {
        const string order = "all comes in the order of its writing";
        hear(all, "Anna: uno", order);
        hear(both, "(privato) Anna: " + to_string(i), order);
        hear({&anna}, "Nessuno non è in chat.", order);
        hear(all, "Anna: tre", order);
    }
    say(bruno, "/msg Anna Maria ciao", {&maria, &bruno},
        "(privato) Bruno: ciao", "the longest name counts");
    say(bruno, "/msg Anna Mario", both, "(privato) Bruno: Mario", "for Anna");
    for (const string letter : {"x", "😀"}) {
        const string text = repeat(letter, 1250);
        anna.send_line("/msg Bruno " + text);
        hear_long(both, "(privato) Anna: ", text);
        say(anna, "/msg X " + text, {&anna}, "X non è in chat.", "for nobody");
    }
    say(anna, "a tutti", all, "Anna: a tutti", "nobody else hears any of it");
    say(bruno, "{quit}", {&anna}, "Bruno ha abbandonato la Chat.", "leaving");
    say(anna, "/msg Bruno ?", {&anna}, "Bruno non è in chat.", "he has left");
}

// history (an hour): what was said before.
//
// The message /history is not shown to the room. Whoever writes it, and nobody
// else, gets the last ten messages of the room, as all got them:
//     Anna: ciao
//     Bruno: ciao Anna
// or fewer, if fewer were said; also those from before it came in. Who came and
// who left is not among them, nor is /history; of a long text each message is.
// Although others go on writing, the answer has exactly the last ten of what
// came before it. Begin in client_handler(), where a message is passed on.
TEST(history) {
    exercise = "history", first_step = "client_handler()";
    Room room;
    Peer& anna = room.anna;
    std::vector<string> last;
    const auto speak = [&](const string& text) {
        say(anna, text, {&anna}, "Anna: " + text, "/history is shown to nobody,"
            " and only who asks gets an answer (none, if nothing was said)");
        last.push_back(text);
        if (last.size() > 10)
            last.erase(last.begin());
    };
    const auto ask = [&](Peer& who, const string& name) {
        who.send_line("/history\n/historia");
        for (const string& text : last)
            hear({&who}, "Anna: " + text, "the last ten messages, or fewer");
        hear({&who}, name + ": /historia", "then comes what is new");
    };
    anna.send_line("/history");
    speak("uno");
    ask(anna, "Anna");
    last.push_back("/historia");
    for (int i = 1; i <= 25; i++)
        speak(to_string(i));
    Peer carla = Peer::join(room.server.port, "Carla");
    ask(carla, "Carla");
    anna.skip_to("Carla: /historia\n");
    anna.send_line(repeat("x", 12000));  // 12 messages
    hear_long({&anna}, "Anna: ", repeat("x", 12000));
    anna.send_line("/history");
    for (int i = 0; i < 10; i++)
        if (next_line(anna, "Anna: x...", "a long text").size() >= 1024)
            fail("each part of a long text counts as one", "1024 bytes", "");
    // One writes numbers, and meanwhile another one asks.
    Peer writer = Peer::join(room.server.port, "W");
    Peer reader = Peer::join(room.server.port, "Lettore");
    const auto number = [](int n) { return "W: " + to_string(n); };
    int next = 0;  // the number that the reader has not heard yet
    for (int end = 200; end <= 100000; end += 200) {
        string numbers;
        for (int i = end - 200; i < end; i++)
            numbers += to_string(i) + "\n";
        writer.send(numbers);
        while (next < end) {
            hear({&reader}, number(next++), "what one writes");
            if (next % 10 != 0)
                continue;
            reader.send_line("/history");
            string line = next_line(reader, number(next), "an answer");
            for (; line == number(next); next++)
                line = next_line(reader, number(next + 1), "an answer");
            if (line != number(next - 10))
                fail("others write meanwhile: the answer begins with the tenth"
                     " but last of what came before it", number(next - 10),
                     line);
            for (int back = 9; back > 0; back--)
                hear({&reader}, number(next - back), "the answer goes on");
        }
        writer.skip_to(number(end - 1) + "\n");
    }
}

// poll (a weekend): one thread instead of many.
//
// The server has one thread, which waits in poll() (or WSAPoll) for all its
// sockets at once, and does at once what can be done. Nothing changes for the
// clients: that is the exercise, and `make test` tries it. In particular
// - 50 clients in the room are still one thread;
// - who has sent half a line, or nothing at all, holds up nobody;
// - a client that does not read is dropped, and the room goes on meanwhile;
// - a server that has nothing to do uses no time of the processor.
// Begin in main(): what would each thread have waited for?
TEST(poll) {
    exercise = "poll", first_step = "main()";
    Server server;
    std::vector<Peer> peers;
    for (int i = 0; i < 50; i++)
        peers.push_back(Peer::join(server.port, "P" + to_string(i)));
    const long threads = status_of(server.pid(), "Threads");
    if (threads != 1 && !is_sanitized())  // a sanitizer has one of its own
        fail("one thread, with 50 clients", "1", to_string(threads));
    peers[0].skip_to("P49 si è unito all chat!\n");
    Peer silent = Peer::connect(server.port);
    peers[1].send("meta' di");
    const People first = {&peers[0]};
    say(peers[2], "ciao", first, "P2: ciao", "half a line holds up nobody");
    say(peers[1], " riga", first, "P1: meta' di riga", "its other half");
    const auto ticks = [&] {  // of the processor's time, 100 a second: proc(5)
        std::ifstream file("/proc/" + to_string(server.pid()) + "/stat");
        const Strings fields{std::istream_iterator<string>(file), {}};
        return std::stol(fields[13]) + std::stol(fields[14]);
    };
    const long before = ticks();
    pause_for(500);
    if (ticks() - before > 25)
        fail("nobody says anything", "an idle server", "a busy one");
    peers.resize(1);  // the others leave
    Peer muto = Peer::join(server.port, "Muto", SMALLEST);  // it reads nothing
    peers[0].skip_to("Muto si è unito all chat!\n");
    const string text = repeat("parole ", 140);
    const string gone = "Muto ha abbandonato la Chat.";
    bool is_gone = false;
    for (int said = 0; !is_gone; said++) {  // each waits for its echo
        if (said > 20 * 1000)
            fail("who does not read is dropped", gone, "");
        peers[0].send_line(text);
        for (string line; line != "P0: " + text; is_gone |= line == gone)
            line = next_line(peers[0], "P0: " + text, "the room goes on");
    }
}
