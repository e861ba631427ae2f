# What one client hears stands in one queue, so the order is right if a private
# text is queued under the same mutex as all else: with tell(), and no send() of
# its own. The traps: the rest of a long text is shown to everyone if nobody
# remembers what it is the rest of; the longer prefix; names with spaces. And
# while the rest is on its way the receiver can leave, and another one can take
# that name: so it is the address that is remembered. To discuss: who is called
# "(privato) Anna", and how could that be prevented?

/^static void announce(.*;$/a\
static void whisper(Client& me, string text, string& to);

/^static void client_handler([^;]*$/,/^}/ {
    s/string msg;/&\
        bool is_private = false;\
        string to;  \/\/ the address of whom it is for; empty: for nobody/
    s/broadcast(msg, prefisso);/if (!me.inbox.is_rest)\
                is_private = msg.compare(0, 5, "\/msg ") == 0;\
            if (is_private)\
                whisper(me, msg, to);\
            else\
                &/
}

/^static void announce([^;]*$/,/^}/ {
    /^}/a\
\
// Queues a text for one client. The inbox has cut it to fit the usual prefix:\
// here it is cut to fit this one. The caller must hold clients_mutex.\
static void tell_pieces(Client& client, const string& prefisso,\
                        const string& text) {\
    Inbox pieces;\
    pieces.limit = DEFAULT_BUFF - 1 - prefisso.size();\
    pieces.received = text;\
    pieces.at_end = true;\
    string piece;\
    while (next_message(pieces, piece))\
        tell(client, prefisso + piece);\
}\
\
// Answers "/msg NAME TEXT", or goes on with the rest of a long one, which is as\
// private as its beginning. The longest NAME in the room with which the text\
// begins counts. The caller must hold clients_mutex.\
static void whisper(Client& me, string text, string& to) {\
    if (!me.inbox.is_rest) {\
        text.erase(0, 5);  // "/msg "\
        to.clear();\
        string name;\
        for (const auto& [socket_client, client] : clients)\
            if (client.in_room && client.name.size() > name.size()\
                && (text + ' ').find(client.name + ' ') == 0) {\
                name = client.name;\
                to = client.address;\
            }\
        if (to.empty())\
            tell_pieces(me, "", text.substr(0, text.find(' '))\
                        + " non è in chat.");\
        text.erase(0, name.size() + 1);\
    }\
    for (auto& [socket_client, client] : clients)\
        if (!to.empty() && (client.address == to || &client == &me))\
            tell_pieces(client, "(privato) " + me.name + ": ", text);\
}
}
