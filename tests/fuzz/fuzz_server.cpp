// fuzz_server.cpp - fuzz target: what the server makes of a client, whoever's
// it is: its kind, its name and its messages. The functions are the server's
// own; the network is the input, and no time passes.

#include "fuzz.h"

#include <thread>

#define receive_into fed_receive
#define next_message checked_next_message
#define sleep_for(time) yield()
#define main server_main
#include "../../server.cpp"
#undef main

// Among the pieces that were read for the name a pause came within a line.
static bool is_bare_peer(const std::vector<string>& pieces) {
    bool in_line = false;
    for (size_t i = 0; i < next_piece; i++) {
        if (pieces[i].empty() && in_line)
            return true;
        if (!pieces[i].empty())
            in_line = pieces[i].back() != '\n';
    }
    return false;
}

// Nobody could say anything against this name.
static bool is_plain(const string& name) {
    return name.size() <= 32 && name != "Bea"
           && name.find_first_not_of("Abcdefghinao") == string::npos;
}

static void check_name(const string& name) {
    size_t count = 0, length = 0;
    string shown;
    for (size_t at = 0; at < name.size(); at += length, count++)
        shown += shown_at(name, at, length);
    check(shown == name && count >= 1 && count <= 32 && name != "Bea"
              && name.find(':') == string::npos && name.front() != ' '
              && name.find("  ") == string::npos && name.back() != ' ',
          "a bad name", name);
    check(name == names.back() || !is_plain(names.back()), "a new name", name);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
    if (size < 2)
        return 0;
    begin(data, size);
    clients[NO_SOCKET].name = "Bea";
    Client me;
    string msg;
    const auto pieces = coming;
    const bool enters = read_name(me);
    const bool is_bare = is_bare_peer(pieces);
    check(me.is_bare == is_bare, "not the right kind of peer");
    check(enters || me.inbox.at_end || !me.inbox.is_rest, "a rest has quit");
    for (size_t i = 0; i + (enters ? 1 : 0) < names.size(); i++)
        check(!is_plain(names[i]), "a good name is refused", names[i]);
    if (enters)
        check_name(me.name);
    const size_t first = next_piece;  // what came with the name can be longer
    while (enters && msg != "{quit}" && read_message(me, msg)) {
        check(me.name.size() + msg.size() + 3 <= WIRE_SIZE, "too long", msg);
        check(!is_bare || !me.inbox.is_rest || next_piece == first
                  || stream.is_open,
              "a recv() that is no message", msg);
        check(me.inbox.received.size() <= 2 * WIRE_SIZE, "it holds too much");
    }
    if (heard.empty() || heard.back().find("{quit}") == string::npos)
        stream.check_all_taken();
    return 0;
}
