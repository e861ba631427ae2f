# Title: the client reads a word where it should read a line
# Good: Bruno reads: Anna: ciao a tutti
# Seen: Bruno reads: Anna: ciao
# Seen: Bruno reads: Anna: a
# Seen: Bruno reads: Anna: tutti
# Noticed by: client.a_piped_conversation

/^int main(/,/^}/ s/read_line(line)/std::cin >> line/
