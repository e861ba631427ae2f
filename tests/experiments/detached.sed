# Title: main detaches the clients' threads, and does not wait for them
# Good: the log: 20 came
# Good: the log: 20 left
# Seen: the log: 20 came
# Seen: the log: 0 left
# Noticed by: shutdown.the_log_tells_that_all_have_left

/^static void close_server([^;]*$/,/^}/ {
    /lock\.unlock();/,/^    }/c\
    for (auto& [socket_client, client] : clients)\
        client.thread.detach();
}
