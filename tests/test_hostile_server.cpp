// The client against a hostile server, and against a hostile system: it never
// hangs past its time limits, never grows, never lets an escape sequence
// through.

#include "hostile.h"

const size_t LONGEST = 4096;  // bytes of a message that the client shows

// Sends the same text again and again, as long as the attack lasts.
static Deed flood(const Peer& peer, const string& text, int pause = 1) {
    return [fd = peer.fd(), text, pause] {
        ::send(fd, &text[0], text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        pause_for(pause);
    };
}

// A greeting, or a line, that never ends: it is shown in pieces, and the
// client leaves although it goes on.
TEST(an_endless_text) {
    for (const string& greeting : Strings{"", "Ciao\n"}) {
        Meeting meeting(greeting);
        Stream& out = meeting.client.out;
        auto attack = std::make_unique<Attack>();
        attack->add(flood(meeting.peer, string(99999, 'x')));
        const auto read_x = [&](size_t size) {
            for (size_t seen = 0; seen < size;) {
                const string line = out.read_line();
                check(line == string(line.size(), 'x'), "it shows " + line);
                check(line.size() <= LONGEST, "a message is too long");
                seen += line.size();
            }
        };
        read_x(1 << 20);
        const long before = status_of(meeting.client.pid(), "VmRSS");
        read_x(is_sanitized() ? 1 << 20 : 8 << 20);
        check_growth(meeting.client, before, 4096);
        attack = std::make_unique<Attack>();
        attack->add(flood(meeting.peer, "x", 5));
        meeting.leave(greeting == "" ? QUIT : INTERRUPT);
        check_equal(count_of(out.rest(), LEAVING), greeting != "",
                    "how often it says that it leaves");
        meeting.client.expect_exit(0);
        meeting.peer.expect("{quit}" + meeting.end);
    }
}

// A user at a terminal, whom the server has greeted.
struct Onlooker {
    explicit Onlooker(const string& script = "\"$@\"")
        : shell(client_program(), {"127.0.0.1", to_string(listener.port())},
                script),
          peer(listener.accept()) { peer.send("Ciao\n"); }
    Listener listener;
    AtTerminal shell;
    Peer peer;
};

// What the terminal gets must not depend on whether the server sends rubbish,
// or what the client makes of it.
TEST(rubbish_does_not_reach_the_terminal) {
    string shown[2];
    for (const bool is_clean : {false, true}) {
        Onlooker user;
        string& all = shown[is_clean];
        user.shell.screen.skip_to("Ciao");
        for (const auto& [bytes, clean] : RUBBISH) {
            user.peer.send("Eva: " + (is_clean ? clean : bytes) + "\nfine\n");
            all += user.shell.screen.skip_to("fine");
        }
        user.peer.close();
        all += user.shell.screen.skip_to("code=1\n");
    }
    check_equal(shown[0], shown[1], "what the terminal gets");
}

// The server sends these pieces, and ends the connection, or has said {quit}:
// the client shows what it has to, says so, and ends with 1.
struct Loss {
    string greeting;
    Strings pieces;
    string shown;
    End end;
};

TEST(a_quit_or_a_lost_connection_ends_the_client_with_1) {
    const End waits = nullptr, closes = &Peer::close, resets = &Peer::reset,
              half_closes = &Peer::half_close;
    const std::vector<Loss> cases = {
        {"Ciao\n", {"{", "q", "u", "it", "}", "\r", "\n"}, "", waits},
        {"Ciao\n", {"uno\n{qu", "it}\ndue\n"}, "uno\n", waits},
        {"Ciao\n", {"\n\r\n{quit}\r\n{quit}\n"}, "", waits},
        {"Ciao", {"{quit}"}, "", waits},
        {"Ciao", {"{quit}\r"}, "", waits},
        {"", {"{quit}\n"}, "", waits},
        {"", {"{quit}"}, "", waits},
        {"", {"\n{quit}\nCiao\n"}, "", waits},
        {"CIA", {}, "CIA\n", closes},
        {"Ciao", {"perch\xC3"}, "perch\n?\n", closes},
        {"Ciao\n",
         {"perch", "\xC3", "\xA9 \xF0", "\x9F\x98\x80\nuno\r", "\ndue\n"},
         "perché 😀\nuno\ndue\n", closes},
        {"Ciao\n", {}, "", resets},
        {"Ciao\n", {}, "", half_closes},
        {"Ciao\n", {"uno\nEva: \xE2\x82"}, "uno\nEva: ??\n", resets},
        {"Ciao\n", {"uno\n{quit"}, "uno\n{quit\n", half_closes},
        {"Ciao\n", {"{quit}"}, "", closes},
        {"Ciao\n", {"{quit}\r"}, "", half_closes},
        {"Ciao", {"meta' riga"}, "meta' riga\n", closes},
        // What nearly is a {quit} is a text like any other.
        {"Ciao\n", {"{quit\n}\n{QUIT}\n{quit}{quit}\n\r{quit}\n{qu\033it}\n"
                    "\xC3{quit}\n{quit}\t\n\uFEFF{quit}\nEva: {quit}\n"},
         "{quit\n}\n{QUIT}\n{quit}{quit}\n {quit}\n{qu it}\n"
         "?{quit}\n{quit} \n\uFEFF{quit}\nEva: {quit}\n", closes},
        {"Ciao\n", {repeat("x", 2 * LONGEST) + "{quit}\n"},
         repeat(repeat("x", LONGEST) + "\n", 2) + "{quit} \n", closes},
    };
    for (const Loss& one : cases) {
        Meeting meeting(one.greeting);
        for (const string& piece : one.pieces) {
            meeting.peer.send(piece);
            pause_for(10);
        }
        // An RST would destroy what the client has not read.
        const size_t sure = one.end == resets ? one.shown.find('\n') + 1 : 0;
        meeting.client.out.expect(one.shown.substr(0, sure));
        if (one.end != waits)
            (meeting.peer.*one.end)();
        meeting.client.expect_end(one.shown.substr(sure) + INTERRUPTED, 1);
    }
}

// It answers with many {quit}s, and does not even close; or with an RST.
TEST(how_a_server_parts_makes_no_difference) {
    for (const Way way : WAYS) {
        Meeting meeting;
        meeting.leave(way);
        meeting.peer.expect("{quit}\n");
        // The client may be gone before all of it has been sent.
        const string quits = repeat("{quit}\n", 10000);
        ::send(meeting.peer.fd(), &quits[0], quits.size(), 0);
        meeting.client.expect_end(way == QUIT ? "" : LEAVING, 0);
    }
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
        Meeting meeting;
        meeting.client.signal(number);
        meeting.peer.expect("{quit}\n");
        meeting.peer.send("ultimo\nmezzo");
        meeting.client.out.expect(LEAVING + "ultimo\n");
        meeting.peer.reset();
        meeting.client.expect_end("mezzo\n", 0);
    }
}

// The server sends a greeting, hears all that was typed and {quit}, and never
// says or does anything more; or it goes on trickling. Leaving takes its time
// limit each time: so all of them leave at the same time.
TEST(silence_at_each_step) {
    const auto leaves = [](const string& greeting, Way way) {
        Meeting meeting(greeting);
        Attack trickle;
        if (greeting == "x")
            trickle.add(flood(meeting.peer, "x", 99));
        if (way == INTERRUPT) {
            pause_for(500);  // until it knows that it is connected
        } else {
            meeting.client.in.send("Anna\nciao\n");
            meeting.peer.expect("Anna" + meeting.end + "ciao" + meeting.end);
        }
        meeting.leave(way);
        meeting.peer.expect("{quit}" + meeting.end);
        meeting.client.out.rest();
        meeting.client.expect_exit(0);
    };
    std::vector<std::thread> threads;
    for (const string& greeting : Strings{"", "CIA", "Ciao\n", "x"})
        for (const Way way : WAYS)
            threads.emplace_back(leaves, greeting, way);
    for (std::thread& thread : threads)
        thread.join();
}

// The user has much to say, and the server reads nothing of it: it is mute, or
// talks while the user does not read either, or closes.
TEST(nobody_reads_anything) {
    for (const string& server : Strings{"is mute", "talks", "closes"}) {
        Meeting meeting;
        Program& client = meeting.client;
        const long before = status_of(client.pid(), "VmRSS");
        fill(client.in.fd(), repeat(repeat("ciao ", 20) + "\n", 600));
        if (server == "talks")
            fill(meeting.peer.fd(), repeat("bla bla\n", 500));
        check_growth(client, before, 4096);
        server == "closes" ? meeting.peer.close() : meeting.leave(INTERRUPT);
        client.expect_exit(server == "closes" ? 1 : 0);
    }
}

// A full disk, a pipe whose reader has gone: what was typed arrives.
TEST(nothing_can_be_shown) {
    for (const bool is_full : {true, false}) {
        Meeting meeting("Ciao\nuno\n", [=] {
            if (is_full)
                ::dup2(::open("/dev/full", O_WRONLY), 1);
        });
        meeting.client.out.close();
        meeting.peer.send("ancora\n");
        meeting.client.in.send("Anna\nciao\n");
        meeting.client.in.close();
        meeting.peer.expect("Anna\nciao\n{quit}\n");
        meeting.peer.half_close();
        meeting.client.expect_exit(0);
        meeting.peer.expect_end();
    }
}

// By Ctrl+S, or nobody takes what it gets (the other computer sleeps, say):
// Ctrl+C gets through, and the terminal is given back if there is time.
TEST(a_terminal_that_is_stopped) {
    for (const string& keys : Strings{"\x13", ""})
        check_in_some_try("the terminal is given back", [&] {
            Onlooker user;
            user.shell.screen.skip_to("Ciao");
            user.shell.screen.send(keys);
            fill(user.peer.fd(), repeat("Eva: bla\n", 500));
            user.shell.screen.send("\x03");
            const string shown = user.shell.screen.skip_to("code=0\n");
            return count_of(shown, "\033[r") > 0
                   && ends_with(user.peer.rest(), "{quit}\n");
        });
}

TEST(the_terminal_goes_away) {
    if (is_sanitized())
        skip("LeakSanitizer can spin for ever when the terminal goes away");
    Onlooker user;
    user.shell.screen.skip_to("Ciao");
    user.shell.screen.close();
    user.peer.expect("{quit}\n");
    user.peer.close();
    user.shell.expect_exit(0);
}

TEST(in_the_background_it_leaves_and_is_not_stopped) {
    Onlooker user("set -m; echo Anna | \"$@\" & wait $!");
    user.peer.expect("Anna\n{quit}\n");
    user.peer.close();
    user.shell.screen.skip_to("code=0\n");
}
