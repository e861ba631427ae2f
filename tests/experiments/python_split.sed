# Title: the Python version: a character is torn in two
# Good: Anna: x...x
# Good: Anna: x...x\303\250
# Good: iconv: this is UTF-8
# Seen: Anna: x...x\303
# Seen: Anna: \250
# Seen: iconv: this is not UTF-8
# Noticed by: -
