// server.cpp - the chat server: it passes every message on to everyone.
//
//   compile   g++ -std=c++17 server.cpp -o server    (Windows: add -lws2_32)
//   run       ./server              in a first terminal: it asks for the port
//             ./client 127.0.0.1    in a second one, and in a third
//
// The functions have the names and the order of the Python version,
// tests/python_version/server.py. Three kinds of thread share the work:
//   new_client_accept   one: lets clients in
//   client_handler      one for each client: reads what it writes
//   main                sends what was said to everyone, in rounds: each takes
//                       all that has come into the outbox since the last one
//
// A line peer (our client, netcat) ends each message with '\n'. A bare peer
// (the Python client) does not: what one recv() brings is taken for a message.

#include "socket_compat.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

using std::chrono::steady_clock;

const int DEFAULT_PORT = 5300;
const int MAX_CLIENTS = 1000;
const std::size_t DEFAULT_BUFF = 1024;  // bytes of a recv(), and of a message
const int MAX_NAME = 32;                // characters
const std::size_t SHARE = 8 * 1024;     // bytes a client may say in one round,
const std::size_t OUTBOX = 16 * SHARE;  // and all of them together
const milliseconds NAME_PAUSE{250};     // it ends the name of a bare peer
const milliseconds TICK{100};           // Ctrl+C is noticed within one
const milliseconds RETRY{5};            // between tries to send what is left
const milliseconds PATIENCE{500};       // so long a client may hold up a round

enum Kind { UNKNOWN, LINE_PEER, BARE_PEER };

struct Client {
    socket_t socket = NO_SOCKET;       // its thread alone closes it
    std::string address;               // "IP:PORT", for the log
    Inbox inbox;                       // what it has written; for its thread
    Kind kind = UNKNOWN;               // its first bytes decide
    std::string name;                  // empty: it is not in the room
    std::string unsent;                // what it has yet to get
    std::size_t joined_at = 0;         // where its part of the outbox begins
    std::size_t said = 0;              // bytes in the outbox that it has said
    steady_clock::duration waited{};   // how long it has held up the room
    bool is_stuck = false;             // longer than PATIENCE: it is dropped
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

static std::atomic<bool> interrupted{false};  // Ctrl+C was pressed
static std::atomic<bool> closing{false};      // everyone has been sent {quit}
static socket_t SERVER = NO_SOCKET;           // the socket that listens

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
    while (read_message(me, name) && !name.is_quit()) {
        if (name.is_rest)
            continue;  // of a name that was too long
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
        if (me.unsent.empty())  // else answers that it does not read pile up
            tell(me, fault + ": digitane un altro.");
    }
    return false;
}

// Sends a client its part of this round, after what it has yet to get. The
// room has just waited for it for `wait`: when that makes PATIENCE without a
// break, it is dropped. True: it is behind. The caller holds clients_mutex.
static bool send_part(Client& client, const std::string& round,
                      steady_clock::duration wait)
{
    if (!round.empty()) {
        if (!client.name.empty())
            client.unsent.append(round, client.joined_at);
        client.joined_at = 0;
    }
    send_unsent(client);
    const bool is_behind = !client.unsent.empty();
    client.waited = is_behind ? client.waited + wait : wait.zero();
    if (client.waited >= PATIENCE)
        client.is_stuck = client.is_lost = true;
    if (client.is_lost)
        shutdown_socket(client.socket);  // its thread reads an end, and leaves
    return is_behind && !client.is_lost;
}

// One round: waits up to TICK until there is something in the outbox, takes it
// all, and sends each client its part. While somebody is behind it takes
// nothing: the room waits for who is slow, though not longer than PATIENCE,
// and the outbox is full for who is fast. For main; it holds no mutex.
static void deliver()
{
    static bool somebody_is_behind = false;
    static steady_clock::time_point last_time;
    {
        const bool in_a_hurry = somebody_is_behind || interrupted;
        std::unique_lock<std::mutex> lock(outbox_mutex);
        outbox_filled.wait_for(lock, in_a_hurry ? RETRY : TICK, [] {
            return !outbox.empty() && !somebody_is_behind;
        });
    }
    std::lock_guard<std::mutex> lock(clients_mutex);
    const auto now = steady_clock::now();
    steady_clock::duration wait{};
    std::string round;
    {
        std::lock_guard<std::mutex> second_lock(outbox_mutex);
        if (!somebody_is_behind || interrupted) {
            round.swap(outbox);
            for (auto& entry : clients)
                entry.second.said = 0;
            outbox_taken.notify_all();
        } else if (!outbox.empty()) {
            wait = now - last_time;
        }
    }
    last_time = now;
    somebody_is_behind = false;
    for (auto& entry : clients)
        if (send_part(entry.second, round, wait))
            somebody_is_behind = true;
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
    set_reuse_address(SERVER);
    set_nonblocking(SERVER);  // who connects can be gone before accept()
    if (::bind(SERVER, reinterpret_cast<sockaddr*>(&ADDR), size) != 0
        || ::listen(SERVER, MAX_CLIENTS) != 0) {
        print("La porta " + std::to_string(PORT) + " non è disponibile: "
              + socket_error() + "\nSe un altro server la sta usando, chiudilo,"
              " oppure scegli un'altra porta: ./server 5301");
        return false;
    }
    ::getsockname(SERVER, reinterpret_cast<sockaddr*>(&ADDR), &size);
    print("In attesa di connessioni... (porta "
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

// --- the functions of the Python version ------------------------------------

// Lets a client in: greets it and starts its thread, or says why not.
static void let_in(socket_t socket_client, const std::string& address)
{
    std::lock_guard<std::mutex> lock(clients_mutex);
    Client& client = clients[socket_client];
    client.socket = socket_client;
    client.address = address;
    std::string refusal;
    if (clients.size() > MAX_CLIENTS)
        refusal = "Il server è pieno";
    try {
        if (refusal.empty())
            client.thread = std::thread(client_handler, std::ref(client));
    } catch (const std::system_error&) {
        refusal = "Il server non ha più risorse";  // no threads, or memory
    }
    if (refusal.empty()) {
        tell(client, "CIAO! Digita il tuo Nome seguito dal tasto Invio!");
        return;
    }
    tell(client, refusal + ": riprova più tardi.");
    print(address + " non è entrato: " + refusal + ".");
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
        if (!wait_readable(SERVER, TICK))
            continue;
        std::string client_address;
        const socket_t client = accept_client(SERVER, client_address);
        if (client != NO_SOCKET) {
            print(client_address + " si è collegato.");
            let_in(client, client_address);
            is_refused = false;
        } else if (!would_block()) {
            if (!is_refused)  // say it once
                print("Per ora non entra nessuno: " + socket_error());
            is_refused = true;
            std::this_thread::sleep_for(TICK);
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

    bool is_stuck = false;
    {
        std::unique_lock<std::mutex> lock(clients_mutex);
        // What it has said comes back to it before it is closed.
        round_done.wait(lock, [&] {
            return (me.said == 0 && me.unsent.empty()) || me.is_lost;
        });
        me.name.clear();
        if (has_entered)
            broadcast(name + " ha abbandonato la Chat.");
        is_stuck = me.is_stuck;
    }
    if (is_stuck)
        print(me.address + " non legge i messaggi.");
    print(me.is_lost && !closing
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
// round, or the OUTBOX is full; the caller holds no mutex then.
static std::size_t broadcast(const std::string& msg,
                             const std::string& prefisso, Client* sender)
{
    std::unique_lock<std::mutex> lock(outbox_mutex);
    if (sender) {
        outbox_taken.wait(lock, [&] {
            return sender->said < SHARE && outbox.size() < OUTBOX;
        });
        sender->said += prefisso.size() + msg.size() + 1;
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
    print("Terminazione del server...");
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
    std::thread accept_thread(new_client_accept);
    while (!interrupted)
        deliver();
    accept_thread.join();
    close_server();
    close_socket(SERVER);
    return 0;
}
