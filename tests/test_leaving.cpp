// However a peer leaves, all that it had said is delivered first, and the
// others are told.

#include "support.h"

// Joins, says two things, leaves in some way: Bruno must hear all of it.
static void leave_by(const std::function<void(Peer&)>& leave,
                     const string& more = "")
{
    Server server;
    Peer bruno = Peer::join(server.port, "Bruno");
    const long threads = status_of(server.pid(), "Threads");
    Peer anna = Peer::join(server.port, "Anna");
    bruno.expect_line("Anna si è unito all chat!");
    check_equal(status_of(server.pid(), "Threads"), threads + 1, "threads");
    anna.send("uno\ndue\n");
    leave(anna);
    bruno.expect_line("Anna: uno");
    bruno.expect_line("Anna: due");
    if (!more.empty())
        bruno.expect_line("Anna: " + more);
    bruno.expect_line("Anna ha abbandonato la Chat.");
    bruno.send_line("ancora qui");
    bruno.expect_line("Bruno: ancora qui");
    wait_until("its thread has ended", [&] {
        return status_of(server.pid(), "Threads") == threads;
    });
    server.stop();
}

TEST(by_quit)
{
    leave_by([](Peer& anna) {
        anna.send_line("{quit}");
        anna.expect("Anna: uno\nAnna: due\n");
        anna.expect_end();
    });
}

TEST(by_end_of_stream)  // it has read everything: else this makes an RST
{
    leave_by([](Peer& anna) {
        anna.expect("Anna: uno\nAnna: due\n");
        anna.close();
    });
}

TEST(by_closing_with_unread_text)
{
    leave_by([](Peer& anna) { anna.close(); });
}

TEST(by_half_close)  // it still reads: it gets its own words, and the end
{
    leave_by([](Peer& anna) {
        anna.half_close();
        anna.expect("Anna: uno\nAnna: due\n");
        anna.expect_end();
    });
}

TEST(in_the_middle_of_a_line)
{
    leave_by(
        [](Peer& anna) {
            anna.send("e tr");
            anna.half_close();
        },
        "e tr");
}

TEST(in_the_middle_of_a_character)
{
    leave_by(
        [](Peer& anna) {
            anna.send("perch\xC3");
            anna.half_close();
        },
        "perch\xEF\xBF\xBD");
}

TEST(quit_without_a_newline_at_the_end_is_a_quit)
{
    leave_by([](Peer& anna) {
        anna.send("{quit}");
        anna.half_close();
        anna.expect("Anna: uno\nAnna: due\n");
        anna.expect_end();
    });
}

TEST(by_reset)
{
    leave_by([](Peer& anna) {
        anna.expect("Anna: uno\nAnna: due\n");  // an RST can destroy what the
        anna.reset();                           // server has not read yet
    });
}

TEST(by_reset_with_unread_text)
{
    Server server;
    Peer bruno = Peer::join(server.port, "Bruno");
    for (int i = 0; i < 20; i++) {
        Peer anna = Peer::join(server.port, "Anna");
        bruno.expect_line("Anna si è unito all chat!");
        bruno.send_line(repeat("parola ", 100));
        bruno.skip_to("\n");
        anna.reset();
        bruno.send_line("e poi");
        const string heard = bruno.skip_to("abbandonato la Chat.\n");
        check(heard == "Bruno: e poi\nAnna ha abbandonato la Chat.\n"
                  || heard == "Anna ha abbandonato la Chat.\n", heard);
        if (heard[0] == 'A')
            bruno.expect_line("Bruno: e poi");
    }
    server.stop();
}

TEST(much_said_at_once_is_all_delivered_before_the_leaving)
{
    for (const bool reads : {true, false}) {
        Server server;
        Peer bruno = Peer::join(server.port, "Bruno");
        Peer anna = Peer::join(server.port, "Anna");
        bruno.expect_line("Anna si è unito all chat!");
        string said;
        string heard;
        for (int i = 0; i < 3000; i++) {
            said += "numero " + std::to_string(i) + "\n";
            heard += "Anna: numero " + std::to_string(i) + "\n";
        }
        anna.send(said);
        anna.half_close();
        if (reads)
            check_equal(anna.rest(), heard, "what comes back to the sender");
        bruno.expect(heard);
        bruno.expect_line("Anna ha abbandonato la Chat.");
        server.stop();
    }
}

// What it writes after {quit} is not read, but does not destroy, by an RST,
// what is under way to it.
TEST(who_goes_on_writing_after_quit_still_gets_all_before_it)
{
    for (int round = 0; round < 5; round++) {
        Server server;
        Peer anna = Peer::join(server.port, "Anna");
        string wanted;
        string said;
        for (int i = 0; i < 3000; i++) {
            said += "numero " + std::to_string(i) + "\n";
            wanted += "Anna: numero " + std::to_string(i) + "\n";
        }
        anna.send(said + "{quit}\n" + repeat("troppo tardi\n", 2000));
        pause_for(300);
        check_equal(anna.rest(), wanted, "what comes back");
        server.stop();
    }
}

TEST(a_bare_peer_leaves_by_closing)
{
    Server server;
    Peer bruno = Peer::join_bare(server.port, "Bruno");
    Peer anna = Peer::join_bare(server.port, "Anna");
    bruno.expect("Anna si è unito all chat!");
    anna.send("ciao");
    bruno.expect("Anna: ciao");
    anna.close();
    bruno.expect("Anna ha abbandonato la Chat.");
    server.stop();
}
