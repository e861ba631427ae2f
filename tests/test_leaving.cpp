// However a peer leaves, all that it had said is delivered first, and the
// others are told.

#include "support.h"

const string SAID = "Anna: uno\nAnna: due\n";
const string MUCH = numbers("numero ", 3000);
const string MUCH_HEARD = numbers("Anna: numero ", 3000);
const string TOO_LATE = "{quit}\n" + repeat("troppo tardi\n", 2000);

struct Case {
    string says;       // after "uno" and "due"
    string heard;      // of that, by Bruno
    bool reads_first;  // what has been unread when she closes makes an RST; and
                       // an RST can destroy what the server has not read
    End end;
    bool reads_then;  // her own words, and to the end
};

static const std::vector<Case> CASES = {
    {"{quit}\n", "", false, nullptr, true},
    {"{quit}\nmai\n", "", false, nullptr, true},
    {"", "", false, &Peer::close, false},
    {"", "", true, &Peer::close, false},
    {"", "", true, &Peer::reset, false},
    {"", "", false, &Peer::half_close, true},
    {"e tr", "Anna: e tr\n", false, &Peer::half_close, false},
    {"perch\xC3", "Anna: perch?\n", false, &Peer::half_close, false},
    {"{quit}", "", false, &Peer::half_close, true},  // without its '\n'
    // What she goes on writing must not destroy, by an RST, what is on its way.
    {MUCH + TOO_LATE, MUCH_HEARD, false, nullptr, true},
    {MUCH + TOO_LATE, MUCH_HEARD, false, nullptr, false},
    {MUCH, MUCH_HEARD, false, &Peer::half_close, true},
    {MUCH, MUCH_HEARD, false, &Peer::half_close, false},
};

TEST(all_is_heard_before_the_leaving_and_nothing_is_left) {
    Server server;
    Peer bruno = Peer::join(server.port, "Bruno");
    const Usage before = usage_of(server.pid());
    for (const Case& one : CASES) {
        Peer anna = Peer::join(server.port, "Anna", SMALL);
        bruno.expect_line("Anna si è unito all chat!");
        anna.send("uno\ndue\n" + one.says);
        if (one.reads_first)
            anna.expect(SAID);
        if (one.end)
            (anna.*one.end)();
        if (one.reads_then)
            check_equal(anna.rest(), SAID + one.heard, "what comes back");
        bruno.expect(SAID + one.heard + "Anna ha abbandonato la Chat.\n");
        bruno.send_line("ancora qui");
        bruno.expect_line("Bruno: ancora qui");
    }
    Peer carlo = Peer::join(server.port, "Carlo", USUAL, "");  // a bare peer
    carlo.close();
    bruno.expect_line("Carlo si è unito all chat!");
    bruno.expect_line("Carlo ha abbandonato la Chat.");
    wait_until("all threads and sockets have gone",
               [&] { return usage_of(server.pid()) == before; });
}
