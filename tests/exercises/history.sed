# The trap is the moment: what is in the answer, and what comes behind it, must
# fit together. So the messages are kept, copied and queued under clients_mutex,
# in one go: whoever lets go of it between looking and telling lets the others
# speak in between, and the answer is out of date when it comes. And the answer
# is longer than the question: it has to count as `said`, see list.sed.

/^#include <condition_variable>/a\
#include <deque>

/^static std::map<socket_t, Client> clients;/a\
static std::deque<string> history;          // the last messages of clients

/^static void client_handler([^;]*$/,/^}/ {
    s/broadcast(msg, prefisso);/if (msg == "\/history" \&\& !me.inbox.is_rest) {\
                for (const string\& line : history) {\
                    tell(me, line);\
                    me.said += line.size();\
                }\
                continue;\
            }\
            &\
            history.push_back(prefisso + msg);\
            if (history.size() > 10)\
                history.pop_front();/
}
