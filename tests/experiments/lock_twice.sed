# Title: a function locks the mutex that its caller holds
# Good: Anna: Benvenuto Anna
# Good: Bruno: CIAO
# Seen: Anna: no welcome
# Seen: Bruno: not even a greeting
# Noticed by: conversation.the_original_texts_for_both_kinds

/^static string fault_of_name([^;]*$/,/^}/ {
    / : clients)/i\
    std::lock_guard<std::mutex> lock(clients_mutex);  // it reads clients
}
