# The traps: the prefix and the limit of the inbox are computed once, when the
# client comes in; the check, the news and the change must be one step under
# clients_mutex, otherwise two get one name, or somebody hears the new name
# before the news; and the rest of a name that was too long is no message.

/^static void announce(.*;$/a\
static void change_name(Client& me, const string& text);

/^static void client_handler([^;]*$/,/^}/ {
    s/const string prefisso = /string prefisso = /
    s/string msg;/&\
        bool is_command = false;/
    s/broadcast(msg, prefisso);/if (!me.inbox.is_rest)\
                is_command = msg.compare(0, 6, "\/name ") == 0;\
            if (!is_command)\
                &\
            else if (!me.inbox.is_rest)\
                change_name(me, msg.substr(6));\
            prefisso = me.name + ": ";/
}

/^static string fault_of_name([^;]*$/,/^}/ {
    /^}/a\
\
// Answers /name: gives the client another name, and tells everyone; or tells it\
// alone why not. Only its own thread calls it; it must hold clients_mutex.\
static void change_name(Client& me, const string& text) {\
    const string name = trim(text);\
    const string fault = fault_of_name(name);\
    if (!fault.empty()) {\
        tell(me, fault + ": digitane un altro.");\
        return;\
    }\
    broadcast(me.name + " ora si chiama " + name);\
    me.name = name;\
    me.inbox.limit = DEFAULT_BUFF - (name + ": ").size() - 1;\
}
}
