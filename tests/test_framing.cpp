// TCP is a stream: however the bytes are cut, glued or spoilt on the way, the
// messages come out whole, clean, and none is lost.

#include "support.h"

#include <random>

const size_t ROOM = 1024 - string("Anna: \n").size();  // for Anna's text

struct Case {
    string sent;    // by Anna
    Strings heard;  // each behind "Anna: "
};

static std::vector<Case> cases() {
    std::vector<Case> all = {
        // Where a message ends.
        {"\nuno\ndue\r\n\r\n\n tre \n\n \n", {"uno", "due", " tre ", " "}},
        {"perché €😀 {quit}no\n{quit} no\n {quit}\n",
         {"perché €😀 {quit}no", "{quit} no", " {quit}"}},
        {"a\rb\n\rc\n", {"a b", " c"}},  // elsewhere '\r' is a control
        // A message, prefix and '\n' included, has 1024 bytes at most. The rest
        // of one that was too long is no command.
        {string(ROOM - 1, 'x') + "\n", {string(ROOM - 1, 'x')}},
        {string(ROOM, 'x') + "\n", {string(ROOM, 'x')}},
        {string(ROOM + 1, 'x') + "\n", {string(ROOM, 'x'), "x"}},
        {string(2 * ROOM, 'x') + "\r\n",
         {string(ROOM, 'x'), string(ROOM, 'x')}},
        {string(ROOM, 'x') + "{quit}\n", {string(ROOM, 'x'), "{quit} "}},
    };
    // It is cut between two characters, so that as many as possible fit.
    for (const string& letter : Strings{"è", "€", "😀"})
        for (size_t shift = 0; shift < letter.size(); shift++) {
            const string x = repeat("x", shift);
            const size_t fit = (ROOM - shift) / letter.size();
            all.push_back({x + repeat(letter, fit + 5) + "\n",
                           {x + repeat(letter, fit), repeat(letter, 5)}});
        }
    for (const auto& [bytes, shown] : RUBBISH)
        all.push_back({"<" + bytes + ">\n", {"<" + shown + ">"}});
    all.push_back({"\xC3\n\xE2\x82\n", {"?", "??"}});
    return all;
}

// Each case alone, whole and byte by byte; and all of them cut at random.
TEST(cuts_make_no_difference) {
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    string all_sent, all_heard;
    for (const Case& one : cases()) {
        string heard;
        for (const string& text : one.heard)
            heard += "Anna: " + text + "\n";
        anna.send(one.sent);
        anna.expect(heard);
        for (const char c : one.sent)
            anna.send(string(1, c));
        anna.expect(heard);
        all_sent += one.sent;
        all_heard += heard;
    }
    std::mt19937 random;
    for (size_t round = 0; round < 30; round++) {
        for (size_t at = 0, size = 0; at < all_sent.size(); at += size) {
            size = 1 + random() % (1 + 7 * round);
            anna.send(all_sent.substr(at, size));
            pause_for(random() % 256 == 0);
        }
        anna.expect(all_heard);
    }
    anna.send("a");
    pause_for(400);  // longer than the pause that ends a bare peer's name
    anna.send("b\nc\r");
    anna.expect_line("Anna: ab");
    anna.send("\nd\n");
    anna.expect("Anna: c\nAnna: d\n");
}

TEST(a_name_and_messages_at_once) {
    Server server;
    Peer anna = Peer::connect(server.port);
    anna.send("Anna\r\nuno\nci");
    anna.expect(GREETING + "\n" + Peer::welcome("Anna") + "\nAnna: uno\n");
    pause_for(400);  // it is a line peer, once and for all
    anna.send("ao\ntre\n{quit}\nmai\n");
    anna.expect("Anna: ciao\nAnna: tre\n");
    anna.expect_end();
}

// What one send() brings is a message; what does not fit with its prefix makes
// another.
TEST(a_bare_peers_chunk_is_a_message) {
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer nudo = Peer::join(server.port, "Nudo", USUAL, "");  // as long as Anna
    anna.expect_line("Nudo si è unito all chat!");
    const std::vector<Case> cases = {
        {"\n\n", {}},
        {"due tre", {"due tre"}},
        {"incolla\nto\n", {"incolla", "to"}},
        {"perch\xC3", {"perch"}},  // its rest comes with the next
        {"\xA9?", {"é?"}},
        {"ciao\r", {"ciao"}},
        {"\ndue\r", {"due"}},
        {"caff\xE8 ", {"caff? "}},
        {string(1800, 'x'), {string(ROOM, 'x'), string(1800 - ROOM, 'x')}},
        {repeat("€", 400), {repeat("€", ROOM / 3), repeat("€", 61)}},
        {"x{quit}", {"x{quit}"}},
        {"{quit} ", {"{quit} "}},
    };
    for (const Case& one : cases) {
        nudo.send(one.sent);
        for (const string& text : one.heard) {
            anna.expect_line("Nudo: " + text);
            nudo.expect("Nudo: " + text + (text == "x{quit}" ? " " : ""));
        }
    }
    nudo.send("{quit}");
    nudo.expect_end();
}

// The Python client takes what recv(1024) brings for a message; half a
// character kills its thread. So a paste comes to it a message at a time.
TEST(a_paste_reaches_a_bare_peer_a_message_at_a_time) {
    Strings texts = {"a", "b", "c", "d", "e", "f", "g", "h",
                     repeat("è", (1024 - 6) / 2), repeat("è", 300)};
    check_in_some_try("none is glued or cut", [&] {
        Server server;
        Peer reader = Peer::join(server.port, "Nudo", USUAL, "");
        Peer eva = Peer::join(server.port, "Eva");
        reader.expect("Eva si è unito all chat!");
        const auto start = steady_clock::now();
        eva.send("a\nb\nc\nd\ne\nf\ng\nh\n" + texts[8] + texts[9] + "\n");
        for (const string& text : texts)
            if (reader.read_chunk(1024) != "Eva: " + text)
                return false;  // a busy machine reads two at once
        return steady_clock::now() - start > milliseconds(10 * 9);
    });
}

// Wherever it is glued or cut: no recv(1024) brings just "{quit}".
TEST(nobody_can_forge_a_quit) {
    Server server;
    Peer bare = Peer::join(server.port, "Nudo", USUAL, "");
    Peer eva = Peer::join(server.port, "Eva");
    bare.expect("Eva si è unito all chat!");
    eva.send(string(995, 'x') + "\n" + string(19, 'y') + "{quit}\n");
    bare.expect("Eva: " + string(995, 'x'));
    bare.expect("Eva: " + string(19, 'y') + "{quit} ");
    eva.skip_to(string(19, 'y') + "{quit}\n");  // a line peer gets it as it is
    eva.send(string(1024 - 6, 'x') + "{quit}\n{quit} \n");
    bare.expect("Eva: " + string(1024 - 6, 'x') + "Eva: {quit} Eva: {quit} ");
    server.stop();
    bare.expect("{quit}");
    bare.expect_end();
}

TEST(three_megabytes_without_a_newline_all_arrive) {
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    const long before = status_of(server.pid(), "VmRSS");
    std::thread sender([&] { anna.send(repeat("x", 3 << 20) + "\n"); });
    for (size_t heard = 0; heard < 3 << 20;)
        heard += anna.read_line().size() - string("Anna: ").size();
    sender.join();
    check_growth(server, before, 4096);
}
