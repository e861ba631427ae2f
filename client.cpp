// client.cpp - the chat client: shows what the server sends, and sends what is
// typed. A console stands in for the window of the Python version.
//
//   compile   g++ -std=c++17 client.cpp -o client    (Windows: add -lws2_32)
//   run       ./server              in a first terminal
//             ./client 127.0.0.1    in a second one, and in a third
//
// The functions of the Python version, tests/python_version/client.py, come
// first, in its order; then what they need; main is last. Once connected, there
// are two threads:
//   receive   waits for the server, and shows what comes
//   main      waits for the keyboard, and sends what was typed
//
// Most system functions are called with :: in front, as in ::connect. A "bare"
// server (the Python version) does not end its messages with '\n'.

#include "socket_compat.h"

#include <future>
#include <thread>

const int DEFAULT_PORT = 5300;
const size_t DEFAULT_BUFF = 1024;          // bytes of a message
const size_t PREFIX = 130;                 // of these: 4 * 32 for a name, ": "
const milliseconds DEFAULT_TIMEOUT{2000};  // to connect, and for an answer
const milliseconds GAP{50};    // between two messages to a bare server
const milliseconds TICK{100};  // how often we look for Ctrl+C
const string QUIT = "{quit}";
const string USAGE = "Uso: ./client [INDIRIZZO [PORTA]]\n"
    "Entra nella chat; prima va avviato ./server. INDIRIZZO è quello del"
    " server, o\nil suo nome, PORTA va da 1 a 65535; quello che manca viene"
    " chiesto.\nPer uscire: {quit}, oppure Ctrl+C.";

// static: known only in this file
static string HOST;                         // the server's address or name
static int PORT = -1;                       // -1: not known yet
static socket_t client_socket = NO_SOCKET;  // main sends, receive() receives
// What has arrived. main uses it until receive() starts, and then receive();
// from then on `lines` does not change, and both may read it.
static Inbox inbox{4 * DEFAULT_BUFF, false};  // false: see read_greeting()

// For both threads: until when we wait for the server to close (NEVER: we are
// not leaving), and when we first sent without an answer (NEVER: all answered).
const auto NEVER = steady_clock::time_point::max();
static std::atomic<steady_clock::time_point> leave_by{NEVER};
static std::atomic<steady_clock::time_point> asked_at{NEVER};

static string connect_to(const sockaddr& ADDR, milliseconds limit);
static bool read_message(string& message);
static void show(const string& text);
[[noreturn]] static void end_program(const string& reason, int code);

// --- the functions of the Python version ------------------------------------

// Takes HOST and PORT from the command line, and asks for what is missing.
// Python: start_chat.
static void start_chat(int argc, char* argv[]) {
    if (argc > 1)
        std::istringstream(argv[1]) >> HOST;  // drops blanks around it
    if (argc > 2)
        PORT = parse_port(argv[2], 1);
    if (HOST == "--help")
        end_program(USAGE, 0);
    if (argc > 3 || (argc == 3 && PORT < 0))
        end_program(USAGE, 2);
    string line;
    while (HOST.empty()) {
        print("Inserire l'ip del Server host: ", "");
        if (!read_line(line))
            end_program("\nManca l'indirizzo: ./client INDIRIZZO PORTA", 1);
        std::istringstream(line) >> HOST;
        if (HOST.empty())
            print("L'indirizzo non può essere vuoto.");
    }
    if (PORT < 0)
        PORT = ask_port("Inserire la porta: (Default 5300) ", 1, DEFAULT_PORT);
}

// Connects client_socket to the server. If it cannot, prints why, and returns
// false. Python: connect_with_timeout. Runs in a thread of its own, since we
// cannot limit how long it takes to look a name up. A name can have several
// addresses, which share the time that there is.
static bool connect_with_timeout() {
    addrinfo hints = {};
    // IPv4, as in the server: "localhost" can also mean ::1 (IPv6), where
    // nobody would answer.
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* addresses = nullptr;
    const int error = ::getaddrinfo(HOST.c_str(), std::to_string(PORT).c_str(),
                                    &hints, &addresses);
    string reason = ::gai_strerror(error);  // once we are connected: empty
    int count = 0;
    for (auto* a = addresses; a; a = a->ai_next)
        count++;
    for (auto* a = addresses; a && !reason.empty(); a = a->ai_next)
        reason = connect_to(*a->ai_addr, (DEFAULT_TIMEOUT - TICK) / count);
    if (addresses)
        ::freeaddrinfo(addresses);
    if (!reason.empty())
        print("Errore durante la connessione: " + reason);
    return reason.empty();
}

// Shows what the server sends, until the server closes. If that happens before
// we leave, it ends the program, since nothing can wake main at the keyboard.
// Python: receive. Runs in a thread of its own.
static void receive() {
    ignore_interrupts();
    string message;
    while (read_message(message) && message != QUIT)
        show(message);
    if (!interrupted && leave_by.load() == NEVER)
        end_program("La connessione con il server e' stata interrotta", 1);
    ::shutdown(client_socket, SHUT_RDWR);  // wakes main if it is in send()
}

// Cleans a line that was typed, and sends it; to a bare server in pieces that
// fit into a recv(1024) together with our name. Python: send. If the connection
// is broken, it gives up: receive() says so.
static void send(const string& msg) {
    Inbox typed;  // cleans and cuts, as it does with what comes in
    typed.received = msg + "\n";
    if (!inbox.lines)
        typed.limit = DEFAULT_BUFF - PREFIX;
    string text;
    while (next_message(typed, text)) {
        if (text == QUIT)  // set first: the server may close at once
            leave_by = steady_clock::now() + DEFAULT_TIMEOUT;
        if (inbox.lines)
            text += '\n';
        if (asked_at.load() == NEVER)
            asked_at = steady_clock::now();
        while (!text.empty()) {  // the system may take it in parts
            wait_ready(client_socket, POLLOUT, UNTIL_WOKEN);
            if (!send_some(client_socket, text))
                return;
        }
        if (!inbox.lines)
            std::this_thread::sleep_for(GAP);
    }
}

// Says goodbye when the input has ended or Ctrl+C was pressed; receive() then
// waits for the server to close. Python: close.
static void close() {
    show("Uscendo dalla chat...");
    send(QUIT);
}

// --- their helpers: connecting ----------------------------------------------

// Connects client_socket to one address. Returns why that failed; empty: it is
// connected.
static string connect_to(const sockaddr& ADDR, milliseconds limit) {
    client_socket = ::socket(AF_INET, SOCK_STREAM, 0);
    set_up_connection(client_socket);
    string reason = "nessuna risposta";
    if (::connect(client_socket, &ADDR, sizeof ADDR) != 0 && !would_block()) {
        reason = socket_error();
    } else if (wait_ready(client_socket, POLLOUT, limit)) {
        sockaddr us = {};
        socklen_t size = sizeof us;
        ::getsockname(client_socket, &us, &size);
        int code = 0;
        size = sizeof code;
        ::getsockopt(client_socket, SOL_SOCKET, SO_ERROR,
                     reinterpret_cast<char*>(&code), &size);
        // With nobody listening, the port that the system picks for us can be
        // the very one that we call: then we are connected to ourselves.
        // (sa_data begins with 2 bytes for the port, and 4 for the IP address.)
        if (code != 0)
            reason = std::system_category().message(code);
        else if (!std::equal(us.sa_data, us.sa_data + 6, ADDR.sa_data))
            return "";
    }
    close_socket(client_socket);
    return reason;
}

// Runs connect_with_timeout() in a thread of its own, and waits for it; ends
// the program if that takes too long, or fails. Python: the lines about
// connection_thread.
static void connect_to_server() {
    auto connection = std::async(std::launch::async, connect_with_timeout);
    const auto deadline = steady_clock::now() + DEFAULT_TIMEOUT;
    bool is_done = connection.wait_for(TICK) == std::future_status::ready;
    if (!is_done)
        print("Connessione in corso...");
    while (!is_done && !interrupted && steady_clock::now() < deadline)
        is_done = connection.wait_for(TICK) == std::future_status::ready;
    if (interrupted || !is_done || !connection.get())
        end_program("Connessione non riuscita\nIl server " + HOST
                    + " è avviato, e la sua porta è " + std::to_string(PORT)
                    + "?", 1);
}

const milliseconds PAUSE{250};  // after a greeting that has no '\n'

// Waits for the greeting. If it ends with '\n', all messages of this server do,
// and ours must. If not, or if none comes, the server is bare: what one recv()
// brings counts as a message.
static void read_greeting() {
    const auto deadline = steady_clock::now() + DEFAULT_TIMEOUT;
    milliseconds limit = DEFAULT_TIMEOUT;
    while (inbox.received.size() < DEFAULT_BUFF && !inbox.lines
           && steady_clock::now() < deadline
           && receive_into(inbox, client_socket, limit) > 0) {
        inbox.lines = inbox.received.back() == '\n';
        limit = PAUSE;
    }
    inbox.chunks = !inbox.lines;
}

// --- the console is the window ----------------------------------------------
//
// On a terminal messages scroll in all rows but the last two. Typed text has
// these two rows: the terminal itself echoes and edits it, and no message gets
// into it. Elsewhere (a pipe, TERM=dumb, Windows) there are plain lines and no
// control sequences; use TERM=dumb in a debugger, too. 999 means the last row.

// The sequence that lets only the rows first to last scroll. It also moves the
// cursor.
static string region(int first, int last) {
    return "\033[" + std::to_string(first) + ";" + std::to_string(last) + "r";
}

// Names stand out, and texts without a name are faint, if colours are wanted
// (no-color.org).
static string highlight(const string& text) {
    const char* no_color = std::getenv("NO_COLOR");
    const size_t colon = text.find(": ");
    if (no_color && *no_color)
        return text;
    if (colon == string::npos)
        return "\033[2m" + text + "\033[22m";
    return "\033[1m" + text.substr(0, colon) + "\033[22m" + text.substr(colon);
}

// Shows a message above what is being typed. ESC 7 and ESC 8 save and restore
// the cursor; 999B moves it down to the last row of the region. ESC E begins a
// new line there: after '\n' the terminal might echo a typed letter.
static void show(const string& text) {
    const int rows = window_rows;
    if (rows > 0)
        print("\0337" + region(1, rows - 2) + "\033[999B\033E" + highlight(text)
              + region(rows - 1, rows) + "\0338", "");
    else
        print(text);
}

// Divides the terminal when the window is opened, changes size, or was stopped
// by Ctrl+Z. NOTE: a new size can hide half a typed line: Ctrl+R shows it.
static void refresh_window() {
    const int rows = terminal_rows();
    if (window_rows == NO_WINDOW || rows < 4 || rows == window_rows)
        return;
    if (window_rows.exchange(rows) == 0)
        print("");
    print("\0337" + region(rows - 1, rows) + "\0338\033[999d", "");
}

static void open_window() {
    if (open_terminal())
        print("\033[22;0t\033]0;WhatsChat\a\n", "");  // its title
    refresh_window();
}

// Erases the line that was just sent, in the row above the cursor. What has
// been typed since then stays.
static void empty_entry() {
    if (window_rows > 0)
        print("\0337\033[A\033[2K\0338\033[K", "");
}

// Gives the terminal back; the messages stay on it.
static void close_window(bool forget) {
    if (window_rows > 0)
        print("\033[r\033[999;1H\033[A\033[J\033[23;0t", "");
    close_terminal(forget);
}

// --- their helpers: messages, and the end -----------------------------------

const milliseconds SILENCE{5000};  // after this we say that nobody answers

// Waits for the next message. False: the connection has ended, or we leave and
// the server does not close. Only for receive().
static bool read_message(string& message) {
    while (!next_message(inbox, message)) {
        if (interrupted && leave_by.load() == NEVER)
            leave_by = steady_clock::now() + DEFAULT_TIMEOUT;
        if (inbox.at_end || steady_clock::now() > leave_by.load())
            return false;
        if (steady_clock::now() - asked_at.load() > SILENCE) {
            show("Il server non risponde: la rete funziona?");
            asked_at = NEVER;
        }
        refresh_window();
        if (receive_into(inbox, client_socket, TICK) > 0)
            asked_at = NEVER;
    }
    return true;
}

// Ends the program early, and shows the reason, or that Ctrl+C was pressed.
// Python: os._exit.
static void end_program(const string& reason, int code) {
    show(interrupted ? "Uscendo dalla chat..." : reason);
    close_window(true);
    std::_Exit(interrupted ? 0 : code);
}

int main(int argc, char* argv[]) {
    start_sockets();
    on_interrupt();
    start_chat(argc, argv);
    connect_to_server();
    open_window();
    read_greeting();
    std::thread receive_thread(receive);
    string line;
    while (leave_by.load() == NEVER && read_line(line)) {
        send(line);
        empty_entry();
    }
    if (interrupted || leave_by.load() == NEVER)
        close();
    receive_thread.join();
    close_window(interrupted);
    close_socket(client_socket);
}
