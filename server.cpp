// server.cpp - the chat server: it passes every message on to everyone.
//
//   compile   g++ server.cpp -o server          (Windows: add -lws2_32)
//   run       ./server              in a first terminal: it asks for the port
//             ./client 127.0.0.1    in a second one, and in a third
//
// The functions have the names and the order of the Python version,
// tests/python_version/server.py. Three kinds of thread share the work:
//   new_client_accept   one: lets clients in
//   client_handler      one for each client: reads what it writes
//   main                sends everything to everyone, in one order

#include "socket_compat.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

using std::chrono::steady_clock;

const int DEFAULT_PORT = 5300;
const std::size_t MAX_CLIENTS = 1000;
const std::size_t DEFAULT_BUFF = 1024;  // bytes of a recv(), and of a message
const std::size_t MAX_NAME = 32;        // characters
const std::size_t SHARE = 8 * 1024;     // bytes a client may say in one round
const milliseconds NAME_PAUSE{250};     // it ends the name of a bare peer
const milliseconds TICK{100};           // Ctrl+C is noticed within one
const milliseconds RETRY{5};            // between tries to send what is left
const milliseconds PATIENCE{500};       // the room waits so long for a client

enum Kind { UNKNOWN, LINE_PEER, BARE_PEER };  // do its messages end with '\n'?

struct Client {
    std::string address;               // "IP:PORT", for the log
    std::string name;                  // empty: it is not in the room
    Kind kind = UNKNOWN;               // its first bytes decide
    std::string unsent;                // what it has yet to get
    std::size_t joined_at = 0;         // where its part of the outbox begins
    std::size_t said = 0;              // bytes in the outbox that it has said
    steady_clock::duration waited{};   // how long the room has waited for it
    bool is_stuck = false;             // longer than PATIENCE: it is dropped
    std::atomic<bool> is_lost{false};  // nothing can be sent to it any more
    std::thread thread;                // runs client_handler
};

std::mutex clients_mutex;            // guards clients and all that is in them
std::map<socket_t, Client> clients;  // (Python: clients and addresses), also
std::vector<std::thread> finished;   // threads to be joined. Who sends to a
std::condition_variable round_done;  // client holds it, so one at a time does.

std::mutex outbox_mutex;              // guards outbox and each Client::said;
std::string outbox;                   // who needs both locks this one second
std::condition_variable outbox_filled;  // main has something to send
std::condition_variable outbox_taken;   // who has said its SHARE may go on

std::atomic<bool> interrupted{false};  // Ctrl+C was pressed
std::atomic<bool> closing{false};      // everyone has been told so
socket_t SERVER = NO_SOCKET;           // the socket that listens

void new_client_accept();
void client_handler(socket_t socket_client);
std::size_t broadcast(const std::string& msg, const std::string& prefisso = "",
                      Client* sender = nullptr);
void close_server();

// --- helpers: what Python's library did, or nobody did ----------------------

// Sends what the system takes at once; the rest stays in `unsent`. The caller
// holds clients_mutex.
void send_unsent(socket_t socket_client, Client& client)
{
    const std::string& text = client.unsent;
    std::size_t sent = 0;
    std::size_t end = 0;
    while (sent == end && end < text.size() && !client.is_lost) {
        // A bare peer gets one send() a message, without its '\n'.
        const bool bare = client.kind == BARE_PEER;
        end = bare ? std::min(text.find('\n', sent), text.size()) : text.size();
        const int n = send_some(socket_client, &text[sent], end - sent);
        if (n == LOST)
            client.is_lost = true;
        else
            sent += static_cast<std::size_t>(n);
        if (sent == end && end < text.size())
            sent = ++end;
    }
    client.unsent.erase(0, client.is_lost ? text.size() : sent);
    client.unsent.shrink_to_fit();  // an idle client keeps no memory
}

// Sends one client a text of its own. The caller holds clients_mutex.
void tell(socket_t socket_client, Client& client, const std::string& text)
{
    client.unsent += text + '\n';
    send_unsent(socket_client, client);
}

// Waits for the client's next message. False: it has gone, and all that it
// had written was returned before. Only its own thread calls it, unlocked.
bool read_message(socket_t socket_client, Client& me, Inbox& inbox,
                  Message& message)
{
    char buffer[DEFAULT_BUFF];
    while (!next_message(inbox, message)) {
        if (inbox.at_end)
            return false;
        const bool deciding = me.kind == UNKNOWN && !inbox.is_empty();
        const int n = recv_some(socket_client, buffer, sizeof buffer,
                                deciding ? NAME_PAUSE : FOR_EVER);
        if (closing)
            return false;
        if (n > 0)
            inbox.received.append(buffer, static_cast<std::size_t>(n));
        else if (n != TIME_UP || me.is_lost)
            end_inbox(inbox);
        if (n == LOST)
            me.is_lost = true;

        const bool newline = inbox.received.find('\n') != std::string::npos;
        if (me.kind == UNKNOWN && (newline || (deciding && n == TIME_UP))) {
            std::lock_guard<std::mutex> lock(clients_mutex);
            me.kind = newline ? LINE_PEER : BARE_PEER;
            inbox.chunks = !newline;
        }
    }
    return true;
}

// What is wrong with this name? Empty: nothing. The caller holds
// clients_mutex, and keeps it until the name is taken.
std::string fault_of_name(const std::string& name)
{
    const auto begins = [](char c) { return (c & 0xC0) != 0x80; };  // not 10...
    if (std::count_if(name.begin(), name.end(), begins) > int{MAX_NAME})
        return "Il nome è troppo lungo (al massimo 32 caratteri)";
    if (name.find(':') != std::string::npos)
        return "Il nome non può contenere i due punti";
    if (name.find_first_not_of(' ') == std::string::npos)
        return "Il nome non può essere vuoto";
    for (const auto& entry : clients)
        if (entry.second.name == name)
            return "Il nome " + name + " è già in uso";
    return "";
}

// Reads names from the client until one will do, and lets it into the room.
// Returns the name; empty: it left without one.
std::string enter_room(socket_t socket_client, Client& me, Inbox& inbox)
{
    Message name;
    while (read_message(socket_client, me, inbox, name) && !name.is_quit()) {
        if (name.is_rest)
            continue;  // of a name that was too long
        std::lock_guard<std::mutex> lock(clients_mutex);
        const std::string fault = fault_of_name(name.text);
        if (!fault.empty()) {
            if (me.unsent.empty())  // else it does not read what we say
                tell(socket_client, me, fault + ": digitane un altro.");
            continue;
        }
        // Its own part of the outbox begins behind this message, and the next
        // round after its welcome: it misses nothing.
        me.joined_at = broadcast(name.text + " si è unito all chat!");
        me.name = name.text;
        tell(socket_client, me, "Benvenuto " + me.name
             + "! Se vuoi lasciare la Chat, scrivi {quit} per uscire.");
        return me.name;
    }
    return "";
}

// Sends one client its part of `batch`, after what it has yet to get. The room
// has been waiting for it for `wait`; longer than PATIENCE in all, and it is
// dropped. True: it is behind. The caller holds clients_mutex.
bool send_part(socket_t socket_client, Client& client,
               const std::string& batch, steady_clock::duration wait)
{
    if (!batch.empty()) {
        if (!client.name.empty())
            client.unsent.append(batch, client.joined_at);
        client.joined_at = 0;
    }
    send_unsent(socket_client, client);
    const bool behind = !client.unsent.empty();
    client.waited = behind ? client.waited + wait : wait.zero();
    if (client.waited >= PATIENCE)
        client.is_stuck = client.is_lost = true;
    if (client.is_lost)
        shutdown_socket(socket_client);  // its thread reads an end
    return behind && !client.is_lost;
}

// One round: waits up to TICK for something in the outbox, takes all of it and
// sends each client its part. While somebody is behind, the outbox is left as
// it is: so the whole room slows down, but not for long, nor for nothing.
// Only main calls it.
void deliver()
{
    static bool somebody_is_behind = false;
    static steady_clock::time_point last_time;
    {
        std::unique_lock<std::mutex> lock(outbox_mutex);
        outbox_filled.wait_for(lock, somebody_is_behind ? RETRY : TICK, [] {
            return !outbox.empty() && !somebody_is_behind;
        });
    }
    std::lock_guard<std::mutex> lock(clients_mutex);
    const auto now = steady_clock::now();
    steady_clock::duration wait{};
    std::string batch;
    {
        std::lock_guard<std::mutex> second_lock(outbox_mutex);
        if (!somebody_is_behind) {
            batch.swap(outbox);
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
        if (send_part(entry.first, entry.second, batch, wait))
            somebody_is_behind = true;
    round_done.notify_all();

    for (std::thread& thread : finished)
        thread.join();  // it has unlocked the mutex, and is about to end
    finished.clear();
}

// Makes SERVER listen on all addresses of this machine, and says where.
// Returns false, and says why, if it cannot.
bool start_listening(int PORT)
{
    sockaddr_in ADDR = {};  // Python: (HOST, PORT), where HOST = ''
    ADDR.sin_family = AF_INET;
    ADDR.sin_addr.s_addr = htonl(INADDR_ANY);  // 0.0.0.0
    ADDR.sin_port = htons(static_cast<unsigned short>(PORT));
    socklen_t size = sizeof ADDR;

    SERVER = ::socket(AF_INET, SOCK_STREAM, 0);
    set_reuse_address(SERVER);
    set_nonblocking(SERVER);
    if (::bind(SERVER, reinterpret_cast<sockaddr*>(&ADDR), size) != 0
        || ::listen(SERVER, int{MAX_CLIENTS}) != 0) {
        print("La porta " + std::to_string(PORT) + " non è disponibile: "
              + socket_error());
        print("Se un altro server la sta usando, chiudilo, oppure scegli"
              " un'altra porta: ./server 5301");
        return false;
    }
    ::getsockname(SERVER, reinterpret_cast<sockaddr*>(&ADDR), &size);
    print("In attesa di connessioni... (porta "
          + std::to_string(ntohs(ADDR.sin_port)) + ")");
    return true;
}

// --- the functions of the Python version ------------------------------------

// Lets clients in, one after the other, until Ctrl+C: greets each and starts
// its thread. Python: new_client_accept. Runs in a thread of its own.
void new_client_accept()
{
    bool failing = false;
    while (!interrupted) {
        if (!wait_readable(SERVER, TICK))
            continue;
        std::string address;
        const socket_t client = accept_client(SERVER, address);
        if (client == NO_SOCKET) {
            if (!failing && !would_block())  // no descriptors left, perhaps
                print("Per ora non entra nessuno: " + socket_error());
            failing = true;
            std::this_thread::sleep_for(TICK);
            continue;
        }
        failing = false;
        print(address + " si è collegato.");

        std::lock_guard<std::mutex> lock(clients_mutex);
        clients[client].address = address;
        try {
            if (clients.size() > MAX_CLIENTS)
                throw std::runtime_error("Il server è pieno");
            clients[client].thread = std::thread(client_handler, client);
            tell(client, clients[client],
                 "CIAO! Digita il tuo Nome seguito dal tasto Invio!");
        } catch (const std::exception& fault) {  // or the system has no thread
            tell(client, clients[client],
                 std::string(fault.what()) + ": riprova più tardi.");
            print(address + " non è entrato: " + fault.what());
            clients.erase(client);
            shutdown_socket(client);
            close_socket(client);
        }
    }
}

// Serves one client: asks for its name, passes each of its messages on to
// everyone, and tells them when it has left, however it left. Python:
// client_handler. Runs in a thread of its own.
void client_handler(socket_t socket_client)
{
    std::unique_lock<std::mutex> lock(clients_mutex);
    Client& me = clients.at(socket_client);  // stays there until it is erased
    lock.unlock();

    Inbox inbox;
    inbox.limit = DEFAULT_BUFF - 1;
    const std::string name = enter_room(socket_client, me, inbox);
    const std::string prefisso = name + ": ";
    inbox.limit -= prefisso.size();
    Message msg;
    while (!name.empty() && read_message(socket_client, me, inbox, msg)
           && !msg.is_quit())
        broadcast(msg.text, prefisso, &me);

    lock.lock();  // What it has said comes back to it before it is closed.
    round_done.wait(lock, [&] {
        return (me.said == 0 && me.unsent.empty()) || me.is_lost;
    });
    me.name.clear();
    if (!name.empty())
        broadcast(name + " ha abbandonato la Chat.");
    const bool is_stuck = me.is_stuck;
    lock.unlock();

    if (is_stuck)
        print(me.address + " non legge i messaggi.");
    print(me.is_lost ? "la connessione con " + me.address + " si e' interrotta"
                     : me.address + " si è scollegato.");

    lock.lock();  // From here on nobody can know this socket's number.
    finished.push_back(std::move(me.thread));
    clients.erase(socket_client);
    close_socket(socket_client);
}

// Puts a message into the outbox, for everyone in the room, and returns how
// long the outbox is now. Python: broadcast, which sends to each client in
// turn; here main does, in its next round, so that nobody has to wait for
// somebody else's slow client. With a `sender`: waits while that client has
// had its SHARE of this round; the caller then holds no mutex.
std::size_t broadcast(const std::string& msg, const std::string& prefisso,
                      Client* sender)
{
    std::unique_lock<std::mutex> lock(outbox_mutex);
    if (sender) {
        outbox_taken.wait(lock, [&] { return sender->said < SHARE; });
        sender->said += prefisso.size() + msg.size() + 1;
    }
    if (outbox.empty())
        outbox_filled.notify_one();
    outbox += prefisso + msg + '\n';
    return outbox.size();
}

// Tells everyone, also those without a name, and waits until all threads have
// ended. Python: close_server, which the signal itself calls. Here main does:
// a C++ signal handler may do little more than set a flag (signal-safety(7)).
void close_server()
{
    print("Terminazione del server...");
    deliver();  // what was said before
    std::unique_lock<std::mutex> lock(clients_mutex);
    for (auto& entry : clients) {
        // To a peer of unknown kind as the Python client wants it: without
        // '\n'. A line peer reads it as well, since the stream ends there.
        Client& client = entry.second;
        client.unsent += client.kind == LINE_PEER ? "{quit}\n" : "{quit}";
        send_unsent(entry.first, client);
        client.is_lost = true;
    }
    closing = true;
    while (!clients.empty() || !finished.empty()) {
        lock.unlock();
        deliver();  // to nobody; but it wakes those who wait for a round
        lock.lock();
    }
}

int main(int argc, char* argv[])
{
    const std::string argument = argc > 1 ? argv[1] : "";
    const bool help = argument == "--help";
    if (help || argc > 2 || (argc > 1 && parse_port(argument, 0) < 0)) {
        print("Uso: ./server [PORTA]\n"
              "Il server della chat, fino a Ctrl+C. PORTA è un numero da 1 a"
              " 65535 (0: la sceglie il sistema); se manca, viene chiesta.");
        return help ? 0 : 2;
    }
    start_sockets();
    const int PORT = argc > 1 ? parse_port(argument, 0)
        : ask_port("Inserisci la porta del server (Default 5300): ", 0,
                   DEFAULT_PORT);
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
