// Our programs and the Python version understand each other, both ways. Since
// Python's does not mark where a message ends, whatever is said here is seen by
// everyone before the next thing is said, as among people.

#include "support.h"

static Strings python(const string& file) {
    if (std::system("python3 -c '' >/dev/null 2>&1") != 0)
        skip("no python3 (apt install python3)");
    return {PYTHON_VERSION "/" + file};
}

struct PythonServer : Program {
    PythonServer() : Program("python3", python("server.py") + Strings{"0"}) {}
    const int port = read_port();
};

// Somebody at a client: Python's, if the name begins with P, or ours.
struct Person : Program {
    Person(const string& its_name, int port)
        : Program(its_name[0] == 'P' ? "python3" : client_program(),
                  (its_name[0] == 'P' ? python("client.py") : Strings{})
                      + Strings{"127.0.0.1", to_string(port)}),
          name(its_name) {
        out.skip_to(GREETING + "\n");
    }
    void enter() {
        in.send_line(name);
        out.expect_line(Peer::welcome(name));
    }
    const string name;
};

// People come one after the other, talk, and leave, until one is left, whom the
// server leaves. (From its own first word on, a newcomer is known to hear the
// others: in a Python room that is later than its joining.)
static void converse(Program& server, int port, const Strings& names) {
    std::vector<std::unique_ptr<Person>> people;
    const auto all_see = [&](const string& line) {
        for (const auto& person : people)
            person->out.expect_line(line);
    };
    const auto all_see_text = [&](Person* one, const string& text) {
        one->in.send_line(text);
        for (const auto& person : people) {
            string heard;  // of a long text in pieces, each with the name
            while (heard.size() < text.size())
                heard += person->out.read_line().substr(one->name.size() + 2);
            check_equal(heard, text, "what is heard of " + one->name);
        }
    };
    for (const string& name : names) {
        auto person = std::make_unique<Person>(name, port);
        person->enter();
        all_see(name + " si è unito all chat!");
        people.push_back(std::move(person));
        for (const auto& one : {people.back().get(), people.front().get()}) {
            all_see_text(one, "perché no? €");
            if (one->name[0] != 'P')  // Python's server would split letters
                all_see_text(one, repeat("è", 900));
        }
    }
    for (bool by_quit = true; people.size() > 1; by_quit = !by_quit) {
        const auto leaver = std::move(people.back());
        people.pop_back();
        by_quit ? leaver->in.send_line("{quit}") : leaver->signal(SIGINT);
        if (!by_quit)
            leaver->out.expect(LEAVING);
        all_see(leaver->name + " ha abbandonato la Chat.");
        if (leaver->name[0] != 'P')  // after {quit} Python's loops for ever
            leaver->expect_end("", 0);
    }
    server.signal(SIGINT);
    people[0]->expect_end(INTERRUPTED, 1);
}

TEST(in_a_room_of_ours) {
    Server server;
    Person nameless("P", server.port);
    converse(server, server.port, {"Piero", "Nina", "Paola", "Pia", "Nino"});
    nameless.expect_end(INTERRUPTED, 1);
}

TEST(in_a_python_room) {
    PythonServer server;
    converse(server, server.port, {"Nina", "Piero", "Paola", "Nino"});
}
