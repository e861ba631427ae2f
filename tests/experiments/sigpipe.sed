# Title: SIGPIPE is not ignored
# Good: the server is still there
# Seen: the server has ended with exit code 141
# Noticed by: slow.who_has_stopped_reading_is_dropped_and_the_room_goes_on

s/std::signal(SIGPIPE, SIG_IGN);//
