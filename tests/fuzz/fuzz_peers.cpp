// fuzz_peers.cpp - random peers beside honest users, and a random server
// against the client. What is right is checked, whatever the random ones do.
//
//   fuzz_peers random_peers_beside_two_users
//
// In the environment: SEED (else a random one, which is printed), and SECONDS
// (5). What a random peer does follows from SEED and from its own number, so
// the same SEED makes (with the same compiler) the same peers. How they get
// mixed is up to the system.

#include "../terminal.h"

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <set>

using std::to_string;

const int VISITORS = 12;  // random peers at a time
const int ROUNDS = 12;    // clients at a time
const milliseconds STUCK{1000};  // so long a random one tries to send
const size_t LONGEST = 1023;     // bytes of a line, without its '\n'

// --- chance -----------------------------------------------------------------

class Random {
public:
    Random(uint64_t seed, uint64_t number)
        : engine_(seed * 1000003 + number * 7919 + 1)
    {
    }
    int below(int n)
    {
        return static_cast<int>(engine_() % static_cast<unsigned>(n));
    }
    int between(int low, int high) { return low + below(high - low + 1); }
    bool percent(int n) { return below(100) < n; }
    const string& pick(const std::vector<string>& from)
    {
        return from[static_cast<size_t>(below(static_cast<int>(from.size())))];
    }

private:
    std::mt19937_64 engine_;
};

static uint64_t choose_seed()
{
    const char* value = std::getenv("SEED");
    const uint64_t seed = value && *value ? std::strtoull(value, nullptr, 10)
                                          : std::random_device()();
    std::cout << "SEED=" << seed << std::endl;
    return seed;
}

static steady_clock::time_point choose_end()
{
    const char* value = std::getenv("SECONDS");
    return steady_clock::now()
           + std::chrono::seconds(value && *value ? std::atoi(value) : 5);
}

// --- random text ------------------------------------------------------------

static string some_word(Random& random)
{
    static const std::vector<string> words
        = {"ciao", "perché", "€", "😀", "è", "così", "Eva: no", "a", "zz",
           "\xC2\xA0", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
           "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
           "\xF4\x8F\xBF\xBF", "quit", "{", "}", "...", "42"};
    return random.pick(words);
}

static string random_bytes(Random& random, int count)
{
    string text;
    for (int i = 0; i < count; i++)
        text += static_cast<char>(random.below(256));
    return text;
}

static string wrong_bytes(Random& random)
{
    static const std::vector<string> wrong
        = {"\x80", "\xBF", "\xC0\xAF", "\xC1\xBF", "\xC3", "\xE2\x82",
           "\xE0\x9F\xBF", "\xED\xA0\x80", "\xEF\xBF", "\xF0\x9F\x98",
           "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5", "\xFE", "\xFF",
           "\xE8" "a", "\xF0\x9F" "a"};
    return random.percent(80) ? random.pick(wrong)
                              : random_bytes(random, random.between(1, 40));
}

static string control(Random& random)
{
    static const std::vector<string> controls
        = {"\x1b[2J", "\x1b]0;titolo\a", "\x1b[31m", "\x1b[6n", "\x1b" "c",
           "\x1b[1;5r", "\x1b" "8", "\r", "\r\r", "\b\b\b", "\x7f", "\t",
           string(1, '\0'), "\x9b" "2J", "\xC2\x9B" "2J", "\xC2\x85", "\x04",
           "\x13", "\v", "\f", "\x1b"};
    return random.pick(controls);
}

// What somebody writes who wants to be taken for somebody else.
static string forgery(Random& random)
{
    static const std::vector<string> lines
        = {"Anna: falso", "Bruno ha abbandonato la Chat.", "Carla: c0;",
           "Eva si è unito all chat!", "Anna si è unito all chat!"};
    static const std::vector<string> breaks = {"\n", "\r", "\r\n", "\v", "\f"};
    return random.pick(breaks) + random.pick(lines) + random.pick(breaks);
}

static string long_text(Random& random)
{
    const string word = random.percent(70) ? some_word(random)
                                           : wrong_bytes(random);
    const size_t sizes[] = {1000, 1024, 1025, 4096, 5000, 65536};
    return string(static_cast<size_t>(random.below(4)), 'x')
           + repeat(word, sizes[random.below(6)] / word.size() + 1);
}

static string message(Random& random)
{
    string text;
    for (int i = random.between(0, 6); i > 0; i--) {
        const int kind = random.below(100);
        text += kind < 55   ? some_word(random) + " "
                : kind < 70 ? wrong_bytes(random)
                : kind < 84 ? control(random)
                : kind < 90 ? "\n"
                : kind < 95 ? forgery(random)
                : kind < 97 ? "x{quit}"
                            : "";
    }
    if (random.percent(3))
        text += long_text(random);
    return text;
}

// The same, up to a {quit} that could be taken for the real one.
static string message_without_quit(Random& random)
{
    const string text = message(random);
    return text.substr(0, text.find("{quit}"));
}

// A name that mostly will do.
static string some_name(Random& random, int number)
{
    static const std::vector<string> names
        = {"Anna", "Bruno", "Carla", "Eva", "Ugo", "Anna ", " Anna", "anna",
           "", " ", "   ", "due:punti", ":", "Anna:", "{quit}", " {quit}",
           "Anna ha abbandonato la Chat.", "Eva ha abbandonato la Chat.",
           "Ugo si è unito all chat!", "Anna\r", "\x1b[1mAnna",
           string("Anna\0", 5), "Anna\xC3", "\xFF", "\xEF\xBF\xBD"};
    const int kind = random.below(20);
    if (kind < 8)
        return "P" + to_string(number) + some_word(random).substr(0, 2);
    if (kind < 11)  // mostly in use
        return random.percent(50) ? "Eva" : "Ugo";
    if (kind < 16)
        return random.pick(names);
    if (kind == 16)  // 32 characters at most: one or two too many, or none
        return repeat(random.percent(50) ? "é" : "😀",
                      static_cast<size_t>(random.between(31, 34)));
    return kind == 17 ? message(random)
           : kind == 18 ? "Eva" + wrong_bytes(random) + control(random)
                        : long_text(random);
}

// --- what a random one is going to do ---------------------------------------

struct Step {
    string bytes;
    int pause = 0;  // ms, after it
    int times = 1;
};

enum Reading { READS_ALL, READS_SLOWLY, READS_NOTHING };
enum End {
    SAYS_QUIT,       // its farewell holds a {quit}
    QUIT_AND_CLOSE,  // as well, but it may not be seen as one
    CLOSES,
    HALF_CLOSES,
    RESETS,
    VANISHES,        // it neither reads nor writes, then closes
    SHUTS_READING,
    IS_POLITE,       // it waits for a {quit}, then closes
    STAYS            // until the other one has gone
};

struct Plan {
    std::vector<Step> steps;
    Reading reading = READS_ALL;
    bool small_buffer = false;  // of the system, for what it has not read
    End end = CLOSES;
    std::vector<Step> farewell;
    int last_pause = 0;
};

static string all_bytes(const std::vector<Step>& steps)
{
    string all;
    for (const Step& step : steps)
        all += step.bytes;
    return all;
}

// Pauses of a peer: it has no more than `left` ms in all.
static int some_pause(Random& random, int& left)
{
    const int kind = random.below(100);
    const int pause = kind < 75   ? 0
                      : kind < 92 ? random.below(15)
                      : kind < 97 ? random.between(200, 300)
                                  : random.below(400);
    left -= pause;
    return left > 0 ? pause : 0;
}

// Cuts a text anywhere, and puts pauses into the cuts.
static std::vector<Step> cut(Random& random, const string& text, int budget)
{
    const int longest[] = {1, 3, 40, 1024, 2000, 65536};
    const int most = longest[random.below(6)];
    const bool in_a_hurry = random.percent(40);
    std::vector<Step> steps;
    for (size_t at = 0; at < text.size();) {
        const auto size = static_cast<size_t>(
            steps.size() > 2000 ? 65536 : random.between(1, most));
        const int pause = in_a_hurry ? 0 : some_pause(random, budget);
        steps.push_back({text.substr(at, size), pause, 1});
        at += size;
    }
    return steps;
}

static std::vector<Step> quit_in_pieces(Random& random, const string& quit)
{
    return cut(random, quit, random.percent(50) ? 0 : 600);
}

// What a line peer writes: each text with an end of line, cut anywhere.
static std::vector<Step> in_lines(Random& random,
                                  const std::vector<string>& texts)
{
    string all;
    for (const string& text : texts)
        all += text + (random.percent(10) ? "\r\n" : "\n");
    if (random.percent(20))
        all += "senza fine";
    return cut(random, all, 1500);
}

// What a bare peer writes: each text by itself, with pauses.
static std::vector<Step> in_chunks(Random& random,
                                   const std::vector<string>& texts)
{
    int budget = 1500;
    std::vector<Step> steps;
    for (const string& text : texts) {
        const bool is_first = steps.empty();
        steps.push_back({text, is_first && random.percent(80)
                                   ? random.between(255, 400)
                                   : some_pause(random, budget), 1});
    }
    return steps;
}

static Reading some_reading(Random& random)
{
    const int kind = random.below(100);
    return kind < 80 ? READS_ALL : kind < 91 ? READS_SLOWLY : READS_NOTHING;
}

static Plan plan_of_peer(Random& random, int number)
{
    Plan plan;
    std::vector<string> texts;
    for (int i = random.percent(70) ? 1 : random.between(0, 4); i > 0; i--)
        texts.push_back(some_name(random, number));
    for (int i = random.below(30); i > 0; i--)
        texts.push_back(random.percent(97) ? message(random) : "{quit}");
    const bool in_lines_only = random.percent(60);
    plan.steps = in_lines_only ? in_lines(random, texts)
                               : in_chunks(random, texts);
    // A pause before the first '\n' can make it a bare peer, whose {quit} can
    // be cut by a recv() of the server.
    const bool is_line = in_lines_only && !plan.steps.empty()
                         && plan.steps[0].bytes.find('\n') != string::npos;
    if (random.percent(4))  // more than it may say in one round
        plan.steps.push_back({"\n" + repeat("a" + some_word(random) + "\n",
                                            2000), 0, random.between(1, 9)});
    plan.reading = some_reading(random);
    plan.small_buffer = plan.reading != READS_ALL && random.percent(70);
    plan.end = static_cast<End>(random.below(SHUTS_READING + 1));
    if (plan.end == SAYS_QUIT)
        plan.farewell = {{"\n{quit}\n", 0, 1}};
    if (plan.end == QUIT_AND_CLOSE)
        plan.farewell = quit_in_pieces(random, "\n{quit}\n");
    if (plan.end == SAYS_QUIT && !is_line)
        plan.end = QUIT_AND_CLOSE;
    plan.last_pause = random.below(plan.small_buffer ? 2000 : 400);
    return plan;
}

// --- is this text right? ----------------------------------------------------

// Checks a text from `at` on: UTF-8, and no control character but '\n'. Returns
// where its last character begins if its last bytes have yet to come, or else
// the end.
static size_t check_text(const string& text, size_t at, const string& whose)
{
    const unsigned lowest[] = {0xA0, 0x800, 0x10000};  // 80..9F: control
    while (at < text.size()) {
        const auto lead = static_cast<unsigned char>(text[at]);
        if ((lead >= ' ' && lead <= '~') || lead == '\n') {
            at++;
            continue;
        }
        const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        bool right = lead >= 0xC2 && lead <= 0xF4;
        unsigned code = lead & (0xFFu >> (size + 1));
        size_t n = 1;
        for (; n < size && at + n < text.size(); n++) {
            const auto byte = static_cast<unsigned char>(text[at + n]);
            right = right && (byte & 0xC0) == 0x80;
            code = (code << 6) | (byte & 0x3F);
        }
        if (right && n < size)
            return at;
        if (!right || code < lowest[size - 2] || code > 0x10FFFF
            || (code >= 0xD800 && code <= 0xDFFF))
            fail(whose + ": a byte that may not be there\n  "
                 + printable(text.substr(at < 60 ? 0 : at - 60, 120)));
        at += size;
    }
    return at;
}

static void check_whole_text(const string& text, const string& whose)
{
    if (check_text(text, 0, whose) != text.size())
        fail(whose + ": it ends in a character\n  " + printable(text));
}

static bool ends_with(const string& text, const string& end)
{
    return text.size() >= end.size()
           && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

static bool stands_at(const string& text, size_t at, const string& wanted)
{
    return text.compare(at, wanted.size(), wanted) == 0;
}

static string without(string text, char c)
{
    text.erase(std::remove(text.begin(), text.end(), c), text.end());
    return text;
}

// --- a random peer, or server -----------------------------------------------

class RandomPeer {
public:
    // It says no more once `stop` is set, or after `until`. `keeps` what comes:
    // see got().
    RandomPeer(int number, Peer peer, Plan plan, const std::atomic<bool>& stop,
               steady_clock::time_point until, bool keeps)
        : number_(number), peer_(std::move(peer)), plan_(std::move(plan)),
          stop_(stop), until_(until), keeps_(keeps)
    {
    }

    void run()
    {
        bool goes_on = true;
        for (const Step& step : plan_.steps) {
            for (int i = 0; i < step.times && goes_on; i++)
                goes_on = talk(step.bytes) && !stop_
                          && steady_clock::now() < until_;
            if (!goes_on)
                break;
            spend(step.pause);
        }
        end();
        peer_.close();
    }

    const string& got() const { return got_; }
    bool has_ended() const { return has_ended_; }
    bool has_said_all() const { return has_said_all_; }

private:
    // Reads once, as planned, if something comes within `ms`.
    void read(int ms)
    {
        pollfd p = {peer_.fd(), POLLIN, 0};
        if (plan_.reading == READS_NOTHING || is_over_) {
            pause_for(ms);
            return;
        }
        if (::poll(&p, 1, ms) <= 0)
            return;
        char buffer[16384];
        const bool is_slow = plan_.reading == READS_SLOWLY;
        const ssize_t n = ::recv(p.fd, buffer, is_slow ? 300 : sizeof buffer,
                                 MSG_DONTWAIT);
        is_over_ = n <= 0;
        if (is_over_)
            return;
        got_.append(buffer, static_cast<size_t>(n));
        checked_ = check_text(
            got_, checked_, "what number " + to_string(number_) + " gets");
        if (!keeps_) {
            got_.erase(0, checked_);
            checked_ = 0;
        }
        if (is_slow)
            pause_for(3);
    }

    // Sends it, and reads meanwhile. False: it has not all been taken.
    bool talk(const string& bytes)
    {
        size_t sent = 0;
        auto deadline = steady_clock::now() + STUCK;
        while (sent < bytes.size()) {
            const ssize_t n
                = ::send(peer_.fd(), bytes.data() + sent, bytes.size() - sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
            const auto now = steady_clock::now();
            if (n < 0 && (errno != EAGAIN || now > deadline)) {
                has_said_all_ = false;
                return false;
            }
            if (n < 0) {
                pollfd p = {peer_.fd(), POLLOUT, 0};
                ::poll(&p, 1, 5);
            } else {
                deadline = now + STUCK;
                sent += static_cast<size_t>(n);
            }
            read(0);
        }
        return true;
    }

    void spend(int ms)
    {
        const auto until = steady_clock::now() + milliseconds(ms);
        while (steady_clock::now() < until && !stop_ && !is_over_)
            read(std::min(ms, 10));
    }

    void read_to_end()
    {
        const auto deadline = steady_clock::now() + LIMIT;
        if (plan_.reading == READS_SLOWLY)
            plan_.reading = READS_ALL;
        const bool sees_an_end = plan_.reading == READS_ALL;
        while (sees_an_end ? !is_over_ : !stop_) {
            if (steady_clock::now() > deadline)
                fail("number " + to_string(number_)
                     + " has left, or waits, and gets no end");
            read(50);
        }
    }

    // After it the other one must close, whatever there was before.
    void leave(bool half_closes)
    {
        bool said = true;
        for (const Step& step : plan_.farewell) {
            said = said && talk(step.bytes);
            spend(step.pause);
        }
        if (half_closes)
            peer_.half_close();
        if (plan_.reading == READS_NOTHING)
            spend(plan_.last_pause);
        else if (said || half_closes)
            read_to_end();
    }

    void wait_for_quit()
    {
        plan_.reading = READS_ALL;
        while (!is_over_ && !ends_with(got_, "{quit}")
               && !ends_with(got_, "{quit}\n"))
            read(50);
        has_ended_ = !is_over_;
    }

    void end()
    {
        const End end = plan_.end;
        has_ended_ = end != IS_POLITE && end != STAYS && !is_over_;
        if (end == SAYS_QUIT || end == QUIT_AND_CLOSE || end == HALF_CLOSES) {
            leave(end != SAYS_QUIT);
        } else if (end == RESETS) {
            peer_.reset();
        } else if (end == VANISHES || end == SHUTS_READING) {
            if (end == SHUTS_READING)
                ::shutdown(peer_.fd(), SHUT_RD);
            plan_.reading = READS_NOTHING;
            if (end == SHUTS_READING)
                talk("ancora una\n");
            spend(plan_.last_pause);
        } else if (end == IS_POLITE) {
            wait_for_quit();
        } else if (end == STAYS) {
            read_to_end();
        }
    }

    const int number_;
    Peer peer_;
    Plan plan_;
    const std::atomic<bool>& stop_;
    const steady_clock::time_point until_;
    const bool keeps_;
    string got_;
    size_t checked_ = 0;
    bool is_over_ = false;  // nothing more will come
    bool has_ended_ = false;     // by itself: it has not waited for an end
    bool has_said_all_ = true;   // as far as it was not stopped
};

// --- random peers beside two users ------------------------------------------

// Message number i of Anna or Bruno, in whose conversation any text may stand
// that is no more than one line.
static string words_of(uint64_t seed, const string& name, int i)
{
    static const std::vector<string> words
        = {"ciao", "perché", "€", "😀", "Eva: no", "{quit}", " ", "Anna: falso",
           "Eva si è unito all chat!", "Bruno ha abbandonato la Chat."};
    Random random(seed + static_cast<unsigned char>(name[0]),
                  static_cast<uint64_t>(i));
    const auto most = static_cast<size_t>(random.percent(85) ? 60 : 1000);
    string text = to_string(i);
    for (;;) {
        const string word = " " + random.pick(words);
        if (text.size() + word.size() > most)
            return text;
        text += word;
    }
}

static string piece_of_carla(int i) { return "c" + to_string(i) + ";"; }

// What is said in the room. Anna's stream is checked line by line, and that of
// Bruno and Carla must be the same.
class Conversation {
public:
    std::atomic<int> said[2] = {{0}, {0}};  // by Anna, and by Bruno
    std::atomic<int> heard[2] = {{0}, {0}};
    std::atomic<int> said_by_carla{0};
    std::atomic<int> heard_of_carla{0};
    std::atomic<bool> is_closing{false};  // the server may say {quit}
    std::atomic<long> lines{0};
    long joined = 0;

    explicit Conversation(uint64_t seed) : seed_(seed) {}

    // A line that Anna has heard.
    void hear(const string& line)
    {
        check(line.size() <= LONGEST, "a line is too long");
        check_whole_text(line, "what Anna hears");
        const size_t colon = line.find(':');
        if (colon != string::npos)
            hear_message(line.substr(0, colon), line.substr(colon + 1));
        else if (ends_with(line, JOINS))
            hear_join(line.substr(0, line.size() - JOINS.size()));
        else if (ends_with(line, LEAVES))
            hear_leave(line.substr(0, line.size() - LEAVES.size()));
        else
            fail("who says this? " + printable(line));
        lines++;
        std::lock_guard<std::mutex> lock(mutex_);
        lines_.push_back(line);
    }

    // What somebody else has heard, who gets each line with this end: drops
    // what is the same. The rest is what Anna has not heard yet.
    void follow(size_t who, string& text, const string& end)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        size_t at = 0;
        for (; followed_[who] < dropped_ + lines_.size(); followed_[who]++) {
            const string wanted = lines_[followed_[who] - dropped_] + end;
            const string got = text.substr(at, wanted.size());
            if (got.size() < wanted.size()
                && wanted.compare(0, got.size(), got) == 0)
                break;
            check_equal(got, wanted, "not all hear the same");
            at += wanted.size();
        }
        text.erase(0, at);
        for (; dropped_ < std::min(followed_[0], followed_[1]); dropped_++)
            lines_.pop_front();
    }

    size_t followed(size_t who) const { return followed_[who]; }
    size_t visitors() const { return room_.size(); }

    bool all_is_heard() const
    {
        return heard[0] == said[0] && heard[1] == said[1]
               && heard_of_carla == said_by_carla;
    }

private:
    const string JOINS = " si è unito all chat!";
    const string LEAVES = " ha abbandonato la Chat.";

    void hear_message(const string& name, const string& text)
    {
        check(text.size() > 1 && text[0] == ' ',
              "an empty message of " + printable(name));
        if (name == "Anna" || name == "Bruno") {
            std::atomic<int>& next = heard[name == "Bruno"];
            check_equal(text, " " + words_of(seed_, name, next), name);
            next++;
        } else if (name == "Carla") {
            hear_carla(text.substr(1));
        } else {
            check(room_.count(name) > 0,
                  printable(name) + " is not in the room, and speaks");
        }
    }

    // Messages of a bare peer can be glued, but nothing else.
    void hear_carla(const string& text)
    {
        from_carla_ += text;
        string wanted = piece_of_carla(heard_of_carla);
        while (from_carla_.size() >= wanted.size()) {
            check_equal(from_carla_.substr(0, wanted.size()), wanted, "Carla");
            from_carla_.erase(0, wanted.size());
            wanted = piece_of_carla(++heard_of_carla);
        }
        check_equal(from_carla_, wanted.substr(0, from_carla_.size()), "Carla");
    }

    void hear_join(const string& name)
    {
        const auto characters = std::count_if(
            name.begin(), name.end(),
            [](char c) { return (c & 0xC0) != 0x80; });
        check(characters <= 32 && name.find_first_not_of(' ') != string::npos,
              "no name: " + printable(name));
        check(name != "Anna" && name != "Bruno" && name != "Carla",
              name + " has joined again");
        check(room_.insert(name).second,
              printable(name) + " has joined, and was there");
        joined++;
    }

    void hear_leave(const string& name)
    {
        check(room_.erase(name) == 1,
              printable(name) + " has left, and was not there");
    }

    const uint64_t seed_;
    std::set<string> room_;  // the random ones in it; for who hears as Anna
    string from_carla_;      // not yet a whole piece
    std::mutex mutex_;       // guards what follows
    std::deque<string> lines_;  // that Anna has heard, not yet the others
    size_t dropped_ = 0;        // lines before these
    size_t followed_[2] = {0, 0};
};

// Waits, however long it takes, for what comes. False: the end has come.
static bool listen(Peer& peer, string& text)
{
    pollfd p = {peer.fd(), POLLIN, 0};
    ::poll(&p, 1, -1);
    const bool goes_on = peer.read_some();
    const string bytes = peer.got();
    peer.expect(bytes);
    text += bytes;
    return goes_on;
}

// True: Anna, Bruno and Carla have such large buffers that on no machine they
// can be too slow for the server.
static std::atomic<bool> buffers_are_large{true};

static Peer connect_with(int port, int option, int buffer)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (option != 0
        && ::setsockopt(fd, SOL_SOCKET, option, &buffer, sizeof buffer) != 0)
        buffers_are_large = false;
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    check(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address)
              == 0, "cannot connect");
    return Peer(fd);
}

static Peer join_as(int port, const string& name, const string& end_of_name)
{
    Peer peer = connect_with(port, SO_RCVBUFFORCE, 32 << 20);
    peer.expect_line(GREETING);
    peer.send(name + end_of_name);
    peer.expect(Peer::welcome(name) + end_of_name);
    return peer;
}

static void check_farewell(const Conversation& talk, const string& rest,
                           const string& wanted, const string& name)
{
    if (!talk.is_closing && !buffers_are_large)
        skip("too slow a machine, where only root can have large buffers");
    check(talk.is_closing, name + " was dropped");
    check_equal(rest, wanted, "the last that " + name + " hears");
}

static void listen_as_anna(Peer& anna, Conversation& talk)
{
    string text;
    while (listen(anna, text)) {
        size_t from = 0;
        for (size_t end; (end = text.find('\n', from)) != string::npos;) {
            const string line = text.substr(from, end - from);
            if (line == "{quit}" && talk.is_closing)
                break;
            talk.hear(line);
            from = end + 1;
        }
        text.erase(0, from);
    }
    check_farewell(talk, text, "{quit}\n", "Anna");
}

// Returns what is left when the stream has ended.
static void listen_as_another(Peer& peer, Conversation& talk, size_t who,
                              const string& end, string& rest)
{
    while (listen(peer, rest))
        talk.follow(who, rest, end);
}

// Speaks as a user does, and as one who pastes a long text.
static void speak(Peer& peer, const string& name, uint64_t seed,
                  std::atomic<int>& said, const std::atomic<bool>& stop)
{
    Random random(seed, static_cast<unsigned char>(name[0]));
    while (!stop) {
        const int count = random.percent(80) ? 1 : random.below(60);
        string lines;
        for (int i = 0; i < count; i++)
            lines += words_of(seed, name, said + i) + "\n";
        said += count;
        if (::send(peer.fd(), lines.data(), lines.size(), MSG_NOSIGNAL) < 0)
            return;  // who listens will say so
        pause_for(random.below(random.percent(80) ? 20 : 200));
    }
}

static void speak_as_carla(Peer& carla, uint64_t seed, std::atomic<int>& said,
                           const std::atomic<bool>& stop)
{
    Random random(seed, 'C');
    for (; !stop; pause_for(random.below(60))) {
        const string piece = piece_of_carla(said++);
        if (::send(carla.fd(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0)
            return;
    }
}

static void visit(int port, uint64_t seed, std::atomic<int>& last_number,
                  steady_clock::time_point end, const std::atomic<bool>& stop)
{
    while (!stop) {
        const int number = ++last_number;
        Random random(seed, 1000 + static_cast<uint64_t>(number));
        const Plan plan = plan_of_peer(random, number);
        Peer peer = connect_with(port, plan.small_buffer ? SO_RCVBUF : 0, 4096);
        RandomPeer(number, std::move(peer), plan, stop, end, false).run();
    }
}

// Drains the server's log, and checks it.
static void read_log(Stream& out, std::atomic<long>& dropped)
{
    while (out.read_some()) {
        while (out.got().find('\n') != string::npos) {
            const string line = out.read_line();
            check_whole_text(line, "the server's log");
            dropped += ends_with(line, " non legge i messaggi.");
        }
    }
    check_text(out.got(), 0, "the server's log");  // on a slow machine: cut
}

TEST(random_peers_beside_two_users)
{
    const uint64_t seed = choose_seed();
    const auto end = choose_end();
    Server server;
    std::atomic<long> dropped{0};
    std::thread log([&] { read_log(server.out, dropped); });
    Peer anna = join_as(server.port, "Anna", "\n");
    Peer bruno = join_as(server.port, "Bruno", "\n");
    Peer carla = join_as(server.port, "Carla", "");
    anna.expect("Bruno si è unito all chat!\nCarla si è unito all chat!\n");
    bruno.expect("Carla si è unito all chat!\n");
    const long threads_before = status_of(server.pid(), "Threads");
    const long descriptors_before = descriptors_of(server.pid());

    Conversation talk(seed);
    string rest_of_bruno;
    string rest_of_carla;
    std::vector<std::thread> ears;
    ears.emplace_back([&] { listen_as_anna(anna, talk); });
    ears.emplace_back(
        [&] { listen_as_another(bruno, talk, 0, "\n", rest_of_bruno); });
    ears.emplace_back(
        [&] { listen_as_another(carla, talk, 1, "", rest_of_carla); });
    std::atomic<bool> stop{false};
    std::atomic<int> visitors{0};
    std::vector<std::thread> mouths;
    mouths.emplace_back([&] { speak(anna, "Anna", seed, talk.said[0], stop); });
    mouths.emplace_back(
        [&] { speak(bruno, "Bruno", seed, talk.said[1], stop); });
    mouths.emplace_back(
        [&] { speak_as_carla(carla, seed, talk.said_by_carla, stop); });
    for (int i = 0; i < VISITORS; i++)
        mouths.emplace_back([&] {
            visit(server.port, seed, visitors, end, stop);
        });
    std::this_thread::sleep_until(end);
    stop = true;
    for (std::thread& mouth : mouths)
        mouth.join();

    wait_until("the random peers' threads have ended", [&] {
        return status_of(server.pid(), "Threads") == threads_before;
    });
    wait_until("their sockets are closed", [&] {
        return descriptors_of(server.pid()) == descriptors_before;
    });
    anna.send_line(words_of(seed, "Anna", talk.said[0]++));
    bruno.send_line(words_of(seed, "Bruno", talk.said[1]++));
    wait_until("all is heard", [&] { return talk.all_is_heard(); });
    talk.is_closing = true;
    server.signal(SIGINT);
    for (std::thread& ear : ears)
        ear.join();
    log.join();
    server.expect_exit(0);
    check_equal(server.errors, string(), "the server's standard error");

    talk.follow(0, rest_of_bruno, "\n");
    talk.follow(1, rest_of_carla, "");
    check_farewell(talk, rest_of_bruno, "{quit}\n", "Bruno");
    check_farewell(talk, rest_of_carla, "{quit}", "Carla");
    check_equal(talk.visitors(), size_t(0), "visitors who have not left");
    std::cout << visitors << " peers (" << talk.joined << " joins, " << dropped
              << " dropped), " << talk.said[0] + talk.said[1]
              << " messages of Anna and Bruno, " << talk.said_by_carla
              << " of Carla, " << talk.lines << " lines in all\n";
}

// --- a random server against the client -------------------------------------

enum Leave { NEVER, TYPES_QUIT, ENDS_INPUT, PRESSES_CTRL_C };

// What the client's user is going to do.
struct Script {
    std::vector<Step> typed;  // each one line, with its '\n'
    bool is_clean = true;     // nothing in it has to be replaced
    bool ends_line = true;    // the last line has its '\n'
    Leave leave = NEVER;
    int last_pause = 0;  // before leaving
    bool at_terminal = false;
};

struct Round {
    int number = 0;
    Plan server;
    Script user;
    bool server_may_quit = false;  // there is a {quit} in what it sends
    string last_words;  // before it half closes: the client must show them
};

static std::vector<Step> some_greeting(Random& random, bool& is_line)
{
    const int kind = random.below(100);
    is_line = kind < 55;
    if (kind < 40)
        return {{"CIAO!\n", 0, 1}};
    if (kind < 55)
        return cut(random, "CIAO! Digita il tuo Nome perché 😀\n", 800);
    if (kind < 70)
        return {{"Ciao", random.between(260, 400), 1}};
    if (kind < 78)
        return cut(random, message(random) + long_text(random), 500);
    if (kind < 90)
        return cut(random, message(random) + control(random), 500);
    if (kind < 95)
        return {{random.percent(50) ? "{quit}\n" : "{quit}", 300, 1}};
    return {{"", random.below(2300), 1}};  // silent
}

static Plan plan_of_server(Random& random)
{
    Plan plan;
    bool is_line = false;
    plan.steps = some_greeting(random, is_line);
    std::vector<string> texts;
    const bool may_quit = random.percent(25);
    for (int i = random.below(25); i > 0; i--)
        texts.push_back(may_quit ? message(random)
                                 : message_without_quit(random));
    for (const Step& step : is_line ? in_lines(random, texts)
                                    : in_chunks(random, texts))
        plan.steps.push_back(step);
    if (random.percent(8))  // a flood, with or without ends of lines
        plan.steps.push_back({long_text(random) + message(random)
                                  + (random.percent(50) ? "\n" : ""),
                              0, random.between(1, 60)});
    if (random.percent(2))  // 16 MB without an end
        plan.steps.push_back({repeat("x", 65536), 0, 250});
    plan.reading = random.percent(80) ? READS_ALL : READS_NOTHING;
    plan.end = random.percent(45) ? IS_POLITE
               : random.percent(10) ? STAYS
               : random.percent(30)
                   ? HALF_CLOSES
                   : static_cast<End>(random.below(SHUTS_READING + 1));
    if (plan.end == SAYS_QUIT)
        plan.end = HALF_CLOSES;
    if (plan.end == IS_POLITE && plan.reading == READS_NOTHING)
        plan.end = STAYS;
    if (plan.end == QUIT_AND_CLOSE)
        plan.farewell = quit_in_pieces(random, is_line ? "\n{quit}\n"
                                                       : "{quit}");
    plan.last_pause = random.below(400);
    return plan;
}

static Script some_script(Random& random, bool server_ends)
{
    Script script;
    script.at_terminal = random.percent(35);
    script.is_clean = script.at_terminal || random.percent(80);
    int budget = 1000;
    for (int i = random.below(12); i > 0; i--) {
        const string text = script.is_clean
                                ? to_string(i) + some_word(random)
                                      + repeat("è", random.percent(5) ? 900 : 1)
                                : message_without_quit(random);
        script.typed.push_back({text + "\n", some_pause(random, budget), 1});
    }
    const int kind = random.below(100);
    script.leave = server_ends && random.percent(60) ? NEVER
                   : kind < 45 ? TYPES_QUIT
                   : kind < 75 ? ENDS_INPUT
                               : PRESSES_CTRL_C;
    if (server_ends && !script.at_terminal && random.percent(8))
        script.typed.push_back({repeat("x", 1000) + "\n", 0, 300});
    if (script.leave == ENDS_INPUT && !script.at_terminal
        && random.percent(60)) {
        script.typed.push_back({"senza fine", 0, 1});
        script.ends_line = false;
    }
    script.last_pause = random.below(random.percent(80) ? 300 : 1200);
    return script;
}

static Round some_round(uint64_t seed, int number)
{
    Random random(seed, 500000 + static_cast<uint64_t>(number));
    Round round;
    round.number = number;
    round.server = plan_of_server(random);
    Plan& plan = round.server;
    round.server_may_quit
        = all_bytes(plan.steps).find("{quit}") != string::npos;
    round.user = some_script(random,
                             plan.end != IS_POLITE && plan.end != STAYS);
    if (plan.end == HALF_CLOSES) {
        plan.farewell = {{"fine di " + to_string(number), 0, 1}};
        if (plan.reading == READS_ALL && round.user.leave == NEVER
            && !round.server_may_quit)
            round.last_words = plan.farewell[0].bytes;
    }
    return round;
}

// Guards running_programs(), which the programs' beginning and end change.
static std::mutex programs_mutex;

// The client, at two pipes or at a terminal.
class Console {
public:
    Stream keyboard;
    Stream screen;

    Console(int port, bool at_terminal)
        : terminal_(at_terminal ? new PseudoTerminal(PROGRAM_ONLY) : nullptr),
          program_(client_program(), {"127.0.0.1", to_string(port)},
                   [this] { sit_down(); })
    {
        if (at_terminal) {
            screen = std::move(terminal_->master);
            keyboard = Stream(::fcntl(screen.fd(), F_DUPFD_CLOEXEC, 0));
        } else {
            screen = std::move(program_.out);
            keyboard = std::move(program_.in);
        }
        ::fcntl(keyboard.fd(), F_SETFL, O_NONBLOCK);
    }

    pid_t pid() const { return program_.pid(); }
    const string& errors() const { return program_.errors; }

    bool is_terminal() const { return terminal_ != nullptr; }

    // False: the client takes no more, since it has ended or is stuck.
    bool type(const string& text)
    {
        auto deadline = steady_clock::now() + STUCK;
        for (size_t sent = 0; sent < text.size();) {
            pollfd p = {keyboard.fd(), POLLOUT, 0};
            ::poll(&p, 1, 20);
            const ssize_t n = ::write(p.fd, text.data() + sent,
                                      text.size() - sent);
            const auto now = steady_clock::now();
            if (n < 0 && (errno != EAGAIN || now > deadline))
                return false;
            if (n > 0) {
                sent += static_cast<size_t>(n);
                deadline = now + STUCK;
            }
        }
        return true;
    }

    // False: as with type().
    bool leave(Leave how)
    {
        if (how == TYPES_QUIT)
            return type("{quit}\n");
        if (how == ENDS_INPUT && is_terminal())
            return type("\x04");  // Ctrl+D
        if (how == ENDS_INPUT)
            keyboard.close();
        else
            program_.signal(SIGINT);
        return true;
    }

    int exit_code()
    {
        wait_until("the client ends", [&] {
            std::lock_guard<std::mutex> lock(programs_mutex);
            return !program_.is_running();
        });
        return program_.exit_code();
    }

private:
    // In the new process: this terminal is its own.
    void sit_down()
    {
        if (!is_terminal())
            return;
        terminal_->become();
        ::setenv("TERM", "xterm", 1);
    }

    std::unique_ptr<PseudoTerminal> terminal_;
    Program program_;
};

// Everything that the client shows, up to its end.
static string watch(Console& console, long& most_memory)
{
    string shown;
    auto deadline = steady_clock::now() + LIMIT;
    while (steady_clock::now() < deadline) {
        most_memory = std::max(most_memory,
                               status_if_any(console.pid(), "VmRSS"));
        pollfd p = {console.screen.fd(), POLLIN, 0};
        if (::poll(&p, 1, 50) <= 0)
            continue;
        char buffer[16384];
        const ssize_t n = ::read(p.fd, buffer, sizeof buffer);
        if (n <= 0)
            return shown;
        shown.append(buffer, static_cast<size_t>(n));
        deadline = steady_clock::now() + LIMIT;
    }
    fail("the client does not end; the last it showed:\n  "
         + printable(shown));
}

// What the user has done, in the end.
struct Deeds {
    bool typed_all = true;
    bool left = false;
    bool pressed_ctrl_c = false;
    steady_clock::time_point left_at;

    // The client gives itself 3 seconds after Ctrl+C. On a slow machine that
    // can be too few to show everything.
    bool was_hurried() const
    {
        return pressed_ctrl_c
               && steady_clock::now() - left_at > milliseconds(2500);
    }
};

static void use(Console& console, const Script& script,
                const std::atomic<bool>& is_over, Deeds& deeds)
{
    const auto wait = [&](int ms) {
        const auto until = steady_clock::now() + milliseconds(ms);
        while (!is_over && steady_clock::now() < until)
            pause_for(std::min(ms, 10));
    };
    bool takes = true;
    for (const Step& step : script.typed) {
        for (int i = 0; i < step.times && takes && !is_over; i++)
            takes = console.type(step.bytes);
        wait(step.pause);
    }
    wait(script.last_pause);
    deeds.typed_all = takes;
    if (script.leave == NEVER || is_over)
        return;
    deeds.pressed_ctrl_c = script.leave == PRESSES_CTRL_C;
    deeds.left = true;
    deeds.left_at = steady_clock::now();
    if (takes && console.leave(script.leave))
        return;
    deeds.pressed_ctrl_c = true;  // it is stuck, or has ended
    deeds.left_at = steady_clock::now();
    console.leave(PRESSES_CTRL_C);
}

// The texts on a terminal, each with a '\n'. Besides them there is nothing but
// what the client itself needs to divide it; and not even that if Ctrl+C was
// pressed before it could.
static string texts_on(const string& bytes, bool pressed_ctrl_c)
{
    const string open = TITLED + repeat("\n", ROWS) + DIVIDED;
    if (pressed_ctrl_c && stands_at(bytes, 0, LEAVING)) {
        check_whole_text(bytes, "on the terminal");
        return bytes;
    }
    check(stands_at(bytes, 0, open), "the terminal: " + printable(bytes));
    string texts;
    int closed = 0;
    for (size_t at = open.size(); at < bytes.size();) {
        if (stands_at(bytes, at, SHOW)) {
            at += SHOW.size();
            const size_t end = std::min(bytes.find('\033', at), bytes.size());
            const string text = bytes.substr(at, end - at);
            check_whole_text(text, "on the terminal");
            check(text.find('\n') == string::npos, "a '\\n' in a text");
            check(stands_at(bytes, end, SHOWN), "the end of a text");
            texts += text + "\n";
            at = end + SHOWN.size();
        } else if (stands_at(bytes, at, EMPTIED)) {
            at += EMPTIED.size();
        } else if (stands_at(bytes, at, CLOSED)) {
            at += CLOSED.size();
            closed++;
        } else if (closed && stands_at(bytes, at, LEAVING)) {
            texts += LEAVING;
            at += LEAVING.size();
        } else {
            fail("on the terminal: " + printable(bytes.substr(at, 200)));
        }
    }
    check(closed == 1, "the terminal is not given back");
    return texts;
}

// The client's exit code, and what it has said about it. (Ctrl+C can come while
// the connection ends: either is right then.)
static void judge_exit(const Round& round, const Deeds& deeds,
                       const RandomPeer& server, string texts, int code)
{
    if (deeds.pressed_ctrl_c && ends_with(texts, LEAVING))
        texts.erase(texts.size() - LEAVING.size());
    const bool says_lost = ends_with(texts, INTERRUPTED);
    const string all = "exit code " + to_string(code) + "; it showed\n  "
                       + printable(texts);
    check(code == 0 || code == 1, "neither 0 nor 1: " + all);
    if (code == 0)
        check(deeds.left, "nobody has left: " + all);
    else
        check((server.has_ended() && round.server.end != IS_POLITE)
                  || round.server_may_quit,
              "nobody has ended the connection: " + all);
    if (code == 1)
        check(says_lost || deeds.left, "it does not say why: " + all);
    else if (!deeds.pressed_ctrl_c)
        check(!says_lost, "it says lost, and that all is well: " + all);
}

// What the server got when it reads, and waits for a {quit}. True: checked.
static bool judge_delivery(const Round& round, const Deeds& deeds, string got)
{
    const Script& user = round.user;
    if ((round.server.end != IS_POLITE && round.server.end != STAYS)
        || round.server.reading == READS_NOTHING || round.server_may_quit
        || !user.is_clean || !deeds.typed_all)
        return false;
    string lines = all_bytes(user.typed) + (user.ends_line ? "" : "\n");
    const string bare = without(lines, '\n');
    if (!got.empty() && got.back() == '\n')
        got.pop_back();
    if (!deeds.pressed_ctrl_c) {  // all of it, as a line or a bare server wants
        if (got != lines + "{quit}")
            check_equal(got, bare + "{quit}", "what was typed");
        return true;
    }
    if (ends_with(got, "{quit}"))  // the beginning of it
        got.erase(got.size() - 6);
    while (ends_with(got, "\xEF\xBF\xBD") || ends_with(got, "\n"))
        got.erase(got.size() - (got.back() == '\n' ? 1 : 3));
    if (!stands_at(lines, 0, got))
        check_equal(got, bare.substr(0, got.size()), "what was typed");
    return true;
}

struct Counts {
    std::atomic<int> last_number{0};
    std::atomic<int> at_terminal{0};
    std::atomic<int> cut{0};  // by the client's own haste after Ctrl+C
    std::atomic<int> codes[2] = {{0}, {0}};
    std::atomic<int> deliveries{0};
    std::atomic<int> last_words{0};
    std::atomic<long> most_memory{0};  // kB
};

static void play(const Round& round, steady_clock::time_point end,
                 Counts& counts)
{
    Listener listener;
    std::unique_ptr<Console> console;
    {
        std::lock_guard<std::mutex> lock(programs_mutex);
        console = std::make_unique<Console>(listener.port(),
                                            round.user.at_terminal);
    }
    std::atomic<bool> is_over{false};
    Deeds deeds;
    RandomPeer server(round.number, listener.accept(), round.server, is_over,
                      end, true);
    std::thread server_thread([&] { server.run(); });
    std::thread user([&] { use(*console, round.user, is_over, deeds); });
    long memory = 0;
    string texts = watch(*console, memory);
    is_over = true;
    user.join();
    const bool is_cut = deeds.was_hurried();
    server_thread.join();
    const int code = console->exit_code();

    check_equal(console->errors(), string(), "the client's standard error");
    if (round.user.at_terminal && !is_cut)
        texts = texts_on(texts, deeds.pressed_ctrl_c);
    else if (!round.user.at_terminal)
        check(check_text(texts, 0, "what the client shows") == texts.size()
                  || is_cut, "what it shows ends in a character");
    judge_exit(round, deeds, server, texts, code);
    counts.cut += is_cut;
    counts.deliveries += judge_delivery(round, deeds, server.got());
    if (!round.last_words.empty() && server.has_said_all()) {
        const string last = without(round.last_words + INTERRUPTED, '\n');
        check(ends_with(without(texts, '\n'), last),
              "the server's last words are not shown: " + printable(texts));
        counts.last_words++;
    }
    if (!is_sanitized())
        check(memory < 10 * 1024, "memory: " + to_string(memory) + " kB");
    counts.most_memory = std::max(memory, counts.most_memory.load());
    counts.codes[code]++;
    counts.at_terminal += round.user.at_terminal;
}

TEST(a_random_server_against_the_client)
{
    const uint64_t seed = choose_seed();
    const auto end = choose_end();
    Counts counts;
    std::vector<std::thread> threads;
    for (int i = 0; i < ROUNDS; i++)
        threads.emplace_back([&] {
            while (steady_clock::now() < end)
                play(some_round(seed, ++counts.last_number), end, counts);
        });
    for (std::thread& thread : threads)
        thread.join();
    std::cout << counts.last_number << " rounds (" << counts.at_terminal
              << " at a terminal, " << counts.cut << " cut), exit code 0: "
              << counts.codes[0] << ", 1: " << counts.codes[1]
              << "; what was typed was compared "
              << counts.deliveries << " times, the last words "
              << counts.last_words << " times; " << counts.most_memory
              << " kB at most\n";
}
