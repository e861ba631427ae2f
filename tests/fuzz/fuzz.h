// fuzz.h - what the fuzz targets share: how an input is laid out, and what its
// bytes mean, worked out a second time and in another way than socket_compat.h
// does, so that the two can be compared.
//
// An input: a byte for the kind of inbox ('A' to 'F', see fuzz_text.cpp), a
// byte for its limit ('0': the one it has in the programs, '4' to '?': 4 to 15
// bytes), and then what comes over the network. In it '|' is no text but the
// end of what one recv() brings, and '~' the same with a pause after it.
// Every input is one for each of the targets.

#ifndef FUZZ_H
#define FUZZ_H

#include "../../socket_compat.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);

const std::size_t WIRE_SIZE = 1024;  // bytes of a message, and of a recv()

// --- checks -----------------------------------------------------------------

inline std::string printable(const std::string& bytes)
{
    std::string text;
    for (const char c : bytes) {
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\x%02x",
                      static_cast<unsigned char>(c));
        text += c >= ' ' && c <= '~' ? std::string(1, c) : hex;
    }
    return text;
}

const std::string NOTHING;

// libFuzzer keeps the input that leads to a broken one.
inline void check(bool condition, const char* what,
                  const std::string& got = NOTHING,
                  const std::string& wanted = NOTHING)
{
    if (condition)
        return;
    std::fprintf(stderr, "BROKEN: %s\n  got:    %s\n  wanted: %s\n", what,
                 printable(got).c_str(), printable(wanted).c_str());
    std::abort();
}

// --- the input --------------------------------------------------------------

// What each recv() brings; an empty one is a pause.
inline std::vector<std::string> pieces_of(const std::uint8_t* data,
                                          std::size_t size)
{
    std::vector<std::string> pieces;
    std::string piece;
    for (std::size_t i = 0; i < size; i++) {
        const char c = static_cast<char>(data[i]);
        const bool cut = c == '|' || c == '~';
        if (!cut)
            piece += c;
        if ((cut || piece.size() == WIRE_SIZE) && !piece.empty()) {
            pieces.push_back(piece);
            piece.clear();
        }
        if (c == '~')
            pieces.push_back("");
    }
    if (!piece.empty())
        pieces.push_back(piece);
    return pieces;
}

inline std::string glued(const std::vector<std::string>& pieces)
{
    std::string all;
    for (const std::string& piece : pieces)
        all += piece;
    return all;
}

// --- UTF-8, a second time ---------------------------------------------------

struct Character {
    std::size_t length;  // bytes; of one that is not whole: to be replaced
    bool whole;
    bool had_to_wait;    // not whole, which only the byte behind it tells
    unsigned long code;  // its number, if it is whole
};

// The character at bytes[at]. No table: as long as some code point begins with
// the bytes so far, they belong together (Unicode Standard, section 3.9, "the
// maximal subpart").
inline Character character_of(const std::string& bytes, std::size_t at)
{
    const unsigned long first[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned long last[] = {0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    const unsigned lead = static_cast<unsigned char>(bytes[at]);
    const unsigned long total = lead < 0x80          ? 1
                                : (lead >> 5) == 6   ? 2
                                : (lead >> 4) == 14  ? 3
                                : (lead >> 3) == 30  ? 4
                                                     : 0;
    if (total == 0)
        return {1, false, false, 0};
    unsigned long code = total == 1 ? lead : lead & (0x7FU >> total);
    for (std::size_t length = 1;; length++) {
        // With any bits in the bytes that follow, it lies between these two.
        const unsigned long bits = 6 * (total - length);
        const unsigned long low = std::max(code << bits, first[total]);
        const unsigned long high
            = std::min(((code + 1) << bits) - 1, last[total]);
        if (low > high || (low >= 0xD800 && high <= 0xDFFF))
            return {length > 1 ? length - 1 : 1, false, length > 1, 0};
        if (length == total)
            return {length, true, false, code};
        const unsigned next = at + length < bytes.size()
            ? static_cast<unsigned char>(bytes[at + length]) : 0;
        if ((next & 0xC0) != 0x80)
            return {length, false, true, 0};
        code = (code << 6) | (next & 0x3F);
    }
}

inline bool is_control(unsigned long code)
{
    return code < 0x20 || (code >= 0x7F && code <= 0x9F);
}

// What goes to a terminal, or to all others in the room.
inline void check_clean(const std::string& text)
{
    check(!text.empty(), "a message is empty");
    for (std::size_t at = 0; at < text.size();) {
        const Character c = character_of(text, at);
        check(c.whole, "a message is not UTF-8", text);
        check(!is_control(c.code), "a control character gets through", text);
        at += c.length;
    }
}

inline std::size_t characters_in(const std::string& text)
{
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); count++)
        at += character_of(text, at).length;
    return count;
}

// --- messages, a second time ------------------------------------------------
//
// The whole stream is there at once, so nothing needs to wait for anything.

// What is to become of the bytes, a character each; "\n" ends a message. After
// the bytes the stream ends. `ends`, for a bare peer: where in the bytes what
// one recv() brought does. `lines`: '\n' ends a message, else it is a space.
inline std::vector<std::string> units_of(const std::string& bytes,
                                         const std::vector<std::size_t>& ends,
                                         bool lines)
{
    std::vector<std::string> units;
    std::size_t passed = 0;  // how many of the ends
    for (std::size_t at = 0; at < bytes.size();) {
        const Character c = character_of(bytes, at);
        const std::size_t known_at
            = at + c.length + (c.had_to_wait ? 1 : 0);
        for (; passed < ends.size() && ends[passed] < known_at; passed++)
            units.push_back("\n");
        const std::size_t next = at + c.length;
        const bool return_ends = bytes[at] == '\r' && passed < ends.size()
                                 && ends[passed] == next;
        const bool two = bytes[at] == '\r' && !return_ends
                         && (next == bytes.size() || bytes[next] == '\n');
        if (return_ends)
            units.push_back("");  // half an end of line
        else if (two || bytes[at] == '\n')
            units.push_back(lines ? "\n" : " ");
        else if (!c.whole)
            units.push_back("\xEF\xBF\xBD");
        else
            units.push_back(is_control(c.code) ? " "
                                               : bytes.substr(at, c.length));
        at = next + (two ? 1 : 0);
    }
    units.push_back("\n");
    return units;
}

struct Reference {
    std::vector<std::string> units;
    std::size_t next = 0;   // of the units
    bool is_rest = false;   // the next message is the rest of one
    bool is_whole = false;  // the last message was, and not the first part
};

// The next message. False: there is none.
inline bool next_wanted(Reference& reference, std::size_t limit,
                        Message& message)
{
    message = {"", reference.is_rest};
    while (reference.next < reference.units.size()) {
        const std::string& unit = reference.units[reference.next];
        const bool ends = unit == "\n";
        const bool full
            = !ends && message.text.size() + unit.size() > limit;
        if (full || (ends && !message.text.empty())) {
            reference.is_whole = ends && !reference.is_rest;
            reference.is_rest = full;
            return true;
        }
        message.text += ends ? "" : unit;
        reference.next++;
    }
    return false;
}

inline void check_same(const Message& got, const Message& wanted,
                       const char* what)
{
    check(got.text == wanted.text && got.is_rest == wanted.is_rest, what,
          got.text + (got.is_rest ? " (a rest)" : ""),
          wanted.text + (wanted.is_rest ? " (a rest)" : ""));
}

// After all messages have been taken out: half a character, and half a message.
inline void check_small(const Inbox& inbox)
{
    check(inbox.received.size() <= 3, "bytes are left lying",
          inbox.received);
    check(inbox.text.size() <= inbox.limit, "half a message is too long",
          inbox.text);
}

// --- the network ------------------------------------------------------------

inline std::vector<std::string> coming;  // what recv() will bring
inline std::size_t has_come = 0;         // how many of them
inline std::vector<std::string> gone;    // what send() has been given

// Stands in for recv_some(). As there, a negative limit waits for ever.
inline int fed_recv(socket_t, char* buffer, std::size_t size,
                    milliseconds limit)
{
    while (has_come < coming.size()) {
        const std::string& piece = coming[has_come++];
        check(piece.size() <= size, "a smaller buffer than it was", piece);
        if (!piece.empty()) {
            std::memcpy(buffer, piece.data(), piece.size());
            return static_cast<int>(piece.size());
        }
        if (limit.count() >= 0)
            return TIME_UP;
    }
    return 0;
}

// Stand in for send_some() and send_all().
inline int fed_send(socket_t, const char* data, std::size_t size)
{
    gone.push_back(std::string(data, size));
    return static_cast<int>(size);
}

inline bool fed_send_all(socket_t s, const std::string& data)
{
    fed_send(s, data.data(), data.size());
    return true;
}

#endif
