// fuzz_text.cpp - fuzz target: whatever bytes come, and however they are cut,
// an Inbox makes the right messages of them, and nothing else.

#include "fuzz.h"

// Where an Inbox is used, and how it is set there.
struct Setting {
    bool lines;         // as in Inbox
    bool chunks;        // as in Inbox
    std::size_t limit;  // as in Inbox, where the input chooses no other
    bool typed;         // from the keyboard: a line, there at once
};

const std::size_t PREFIX = 37;  // bytes of "NAME: ", as it might be

const Setting SETTINGS[] = {
    {true, false, WIRE_SIZE - 1 - PREFIX, false},  // A: server, line peer
    {true, true, WIRE_SIZE - 1 - PREFIX, false},   // B: server, bare peer
    {true, false, 4 * WIRE_SIZE, false},           // C: client, line server
    {false, true, 4 * WIRE_SIZE, false},           // D: client, bare server
    {true, false, std::string::npos, true},        // E: typed, line server
    {true, false, WIRE_SIZE, true},                // F: typed, bare server
};

static Setting setting_of(const std::uint8_t* data)
{
    Setting setting = SETTINGS[static_cast<std::uint8_t>(data[0] - 'A') % 6];
    const std::size_t small = (data[1] - '0') & 15;
    if (small >= 4)  // the longest character has room
        setting.limit = small;
    return setting;
}

// Takes out the messages that are there.
static void take_messages(Inbox& inbox, std::vector<Message>& messages)
{
    Message message;
    while (next_message(inbox, message)) {
        check_clean(message.text);
        check(message.text.size() <= inbox.limit, "a message is too long",
              message.text);
        messages.push_back(message);
    }
    check_small(inbox);
}

// As read_message() does in both programs.
static std::vector<Message> received(const Setting& setting,
                                     const std::vector<std::string>& pieces)
{
    Inbox inbox;
    inbox.lines = setting.lines;
    inbox.chunks = setting.chunks;
    inbox.limit = setting.limit;
    std::vector<Message> messages;
    for (const std::string& piece : pieces) {
        inbox.received += piece;
        take_messages(inbox, messages);
        check(!inbox.chunks || inbox.text.empty(), "a bare peer has to wait",
              inbox.text);
    }
    end_inbox(inbox);
    take_messages(inbox, messages);
    check(inbox.received.empty() && inbox.text.empty(),
          "something is left behind at the end", inbox.received + inbox.text);
    return messages;
}

// As send() does in client.cpp.
static std::vector<Message> typed(const Setting& setting,
                                  const std::string& line)
{
    Inbox inbox;
    inbox.limit = setting.limit;
    inbox.received = line + "\n";
    std::vector<Message> messages;
    take_messages(inbox, messages);
    check(inbox.is_empty(), "something is left of a line",
          inbox.received + inbox.text);
    return messages;
}

// The reference has the same messages.
static void check_messages(const std::vector<Message>& messages,
                           const Setting& setting, Reference wanted)
{
    Message message;
    for (const Message& got : messages) {
        check(next_wanted(wanted, setting.limit, message),
              "a message too many", got.text);
        check_same(got, message, "a wrong message");
        // The first part of a long message can be as short as six bytes here
        // only, where limits are.
        if (setting.limit > 9)
            check(got.is_quit() == (got.text == "{quit}" && wanted.is_whole),
                  "not the right {quit}", got.text);
    }
    check(!next_wanted(wanted, setting.limit, message), "a message is lost",
          NOTHING, message.text);
}

// Where the bytes are cut makes no difference to a line peer.
static void check_cut(const std::vector<Message>& messages,
                      const std::vector<Message>& others)
{
    check(messages.size() == others.size(),
          "more messages, or fewer, when cut differently");
    for (std::size_t i = 0; i < messages.size(); i++)
        check_same(others[i], messages[i], "another message when cut");
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    if (size < 2)
        return 0;
    const Setting setting = setting_of(data);
    const std::vector<std::string> pieces = pieces_of(data + 2, size - 2);
    const std::string all = glued(pieces);
    std::vector<std::size_t> ends;
    for (std::size_t i = 0, at = 0; setting.chunks && i < pieces.size(); i++)
        ends.push_back(at += pieces[i].size());

    const std::vector<Message> messages
        = setting.typed ? typed(setting, all) : received(setting, pieces);
    if (!setting.typed && !setting.chunks) {
        check_cut(messages, received(setting, {all}));
        std::vector<std::string> bytes;
        for (const char c : all)
            bytes.push_back(std::string(1, c));
        check_cut(messages, received(setting, bytes));
    }
    check_messages(messages, setting,
                   {units_of(all, ends, setting.lines), 0, false, false});
    return 0;
}
