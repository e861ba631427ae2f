// fuzz_text.cpp - fuzz target: whatever bytes come, and however they are cut,
// an Inbox makes the right messages of them, and clean() leaves nothing that
// does harm.

#include "fuzz.h"

// As in the programs: A the server and a line peer, B a bare one; C the client
// and a line server, D a bare one.
static Inbox inbox_of(const std::uint8_t* data) {
    const char kind = static_cast<char>('A' + (data[0] - 'A') % 4);
    const size_t small = (data[1] - size_t{'0'}) & 15;
    Inbox inbox;
    inbox.lines = kind != 'D';
    inbox.chunks = kind == 'B' || kind == 'D';
    inbox.limit = kind <= 'B' ? WIRE_SIZE - 20 : 4 * WIRE_SIZE;
    if (small >= 4)
        inbox.limit = small + 6;
    return inbox;
}

static std::vector<string> messages_of(Inbox inbox) {
    std::vector<string> messages;
    string message;
    stream = Stream();
    while (!inbox.at_end) {
        fed_receive(inbox, NO_SOCKET, milliseconds(0));
        while (checked_next_message(inbox, message))
            messages.push_back(message);
        check(inbox.received.size() <= (inbox.chunks ? 3 : inbox.limit),
              "too much has to wait", inbox.received);
    }
    check(inbox.received.empty(), "something is left", inbox.received);
    stream.check_all_taken();
    return messages;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
    if (size < 2)
        return 0;
    const string all = begin(data, size);
    const Inbox inbox = inbox_of(data);
    const auto messages = messages_of(inbox);
    if (!inbox.chunks) {  // then it makes no difference where the bytes are cut
        const size_t step = 1 + all.size() / 300;
        coming.clear();
        next_piece = 0;
        for (size_t at = 0; at < all.size(); at += step)
            coming.push_back(all.substr(at, step));
        check(messages == messages_of(inbox), "others when cut elsewhere");
    }
    string wanted;
    size_t length = 0;
    for (size_t at = 0; at < all.size(); at += length)
        wanted += shown_at(all, at, length);
    check(clean(all) == wanted, "not clean", clean(all));
    return 0;
}
