# Title: send() takes a part, and the rest is forgotten
# Good: Carla reads 15000 messages: 15000
# Seen: Carla reads 15000 messages: not all, and some that are torn
# Noticed by: slow.a_fast_sender_does_not_cost_a_slow_reader_its_place

/^inline bool send_some(/,/^}/ s/bytes\.erase(.*);/bytes.clear();/
