# Title: a client is erased from the map while its thread still uses it
# Good: Bruno: ciao
# Seen: nothing comes of what Bruno says
# Seen: ERROR: AddressSanitizer: heap-use-after-free
# Seen:   in client_handler
# Seen:   in deliver
# Seen:   in new_client_accept
# Build: -fsanitize=address
# Noticed by: leaving.all_is_heard_before_the_leaving_and_nothing_is_left (address)

/^static void client_handler([^;]*$/,/^}/ {
    /name\.clear();/a\
        me.has_ended = true;  // too early
}
/^static void deliver([^;]*$/,/^}/ s/thread\.join()/thread.detach()/
