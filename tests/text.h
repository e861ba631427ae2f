// text.h - texts, for the tests and the fuzz targets. How bytes become
// characters is left to the C library: so what socket_compat.h makes of them is
// compared with somebody else's work.

#pragma once

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cwchar>
#include <string>
#include <utility>
#include <vector>

using std::string;

inline string printable(const string& bytes) {
    if (bytes.size() > 1500)
        return printable(bytes.substr(0, 700)) + " [...] "
               + printable(bytes.substr(bytes.size() - 700));
    string text;
    for (const char c : bytes) {
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\x%02x", c & 0xFF);
        text += c >= ' ' && c <= '~' ? string(1, c) : c == '\n' ? "\\n" : hex;
    }
    return text;
}

// For mbrtowc(). Set before main() begins: later, other threads may use it.
inline const bool has_locale = std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr;

// What is to be shown of the character there: '?' for a byte that is no UTF-8,
// a space for what does a terminal harm. `length`: its bytes.
inline string shown_at(const string& text, size_t at, size_t& length) {
    wchar_t code = 0;
    std::mbstate_t state = {};
    length = std::mbrtowc(&code, &text[at], text.size() - at, &state);
    if (!has_locale || length > 4 || code > 0x10FFFF) {  // that glibc takes
        length = 1;
        return "?";
    }
    length = std::max<size_t>(length, 1);  // of '\0' it says 0
    const bool is_harmful = code < 0x20 || (code >= 0x7F && code < 0xA0)
                            || (code >= 0x2028 && code <= 0x202E)
                            || (code >= 0x2066 && code <= 0x2069);
    return is_harmful ? " " : text.substr(at, length);
}

// What comes over the wire and is no text, or does harm, and what is shown.
inline const std::vector<std::pair<string, string>> RUBBISH = {
    {"caff\xE8 \xE8 bello", "caff? ? bello"},  // Latin-1
    {"\x80\x85\x9B\x9F", "????"},               // continuation bytes
    {"\xC0\xAF\xC1\x9B\xE0\x82\x9B", "???????"},  // overlong
    {"\xED\xA0\x80", "???"},                    // a surrogate
    {"\xF4\x90\x80\x80\xF5\xFE\xFF", "???????"},  // above U+10FFFF
    {"\xC3", "?"},                              // no end
    {"\xF0\x9F\x98", "???"},
    {"\xE2\x82\xC3\xA8", "??è"},
    {"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF",
     "\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"},  // it is all right
    {string("\0\1\2\3\4\5\6\a\b\t\v\f\x0E\x0F", 14), string(14, ' ')},
    {"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1A\x1B\x1C\x1D\x1E\x1F\x7F",
     string(17, ' ')},
    {"\u0080\u0085\u009B\u009C\u009F\u00A0\u00A1", "     \u00A0\u00A1"},
    {"\u2027\u2028\u2029\u202A\u202B\u202C\u202D\u202E\u202F",
     "\u2027       \u202F"},
    {"\u2065\u2066\u2067\u2068\u2069\u206A\uFEFF", "\u2065    \u206A\uFEFF"},
    {"\033[2J\033[1;1H", " [2J [1;1H"},
    {"\033[6n\033[c\033Z\005", " [6n [c Z "},    // it would answer
    {"\033]52;c;eA==\033\\", " ]52;c;eA== \\"},  // the clipboard
};
