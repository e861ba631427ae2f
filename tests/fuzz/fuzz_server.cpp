// fuzz_server.cpp - fuzz target: one client of the server, from its first byte
// to its last. The functions are the server's own; the network is the input.

#include "fuzz.h"

#include <thread>

// The server reads from, and writes to, what fuzz.h has in its place. And it
// does not sleep after three bad names.
#define sleep_for(time) sleep_for((time) * 0)
#define recv_some fed_recv
#define send_some fed_send
#define main server_main
#include "../../server.cpp"
#undef main
#undef sleep_for
#undef send_some
#undef recv_some

const std::string TAKEN = "Bea";  // somebody is in the room already

// Where the bytes end in which the server takes a pause for an end, if it does:
// it is a bare peer's then, and so are all ends behind it.
static std::vector<std::size_t> ends_of(const std::vector<std::string>& pieces)
{
    std::vector<std::size_t> ends;
    std::size_t at = 0;
    bool is_line_peer = false;
    for (const std::string& piece : pieces) {
        at += piece.size();
        if (ends.empty() && piece.find('\n') != std::string::npos)
            is_line_peer = true;
        const bool decides = piece.empty() && at > 0;
        if (!is_line_peer && (decides || !ends.empty()))
            ends.push_back(at);
    }
    return ends;
}

static bool is_good_name(const std::string& name)
{
    bool is_blank = true;
    for (const char c : name)
        is_blank = is_blank && c == ' ';
    return !is_blank && characters_in(name) <= 32
           && name.find(':') == std::string::npos && name != TAKEN;
}

// An answer is clean, and fits; for a bare peer it has no end.
static void check_answer(const std::string& answer, const Client& me)
{
    std::string text = answer;
    check(!text.empty(), "an empty answer");
    if (text.back() == '\n')
        text.pop_back();
    else
        check(me.kind == BARE_PEER, "an answer without its end", text);
    check_clean(text);
    check(text.size() + 1 <= WIRE_SIZE, "an answer is too long", text);
}

// Lets the client in, as client_handler does. Each name that the reference has
// gets its answer, and the first good one gets in.
static bool enter(Client& me, Reference& wanted)
{
    const std::size_t limit = me.inbox.limit;
    const bool has_entered = enter_room(me);
    for (const std::string& answer : gone)
        check_answer(answer, me);
    std::size_t refused = 0;
    bool good = false;
    Message name;
    while (!good && next_wanted(wanted, limit, name)
           && !(name.text == "{quit}" && wanted.is_whole)) {
        good = !name.is_rest && is_good_name(name.text);
        refused += good || name.is_rest ? 0 : 1;
    }
    check(has_entered == good, good ? "a good name is refused"
                                    : "a bad name is taken", me.name);
    check(gone.size() == refused + (good ? 1 : 0), "an answer is missing");
    if (!good)
        return false;
    check(me.name == name.text, "not the name it gave", me.name, name.text);
    check(!fault_of_name(TAKEN).empty(), "two with one name");
    check(outbox == me.name + " si è unito all chat!\n",
          "not announced as it should be", outbox);
    return true;
}

// What it says in the room.
static void talk(Client& me, Reference& wanted)
{
    const std::string prefisso = me.name + ": ";
    me.inbox.limit -= prefisso.size();
    Message message;
    Message name;
    bool more = true;
    while (more && read_message(me, message)) {
        check_clean(message.text);
        check((prefisso + message.text + '\n').size() <= WIRE_SIZE,
              "a message is too long", message.text);
        check(next_wanted(wanted, me.inbox.limit, name), "a message too many",
              message.text);
        check_same(message, name, "a wrong message");
        more = !message.is_quit();
        check(more != (name.text == "{quit}" && wanted.is_whole),
              "not the right {quit}", message.text);
        check(me.inbox.text.size() + me.inbox.received.size()
                  <= 2 * WIRE_SIZE, "it holds too much");
    }
    check(!more || !next_wanted(wanted, me.inbox.limit, name),
          "a message is lost", NOTHING, name.text);
    check(!more || me.inbox.is_empty(), "something is left at the end");
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    if (size < 2)
        return 0;
    coming = pieces_of(data + 2, size - 2);
    has_come = 0;
    gone.clear();
    outbox.clear();
    clients[0].name = TAKEN;
    Reference wanted;
    wanted.units = units_of(glued(coming), ends_of(coming), true);
    Client me;
    me.inbox.limit = DEFAULT_BUFF - 1;
    if (enter(me, wanted))
        talk(me, wanted);
    return 0;
}
