# Title: main ends without joining the thread that accepts
# Good: the server has ended with exit code 0
# Seen: terminate called without an active exception
# Seen: the server has ended with exit code 134
# Noticed by: shutdown.a_server_without_clients_ends_too

/^int main(/,/^}/ {
    /accept_thread\.join()/d
}
