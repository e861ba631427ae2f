// server.cpp - the chat server: it passes every message on to everyone.
//
//   compile   g++ -std=c++17 server.cpp -o server    (Windows: add -lws2_32)
//   run       ./server              in a first terminal: it asks for the port
//             ./client 127.0.0.1    in a second one, and in a third
//
// The functions of the Python version, tests/python_version/server.py, come
// first, in its order; then their helpers; main is last. There are three kinds
// of thread:
//   new_client_accept   one: lets clients in
//   client_handler      one for each client: reads what that client writes, and
//                       queues it for everyone
//   main                sends what is queued, in rounds: see deliver(). Only
//                       main sends, closes sockets, and erases clients.
//
// Our client and netcat end each message with '\n'. The Python client does not:
// we call such a peer "bare", and treat what one recv() brings as a message. We
// notice it when a name comes without '\n', and a pause follows.
//
// Most system functions are called with :: in front, as in ::accept.

#include "socket_compat.h"

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <thread>

const int DEFAULT_PORT = 5300;
const int MAX_CLIENTS = 1000;      // in Python only the limit of listen()
const size_t DEFAULT_BUFF = 1024;  // bytes of a message, name and '\n' included
const string QUIT = "{quit}";
const milliseconds TICK{100};      // how often we look for Ctrl+C
const milliseconds PATIENCE{500};  // how long we wait for a peer that is silent
                                   // or does not read
const size_t BOUND = 256 * 1024;   // bytes that all clients together may say in
                                   // one round. A client with more than this
                                   // unsent is too far behind
const size_t OVERHEAD = 16;        // bytes added to the size of each message:
                                   // tiny ones cost work, too

// A client is in the map `clients` from accept() until main erases it. First it
// has no name. Then it has one, and is in_room. When it leaves, it loses both.
// When its thread is done, it has_ended. is_lost can become true at any time.
struct Client {
    // Set before its thread starts, and never changed:
    socket_t socket = NO_SOCKET;
    string address;  // "IP:PORT"
    // Guarded by clients_mutex:
    string name;              // only the client's own thread changes it, and so
                              // may read it without the mutex
    bool in_room = false;     // it gets all messages
    bool has_ended = false;   // main may erase it: its thread is done
    string unsent;            // bytes to send as soon as possible
    std::list<string> paced;  // messages to a bare peer, to be sent one by one
    size_t said = 0;          // bytes of its share used since `renewed_at`
    std::thread thread;       // runs client_handler
    // Only for the client's own thread:
    Inbox inbox{DEFAULT_BUFF - 1};  // what it writes; the limit is without '\n'
    // Only for main:
    steady_clock::time_point next_send;  // the next of `paced` goes out then
    // For every thread, with or without the mutex:
    std::atomic<bool> is_bare{false};  // it gets no '\n': a bare peer
    std::atomic<bool> is_lost{false};  // the connection is broken, or dropped
};

// clients_mutex guards the map, has_news, and most of each Client. No thread
// may wait long while it holds the mutex. (A condition variable releases the
// mutex while a thread waits for it.)
static std::mutex clients_mutex;
static std::map<socket_t, Client> clients;  // Python: clients and addresses
static bool has_news = false;               // something was queued
static std::condition_variable news;        // main waits for has_news
static std::condition_variable round_done;  // clients' threads wait for main

// Only for main:
static bool has_unsent = false;  // something is still unsent: retry soon
static steady_clock::time_point renewed_at;  // when `said` was last set to 0

static socket_t SERVER = NO_SOCKET;  // listens; set before the threads start

static void client_handler(Client& me);
static void broadcast(const string& msg, const string& prefisso = "");
static void tell(Client& client, const string& text);
static void announce(const Client& client, const string& what);
static bool read_name(Client& me);
static bool read_message(Client& me, string& message);
static void finish(Client& me);
static void deliver();
static void log_line(const string& line);

// --- the functions of the Python version ------------------------------------

// Lets clients in, one after the other, until Ctrl+C. Python:
// new_client_accept. Runs in a thread of its own.
static void new_client_accept() {
    while (!interrupted) {
        if (!wait_ready(SERVER, POLLIN, TICK))
            continue;
        sockaddr_in from = {};
        socklen_t size = sizeof from;
        const socket_t socket_client
            = ::accept(SERVER, reinterpret_cast<sockaddr*>(&from), &size);
        if (socket_client == NO_SOCKET) {  // usually: too many open files
            log_line("Per ora non entra nessuno: " + socket_error());
            std::this_thread::sleep_for(std::chrono::seconds(1));
            continue;
        }
        set_up_connection(socket_client);
        char ip[INET_ADDRSTRLEN] = "";
        ::inet_ntop(AF_INET, &from.sin_addr, ip, sizeof ip);
        std::lock_guard<std::mutex> lock(clients_mutex);
        Client& client = clients[socket_client];
        client.socket = socket_client;
        client.address = ip + (":" + std::to_string(ntohs(from.sin_port)));
        log_line(client.address + " si è collegato.");
        try {
            if (clients.size() <= MAX_CLIENTS)  // this one included
                client.thread = std::thread(client_handler, std::ref(client));
        } catch (const std::system_error&) {  // the system has no more threads
        }
        if (client.thread.joinable()) {
            tell(client, "CIAO! Digita il tuo Nome seguito dal tasto Invio!");
        } else {
            tell(client, "Il server è pieno: riprova più tardi.");
            log_line(client.address + " non è entrato: il server è pieno.");
            client.has_ended = true;
        }
    }
}

// Serves one client: lets it into the room, passes each of its messages on to
// everyone, and tells them when it has left, however it left. Python:
// client_handler. Runs in a thread of its own, one for each client.
static void client_handler(Client& me) {
    if (read_name(me)) {
        const string prefisso = me.name + ": ";
        {
            std::lock_guard<std::mutex> lock(clients_mutex);
            tell(me, "Benvenuto " + me.name
                 + "! Se vuoi lasciare la Chat, scrivi {quit} per uscire.");
            announce(me, " si è unito all chat!");
            me.in_room = !interrupted;  // after Ctrl+C nobody enters
        }
        string msg;
        while (read_message(me, msg) && msg != QUIT) {
            std::unique_lock<std::mutex> lock(clients_mutex);
            // Back-pressure: all clients together may say about one BOUND in a
            // round. A client that has used its share waits for the next one.
            round_done.wait(lock, [&me] {
                return me.said < BOUND / clients.size() || !me.in_room;
            });
            if (!me.in_room)
                break;  // close_server() has told everyone {quit}
            me.said += prefisso.size() + msg.size() + OVERHEAD;
            broadcast(msg, prefisso);
        }
        std::lock_guard<std::mutex> lock(clients_mutex);
        me.in_room = false;
        if (!interrupted)
            announce(me, " ha abbandonato la Chat.");
        me.name.clear();  // others may take it now
    }
    finish(me);
}

// Queues a message for every client in the room. Python: broadcast, which sends
// it at once, and waits for a client that does not read; here main sends it.
// The caller must hold clients_mutex.
static void broadcast(const string& msg, const string& prefisso) {
    const string text = prefisso + msg;
    for (auto& [socket_client, client] : clients)
        if (client.in_room)
            tell(client, text);
}

// Tells everyone {quit}, and ends all connections and threads. Python:
// close_server, which is its signal handler. Here the handler sets
// `interrupted`, and main calls this: a handler must not lock a mutex, as the
// thread that was interrupted may hold that mutex (signal-safety(7)).
static void close_server() {
    log_line("Terminazione del server...");
    std::unique_lock<std::mutex> lock(clients_mutex);
    broadcast(QUIT);
    for (auto& [socket_client, client] : clients) {
        if (!client.in_room) {
            client.is_bare = true;  // perhaps it is: we do not know
            tell(client, QUIT);
        }
        client.in_room = false;
    }
    lock.unlock();
    const auto deadline = steady_clock::now() + PATIENCE;
    while (!clients.empty()) {  // no lock: only main changes the map now
        deliver();
        if (steady_clock::now() > deadline)
            for (auto& [socket_client, client] : clients)
                client.is_lost = true;  // deliver() then drops it
    }
}

// --- their helpers: for broadcast -------------------------------------------

// Queues a message for one client, and wakes main, which sends it. The caller
// must hold clients_mutex.
static void tell(Client& client, const string& text) {
    if (interrupted && text != QUIT)
        return;  // from Ctrl+C on only {quit}, so that nothing follows it
    if (client.is_bare) {
        // If a long text is split on its way, its last part can be exactly
        // {quit}, which would end the Python client. A space prevents that.
        const bool ends_in_quit = text.size() > QUIT.size()
            && text.substr(text.size() - QUIT.size()) == QUIT;
        client.paced.push_back(ends_in_quit ? text + ' ' : text);
    } else {
        client.unsent += text;
        client.unsent += '\n';
    }
    has_news = true;
    news.notify_one();
}

// Tells the room and the log what a client has done. The caller must hold
// clients_mutex.
static void announce(const Client& client, const string& what) {
    broadcast(client.name + what);
    log_line(client.name + " (" + client.address + ")" + what);
}

// --- their helpers: names ---------------------------------------------------

// Characters (from, to) that have no place in a name: in Unicode 15 the spaces
// (Zs), format characters (Cf), letters that look blank, and "ignorable" ones.
const char32_t INVISIBLE[][2] = {
    {' ', ' '}, {0xA0, 0xA0}, {0xAD, 0xAD}, {0x34F, 0x34F}, {0x600, 0x605},
    {0x61C, 0x61C}, {0x6DD, 0x6DD}, {0x70F, 0x70F}, {0x890, 0x891},
    {0x8E2, 0x8E2}, {0x115F, 0x1160}, {0x1680, 0x1680}, {0x17B4, 0x17B5},
    {0x180B, 0x180F}, {0x2000, 0x200F}, {0x2028, 0x202F}, {0x205F, 0x206F},
    {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164}, {0xFE00, 0xFE0F},
    {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x110BD, 0x110BD},
    {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x16FE4, 0x16FE4},
    {0x1BCA0, 0x1BCA3}, {0x1D159, 0x1D159}, {0x1D173, 0x1D17A},
    {0xE0000, 0xE0FFF}};

// Returns the name without blanks at its ends, and with only one between words.
// INVISIBLE characters count as blanks: otherwise two clients could both look
// like "Anna".
static string trim(const string& text) {
    string name;
    size_t length = 0;
    for (size_t at = 0; at < text.size(); at += length) {
        const char32_t c = decode(text, at, length);
        bool is_blank = false;
        for (const auto& range : INVISIBLE)
            if (c >= range[0] && c <= range[1])
                is_blank = true;
        if (!is_blank)
            name.append(text, at, length);
        else if (!name.empty() && name.back() != ' ')
            name += ' ';
    }
    return name.substr(0, name.find_last_not_of(' ') + 1);
}

const int MAX_NAME = 32;  // characters

// Returns what is wrong with a name, or "" if it may be taken. (With a colon it
// could imitate another client's messages.) The caller must keep clients_mutex
// locked until it has stored the name.
static string fault_of_name(const string& name) {
    const auto begins = [](char byte) { return !continues(byte); };
    const auto length = std::count_if(name.begin(), name.end(), begins);
    if (length < 1 || length > MAX_NAME || name.find(':') != string::npos)
        return "Un nome ha da 1 a 32 caratteri, senza i due punti";
    for (const auto& [socket_client, client] : clients)
        if (client.name == name)
            return "Il nome " + name + " è già in uso";
    return "";
}

// Reads names until one is good, and takes it. False: the client has left
// without one. Called only by the client's own thread, without the mutex.
static bool read_name(Client& me) {
    string text;
    while (!me.is_lost && read_message(me, text)) {
        if (me.inbox.is_rest)
            continue;  // the rest of a line that was too long is no name
        const string name = trim(text);
        if (name == QUIT)
            return false;
        std::unique_lock<std::mutex> lock(clients_mutex);
        const string fault = fault_of_name(name);
        if (fault.empty()) {
            me.name = name;
            me.inbox.limit = DEFAULT_BUFF - name.size() - 3;  // ": " and '\n'
            return true;
        }
        tell(me, fault + ": digitane un altro.");
        lock.unlock();
        std::this_thread::sleep_for(TICK);  // slows down endless bad names
    }
    return false;
}

// --- their helpers: what a client says, and how it leaves -------------------

const milliseconds NAME_PAUSE{250};  // a peer that pauses so long is bare

// Waits for the client's next message. False: there are no more. If the first
// bytes of a name are followed by a pause and not by '\n', this is a bare peer.
// Called only by the client's own thread, without the mutex.
static bool read_message(Client& me, string& message) {
    while (!next_message(me.inbox, message)) {
        if (me.inbox.at_end)
            return false;
        const bool has_begun = me.name.empty() && !me.inbox.received.empty();
        const int n = receive_into(me.inbox, me.socket,
                                   has_begun ? NAME_PAUSE : UNTIL_WOKEN);
        if (n == TIME_UP && has_begun) {
            me.inbox.chunks = true;
            me.is_bare = true;
        }
        if (n == LOST)
            me.is_lost = true;
        if (n == TIME_UP && me.is_lost)  // for Windows: see UNTIL_WOKEN
            return false;
    }
    return true;
}

// Waits until all is sent, says that no more will come (SHUT_WR), and discards
// input until the client closes, or is silent for PATIENCE. A close() with
// input unread would make TCP send a reset, and the client could lose our last
// messages (RFC 2525, section 2.17). All this takes about 10 * PATIENCE at
// most. Called only by the client's own thread, without the mutex.
static void finish(Client& me) {
    const auto deadline = steady_clock::now() + 10 * PATIENCE;
    std::unique_lock<std::mutex> lock(clients_mutex);
    round_done.wait_until(lock, deadline, [&me] {
        return me.unsent.empty() && me.paced.empty();
    });
    lock.unlock();
    ::shutdown(me.socket, SHUT_WR);
    while (!me.is_lost && steady_clock::now() < deadline
           && receive_into(me.inbox, me.socket, PATIENCE) > 0)
        me.inbox.received.clear();
    if (me.is_lost && !interrupted)
        log_line("la connessione con " + me.address + " si e' interrotta");
    log_line(me.address + " si è scollegato.");
    lock.lock();
    me.has_ended = true;
}

// --- the rounds of main -----------------------------------------------------

const milliseconds RETRY{5};      // between two tries to send
const milliseconds BARE_GAP{20};  // between two messages to a bare peer: its
                                  // recv() then usually brings one at a time
const size_t BURST = 16;          // messages that may wait for a gap; if more
                                  // do, the oldest go out at once

// Sends a client as much of what is queued as the system takes. Drops it if its
// connection is broken, or if it is too far behind and the others have waited
// long enough. Only main calls it, with clients_mutex held.
static void send_unsent(Client& client, bool patience_is_over) {
    while (!client.paced.empty()) {
        const bool is_early = steady_clock::now() < client.next_send;
        if (is_early && client.paced.size() <= BURST)
            break;
        client.unsent += client.paced.front();
        client.paced.pop_front();
        client.next_send = steady_clock::now() + BARE_GAP;
    }
    if (!client.unsent.empty() && !send_some(client.socket, client.unsent))
        client.is_lost = true;
    if (client.unsent.size() > BOUND && patience_is_over) {
        log_line(client.name + " (" + client.address
                 + ") non legge i messaggi.");
        client.is_lost = true;
    }
    if (client.is_lost) {
        ::shutdown(client.socket, SHUT_RDWR);  // wakes its thread in poll()
        client.unsent.clear();
        client.paced.clear();
    }
}

// One round: waits for news, sends what is queued, erases the clients whose
// threads have ended, and renews the shares, so that everyone may speak again.
// While any client is too far behind, it does not renew them: talkers wait for
// that reader. When this has lasted for PATIENCE, it drops every client that is
// too far behind. Only main calls it.
static void deliver() {
    std::this_thread::yield();  // let others queue more first: fewer sends
    std::unique_lock<std::mutex> lock(clients_mutex);
    const auto limit = has_unsent ? RETRY : TICK;
    news.wait_for(lock, limit, [] { return has_news; });
    if (!has_news && !has_unsent)
        for (auto& [socket_client, client] : clients)
            client.unsent.shrink_to_fit();  // it is quiet: give memory back
    has_news = false;
    has_unsent = false;
    const bool patience_is_over = steady_clock::now() > renewed_at + PATIENCE;
    bool somebody_is_behind = false;
    for (auto it = clients.begin(); it != clients.end();) {
        Client& client = it->second;
        send_unsent(client, patience_is_over);
        if (!client.unsent.empty() || !client.paced.empty())
            has_unsent = true;
        if (client.unsent.size() > BOUND)
            somebody_is_behind = true;
        if (client.has_ended) {
            if (client.thread.joinable())
                client.thread.join();  // a short wait: it is returning
            close_socket(client.socket);
            it = clients.erase(it);
        } else {
            ++it;
        }
    }
    if (!somebody_is_behind) {
        renewed_at = steady_clock::now();
        for (auto& [socket_client, client] : clients)
            client.said = 0;
    }
    round_done.notify_all();
}

// --- the log, the port, and main --------------------------------------------

// Python's print(), but it never waits: if the terminal or the pipe is not
// ready, the line is lost, and the next one that is printed says so. Any thread
// may call it, with clients_mutex or without.
static void log_line(const string& line) {
    static std::mutex log_mutex;
    static string warning;
    std::lock_guard<std::mutex> lock(log_mutex);
    if (can_print() && print(warning + line))
        warning.clear();
    else
        warning = "Qualche riga del registro è andata persa.\n";
}

// Makes SERVER listen on all addresses of this machine, and prints the port. If
// it cannot, it prints why, and ends the program.
static void start_listening(int PORT) {
    sockaddr_in ADDR = {};  // its address is 0.0.0.0; Python: HOST = ''
    ADDR.sin_family = AF_INET;
    ADDR.sin_port = htons(static_cast<unsigned short>(PORT));  // big-endian
    auto* address = reinterpret_cast<sockaddr*>(&ADDR);  // as bind() wants
    socklen_t size = sizeof ADDR;
    SERVER = ::socket(AF_INET, SOCK_STREAM, 0);
    set_option(SERVER, SOL_SOCKET, SO_REUSEADDR, REUSE_ADDRESS);
    set_nonblocking(SERVER);  // or accept() waits if the peer has gone again
    if (::bind(SERVER, address, size) != 0
        || ::listen(SERVER, MAX_CLIENTS) != 0) {
        print("La porta " + std::to_string(PORT) + " non è disponibile: "
              + socket_error() + "\nSe un altro server la sta usando, chiudilo,"
              " oppure scegli un'altra porta: ./server 5301");
        std::exit(1);
    }
    ::getsockname(SERVER, address, &size);
    log_line("In attesa di connessioni... (porta "
             + std::to_string(ntohs(ADDR.sin_port)) + ")");
}

// Returns the port from the command line or, without one, from the keyboard. If
// the command line is wrong, it prints the usage, and ends the program.
static int choose_port(int argc, char* argv[]) {
    if (argc == 1)
        return ask_port("Inserisci la porta del server (Default 5300): ", 0,
                        DEFAULT_PORT);
    const bool help = string(argv[1]) == "--help";
    if (argc == 2 && !help) {
        const int port = parse_port(argv[1], 0);
        if (port >= 0)
            return port;
    }
    print("Uso: ./server [PORTA]\n"
          "Avvia il server della chat; Ctrl+C lo termina. PORTA va da 1 a"
          " 65535\n(0: la sceglie il sistema); se manca, viene chiesta.");
    std::exit(help ? 0 : 2);
}

int main(int argc, char* argv[]) {
    start_sockets();
    on_interrupt();
    const int PORT = choose_port(argc, argv);
    never_wait_for_terminal();
    if (!interrupted)  // Ctrl+C can come while it asks for the port
        start_listening(PORT);
    std::thread accept_thread(new_client_accept);
    while (!interrupted)
        deliver();
    accept_thread.join();
    close_server();
    close_socket(SERVER);
}
