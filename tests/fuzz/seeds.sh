#!/usr/bin/env bash
# seeds.sh DIRECTORY: writes the inputs that a fuzzer begins with, a file each.
# How an input is laid out stands in fuzz.h: the kind, the limit, the bytes;
# '|' ends what one recv() brings, '~' too, and a pause follows.

directory=$1

seed() { # name, input with escapes: as in printf
    printf '%b' "$2" > "$directory/$1" || exit 1
}

times() { printf "$1%.0s" $(seq "$2"); } # text, number

# Conversations.
seed line_peer    'A0Anna\nciao\nperché no?\r\n\r\n{quit}\n'
seed bare_peer    'B0Anna~ciao|perché no?|{quit}'
seed line_server  'C0CIAO!\n|Benvenuto Anna!\nBea: ciao\n{quit}\n'
seed bare_server  'D0CIAO!~Benvenuto Anna!|Bea: ciao|{quit}'
seed typed        "E0una riga con è, € e 😀$(times è 900){quit}"
seed typed_bare   "F0una riga con è, € e 😀$(times è 900){quit}"

# Names.
seed name_pause   'A0Bea\nNina~ciao|{quit}'
seed name_bad     'A0Bea\n Bea \nAn:na\n:\n \t\n\xe2\x80\x8b\nAnna\nciao\n'
seed name_32      "A0$(times 😀 33)\n$(times è 33)\n$(times 😀 32)\nciao\n"
seed name_half    'B0Ann\xc3~\xa8|ciao'

# Ends of lines, and {quit}.
seed crlf         'A0Anna\r\nuno\r|\ndue\r\n\r\ntre\rquattro\n\n'
seed crlf_bare    'B0Anna~uno\r|\ndue\r\n|\r|tre\rquattro\n|'
seed quit         'A0Anna\n {quit}\n{quit} \nciao{quit}\n{quit}\x80\n{qu|it}\n'
seed quit_rest    'A?0123456789abcdefghijk{quit}\n{quit}\n'
seed quit_name    "A0$(times a 1023){quit}\nAnna\n{quit}\n"

# Characters that come in parts, what is no UTF-8, and what does harm.
seed cut          'B0Anna~\xc3|\xa8|\xe2|\x82|\xac|a\xf0|\x9f|\x98|\x80 \xf0\x9f'
seed overlong     'A0A\n\xc1\xbf\xc2\xbf \xe0\x9f\xbf \xf0\x8f\xbf\xbf \xf0\x90\x80\x80\n'
seed out_of_range 'C0\n\xed\xa0\x80 \xed\xbf\xbf \xf4\x90\x80\x80 \xf5\x80\x80\x80\xff\n'
seed halves       'A0A\n\xc3a\xe2a\xe2\x82a\xf0a\xf0\x9fa\xf0\x9f\x98a\xe2\x82\n'
seed controls     'A0An\x1bna\n\x00\x07\t\x1b[2J\x1f \x7f\xc2\x80\xc2\x9b2J\xc2\x9f\n'
seed turns        'A0A\n\xe2\x80\xa8\xe2\x80\xaea\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa\n'

# Around the limit: a small one, and the programs' own.
seed limit_10     'A4abcdefghijklmn\nabcdefghij\n😀😀😀\nabcdefgh€\n\x80\xff\n'
seed limit_1024   "A0Anna\n$(times a 1018)\n$(times a 1016)€\n$(times b 1017)\r|\n"
seed limit_name   "B0$(times è 700)~Anna|$(times è 600)|ciao"
seed limit_bare   "B0Anna~$(times a 1024)|ciao"
seed limit_4096   "C0CIAO\n|$(times a 1500)$(times € 866)\n$(times € 1000)\n"
