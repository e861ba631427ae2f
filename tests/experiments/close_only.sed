# Title: a socket is closed where shutdown() is needed
# Good: the server has ended with exit code 0
# Seen: the server is still there
# Noticed by: shutdown.the_same_port_can_be_bound_again_at_once

s/::shutdown(client\.socket, SHUT_[A-Z]*)/close_socket(client.socket)/
