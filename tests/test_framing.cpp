// TCP is a stream: however the bytes are cut, glued or spoilt on the way, the
// messages come out whole, clean, and none is lost.

#include "support.h"

TEST(a_byte_at_a_time)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    const string text = "perché €😀 {quit}no";
    for (const char c : text + "\n") {
        anna.send(string(1, c));
        pause_for(3);
    }
    anna.expect_line("Anna: " + text);
    anna.send("a");
    pause_for(400);  // longer than the pause that ends a name
    anna.send("b\n");
    anna.expect_line("Anna: ab");
    server.stop();
}

TEST(glued_lines_are_separate_messages)
{
    Server server;
    Peer anna = Peer::connect(server.port);
    anna.send("Anna\nuno\ndue\r\n\r\ntre\n{quit}\nquattro\n");
    anna.expect_line(GREETING);
    anna.expect_line(Peer::welcome("Anna"));
    anna.expect("Anna: uno\nAnna: due\nAnna: tre\n");
    anna.expect_end();  // nothing after {quit}
    server.stop();
}

TEST(a_name_glued_to_half_a_message_is_a_line_peers)
{
    Server server;
    Peer anna = Peer::connect(server.port);
    anna.send("Anna\nci");
    anna.expect_line(GREETING);
    anna.expect_line(Peer::welcome("Anna"));
    pause_for(400);
    anna.send("ao\n");
    anna.expect_line("Anna: ciao");
    server.stop();
}

TEST(crlf_is_one_end_of_line_even_when_cut)
{
    Server server;
    Peer anna = Peer::connect(server.port);
    anna.expect_line(GREETING);
    anna.send("Anna\r\n");
    anna.expect_line(Peer::welcome("Anna"));
    anna.send("uno\r");
    pause_for(50);
    anna.send("\ndue\r\n");
    anna.send("a\rb\n");  // a '\r' elsewhere is a control character
    anna.expect("Anna: uno\nAnna: due\nAnna: a b\n");
    server.stop();
}

// A message with its prefix and '\n' is at most 1024 bytes; the rest follows.
TEST(a_long_line_becomes_several_messages)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    const size_t room = 1024 - string("Anna: \n").size();
    for (const size_t length : {room - 1, room, room + 1, 2 * room, size_t{3000},
                                size_t{4099}}) {
        string text;
        for (size_t i = 0; i < length; i++)
            text += static_cast<char>('a' + i % 26);
        anna.send_line(text);
        for (size_t at = 0; at < length; at += room)
            anna.expect_line("Anna: " + text.substr(at, room));
    }
    anna.send_line("fine");
    anna.expect_line("Anna: fine");
    server.stop();
}

TEST(a_long_line_is_cut_between_characters)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    const size_t room = 1024 - string("Anna: \n").size();
    for (const string& letter : {string("è"), string("€"), string("😀")}) {
        for (size_t shift = 0; shift < letter.size(); shift++) {
            const string text = repeat("x", shift) + repeat(letter, 700);
            anna.send_line(text);
            string heard;
            while (heard.size() < text.size()) {
                const string line = anna.read_line();
                check(line.compare(0, 6, "Anna: ") == 0, "prefix: " + line);
                check(line.size() <= 1023, "too long");
                check(heard.size() + line.size() - 6 == text.size()
                          || line.size() - 6 + letter.size() > room,
                      "cut too early");
                check((line.size() - 6 - (heard.empty() ? shift : 0))
                          % letter.size() == 0, "cut in a character");
                heard += line.substr(6);
            }
            check_equal(heard, text, "the pieces together");
        }
    }
    server.stop();
}

// The rest of a long line is no command, whatever it says.
TEST(a_long_line_that_ends_in_quit_is_no_quit)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    const size_t room = 1024 - string("Anna: \n").size();
    anna.send_line(repeat("x", room) + "{quit}");
    anna.expect_line("Anna: " + repeat("x", room));
    anna.expect_line("Anna: {quit}");
    anna.send_line("ancora qui");
    anna.expect_line("Anna: ancora qui");
    server.stop();
}

TEST(three_megabytes_without_a_newline)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    Peer bruno = Peer::join(server.port, "Bruno");
    anna.expect_line("Bruno si è unito all chat!");
    const long before = status_of(server.pid(), "VmRSS");
    const size_t size = 3 * 1000 * 1000 + 7;
    std::thread writer([&] { anna.send(repeat("x", size) + "\n"); });
    std::thread reader([&] {
        for (size_t heard = 0; heard < size;)
            heard += anna.skip_to("\n").size() - string("Anna: \n").size();
    });
    size_t heard = 0;
    while (heard < size) {
        const string line = bruno.read_line();
        check(line.compare(0, 6, "Anna: ") == 0 && line.size() <= 1023,
              "a bad piece: " + printable(line));
        heard += line.size() - 6;
    }
    writer.join();
    reader.join();
    check_equal(heard, size, "bytes");
    if (!is_sanitized())
        check(status_of(server.pid(), "VmRSS") - before < 3000,
              "the server has kept it in memory");
    server.stop();
}

TEST(a_bare_peers_chunk_is_a_message)
{
    Server server;
    Peer nudo = Peer::join_bare(server.port, "Nudo");
    Peer anna = Peer::join(server.port, "Anna");
    nudo.expect("Anna si è unito all chat!");
    for (const string& text : {string("uno"), string("due tre"), string("à")}) {
        nudo.send(text);
        nudo.expect("Nudo: " + text);
        anna.expect_line("Nudo: " + text);
    }
    nudo.send("incolla\nto\n");
    anna.expect("Nudo: incolla\nNudo: to\n");
    nudo.expect("Nudo: incollaNudo: to");
    server.stop();
}

TEST(a_bare_peers_character_cut_in_two_waits_for_its_rest)
{
    Server server;
    Peer nudo = Peer::join_bare(server.port, "Nudo");
    nudo.send("perch\xC3");
    nudo.expect("Nudo: perch");
    nudo.send("\xA9?");
    nudo.expect("Nudo: é?");
    // 3000 bytes: more than one recv() of the server's
    nudo.send(repeat("€", 1000));
    string heard;
    while (heard.size() < 3000) {
        nudo.expect("Nudo: ");
        while (nudo.got().size() < 3)
            check(nudo.read_some(), "more");
        while (nudo.got().compare(0, 3, "€") == 0) {
            nudo.expect("€");
            heard += "€";
            if (nudo.got().size() < 3 && heard.size() < 3000)
                check(nudo.read_some(), "more");
        }
    }
    server.stop();
}

TEST(a_carriage_return_ends_a_bare_peers_chunk)
{
    Server server;
    Peer nudo = Peer::join_bare(server.port, "Nudo");
    nudo.send("ciao\r");
    nudo.expect("Nudo: ciao");
    nudo.send("\n");
    pause_for(50);
    nudo.send("due\r");
    nudo.expect("Nudo: due");
    nudo.send("{quit}");
    nudo.expect_end();
    server.stop();
}

// What Python's decode("utf8", "replace") makes of it, which follows the
// Unicode Standard, section 3.9: one U+FFFD for each broken part.
TEST(invalid_utf8_becomes_replacement_characters)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    const string R = "\xEF\xBF\xBD";
    const std::vector<std::pair<string, string>> cases = {
        {"caff\xE8", "caff" + R},               // Latin-1
        {"\xE8 bello", R + " bello"},
        {"\x80", R},                            // a lone continuation byte
        {"\xC0\xAF", R + R},                    // overlong '/'
        {"\xE0\x80\xAF", R + R + R},            // overlong
        {"\xED\xA0\x80", R + R + R},            // a surrogate
        {"\xF4\x90\x80\x80", R + R + R + R},    // above U+10FFFF
        {"\xF5\xFF", R + R},
        {"\xE2\x82", R},                        // the end is missing
        {"\xF0\x9F\x98x", R + "x"},
        {"\xE2\x82\xC3\xA8", R + "è"},
        {"\xED\x9F\xBF\xEE\x80\x80", "\xED\x9F\xBF\xEE\x80\x80"},
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
    };
    for (const auto& one : cases) {
        anna.send_line("<" + one.first + ">");
        anna.expect_line("Anna: <" + one.second + ">");
        for (const char c : "[" + one.first + "]\n") {  // cut everywhere
            anna.send(string(1, c));
            pause_for(1);
        }
        anna.expect_line("Anna: [" + one.second + "]");
    }
    server.stop();
}

TEST(control_characters_become_spaces)
{
    Server server;
    Peer anna = Peer::join(server.port, "Anna");
    string all;
    string cleaned;
    for (int c = 0; c < 0x20; c++) {
        if (c == '\n')
            continue;
        all += static_cast<char>(c);
        cleaned += ' ';
    }
    anna.send_line("<" + all + "\x7F>");
    anna.expect_line("Anna: <" + cleaned + " >");
    for (int c = 0x80; c < 0xA0; c++) {  // C1: U+0080 to U+009F
        anna.send_line("<\xC2" + string(1, static_cast<char>(c)) + ">");
        anna.expect_line("Anna: < >");
    }
    anna.send_line("<\xC2\xA0\xC2\xA1>");
    anna.expect_line("Anna: <\xC2\xA0\xC2\xA1>");
    anna.send_line("\x1b[2J\x1b]0;titolo\x07");
    anna.expect_line("Anna:  [2J ]0;titolo ");
    server.stop();
}

// The same bytes cut in many ways give the same messages.
TEST(cuts_make_no_difference)
{
    Server server;
    const string bytes = "uno\r\ndue è€😀\n\n" + repeat("lungo ", 500)
                         + "\n\xE2\x82\n{quit} no\n\x1b[31m\ntre\xF0\x9F\x98\n";
    string wanted;
    unsigned random = 12345;
    for (int round = 0; round < 30; round++) {
        Peer anna = Peer::join(server.port, "Anna");
        for (size_t at = 0; at < bytes.size();) {
            random = random * 1103515245 + 12345;
            const size_t size = round == 0 ? bytes.size()
                                           : 1 + (random >> 16) % (7 * round);
            anna.send(bytes.substr(at, size));
            if ((random >> 8) % 8 == 0)
                pause_for(1);
            at += size;
        }
        anna.send_line("fine");
        const string heard = anna.skip_to("Anna: fine\n");
        if (round == 0)
            wanted = heard;
        check_equal(heard, wanted, "round " + std::to_string(round));
        anna.send_line("{quit}");
        anna.expect_end();
    }
    check(wanted.find("Anna: {quit} no\n") != string::npos, "{quit} no");
    server.stop();
}
