# Title: the Python version: two messages come glued
# Good: Anna says a and then b, while the server is busy. She reads:
# Good: Anna: a
# Good: Anna: b
# Seen: Anna says a and then b, while the server is busy. She reads:
# Seen: Anna: ab
# Noticed by: -
