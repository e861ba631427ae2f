// terminal.h - a (pseudo) terminal of the test's own, the client on it, and a
// strict reader of what that terminal gets: it knows all that the client may
// write there, and takes nothing else.

#ifndef TERMINAL_H
#define TERMINAL_H

#include "support.h"

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <termios.h>

const unsigned short ROWS = 24;
const unsigned short COLUMNS = 80;

// What client.cpp writes ("the console is the window") on 24 rows.
const string TITLED = "\033[22;0t\033]0;WhatsChat\a";
const string OPENED
    = TITLED + repeat("\r\n", ROWS);  // the terminal adds the '\r's
const string DIVIDED = "\0337\033[1;23r\0338\033[24d";
const string SHOW = "\0337\033[23;1H\033E";  // a message follows, and then:
const string SHOWN = "\0338";
const string EMPTIED = "\033[K";
const string CLOSED = "\033[r\033[999;1H\033[K\033[23;0t";

// --- clean text -------------------------------------------------------------

// The code point at text[at], and in `length` how many bytes it takes; -1: this
// is no UTF-8. (Decodes first, and then looks whether that was the right way to
// write it: not as the programs do it.)
inline long code_point_at(const string& text, size_t at, size_t& length)
{
    const auto lead = static_cast<unsigned char>(text[at]);
    length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length == 1)
        return lead;
    if (lead < 0xC0 || lead > 0xF7 || at + length > text.size())
        return -1;
    long code = lead & (0xFF >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((text[at + i] & 0xC0) != 0x80)
            return -1;
        code = (code << 6) | (text[at + i] & 0x3F);
    }
    const long lowest = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    return code < lowest || code > 0x10FFFF || is_surrogate ? -1 : code;
}

// Valid UTF-8, and no control character but '\n'.
inline void check_clean(const string& text)
{
    size_t length = 1;
    for (size_t at = 0; at < text.size(); at += length) {
        const long code = code_point_at(text, at, length);
        const bool is_control = code < 0x20 || (code >= 0x7F && code < 0xA0);
        if (is_control && code != '\n')
            fail("not clean, byte " + std::to_string(at) + " of:  "
                 + printable(text.substr(at < 40 ? 0 : at - 40, 80)));
    }
}

// --- what a terminal got ----------------------------------------------------

struct Screen {
    std::vector<string> messages;  // in order
    string echo;                   // of what was typed
    bool is_closed = false;        // the terminal was given back
};

class ScreenReader {
public:
    explicit ScreenReader(const string& all) : all_(all) {}

    Screen read()
    {
        Screen screen;
        if (!take(OPENED) || !take(DIVIDED))
            wrong("the window is opened otherwise");
        while (at_ < all_.size()) {
            if (screen.is_closed)
                wrong("more after the end");
            if (take(SHOW))
                screen.messages.push_back(message());
            else if (take(CLOSED))
                screen.is_closed = true;
            else if (take("\r\n"))
                screen.echo += '\n';
            else if (!take(DIVIDED) && !take(EMPTIED))
                screen.echo += typed();
        }
        return screen;
    }

private:
    bool take(const string& wanted)
    {
        if (all_.compare(at_, wanted.size(), wanted) != 0)
            return false;
        at_ += wanted.size();
        return true;
    }
    string message()
    {
        const size_t end = all_.find(SHOWN, at_);
        if (end == string::npos)
            wrong("a message without an end");
        const string text = all_.substr(at_, end - at_);
        check_clean(text);
        if (text.find('\n') != string::npos)
            wrong("a message of two lines");
        at_ = end + SHOWN.size();
        return text;
    }
    char typed()
    {
        if (all_[at_] < ' ' || all_[at_] > '~')  // the tests type no other
            wrong("nothing that the client may write");
        return all_[at_++];
    }
    [[noreturn]] void wrong(const string& why)
    {
        fail(why + ", byte " + std::to_string(at_) + ": "
             + printable(all_.substr(at_, 200)));
    }

    const string all_;
    size_t at_ = 0;
};

// --- a terminal -------------------------------------------------------------

// What the test gets to see of it.
enum View {
    EVERYTHING,       // the echo too, and "\r\n" for each '\n'
    WITHOUT_RETURNS,  // the same, with the '\r's dropped
    PROGRAM_ONLY      // no echo, no '\r' added: what the program writes, byte
                      // for byte
};

class PseudoTerminal {
public:
    Stream master;  // shows what is read from here, types what is sent

    explicit PseudoTerminal(View view = EVERYTHING)
    {
        const int fd = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        char name[100] = "";
        if (fd < 0 || ::grantpt(fd) != 0 || ::unlockpt(fd) != 0
            || ::ptsname_r(fd, name, sizeof name) != 0)
            skip("no pseudo terminals here");
        name_ = name;
        const winsize size = {ROWS, COLUMNS, 0, 0};
        ::ioctl(fd, TIOCSWINSZ, &size);
        if (view == PROGRAM_ONLY)
            leave_out_what_it_adds(fd);
        master = Stream(fd, view == WITHOUT_RETURNS);
    }

    // For `prepare`: begins a session, and opens the terminal's other end. Only
    // where the terminal `controls` the session does it send Ctrl+C as a
    // signal, and a hangup.
    int open(bool controls = true) const
    {
        ::setsid();
        const int fd = ::open(name_.c_str(),
                              O_RDWR | (controls ? 0 : O_NOCTTY));
        if (controls)
            ::ioctl(fd, TIOCSCTTY, 0);
        return fd;
    }

    // The same, and it becomes standard input and output.
    void become(bool controls = true) const
    {
        const int fd = open(controls);
        ::dup2(fd, 0);
        ::dup2(fd, 1);
        ::close(fd);
    }

private:
    static void leave_out_what_it_adds(int fd)
    {
        termios mode = {};
        ::tcgetattr(fd, &mode);
        mode.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        mode.c_oflag &= ~static_cast<tcflag_t>(OPOST);
        ::tcsetattr(fd, TCSANOW, &mode);
    }

    string name_;
};

// --- the client there -------------------------------------------------------

// Runs in the child, before it becomes the client. As under a shell, somebody
// else leads the session: what is still on its way to the terminal would be
// thrown away when the leader ends.
inline void lead_session(const PseudoTerminal& its_terminal)
{
    const int terminal = its_terminal.open();
    const pid_t client = ::fork();
    if (client == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it never outlives the test
        ::dup2(terminal, 0);
        ::dup2(terminal, 1);
        ::setenv("TERM", "xterm", 1);
        for (int fd = 3; fd < 256; fd++)
            ::close(fd);
        return;
    }
    for (const int number : {SIGINT, SIGQUIT, SIGHUP})
        ::signal(number, SIG_IGN);
    for (int fd = 3; fd < 256; fd++)
        ::close(fd);
    ::dprintf(1, "%d\n", static_cast<int>(client));
    int status = 0;
    ::waitpid(client, &status, 0);
    char c;
    while (::read(0, &c, 1) > 0) {
    }  // until the test has read the terminal
    ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

class TerminalClient : private PseudoTerminal, private Program {
public:
    explicit TerminalClient(int port,
                            const std::function<void()>& prepare = nullptr)
        : Program(client_program(), {"127.0.0.1", std::to_string(port)},
                  [this, prepare] {
                      lead_session(*this);
                      if (prepare)
                          prepare();
                  }),
          screen_(std::move(master))
    {
        client_ = std::atoi(out.read_line().c_str());
    }

    pid_t pid() const { return client_; }
    void type(const string& keys) { screen_.send(keys); }
    void wait_for(const string& text) { got_ += screen_.skip_to(text); }

    // Takes what comes, until nothing does for a while.
    void watch(int ms = 300)
    {
        while (screen_.read_some(milliseconds(ms))) {
        }
    }

    // The user closes the window of the terminal.
    void unplug() { screen_.close(); }

    // Waits until the client ends, and returns all that the terminal got.
    string expect_exit(int wanted)
    {
        if (screen_.fd() >= 0)
            got_ += screen_.rest();
        in.close();
        Program::expect_exit(wanted);
        check_equal(errors, string(), "standard error");
        return got_;
    }

private:
    Stream screen_;  // the master: closed before the program is ended
    string got_;     // from it, so far
    pid_t client_ = -1;
};

#endif
