# The trap is the long text: "* Anna " is one byte longer than "Anna: ", and the
# inbox cuts a text before anybody knows its prefix. The first part has lost its
# "/me " and fits; the parts behind it would be 1025 bytes long with the new
# prefix, or look like speech with the old one. So the limit of the inbox follows
# the prefix of what comes next: the same one, if that is a rest.

/^static void client_handler([^;]*$/,/^}/ {
    s/const string prefisso = me.name + ": ";/const string usual = me.name + ": ";\
        string prefisso = usual;/
    /while .*read_message(me, msg)/a\
            const bool is_me = !me.inbox.is_rest && msg.size() > 4\
                               && msg.compare(0, 4, "/me ") == 0;\
            if (!me.inbox.is_rest)\
                prefisso = is_me ? "* " + me.name + " " : usual;\
            if (is_me)\
                msg.erase(0, 4);\
            const string& next = me.inbox.is_cut ? prefisso : usual;\
            me.inbox.limit = DEFAULT_BUFF - 1 - next.size();
}
