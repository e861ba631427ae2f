#!/usr/bin/env bash
# seeds.sh DIRECTORY: writes the inputs that a fuzzer begins with, a file each.
# How an input is laid out stands in fuzz.h: the kind, the limit, the bytes;
# '|' ends what one recv() brings, '~' too, and a pause follows.

directory=$1

seed() { # name, input with escapes: as in printf
    printf '%b' "$2" > "$directory/$1" || exit 1
}

times() { # text, number
    local blanks
    printf -v blanks '%*s' "$2" ''
    printf '%s' "${blanks// /$1}"
}

# Conversations, as each kind of peer has them.
seed line_peer    'A0Anna\nciao\nperché no?\n{quit}\n'
seed bare_peer    'B0Anna~ciao|perché no?|{quit}'
seed line_server  'C0CIAO!\n|Benvenuto Anna!\nBea: ciao\n{quit}\n'
seed bare_server  'D0CIAO!~Benvenuto Anna!|Bea: ciao|{quit}'
seed typed        'E0una riga con è, € e 😀'
seed typed_one    'E0a'
seed typed_quit   'E0{quit}'
seed typed_bare   'F0una riga con è, € e 😀'
seed no_end       'A0Anna\nciao'
seed nothing      'A0~'

# Names.
seed name_taken   'A0Bea\nBea \nAnna\nciao\n'
seed name_colon   'A0An:na\n:\nAnna\n'
seed name_blank   'A0 \n   \n\t\nAnna\n'
seed name_quit    'A0{quit}\nAnna\n'
seed name_32      "A0$(times è 32)\nciao\n"
seed name_33      "A0$(times 😀 33)\n$(times 😀 32)\nciao\n"
seed name_bare    'B0An:na~Bea|Anna|ciao'
seed name_two     'B0Anna\nciao~forse\n|bare?|'
seed name_half    'B0Ann\xc3~\xa8|ciao'

# Ends of lines, and none.
seed crlf         'A0Anna\r\nuno\r|\ndue\r\n\r\ntre\rquattro\n\n'
seed crlf_bare    'B0Anna~uno\r|\ndue\r\n|\r|tre\rquattro\n|'
seed crlf_server  'D0CIAO\r~uno\r|\ndue\r\n|\r|\n|tre\rquattro'
seed cr_last      'C0CIAO\n|uno\r'
seed cr_cut       'A7abcdef\r|\nabcdefg\r|\nabcdefgh\r|\n'
seed cr_spoilt    'B0Anna~\xc3|\r|\n|'

# {quit}, and what is none.
seed quit         'A0Anna\n {quit}\n{quit} \n{QUIT}\nciao{quit}\n{qu|it}\n'
seed quit_rest    'A?0123456789abcde{quit}\n{quit}\n'
seed quit_typed   'F?0123456789abcde{quit}'
seed quit_spoilt  'A0Anna\n{quit}\x80\n\x00{quit}\n{quit}\r\n'

# Characters that come in parts.
seed cut_2        'B0Anna~\xc3|\xa8'
seed cut_3        'D0~\xe2|\x82|\xac|ciao \xe2\x82|\xac'
seed cut_4        'B0Anna~\xf0|\x9f|\x98|\x80 \xf0\x9f|\x98\x80'
seed half_last    'A0Anna\nciao \xf0\x9f\x98'
seed half_bare    'B0Anna~ciao|\xe2\x82|a|\xe2'

# What is no UTF-8, each kind: bytes that begin nothing, overlong forms,
# surrogates, numbers too high, and parts of each length.
seed no_lead      'A0Anna\na\x80b\xbfc\xc0d\xc1e\xf5f\xfeg\xff\n'
seed overlong     'A0Anna\n\xc0\x8a\xe0\x80\x8a\xe0\x9f\xbf\xf0\x80\x80\x8a\n'
seed overlong_2   'A0Anna\n\xc0\x80 \xc1\x80 \xc1\xbf \xc2\xbf\n'
seed overlong_4   'A0Anna\n\xf0\x8f\xbf\xbf \xf0\x90\x80\x80\n'
seed surrogate    'C0\n\xed\x9f\xbf \xed\xa0\x80 \xed\xbf\xbf \xee\x80\x80\n'
seed too_high     'A0A\n\xf4\x8f\xbf\xbf \xf4\x90\x80\x80 \xf5\x80\x80\x80\n'
seed parts        'A0Anna\n\xc3a\xe2a\xe2\x82a\xf0a\xf0\x9fa\xf0\x9f\x98a\n'
seed parts_end    'A0Anna\n\xe2\x82\n\xf0\x9f\x98\r\n\xc3\xe2\x82\xf0\n'

# Control characters: C0, DEL, C1, and what a terminal would obey.
seed controls     'A0An\x1bna\n\x00\x01\x07\x08\t\x0b\x1b[2J\x1f \x7f\n'
seed controls_c1  'C0CIAO\n\xc2\x80\xc2\x85\xc2\x9b2J\xc2\x9f\xc2\xa0\xc2\xad\n'
seed blank        'C0CIAO\n \n\t\n\x7f\n'

# Around the limit. Small ones show most of it...
seed limit_4      'A4abcdefgh\nabcd\n😀😀\nabc€\n\n'
seed limit_rest   'A5abcdefgh\nij\nabcde\n'
seed limit_bytes  'A6\x80\x80\x80\xff\xff\n'
seed limit_bare   'B7abcdefgh|abcdefg|abcdef€|a|'
seed limit_server 'D5abcdefgh\nij|abcd\nefgh|\n'
# ... and these are the programs' own: 1024 with the prefix and the '\n'.
seed limit_1024   "A0Anna\n$(times a 1018)\n$(times a 1017)\n"
seed limit_cut    "A0Anna\n$(times a 1016)€\n$(times b 1017)\r|\nciao\n"
seed limit_name   "A0$(times a 1023)\n$(times b 1024)\nAnna\nciao\n"
seed limit_first  "B0$(times è 700)~Anna|$(times è 600)|ciao"
seed limit_4096   "C0CIAO\n|$(times a 4097)\n$(times € 1366)\n"
seed limit_4_bare "D0$(times a 1024)|$(times € 1366)|a"
seed limit_spoilt "D0$(times '\x80' 1023)|$(times '\xff' 1024)|ciao"
seed limit_typed  "F0$(times a 1023)è$(times b 1022){quit}"
