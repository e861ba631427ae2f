// fuzz_client.cpp - fuzz target: what the client makes of a server, whoever's
// it is, and what it sends of what is typed. The functions are the client's
// own; the network is the input, and no time passes.

#include "fuzz.h"

#include <future>
#include <thread>

static std::vector<string> gone;  // what send_some() was given

static bool fed_send(socket_t, string& bytes) {
    gone.push_back(bytes);
    bytes.clear();
    return true;
}

#define receive_into fed_receive
#define next_message checked_next_message
#define send_some fed_send
#define wait_ready(socket, events, limit) ((void)(limit), true)
#define sleep_for(time) yield()
#define main client_main
#include "../../client.cpp"
#undef main

// The first recv() that a '\n' ends, or the first pause, decides.
static bool is_line_server() {
    size_t size = 0;
    for (const string& piece : coming) {
        size += piece.size();
        if (piece.empty() || size >= WIRE_SIZE || piece.back() == '\n')
            return !piece.empty() && piece.back() == '\n';
    }
    return false;
}

static void read_all() {
    const bool lines = is_line_server();
    string message;
    read_greeting();
    check(inbox.lines == lines && inbox.chunks != lines, "a wrong kind");
    while (read_message(message))
        check(inbox.received.size() <= 2 * inbox.limit, "it holds too much");
}

static void send_all(const string& typed) {
    arrived = typed + "\n";
    send(typed);
    check(gone.size() == heard.size(), "not all is sent");
    for (size_t i = 0; i < gone.size(); i++) {
        check(gone[i] == heard[i] + (inbox.lines ? "\n" : ""), "sent otherwise",
              gone[i]);
        check(inbox.lines || gone[i].size() + 130 <= WIRE_SIZE,
              "too long for a Python client", gone[i]);
    }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
    if (size < 2)
        return 0;
    static const Inbox at_first = inbox;
    inbox = at_first;
    leave_by = NEVER;
    asked_at = NEVER;
    gone.clear();
    const string all = begin(data, size);
    inbox.lines = data[0] == 'E';  // 'E', 'F': typed, for a line or bare server
    if (data[0] == 'E' || data[0] == 'F')
        send_all(all);
    else
        read_all();
    stream.check_all_taken();
    return 0;
}
