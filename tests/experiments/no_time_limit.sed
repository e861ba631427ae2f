# Title: the room waits for ever for a client that does not read
# Good: Anna says 12 MB and leaves; the end of it has come back
# Good: Carla (IP:PORT) non legge
# Seen: Anna says 12 MB and leaves; the end of it has not come back
# Noticed by: slow.who_has_stopped_reading_is_dropped_and_the_room_goes_on

s/patience_is_over = .*;/patience_is_over = false;/
