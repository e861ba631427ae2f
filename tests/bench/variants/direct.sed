# Python's shape: whoever has something to say sends it to everyone, one after
# the other; main only sends what a client did not take. Nobody is slowed down,
# and what a client does not read is kept without a limit.

/^static void tell([^;]*$/,/^}/ {
    s/^    has_news = true;/    if (!client.unsent.empty()\
        \&\& !send_some(client.socket, client.unsent))\
        client.is_lost = true;\
    if (client.unsent.empty() \&\& client.paced.empty())\
        return;  \/\/ all is sent\
&/
}
s/return me\.said < .*/return true;/
