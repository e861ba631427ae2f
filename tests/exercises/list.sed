# The traps: a client that is connected but has no name yet is in `clients`, too;
# names are as long as 128 bytes, so that a list can need more than one message;
# the rest of a long line can be "/list". And one that no test sees: the answer
# can be much longer than the question, so it has to count as `said`, otherwise
# whoever asks without end makes the server hold more than the BOUND.

/^#include <mutex>/a\
#include <set>

/^static void announce(.*;$/a\
static void tell_names(Client& me);

/^static void client_handler([^;]*$/,/^}/ {
    s/broadcast(msg, prefisso);/if (msg == "\/list" \&\& !me.inbox.is_rest)\
                tell_names(me);\
            else\
                &/
}

/^static void announce([^;]*$/,/^}/ {
    /^}/a\
\
// Answers /list: tells the client, and nobody else, who is in the room. The\
// caller must hold clients_mutex.\
static void tell_names(Client& me) {\
    std::set<string> names;  // it keeps them in order\
    for (const auto& [socket_client, client] : clients)\
        if (client.in_room)\
            names.insert(client.name);\
    string answer;\
    for (const string& name : names) {\
        // Longer than a message, with ", " and a newline: the rest gets its own.\
        if (answer.size() + 2 + name.size() + 1 > DEFAULT_BUFF) {\
            tell(me, answer);\
            answer.clear();\
        }\
        answer += (answer.empty() ? "In chat: " : ", ") + name;\
        me.said += name.size();\
    }\
    tell(me, answer);\
}
}
