// A name has 1 to 32 characters, no ':', is not blank, and is nobody else's;
// otherwise the server says why and asks again, on the same connection.

#include "support.h"

const string BAD
    = "Un nome ha da 1 a 32 caratteri, senza i due punti: digitane un altro.";
const string TAKEN = "Il nome Anna è già in uso: digitane un altro.";

// Whoever asks for this name, while Anna is in, is called that, or refused.
struct Case {
    string asked;
    string name;
    string refusal;
};

static std::vector<Case> cases() {
    std::vector<Case> all = {
        {"Anna", "", TAKEN}, {"anna", "anna", ""}, {"a:b", "", BAD},
        {":", "", BAD}, {"   ", "", BAD}, {"\t\x1b", "", BAD},
        {repeat("x", 33), "", BAD}, {repeat("x", 32), repeat("x", 32), ""},
        {repeat("è", 33), "", BAD}, {repeat("😀", 32), repeat("😀", 32), ""},
        {string(40, ' ') + "Ugo" + string(40, ' '), "Ugo", ""},
        {"  Maria  \t Pia ", "Maria Pia", ""}, {"A\x1b[2J\xE8", "A [2J?", ""},
    };
    // What looks like a blank, or like nothing, is a blank.
    for (const string& blank :
         Strings{" ", "\t", "\r\x0b", "\u00A0", "\u1680", "\u2000", "\u200A",
                 "\u202F", "\u205F", "\u3000", "\u2800", "\u3164", "\u115F",
                 "\u1160", "\uFFA0", "\u2028", "\x7f", "\u00AD", "\u034F",
                 "\u061C", "\u17B4", "\u180B", "\u180E", "\u200B", "\u200C",
                 "\u200D", "\u200E", "\u200F", "\u2060", "\u2064", "\u206A",
                 "\u206F", "\uFE00", "\uFE0F", "\uFEFF", "\uFFF9", "\uFFFB",
                 "\U000E0001", "\U000E0020", "\U000E007F", "\U000E0100",
                 "\U000E01EF", "\U0001D173"}) {
        all.push_back({blank, "", BAD});
        all.push_back({blank + "Anna" + blank, "", TAKEN});
        all.push_back({"Lia" + blank + blank + " " + blank + "Rosa", "Lia Rosa",
                       ""});
    }
    // Letters of all lengths that are seen stay.
    for (const string& seen : Strings{"é", "Ω", "日本", "한", "\u2801", "\u3131",
                                      "\u1161", "\uFFA1", "\U0001F469"})
        all.push_back({"Q" + seen, "Q" + seen, ""});
    return all;
}

TEST(names_are_trimmed_and_judged) {
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    for (const Case& one : cases()) {
        Peer peer = Peer::greeted(server.port);
        peer.send_line(one.asked);
        check_equal(peer.read_line(),
                    one.name.empty() ? one.refusal : Peer::welcome(one.name),
                    "the answer to '" + printable(one.asked) + "'");
        if (one.name.empty())
            continue;
        peer.send_line("Anna:\n{quit}");  // a message, now
        anna.expect(one.name + " si è unito all chat!\n" + one.name
                    + ": Anna:\n" + one.name + " ha abbandonato la Chat.\n");
    }
}

// Once for each name, and the next one is read a tick later. {quit} leaves.
TEST(whoever_is_refused_is_asked_again) {
    Server server;
    Chat chat(server.port);
    for (const string& end : Strings{"\n", ""}) {
        const string endless(end == "" ? 1000 : 200 * 1000, 'x');
        const auto start = steady_clock::now();
        Peer peer = Peer::greeted(server.port);
        for (const string& name : Strings{"Anna", "a:b", " ", endless}) {
            peer.send(name + end);
            peer.expect((name == "Anna" ? TAKEN : BAD) + end);
        }
        peer.send("Carla" + end);
        peer.expect(Peer::welcome("Carla") + end);
        check(steady_clock::now() - start >= milliseconds(380), "too fast");
        peer.send("{quit}" + end);
        peer.expect_end();
        Peer nobody = Peer::greeted(server.port);
        nobody.send("{quit}" + end);
        nobody.expect_end();
        chat.both_hear("Carla si è unito all chat!");
        chat.both_hear("Carla ha abbandonato la Chat.");
        chat.goes_on();
    }
}

TEST(two_at_once_cannot_both_have_it) {
    Server server;
    for (int i = 0; i < 10; i++) {
        Peer peers[] = {Peer::greeted(server.port), Peer::greeted(server.port)};
        for (Peer& peer : peers)
            peer.send_line("Anna");
        Strings answers;
        for (Peer& peer : peers)
            answers.push_back(peer.read_line());
        std::sort(answers.begin(), answers.end());
        check_equal(answers[0], Peer::welcome("Anna"), "what one is told");
        check_equal(answers[1], TAKEN, "what the other is told");
        for (Peer& peer : peers)
            peer.send_line("{quit}");
        for (Peer& peer : peers)
            peer.expect_end();
    }
}
