# Title: control characters are passed on to others' screens
# Good: Anna's screen gets: Eva:  [2J
# Seen: Anna's screen gets: Eva: ^[[2J
# Noticed by: framing.cuts_make_no_difference

/^inline string clean(/,/^}/ s/text += ' ';/text.append(bytes, at, length);/
