# main takes what is queued, and sends it without the mutex: meanwhile others
# can queue more. NOTE: finish() knows nothing of what main has taken.

/^static void send_unsent([^;]*$/,/^}/ {
    s/    if (!client\.unsent\.empty() && .*/    static string sending;\
    sending.swap(client.unsent);\
    clients_mutex.unlock();\
    const bool is_sent = sending.empty() || send_some(client.socket, sending);\
    clients_mutex.lock();\
    sending.swap(client.unsent);\
    client.unsent += sending;\
    sending.clear();\
    if (!is_sent)/
}
