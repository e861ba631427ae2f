# Title: what one recv() brings is taken for one message
# Good: Bruno reads: [Anna: uno]
# Good: Bruno reads: [Anna: due]
# Good: Bruno reads: [Anna: tre]
# Seen: Bruno reads: [Anna: uno due tre ]
# Noticed by: framing.a_name_and_messages_at_once

/^static void client_handler([^;]*$/,/^}/ {
    /const string prefisso/a\
        me.inbox.lines = false;  // a newline is a character like any other,\
        me.inbox.chunks = true;  // and what recv() brings ends a message
}
