// poll.cpp - a solution of the exercise `poll`: the server with one thread.
// Read it beside ../../server.cpp: what has the same name does the same.
//
//   compile   g++ -std=c++17 tests/exercises/poll.cpp -o server
//   run       ./server 5300    (NOTE: it does not ask for the port)
//
// The thread goes round and round: it waits in poll() for all sockets at once,
// reads from those that have something (hear), and then sends everyone what is
// queued (deliver). The mutex, the condition variables and joining are gone. But
// a thread knows by the line it is at how far its client has come; here each
// turn begins anew, so fields have to say it.

#include "../../socket_compat.h"
#include <list>
#include <map>
#include <vector>

const int MAX_CLIENTS = 1000;
const size_t DEFAULT_BUFF = 1024;
const size_t MAX_NAME = 32;
const size_t BOUND = 256 * 1024;
const size_t OVERHEAD = 16;
const size_t BURST = 16;
const milliseconds BARE_GAP{20};
const milliseconds NAME_PAUSE{250};
const milliseconds PATIENCE{500};
const milliseconds RETRY{5};
const milliseconds TICK{100};
const string QUIT = "{quit}";

struct Client {
    socket_t socket = NO_SOCKET;
    string address;
    string name;
    bool in_room = false;
    bool has_left = false;  // what it still writes is discarded
    string unsent;
    std::list<string> paced;
    size_t said = 0;
    Inbox inbox{DEFAULT_BUFF - 1};
    bool is_bare = false;
    bool is_lost = false;
    steady_clock::time_point name_ends;     // unless more of it comes
    steady_clock::time_point may_speak_at;  // after a bad name
    steady_clock::time_point next_send;
    steady_clock::time_point closes_by;  // when it has left; or we close then
};

static std::map<socket_t, Client> clients;
static socket_t SERVER = NO_SOCKET;
static auto now = steady_clock::now();        // as poll() returned
static steady_clock::time_point next_accept;  // not before: after a failure
static auto renewed_at = now;                 // when `said` was last set to 0
static bool has_unsent = false;
static bool has_unheard = false;  // somebody has got a new share, and goes on

static void log_line(const string& line) {
    static string warning;
    if (can_print() && print(warning + line))
        warning.clear();
    else
        warning = "Qualche riga del registro è andata persa.\n";
}

static void tell(Client& client, const string& text) {
    if (interrupted && text != QUIT)
        return;
    if (client.is_bare) {
        const bool ends_in_quit = text.size() > QUIT.size()
            && text.substr(text.size() - QUIT.size()) == QUIT;
        client.paced.push_back(ends_in_quit ? text + ' ' : text);
    } else {
        client.unsent += text;
        client.unsent += '\n';
    }
}

static void broadcast(const string& msg, const string& prefisso = "") {
    const string text = prefisso + msg;
    for (auto& [socket_client, client] : clients)
        if (client.in_room)
            tell(client, text);
}

static void announce(const Client& client, const string& what) {
    broadcast(client.name + what);
    log_line(client.name + " (" + client.address + ")" + what);
}

static string fault_of_name(const string& name) {
    if (name.empty() || name.size() > MAX_NAME || name.find(':') != name.npos)
        return "Un nome ha da 1 a 32 caratteri, senza i due punti";
    for (const auto& [socket_client, client] : clients)
        if (client.name == name)
            return "Il nome " + name + " è già in uso";
    return "";
}

// Lets a client into the room, if it can have this name. NOTE: 32 bytes at most,
// and blanks are taken as they are; see trim() in server.cpp.
static void read_name(Client& me, const string& name) {
    if (me.inbox.is_rest)
        return;
    const string fault = fault_of_name(name);
    if (!fault.empty()) {
        tell(me, fault + ": digitane un altro.");
        me.may_speak_at = now + TICK;
        return;
    }
    me.name = name;
    me.inbox.limit = DEFAULT_BUFF - name.size() - 3;
    tell(me, "Benvenuto " + name
         + "! Se vuoi lasciare la Chat, scrivi {quit} per uscire.");
    announce(me, " si è unito all chat!");
    me.in_room = true;
}

// In the room a client is listened to while it has a share left. What is not
// read stays in the system, and TCP makes the client wait.
static bool may_speak(const Client& client) {
    return client.in_room ? client.said < BOUND / clients.size()
                          : now >= client.may_speak_at;
}

static bool wants_more(const Client& client) {
    const Inbox& inbox = client.inbox;  // one more byte: a line is too long
    return (may_speak(client) || client.has_left) && !inbox.at_end
           && inbox.received.size() < inbox.limit + (inbox.chunks ? 0 : 1);
}

// Goes on with one client; the loop that goes round is main's. One recv(), even
// if there is more, so that everyone gets a turn.
static void client_handler(Client& me, bool can_read) {
    string msg;
    if (can_read) {
        if (receive_into(me.inbox, me.socket, milliseconds(0)) == LOST)
            me.is_lost = true;
        me.name_ends = now + NAME_PAUSE;
    }
    if (me.has_left) {
        me.inbox.received.clear();
        return;
    }
    if (me.name.empty() && !me.inbox.received.empty() && now >= me.name_ends)
        me.is_bare = me.inbox.chunks = true;
    while (may_speak(me) && next_message(me.inbox, msg) && msg != QUIT) {
        if (!me.in_room) {
            read_name(me, msg);
        } else {
            me.said += me.name.size() + msg.size() + OVERHEAD;
            broadcast(msg, me.name + ": ");
        }
    }
    const bool is_silent = me.inbox.at_end && me.inbox.received.empty();
    if (msg != QUIT && !is_silent && (me.in_room || !me.is_lost))
        return;  // until more comes
    if (me.in_room) {
        me.in_room = false;
        announce(me, " ha abbandonato la Chat.");
    }
    me.name.clear();
    me.has_left = true;
    me.closes_by = now + 2 * PATIENCE;
}

// Lets one client in, if there is one.
static void new_client_accept() {
    sockaddr_in from = {};
    socklen_t size = sizeof from;
    const socket_t socket_client
        = ::accept(SERVER, reinterpret_cast<sockaddr*>(&from), &size);
    if (socket_client == NO_SOCKET) {
        log_line("Per ora non entra nessuno: " + socket_error());
        next_accept = now + 10 * TICK;
        return;
    }
    set_up_connection(socket_client);
    char ip[INET_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET, &from.sin_addr, ip, sizeof ip);
    Client& client = clients[socket_client];
    client.socket = socket_client;
    client.address = ip + (":" + std::to_string(ntohs(from.sin_port)));
    log_line(client.address + " si è collegato.");
    client.has_left = clients.size() > MAX_CLIENTS;
    tell(client, client.has_left
         ? "Il server è pieno: riprova più tardi."
         : "CIAO! Digita il tuo Nome seguito dal tasto Invio!");
    if (client.has_left)
        log_line(client.address + " non è entrato: il server è pieno.");
}

// The first half of a turn: waits until there is something to do, and reads.
static void hear() {
    const milliseconds limit = has_unsent ? RETRY : TICK;
    std::vector<pollfd> watched = {{SERVER, POLLIN, 0}};
    if (now < next_accept)
        watched[0].fd = NO_SOCKET;  // poll() passes over it
    for (const auto& [s, client] : clients)
        watched.push_back({wants_more(client) ? s : NO_SOCKET, POLLIN, 0});
    ::poll(watched.data(), static_cast<unsigned>(watched.size()),
           has_unheard ? 0 : static_cast<int>(limit.count()));
    now = steady_clock::now();
    size_t i = 1;
    for (auto& [s, client] : clients)
        client_handler(client, watched[i++].revents != 0);
    if (watched[0].revents != 0)
        new_client_accept();
}

static void send_unsent(Client& client) {
    while (client.paced.size() > BURST
           || (!client.paced.empty() && now >= client.next_send)) {
        client.unsent += client.paced.front();
        client.paced.pop_front();
        client.next_send = now + BARE_GAP;
    }
    if (!client.unsent.empty() && !send_some(client.socket, client.unsent))
        client.is_lost = true;
    if (client.unsent.size() > BOUND && now > renewed_at + PATIENCE) {
        log_line(client.name + " (" + client.address
                 + ") non legge i messaggi.");
        client.is_lost = true;
    }
    if (client.is_lost) {
        ::shutdown(client.socket, SHUT_RDWR);  // we read an end next
        client.unsent.clear();
        client.paced.clear();
    }
}

// The second half: sends to everyone, removes who has left, renews the shares.
static void deliver() {
    bool somebody_is_behind = false;
    has_unsent = has_unheard = false;
    for (auto next = clients.begin(); next != clients.end();) {
        Client& client = (next++)->second;  // it may be erased below
        send_unsent(client);
        const bool all_sent = client.unsent.empty() && client.paced.empty();
        has_unsent |= !all_sent;
        somebody_is_behind |= client.unsent.size() > BOUND;
        has_unheard |= client.in_room && !may_speak(client);
        if (client.has_left && all_sent)
            ::shutdown(client.socket, SHUT_WR);
        if (client.has_left && (client.is_lost || now >= client.closes_by
                                || (all_sent && client.inbox.at_end))) {
            if (client.is_lost && !interrupted)
                log_line("la connessione con " + client.address
                         + " si e' interrotta");
            log_line(client.address + " si è scollegato.");
            close_socket(client.socket);
            clients.erase(client.socket);
        }
    }
    if (somebody_is_behind) {
        has_unheard = false;  // they wait
        return;
    }
    renewed_at = now;
    for (auto& [s, client] : clients)
        client.said = 0;
}

static void close_server() {
    log_line("Terminazione del server...");
    broadcast(QUIT);
    for (auto& [socket_client, client] : clients) {
        if (!client.in_room) {
            client.is_bare = true;
            tell(client, QUIT);
        }
        client.in_room = false;
        client.has_left = true;
        client.closes_by = now + PATIENCE;
    }
    next_accept = steady_clock::time_point::max();
    while (!clients.empty()) {
        deliver();
        hear();
    }
}

static void start_listening(int PORT) {
    sockaddr_in ADDR = {};
    ADDR.sin_family = AF_INET;
    ADDR.sin_port = htons(static_cast<unsigned short>(PORT));
    auto* address = reinterpret_cast<sockaddr*>(&ADDR);
    socklen_t size = sizeof ADDR;
    SERVER = ::socket(AF_INET, SOCK_STREAM, 0);
    set_option(SERVER, SOL_SOCKET, SO_REUSEADDR, REUSE_ADDRESS);
    set_nonblocking(SERVER);
    if (::bind(SERVER, address, size) != 0
        || ::listen(SERVER, MAX_CLIENTS) != 0) {
        print("La porta non è disponibile: " + socket_error());
        std::exit(1);
    }
    ::getsockname(SERVER, address, &size);
    log_line("In attesa di connessioni... (porta "
             + std::to_string(ntohs(ADDR.sin_port)) + ")");
}

int main(int argc, char* argv[]) {
    start_sockets();
    on_interrupt();
    never_wait_for_terminal();
    start_listening(argc > 1 ? std::atoi(argv[1]) : 5300);
    while (!interrupted) {
        hear();
        deliver();
    }
    close_server();
    close_socket(SERVER);
}
