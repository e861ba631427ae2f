# Title: recv() == 0, the end of the stream, is ignored
# Good: Anna has hung up, and the server is idle
# Seen: Anna has hung up, and the server is busy
# Noticed by: leaving.all_is_heard_before_the_leaving_and_nothing_is_left

/^inline int receive_into(/,/^}/ s/at_end = n <= 0/at_end = n < 0/
