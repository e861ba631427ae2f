# Title: the port is bound without SO_REUSEADDR
# Good: In attesa di connessioni... (porta N)
# Seen: La porta N non è disponibile: Address already in use
# Noticed by: shutdown.the_same_port_can_be_bound_again_at_once

/^static void start_listening([^;]*$/,/^}/ {
    /SO_REUSEADDR/d
}
