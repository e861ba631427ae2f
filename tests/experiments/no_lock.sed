# Title: a newcomer is added to the map without the mutex
# Good: Anna reads: Anna: ciao
# Seen: Anna reads: nothing
# Seen: WARNING: ThreadSanitizer: data race
# Seen:   in deliver
# Seen:   in new_client_accept
# Build: -fsanitize=thread
# Noticed by: conversation.the_original_texts_for_both_kinds (thread)

/^static void new_client_accept([^;]*$/,/^}/ {
    /lock(clients_mutex)/d
}
