// fuzz_client.cpp - fuzz target: what the client makes of a server, whoever's
// it is, and of what is typed. The functions are the client's own; the network
// is the input.

#include "fuzz.h"

// The client reads from, and writes to, what fuzz.h has in its place.
#define recv_some fed_recv
#define send_all fed_send_all
#define main client_main
#include "../../client.cpp"
#undef main
#undef send_all
#undef recv_some

// Where the bytes end that make the greeting, and all others behind it; none
// if they say that it is a line server.
static std::vector<std::size_t> ends_of(const std::vector<std::string>& pieces)
{
    std::vector<std::size_t> ends;
    std::size_t at = 0;
    bool is_greeting = true;
    for (const std::string& piece : pieces) {
        at += piece.size();
        if (is_greeting && !piece.empty() && piece.back() == '\n')
            return {};
        is_greeting = is_greeting && !piece.empty() && at < WIRE_SIZE;
        if (!is_greeting)
            ends.push_back(at);
    }
    if (is_greeting)
        ends.push_back(at);
    return ends;
}

static void receive_all()
{
    Reference wanted;
    const std::vector<std::size_t> ends = ends_of(coming);
    wanted.units = units_of(glued(coming), ends, ends.empty());
    inbox = Inbox();
    is_line_server = false;
    read_greeting();
    check(is_line_server == ends.empty(), "not the right kind of server");
    Message message;
    Message other;
    while (read_message(message)) {
        check_clean(message.text);
        check(next_wanted(wanted, 4 * WIRE_SIZE, other), "a message too many",
              message.text);
        check_same(message, other, "a wrong message");
        check(message.is_quit() == (other.text == "{quit}" && wanted.is_whole),
              "not the right {quit}", message.text);
    }
    check(!next_wanted(wanted, 4 * WIRE_SIZE, other), "a message is lost",
          NOTHING, other.text);
    check(inbox.is_empty(), "something is left at the end");
}

// To a line server: to a bare one it waits between two, see GAP.
static void send_all_typed()
{
    Reference wanted;
    wanted.units = units_of(glued(coming), {}, true);
    is_line_server = true;
    const bool goes_on = send(glued(coming));
    Message message;
    bool quit = false;
    std::size_t n = 0;
    while (!quit && next_wanted(wanted, std::string::npos, message)) {
        quit = message.text == "{quit}";
        check(quit || n < gone.size(), "a message is lost", NOTHING,
              message.text);
        if (!quit)
            check(gone[n] == message.text + "\n", "a wrong message", gone[n],
                  message.text);
        n += quit ? 0 : 1;
    }
    check(n == gone.size(), "a message too many");
    check(goes_on == !quit, "not the right {quit}");
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    if (size < 2)
        return 0;
    coming = pieces_of(data + 2, size - 2);
    has_come = 0;
    gone.clear();
    if (data[0] == 'E' || data[0] == 'F')
        send_all_typed();
    else
        receive_all();
    return 0;
}
