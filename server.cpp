// server.cpp - the chat server: it passes every message on to everyone.
//
//   compile   g++ -std=c++17 server.cpp -o server    (Windows: add -lws2_32)
//   run       ./server              in a first terminal: it asks for the port
//             ./client 127.0.0.1    in a second one, and in a third
//
// The functions have the names and the order of the Python version,
// tests/python_version/server.py. Four kinds of thread share the work:
//   new_client_accept   one: lets clients in
//   client_handler      one for each client: reads what it writes
//   main                sends what was said to everyone, in rounds: each takes
//                       all that has come into the outbox since the last one
//   write_log           one: prints what has happened
//
// A line peer (our client, netcat) ends each message with '\n'. A bare peer
// (the Python client) does not: what one recv() brings is taken for a message.

#include "socket_compat.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

using std::chrono::steady_clock;

const int DEFAULT_PORT = 5300;
const int MAX_CLIENTS = 1000;
const std::size_t DEFAULT_BUFF = 1024;  // bytes of a recv(), and of a message
const int MAX_NAME = 32;                // characters
const int MAX_TRIES = 3;                // for a name, without a pause
const int BURST = 16;                   // messages, for a bare peer
const std::size_t SHARE = 8 * 1024;     // bytes a client may say in one round,
const std::size_t OUTBOX = 32 * SHARE;  // and all of them, or about so many
const std::size_t LOG = 64 * 1024;      // bytes of the log that may wait
const std::size_t PIECES = 8;           // of memory, kept in reserve; each has
const std::size_t PIECE = 2 * 1024 * 1024;  // so many bytes
const milliseconds NAME_PAUSE{250};     // it ends the name of a bare peer
const milliseconds TICK{100};           // Ctrl+C is noticed within one
const milliseconds RETRY{5};            // to the next try, if it is urgent
const milliseconds PATIENCE{500};       // so long one is waited for: a reader,
                                        // a leaver, the log

enum Kind { UNKNOWN, LINE_PEER, BARE_PEER };

struct Client {
    socket_t socket = NO_SOCKET;       // its thread alone closes it
    std::string address;               // "IP:PORT", for the log
    steady_clock::time_point since = steady_clock::now();  // it is connected
    Inbox inbox;                       // what it has written; for its thread
    Kind kind = UNKNOWN;               // its first bytes decide
    std::string name;                  // empty: it is not in the room
    std::string unsent;                // what it has yet to get
    std::size_t joined_at = 0;         // where its part of the outbox begins
    std::size_t said = 0;              // bytes in the outbox that it has said
    bool is_stuck = false;             // it does not read, and is dropped
    std::atomic<bool> is_lost{false};  // nothing more is sent to it
    std::thread thread;                // runs client_handler
};

// Guards clients, what is in them, and finished. Who sends to a client holds
// it, so that no two threads send on one socket. (static: known in this file.)
static std::mutex clients_mutex;
static std::map<socket_t, Client> clients;  // Python: clients and addresses
static std::vector<std::thread> finished;   // threads that are about to end
static std::condition_variable round_done;  // everyone has been sent something

// Guards the outbox and each Client::said. (Python's queue.Queue has such a
// lock inside.) Who needs both mutexes locks this one second.
static std::mutex outbox_mutex;
static std::string outbox;                     // messages, each with its '\n'
static std::condition_variable outbox_filled;  // main may take what is in it
static std::condition_variable outbox_taken;   // who has said its SHARE goes on

// Guards the log. Whoever holds it waits for nobody.
static std::mutex log_mutex;
static std::string log_text;                // lines that are yet to be printed
static bool log_has_gap = false;            // behind them some are missing
static bool log_ends = false;               // no more will come
static bool log_is_done = false;            // all is printed
static std::condition_variable log_filled;  // write_log() has something to do
static std::condition_variable log_done;    // it has done it, for good

// Guards the reserve. Whoever holds it never calls `new`, which could want it.
static std::mutex reserve_mutex;
static void* reserve[PIECES];
static std::atomic<std::size_t> reserved{0};  // so many are left in it

static std::atomic<bool> interrupted{false};  // Ctrl+C was pressed
static std::atomic<bool> closing{false};      // everyone has been sent {quit}
static socket_t SERVER = NO_SOCKET;           // the socket that listens

static void log_line(const std::string& line);
static void fill_reserve();
static void new_client_accept();
static void client_handler(Client& me);
static std::size_t broadcast(const std::string& msg,
                             const std::string& prefisso = "",
                             Client* sender = nullptr);
static void close_server();

// --- helpers: what Python's library did, or nobody did ----------------------

// Sends what the system takes at once; the rest stays in `unsent`. The caller
// holds clients_mutex.
// NOTE: in a burst a bare peer's own recv() can still glue or cut messages:
// nothing in its protocol says where one ends.
static void send_unsent(Client& client)
{
    std::string& text = client.unsent;
    const bool bare = client.kind == BARE_PEER;
    if (bare && std::count(text.begin(), text.end(), '\n') > BURST)
        // One send() for all then, with the same bytes: the room has to wait
        // for each call, and thousands would take seconds.
        text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
    std::size_t sent = 0;
    while (sent < text.size() && !client.is_lost) {
        // A bare peer gets a send() for each message, without its '\n'.
        const std::size_t end
            = bare ? std::min(text.find('\n', sent), text.size()) : text.size();
        const int n = send_some(client.socket, &text[sent], end - sent);
        if (n == LOST)
            client.is_lost = true;
        else
            sent += static_cast<std::size_t>(n);
        if (sent < end)
            break;  // the system has no room for more
        if (bare)
            sent++;
    }
    text.erase(0, client.is_lost ? text.size() : sent);
    text.shrink_to_fit();  // an idle client keeps no memory
}

// Sends one client a text of its own. The caller holds clients_mutex.
static void tell(Client& client, const std::string& text)
{
    client.unsent += text + '\n';
    send_unsent(client);
}

// Decides what kind of peer this is, once and for all: a '\n' makes it a line
// peer, a pause after its first bytes a bare one. For its own thread.
static void decide_kind(Client& me, bool has_paused)
{
    const bool newline = me.inbox.received.find('\n') != std::string::npos;
    if (me.kind != UNKNOWN || (!newline && !has_paused))
        return;
    std::lock_guard<std::mutex> lock(clients_mutex);
    me.kind = newline ? LINE_PEER : BARE_PEER;
    me.inbox.chunks = !newline;
}

// Waits for the client's next message. False: it has gone, and all that it had
// written was returned before (unless the server is closing). For its own
// thread, which holds no mutex.
static bool read_message(Client& me, Message& message)
{
    char buffer[DEFAULT_BUFF];
    while (!next_message(me.inbox, message)) {
        if (me.inbox.at_end || closing)
            return false;
        const bool undecided = me.kind == UNKNOWN && !me.inbox.is_empty();
        const int n = recv_some(me.socket, buffer, sizeof buffer,
                                undecided ? NAME_PAUSE : UNTIL_WOKEN);
        if (n > 0)
            me.inbox.received.append(buffer, static_cast<std::size_t>(n));
        else if (n != TIME_UP || me.is_lost)
            end_inbox(me.inbox);
        if (n == LOST)
            me.is_lost = true;
        decide_kind(me, undecided && n == TIME_UP);
    }
    return true;
}

// Why a client cannot have this name; empty: it can. The caller holds
// clients_mutex, and keeps it until the name is taken.
static std::string fault_of_name(const std::string& name)
{
    const auto begins_character = [](char c) {
        return (c & 0xC0) != 0x80;  // its other bytes are 10xxxxxx in UTF-8
    };
    if (std::count_if(name.begin(), name.end(), begins_character) > MAX_NAME)
        return "Il nome può avere al massimo " + std::to_string(MAX_NAME)
               + " caratteri";
    if (name.find(':') != std::string::npos)
        return "Il nome non può contenere i due punti";
    if (name.find_first_not_of(' ') == std::string::npos)
        return "Il nome non può essere vuoto";
    for (const auto& entry : clients)
        if (entry.second.name == name)
            return "Il nome " + name + " è già in uso";
    return "";
}

// Reads names until one will do, and lets the client into the room. False: it
// left without one. For its own thread, which holds no mutex.
static bool enter_room(Client& me)
{
    Message name;
    int tries = 0;
    while (read_message(me, name) && !name.is_quit() && !me.is_lost) {
        if (name.is_rest)
            continue;  // of a name that was too long
        if (tries++ >= MAX_TRIES)  // else it could keep the mutex busy
            std::this_thread::sleep_for(TICK);
        std::lock_guard<std::mutex> lock(clients_mutex);
        const std::string fault = fault_of_name(name.text);
        if (fault.empty()) {
            // First the others, then its welcome: so it misses nothing that
            // comes behind the one, and nothing comes before the other.
            me.joined_at = broadcast(name.text + " si è unito all chat!");
            me.name = name.text;
            tell(me, "Benvenuto " + me.name
                 + "! Se vuoi lasciare la Chat, scrivi {quit} per uscire.");
            return true;
        }
        tell(me, fault + ": digitane un altro.");
        if (!me.unsent.empty()) {  // it does not read the answers
            me.is_stuck = me.is_lost = true;
            return false;
        }
    }
    return false;
}

// Sends a client its part of this round, after what it has yet to get. If that
// is not all taken, and the room `is_late` or memory runs out, it is dropped.
// True: it is behind. The caller holds clients_mutex.
static bool send_part(Client& client, const std::string& round, bool is_late)
{
    if (!round.empty()) {
        if (!client.name.empty())
            client.unsent.append(round, client.joined_at);
        client.joined_at = 0;
    }
    send_unsent(client);
    const bool is_behind = !client.unsent.empty();
    if (is_behind && (is_late || reserved < PIECES / 2))
        client.is_stuck = client.is_lost = true;
    if (client.is_lost) {
        std::string().swap(client.unsent);  // gives its memory back at once
        shutdown_socket(client.socket);  // its thread reads an end, and leaves
    }
    return is_behind && !client.is_lost;
}

// One round: waits up to TICK until there is something in the outbox, takes it
// all, and sends each client its part. While somebody is behind it takes
// nothing: the room waits for who is slow, though not longer than PATIENCE,
// and the outbox is full for who is fast. For main; it holds no mutex.
static void deliver()
{
    static bool somebody_is_behind = false;
    static steady_clock::time_point last_empty;  // the outbox was, by then
    fill_reserve();
    {
        const bool in_a_hurry = somebody_is_behind || interrupted;
        std::unique_lock<std::mutex> lock(outbox_mutex);
        outbox_filled.wait_for(lock, in_a_hurry ? RETRY : TICK, [] {
            return !outbox.empty() && !somebody_is_behind;
        });
    }
    std::lock_guard<std::mutex> lock(clients_mutex);
    const auto now = steady_clock::now();
    std::string round;
    {
        std::lock_guard<std::mutex> second_lock(outbox_mutex);
        if (!somebody_is_behind || interrupted) {
            round.swap(outbox);
            for (auto& entry : clients)
                entry.second.said = 0;
            outbox_taken.notify_all();
        }
        if (outbox.empty())
            last_empty = now;
    }
    const bool is_late = now - last_empty >= PATIENCE;
    somebody_is_behind = false;
    for (auto& entry : clients)
        if (send_part(entry.second, round, is_late))
            somebody_is_behind = true;
    if (!round.empty())
        last_empty = steady_clock::now();  // our sending is not their delay
    round_done.notify_all();

    for (std::thread& thread : finished)
        thread.join();  // at once: it needs no mutex any more
    finished.clear();
}

// Makes SERVER listen on all addresses of this machine, and says where.
// Returns false, and says why, if it cannot.
static bool start_listening(int PORT)
{
    sockaddr_in ADDR = {};  // Python: (HOST, PORT), where HOST = ''
    ADDR.sin_family = AF_INET;
    ADDR.sin_addr.s_addr = htonl(INADDR_ANY);  // 0.0.0.0
    ADDR.sin_port = htons(static_cast<unsigned short>(PORT));
    socklen_t size = sizeof ADDR;

    SERVER = ::socket(AF_INET, SOCK_STREAM, 0);
    if (SERVER != NO_SOCKET) {  // else these would hide why there is none
        set_reuse_address(SERVER);
        set_nonblocking(SERVER);  // who connects can be gone before accept()
    }
    if (SERVER == NO_SOCKET
        || ::bind(SERVER, reinterpret_cast<sockaddr*>(&ADDR), size) != 0
        || ::listen(SERVER, MAX_CLIENTS) != 0) {
        print("La porta " + std::to_string(PORT) + " non è disponibile: "
              + socket_error() + "\nSe un altro server la sta usando, chiudilo,"
              " oppure scegli un'altra porta: ./server 5301");
        return false;
    }
    ::getsockname(SERVER, reinterpret_cast<sockaddr*>(&ADDR), &size);
    log_line("In attesa di connessioni... (porta "
             + std::to_string(ntohs(ADDR.sin_port)) + ")");
    return true;
}

// The port from the command line, or else from the keyboard. Ends the program
// if there is something else on the command line.
static int choose_port(const std::vector<std::string>& words)
{
    if (words.empty())
        return ask_port("Inserisci la porta del server (Default 5300): ", 0,
                        DEFAULT_PORT);
    const int port = parse_port(words[0], 0);
    if (words.size() > 1 || port < 0) {
        print("Uso: ./server [PORTA]\n"
              "Avvia il server della chat; Ctrl+C lo termina. PORTA va da 1 a"
              " 65535\n(0: la sceglie il sistema); se manca, viene chiesta.");
        std::exit(words.size() == 1 && words[0] == "--help" ? 0 : 2);
    }
    return port;
}

// --- helpers for when the system is stuck, or has no more -------------------

// Python's print(), for whoever may not wait: standard output can be stuck (a
// full pipe, a terminal after Ctrl+S, a Windows console where text is marked).
// Any thread may call it.
static void log_line(const std::string& line)
{
    std::lock_guard<std::mutex> lock(log_mutex);
    if (log_text.size() < LOG)
        log_text += line + '\n';
    else
        log_has_gap = true;
    log_filled.notify_one();
}

// Prints the log. Runs in a thread of its own, until end_log().
static void write_log()
{
    ignore_interrupts();  // they would end a write() half done
    const std::string gap = "Qualche riga del registro è andata persa.\n";
    std::string text;  // begins with the gap, if the last print() failed
    std::unique_lock<std::mutex> lock(log_mutex);
    while (!log_ends || !log_text.empty()) {
        text += log_text + (log_has_gap ? gap : "");
        std::string().swap(log_text);  // empty, and its memory is free
        log_has_gap = false;
        lock.unlock();
        text = print(text, "") ? "" : "\n" + gap;  // a full disk, perhaps
        lock.lock();
        log_filled.wait(lock, [] { return log_ends || !log_text.empty(); });
    }
    log_is_done = true;
    log_done.notify_one();
}

// Lets the log be printed to its end, if that takes no longer than PATIENCE.
static void end_log(std::thread& log_thread)
{
    std::unique_lock<std::mutex> lock(log_mutex);
    log_ends = true;
    log_filled.notify_one();
    if (!log_done.wait_for(lock, PATIENCE, [] { return log_is_done; }))
        std::_Exit(0);  // nothing can end a print() that is stuck
    lock.unlock();
    log_thread.join();
}

// `new` calls it when there is no memory, in whatever thread: it frees a piece
// of the reserve, and `new` tries again. (It is the "new handler"; see
// std::set_new_handler.)
static void give_up_reserve()
{
    std::lock_guard<std::mutex> lock(reserve_mutex);
    if (reserved == 0)
        throw std::bad_alloc();  // NOTE: nobody catches it, the server ends
    std::free(reserve[--reserved]);
}

// Fills the reserve up again, and says how things stand. For main.
static void fill_reserve()
{
    static bool was_short = false;
    static steady_clock::time_point next_try;
    if (reserved < PIECES && steady_clock::now() >= next_try) {
        std::lock_guard<std::mutex> lock(reserve_mutex);
        while (reserved < PIECES) {
            void* piece = std::malloc(PIECE);
            if (!piece)
                break;
            reserve[reserved++] = piece;
        }
        next_try = steady_clock::now() + std::chrono::seconds(1);
    }
    const bool is_short = reserved < PIECES;
    if (is_short != was_short)
        log_line(is_short ? "La memoria sta finendo: per ora non entra nessuno,"
                            " e chi è indietro viene scollegato."
                          : "C'è di nuovo memoria.");
    was_short = is_short;
}

// Turns out a client that has given no name, to make room for a newcomer: at
// the IP address with the most of them (so that nobody can take the places of
// others) the one that has waited longest. False: all have names. The caller
// holds clients_mutex.
static bool turn_out_nameless()
{
    std::map<std::string, std::vector<Client*>> nameless;  // at each IP
    for (auto& entry : clients) {
        Client& client = entry.second;
        const auto end_of_ip = client.address.find(':');
        if (client.name.empty() && !client.is_lost)
            nameless[client.address.substr(0, end_of_ip)].push_back(&client);
    }
    Client* longest = nullptr;
    std::size_t most = 0;
    for (const auto& entry : nameless)
        for (Client* client : entry.second)
            if (entry.second.size() > most
                || (entry.second.size() == most
                    && client->since < longest->since)) {
                longest = client;
                most = entry.second.size();
            }
    if (!longest)
        return false;
    log_line(longest->address + " non ha un nome, e cede il posto.");
    tell(*longest, "Il server è pieno, e chi non ha un nome cede il posto:"
                   " riprova più tardi.");
    longest->is_lost = true;
    shutdown_socket(longest->socket);  // its thread reads an end, and leaves
    return true;
}

// --- the functions of the Python version ------------------------------------

// Lets a client in: greets it and starts its thread, or says why not.
static void let_in(socket_t socket_client, const std::string& address)
{
    std::lock_guard<std::mutex> lock(clients_mutex);
    std::string refusal;
    if (reserved < PIECES)
        refusal = "Il server non ha più risorse";
    else if (clients.size() >= MAX_CLIENTS && !turn_out_nameless())
        refusal = "Il server è pieno";
    Client& client = clients[socket_client];
    client.socket = socket_client;
    client.address = address;
    try {
        if (refusal.empty())
            client.thread = std::thread(client_handler, std::ref(client));
    } catch (const std::system_error&) {
        refusal = "Il server non ha più risorse";
    }
    if (refusal.empty()) {
        tell(client, "CIAO! Digita il tuo Nome seguito dal tasto Invio!");
        return;
    }
    tell(client, refusal + ": riprova più tardi.");
    log_line(address + " non è entrato: " + refusal + ".");
    clients.erase(socket_client);
    shutdown_socket(socket_client);
    close_socket(socket_client);
}

// Waits for clients and lets them in, one after the other, until Ctrl+C.
// Python: new_client_accept. Runs in a thread of its own.
static void new_client_accept()
{
    bool is_refused = false;  // by the system: no descriptors left, perhaps
    while (!interrupted) {
        if (!wait_readable(SERVER, TICK)) {
            is_refused = false;
            continue;
        }
        std::string client_address;
        const socket_t client = accept_client(SERVER, client_address);
        if (client != NO_SOCKET) {
            log_line(client_address + " si è collegato.");
            let_in(client, client_address);
        } else if (!would_block()) {
            const bool is_full = no_descriptors();
            if (!is_refused)  // say it once
                log_line("Per ora non entra nessuno: " + socket_error());
            is_refused = true;
            std::unique_lock<std::mutex> lock(clients_mutex);
            const bool is_urgent = is_full && turn_out_nameless();
            lock.unlock();
            std::this_thread::sleep_for(is_urgent ? RETRY : TICK);
        }
    }
}

// Serves one client: lets it into the room, passes each of its messages on to
// everyone, and tells them when it has left, however it left. Python:
// client_handler. Runs in a thread of its own.
static void client_handler(Client& me)
{
    me.inbox.limit = DEFAULT_BUFF - 1;
    const bool has_entered = enter_room(me);
    const std::string name = me.name;
    const std::string prefisso = name + ": ";
    me.inbox.limit -= prefisso.size();
    Message msg;
    while (has_entered && read_message(me, msg) && !msg.is_quit())
        broadcast(msg.text, prefisso, &me);

    {
        std::unique_lock<std::mutex> lock(clients_mutex);
        // What it has said comes back to it before it is closed.
        round_done.wait(lock, [&] {
            return (me.said == 0 && me.unsent.empty()) || me.is_lost;
        });
        me.name.clear();
        if (has_entered)
            broadcast(name + " ha abbandonato la Chat.");
        if (me.is_stuck)
            log_line(me.address + " non legge i messaggi.");
    }
    log_line(me.is_lost && !closing
                 ? "la connessione con " + me.address + " si e' interrotta"
                 : me.address + " si è scollegato.");

    if (!me.is_lost)
        finish_socket(me.socket, PATIENCE);
    // Closed last: the system gives the number to the next connection.
    std::lock_guard<std::mutex> lock(clients_mutex);
    const socket_t socket_client = me.socket;
    finished.push_back(std::move(me.thread));
    clients.erase(socket_client);
    close_socket(socket_client);
}

// Puts a message into the outbox, for everyone in the room, and returns how
// long the outbox is now. Python: broadcast, which sends to each client in
// turn; here main does, so that the thread that reads from one client sends to
// no other. With a `sender`: waits while that client has said its SHARE of this
// round, which is smaller the fuller the OUTBOX is. (A few short words always
// pass: 262 bytes, OUTBOX / MAX_CLIENTS.) The caller holds no mutex then.
static std::size_t broadcast(const std::string& msg,
                             const std::string& prefisso, Client* sender)
{
    std::unique_lock<std::mutex> lock(outbox_mutex);
    const std::size_t size = prefisso.size() + msg.size() + 1;
    if (sender) {
        outbox_taken.wait(lock, [&] {
            const std::size_t part = outbox.size() / (OUTBOX / SHARE);
            return sender->said + part < SHARE
                   || sender->said + size <= OUTBOX / MAX_CLIENTS;
        });
        sender->said += size;
    }
    if (outbox.empty())
        outbox_filled.notify_one();
    outbox += prefisso + msg + '\n';
    return outbox.size();
}

// Tells everyone, also those without a name, and waits until their threads
// have ended. Python: close_server, which the signal itself calls. Here main
// does: a C++ signal handler may do little but set a flag (signal-safety(7)).
static void close_server()
{
    log_line("Terminazione del server...");
    deliver();  // what was said before
    std::unique_lock<std::mutex> lock(clients_mutex);
    for (auto& entry : clients) {
        // Where the kind is unknown, as the Python client wants it: without
        // '\n'. A line peer reads it as well, since the stream ends there.
        Client& client = entry.second;
        client.unsent += client.kind == LINE_PEER ? "{quit}\n" : "{quit}";
        send_unsent(client);
        client.is_lost = true;
        shutdown_socket(client.socket);  // its thread reads an end, and leaves
    }
    closing = true;
    while (!clients.empty() || !finished.empty()) {
        lock.unlock();
        deliver();  // to nobody: it lets go who waits for a round, and joins
        lock.lock();
    }
}

int main(int argc, char* argv[])
{
    start_sockets();
    const int PORT = choose_port(arguments(argc, argv));
    on_interrupt([](int) { interrupted = true; });
    if (!start_listening(PORT))
        return 1;
    fill_reserve();
    std::set_new_handler(give_up_reserve);
    std::thread log_thread = start_thread(write_log);
    std::thread accept_thread = start_thread(new_client_accept);
    while (!interrupted)
        deliver();
    accept_thread.join();
    close_server();
    close_socket(SERVER);
    end_log(log_thread);
    return 0;
}
