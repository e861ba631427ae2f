// fuzz.h - what the fuzz targets share: how an input is laid out, the network
// that it comes from, and what has to become of its bytes, worked out in
// another way than socket_compat.h does.
//
// An input: a byte for the kind of inbox ('A' to 'F', see fuzz_text.cpp and
// fuzz_client.cpp), a byte for its limit ('0': the one it has in the programs,
// '4' to '?': 10 to 21 bytes), and then what comes over the network. In it '|'
// ends what one recv() brings, and '~' too, with a pause after it.

#pragma once

#include "../../socket_compat.h"
#include "../text.h"

#include <cstdint>
#include <map>
#include <vector>

const size_t WIRE_SIZE = 1024;  // bytes of a message, and of a recv()

// libFuzzer keeps the input that leads to a broken one.
inline void check(bool condition, const char* what, const string& about = "") {
    if (condition)
        return;
    std::fprintf(stderr, "BROKEN: %s\n  %s\n", what, printable(about).c_str());
    std::abort();
}

// Checks that the messages that come out of a stream are right, and that none
// is missing: each is a line, or as much of it as its limit allows.
class Stream {
public:
    // Bytes have come. `chunk`: a line ends here. `lines`: it does at '\n'.
    void feed(const string& bytes, bool lines, bool chunk) {
        for (const char c : bytes)
            if (lines && c == '\n')
                lines_.emplace_back();
            else
                lines_.back() += c;
        string& line = lines_.back();
        const string begun = last_character_if_begun(line);
        if (!chunk || (begun == line && !begun.empty()))
            return;
        line.erase(line.size() - begun.size());
        if (!begun.empty())
            begun_[lines_.size()] = begun.size();
        lines_.push_back(begun);  // it waits for its rest
    }

    void take(const string& message, const Inbox& inbox) {
        while (n_ + 1 < lines_.size() && !has_more())
            go_on();
        const string& line = lines_[n_];
        const size_t begin = at_;
        const size_t end = line.size() - (has_more() && line.back() == '\r');
        const bool is_whole = n_ + 1 < lines_.size() || inbox.at_end;
        const size_t moved = begun_.count(n_ + 1) ? begun_[n_ + 1] : 0;
        const bool is_long = line.size() + moved - begin > inbox.limit;
        const bool is_spaced = begin > 0 && message == "{quit} "
                               && line.substr(begin, end - begin) == "{quit}";
        const size_t size = message.size() - (is_spaced ? 1 : 0);
        string shown;
        for (size_t length = 0; at_ < end && shown.size() < size; at_ += length)
            shown += shown_at(line, at_, length);
        check(size > 0 && shown == message.substr(0, size),
              "not what was sent", message);
        is_open = begin == 0 && begun_.count(n_) > 0;
        check(inbox.is_rest == (begin > 0) || is_open, "a wrong is_rest",
              message);
        check(at_ - begin <= inbox.limit, "too long", message);
        check(is_long || (is_whole && at_ == end), "too early", message);
        check(!is_long || at_ - begin + 4 > inbox.limit, "too short", message);
        check(message != "{quit}" || (begin == 0 && at_ == end),
              "a part is no {quit}");
    }

    // A chunk ended within the first character of what was taken last. Whether
    // this is the rest of a line that was cut before is then an open question.
    bool is_open = false;

    void check_all_taken() {
        for (; n_ < lines_.size(); go_on())
            check(!has_more(), "a message is lost", lines_[n_]);
    }

private:
    static string last_character_if_begun(const string& line) {
        size_t n = 1;  // its bytes
        while (n < line.size() && (line[line.size() - n] & 0xC0) == 0x80)
            n++;
        const string end = line.substr(line.size() - std::min(n, line.size()));
        const int first = end.empty() ? 0 : end[0] & 0xFF;
        size_t wanted = 0;  // as many as its first byte has leading 1 bits
        while (first & (0x80 >> wanted))
            wanted++;
        return n < wanted && wanted <= 4 ? end : "";
    }

    bool has_more() const {
        const size_t left = lines_[n_].size() - at_;
        return left > 1 || (left == 1 && lines_[n_][at_] != '\r');
    }

    void go_on() {
        n_++;
        at_ = 0;
    }

    std::vector<string> lines_{1};  // the last one may have no end yet
    size_t n_ = 0, at_ = 0;         // the next one; how much of it was taken
    std::map<size_t, size_t> begun_;  // which have a begun character in
                                      // front, and how many bytes of it
};

// --- the network ------------------------------------------------------------

inline std::vector<string> coming;  // what each recv() brings; empty: a pause
inline size_t next_piece;           // which of them comes next
inline string arrived;              // what next_message() has not seen yet
inline Stream stream;               // what it is compared with
inline std::vector<string> heard;   // what it has returned
inline std::vector<string> names;   // of these no rests

// Begins with an input, and returns all its bytes.
inline string begin(const std::uint8_t* data, size_t size) {
    string all, piece;
    next_piece = 0;
    arrived.clear();
    stream = Stream();
    for (auto* list : {&coming, &heard, &names})
        list->clear();
    for (size_t i = 2; i <= size; i++) {
        const char c = i < size ? static_cast<char>(data[i]) : '|';
        const bool ends = c == '|' || c == '~';
        if (!ends)
            piece += c;
        if ((ends || piece.size() == WIRE_SIZE) && !piece.empty()) {
            coming.push_back(piece);
            all += piece;
            piece.clear();
        }
        if (c == '~')
            coming.push_back("");
    }
    return all;
}

// Stands in for receive_into(). As there, a negative limit waits for ever.
inline int fed_receive(Inbox& inbox, socket_t, milliseconds limit) {
    size_t size = 4 * WIRE_SIZE;
    if (inbox.chunks)
        size = std::min(size, inbox.limit - inbox.received.size());
    check(size > 0 && (!inbox.chunks || size <= inbox.limit), "a strange size");
    while (next_piece < coming.size() && coming[next_piece].empty()) {
        next_piece++;
        if (limit.count() >= 0)
            return TIME_UP;
    }
    inbox.at_end = next_piece == coming.size();
    if (inbox.at_end)
        return 0;
    string& piece = coming[next_piece];
    const string some = piece.substr(0, size);
    inbox.received += some;
    arrived += some;
    piece.erase(0, size);
    if (piece.empty())
        next_piece++;
    return static_cast<int>(some.size());
}

// Stands in for next_message().
inline bool checked_next_message(Inbox& inbox, string& message) {
    stream.feed(arrived, inbox.lines, inbox.chunks && !inbox.at_end);
    arrived.clear();
    if (!next_message(inbox, message))
        return false;
    stream.take(message, inbox);
    heard.push_back(message);
    if (!inbox.is_rest)
        names.push_back(message);
    return true;
}
