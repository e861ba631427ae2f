# Title: main joins a thread that still needs the mutex, which main holds
# Good: Bruno: ciao
# Seen: nothing comes of what Bruno says
# Noticed by: leaving.all_is_heard_before_the_leaving_and_nothing_is_left

/^static void client_handler([^;]*$/,/^}/ {
    /name\.clear();/a\
        me.has_ended = true;  // too early
}
