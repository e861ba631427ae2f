// client.cpp - the chat client: shows what the server sends, and sends what
// is typed. A console stands in for the window of the Python version.
//
//   compile   g++ -std=c++17 client.cpp -o client    (Windows: add -lws2_32)
//   run       ./server              in a first terminal
//             ./client 127.0.0.1    in a second one, and in a third
//
// The functions have the names and the order of the Python version,
// tests/python_version/client.py. Two threads share the work:
//   receive   waits for the server and shows what comes
//   main      waits for the keyboard and sends what was typed

#include "socket_compat.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <iostream>
#include <thread>

using std::chrono::steady_clock;

const int DEFAULT_PORT = 5300;
const std::size_t DEFAULT_BUFF = 1024;     // bytes of one recv()
const milliseconds DEFAULT_TIMEOUT{2000};  // for connecting, for the greeting,
                                           // and for the server to close
const milliseconds TICK{100};   // receive() notices within one that we leave
const milliseconds PAUSE{250};  // it ends the greeting of a bare server
const milliseconds GAP{50};     // between two messages to a bare server

// static: known in this file only
static std::string HOST;                    // the server's address or name
static int PORT = -1;                       // -1: not known yet
static socket_t client_socket = NO_SOCKET;  // main sends, receive() receives
static bool is_line_server = false;  // its messages end with '\n', so do ours
static Inbox inbox;                  // from the server; for receive(), and for
                                     // main before that thread has started
static std::atomic<bool> connection_successful{false};
static std::atomic<bool> interrupted{false};  // Ctrl+C was pressed
static std::atomic<bool> leaving{false};  // close() was called: exit code 0
static std::atomic<bool> is_lost{false};  // send() found no connection

static bool start_chat();
static void connect_with_timeout();
static void receive();
static bool send(const std::string& msg);
static void close();

// --- the console is the window ----------------------------------------------
//
// On a terminal the messages scroll in all rows but the last (its "scroll
// region"), and the last row is the entry line, where the terminal itself
// echoes and edits what is typed: a message that arrives cannot get into it.
// Elsewhere (a pipe, TERM=dumb, Windows) there are plain lines, and no sequence
// at all: for a debugger in the same terminal, start it with TERM=dumb.

static std::atomic<int> rows{0};  // of the terminal; 0: plain lines

// Divides the terminal: the region for the messages, the last row for typing.
static void divide_window()
{
    rows = terminal_rows();
    const std::string last = std::to_string(rows);
    // Save the cursor, since the next moves it; the region; restore the cursor,
    // and put it on the last row. (xterm's "Control Sequences" names them all.)
    if (rows >= 3)
        print("\0337\033[1;" + std::to_string(rows - 1) + "r\0338\033[" + last
              + "d", "");
}

// Looks, at each tick, whether Ctrl+Z was pressed, the program goes on after a
// stop, or the terminal has another size.
// NOTE: a size that changes while messages pour in can hide half a typed line,
// since they are on their way for the old one. It is sent whole all the same.
static void refresh_window()
{
    bool divide = has_gone_on.exchange(false) || terminal_rows() != rows;
    if (stop_asked.exchange(false)) {
        print("\033[r\033[999;1H\033[K", "");
        stop_program();
        divide = true;
    }
    if (divide)
        divide_window();
}

// Opens the window: the screen is empty, what stood there is scrolled away.
static void open_window()
{
    if (!is_terminal() || terminal_rows() == 0)
        return;
    watch_terminal();
    print("\033[22;0t\033]0;WhatsChat\a", "");  // its title, for the old one
    print(std::string(static_cast<std::size_t>(terminal_rows()), '\n'), "");
    divide_window();
}

// Shows a message above the entry line, which stays as it is: save the cursor,
// go to the last row of the region, to a new line, and back. (ESC E, not '\n',
// at which the terminal could put in the echo of a letter, up there.)
static void show(const std::string& text)
{
    if (rows < 3)
        print(text);
    else
        print("\0337\033[" + std::to_string(rows - 1) + ";1H\033E" + text
              + "\0338", "");
}

// Empties the entry line: what stood there was sent. What has been typed since
// then stands before the cursor, and stays.
static void empty_entry()
{
    if (rows > 0)
        print("\033[K", "");
}

// Gives the terminal back; the messages stay on it.
static void close_window()
{
    if (rows.exchange(0) > 0)
        print("\033[r\033[999;1H\033[K\033[23;0t", "");
}

// --- helpers: what Python's library did, or nobody did ----------------------

// Takes HOST and PORT from the command line, as far as they are there. Ends
// the program if there is something else.
static void read_arguments(const std::vector<std::string>& words)
{
    if (words.size() > 0)
        HOST = words[0];
    if (words.size() > 1)
        PORT = parse_port(words[1], 1);
    const bool help = words.size() == 1 && HOST == "--help";
    if (help || words.size() > 2 || (words.size() == 2 && PORT < 0)) {
        print("Uso: ./client [INDIRIZZO [PORTA]]\n"
              "Entra nella chat; prima va avviato ./server. INDIRIZZO è quello"
              " del server, o\nil suo nome, PORTA va da 1 a 65535; quello che"
              " manca viene chiesto.\nPer uscire: {quit}, oppure Ctrl+C.");
        std::exit(help ? 0 : 2);
    }
}

// Runs connect_with_timeout() in a thread of its own, which may take
// DEFAULT_TIMEOUT; a name server that does not answer can keep it longer.
// Python: connection_thread.join(timeout=DEFAULT_TIMEOUT).
static void connect_to_server()
{
    // (static: start_thread() wants a function, which can see nothing else.)
    static std::packaged_task<void()> connection(connect_with_timeout);
    std::future<void> done = connection.get_future();
    std::thread connection_thread = start_thread([] { connection(); });
    const auto deadline = steady_clock::now() + DEFAULT_TIMEOUT;
    bool is_done = false;
    while (!is_done && !interrupted && steady_clock::now() < deadline)
        is_done = done.wait_for(TICK) == std::future_status::ready;
    if (is_done && connection_successful && !interrupted) {
        connection_thread.join();
        return;
    }
    if (interrupted)
        print("Uscendo dalla chat...");
    else
        print("Connessione non riuscita\nIl server " + HOST
              + " è avviato, e la sua porta è " + std::to_string(PORT) + "?");
    // NOTE: the thread may be stuck in a call that nothing can end, so the
    // program ends at once, as Python's does with os._exit(1).
    std::_Exit(interrupted ? 0 : 1);
}

// Waits for the greeting, DEFAULT_TIMEOUT at most: if it ends with '\n' so do
// all messages of this server, and it wants ours to. A bare one (the Python
// version) takes what one recv() brings it for a message.
static void read_greeting()
{
    const auto deadline = steady_clock::now() + DEFAULT_TIMEOUT;
    char buffer[DEFAULT_BUFF];
    milliseconds wait = DEFAULT_TIMEOUT;
    int n = 1;
    while (!is_line_server && n > 0 && inbox.received.size() < DEFAULT_BUFF
           && steady_clock::now() < deadline) {
        n = recv_some(client_socket, buffer, sizeof buffer, wait);
        if (n > 0) {
            inbox.received.append(buffer, static_cast<std::size_t>(n));
            is_line_server = inbox.received.back() == '\n';
        }
        wait = PAUSE;
    }
    inbox.lines = is_line_server;
    inbox.chunks = !is_line_server;
    inbox.limit = 4 * DEFAULT_BUFF;  // whatever the server sends
}

// Waits for the next message. False: the connection has ended, or the user has
// left and DEFAULT_TIMEOUT has passed since. Only receive() calls it.
static bool read_message(Message& message)
{
    const auto NEVER = steady_clock::time_point::max();
    static auto deadline = NEVER;
    char buffer[DEFAULT_BUFF];
    for (;;) {
        const auto now = steady_clock::now();
        if ((leaving || interrupted) && deadline == NEVER) {
            deadline = now + DEFAULT_TIMEOUT;
            if (interrupted)
                show("Uscendo dalla chat...");
        }
        if (now >= deadline)
            return false;
        if (rows > 0)
            refresh_window();
        if (next_message(inbox, message))
            return true;
        if (inbox.at_end)
            return false;
        const int n = recv_some(client_socket, buffer, sizeof buffer, TICK);
        if (n > 0)
            inbox.received.append(buffer, static_cast<std::size_t>(n));
        if (n == 0 || n == LOST)
            end_inbox(inbox);
    }
}

// Sends one message, framed as the server wants it. Returns false if the
// connection is broken; receive() then says so. Only main calls it.
static bool send_message(const std::string& text)
{
    static steady_clock::time_point last_sent;
    if (!is_line_server)
        std::this_thread::sleep_until(last_sent + GAP);
    if (!send_all(client_socket, is_line_server ? text + "\n" : text))
        is_lost = true;
    last_sent = steady_clock::now();
    return !is_lost;
}

// --- the functions of the Python version ------------------------------------

// Asks for what the command line did not say. Returns false at the end of
// input. Python: start_chat.
static bool start_chat()
{
    while (HOST.empty()) {
        print("Inserire l'ip del Server host: ", "");
        if (!std::getline(std::cin, HOST))
            return false;
        if (HOST.empty())
            print("L'indirizzo non può essere vuoto.");
    }
    if (PORT < 0)
        PORT = ask_port("Inserire la porta: (Default 5300) ", 1, DEFAULT_PORT);
    return true;
}

// Connects client_socket to the server, and says why if that fails. Python:
// connect_with_timeout. connect_to_server() gives it a thread and its time.
static void connect_with_timeout()
{
    addrinfo hints = {};
    hints.ai_family = AF_INET;  // as the server listens: "localhost" can also
    hints.ai_socktype = SOCK_STREAM;  // mean ::1, where nobody would answer
    addrinfo* addresses = nullptr;
    const int error = ::getaddrinfo(HOST.c_str(), std::to_string(PORT).c_str(),
                                    &hints, &addresses);
    std::string reason = error != 0 ? address_error(error) : "";
    for (addrinfo* ADDR = error == 0 ? addresses : nullptr;
         ADDR && !connection_successful; ADDR = ADDR->ai_next) {
        client_socket = ::socket(AF_INET, SOCK_STREAM, 0);
        if (client_socket != NO_SOCKET
            && ::connect(client_socket, ADDR->ai_addr,
                         static_cast<socklen_t>(ADDR->ai_addrlen)) == 0) {
            set_no_delay(client_socket);
            connection_successful = true;
        } else {
            reason = socket_error();
            close_socket(client_socket);
        }
    }
    if (error == 0)
        ::freeaddrinfo(addresses);
    if (!connection_successful)
        print("Errore durante la connessione: " + reason);
}

// Shows what the server sends, and ends the program if the server closes
// unasked: main may be waiting at the keyboard, where nothing can wake it.
// Python: receive. Runs in a thread of its own.
static void receive()
{
    ignore_interrupts();  // main must get them: they end its wait
    Message message;
    while (read_message(message) && !message.is_quit())
        show(message.text);
    shutdown_socket(client_socket);  // in case main is stuck in a send()
    const bool has_left = leaving;  // main may set it meanwhile
    if (has_left && !interrupted)
        return;  // main waits for this thread, and ends the program
    if (!has_left && !interrupted)
        show("La connessione con il server e' stata interrotta");
    drop_typed();  // half a line would go to the shell, as a command
    close_window();
    std::_Exit(interrupted ? 0 : 1);  // Python: os._exit(1)
}

// Sends a line that was typed: cleaned, and for a bare server cut into pieces
// that fit its recv(1024). Returns false when there is nothing more to send:
// it was {quit}, which close() sends, or the connection is broken. Python:
// send.
static bool send(const std::string& msg)
{
    Inbox typed;
    typed.limit = is_line_server ? std::string::npos : DEFAULT_BUFF;
    typed.received = msg + "\n";
    Message message;
    while (next_message(typed, message)) {
        if (message.is_quit())
            return false;
        if (message.text == "{quit}")  // a piece of a long line is no {quit}
            message.text = " {quit}";
        if (!send_message(message.text))
            return false;
    }
    return true;
}

// Takes leave, whether {quit} was typed, the input has ended, or Ctrl+C was
// pressed; receive() then waits until the server closes. Python: close (and
// on_closing, where there is a window to close).
static void close()
{
    if (is_lost || leaving.exchange(true))
        return;  // receive() will say so; or it has been done
    go_on_after_ctrl_s();  // receive() may be stuck in a print()
    send_message("{quit}");
}

int main(int argc, char* argv[])
{
    start_sockets();
    read_arguments(arguments(argc, argv));
    on_interrupt([](int) {
        if (!interrupted.exchange(true))
            end_within(3);  // more than DEFAULT_TIMEOUT
        if (!end_input())  // on Windows: this is a thread like any other there
            close();
    });
    if (!start_chat()) {
        print(interrupted ? "Uscendo dalla chat..."
                          : "\nManca l'indirizzo: ./client INDIRIZZO PORTA");
        return interrupted ? 0 : 1;
    }
    connect_to_server();
    open_window();
    read_greeting();
    std::thread receive_thread = start_thread(receive, close_window);
    std::string line;
    while (!interrupted && std::getline(std::cin, line)) {
        if (!send(line))
            break;
        empty_entry();  // may wait: Ctrl+S can have stopped the terminal
    }
    close();
    receive_thread.join();
    close_window();
    close_socket(client_socket);
    return 0;
}
