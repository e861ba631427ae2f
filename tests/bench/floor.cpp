// floor.cpp - the least that a chat server can do, to compare with: one
// thread, epoll, no checks. It greets, takes a name, says welcome, and passes
// every message on to everyone; who comes and who leaves is not announced.
//
//   ./floor message    one send() for each message and client
//   ./floor round      one send() for each client, of all that could be read
//
// NOTE: the sockets block, so one client that does not read stops everybody.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <string>

using std::string;

struct Client {
    string name;  // empty: it has yet to come
    string rest;  // what has been read behind the last '\n'
};

static std::map<int, Client> clients;  // by socket
static int epoll = ::epoll_create1(0);
static bool one_send_a_round = false;
static string round_text;  // what this round's send() brings to everyone

// It waits for as long as it takes.
static void send_whole(int socket, const string& text) {
    ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
}

// Sends a text to all who have a name.
static void send_to_all(const string& text) {
    for (const auto& [socket, client] : clients)
        if (!client.name.empty())
            send_whole(socket, text);
}

static void watch(int socket) {
    epoll_event event = {EPOLLIN, {}};
    event.data.fd = socket;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
}

// Accepts one client and greets it.
static void let_in(int listener) {
    const int socket = ::accept(listener, nullptr, nullptr);
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    watch(socket);
    clients[socket];
    send_whole(socket, "CIAO! Digita il tuo Nome seguito dal tasto Invio!\n");
}

// One line from a client: its name, or a message for everyone.
static void take_line(int socket, Client& client, const string& line) {
    if (client.name.empty()) {
        client.name = line;
        send_whole(socket, "Benvenuto " + line + "! Se vuoi lasciare la Chat,"
                           " scrivi {quit} per uscire.\n");
    } else if (one_send_a_round) {
        round_text += client.name + ": " + line + '\n';
    } else {
        send_to_all(client.name + ": " + line + '\n');
    }
}

// Reads once from a client and takes the lines that are complete.
static void read_from(int socket) {
    static char buffer[64 * 1024];
    const ssize_t n = ::recv(socket, buffer, sizeof buffer, 0);
    if (n <= 0) {
        clients.erase(socket);
        ::close(socket);
        return;
    }
    Client& client = clients[socket];
    client.rest.append(buffer, static_cast<size_t>(n));
    size_t begin = 0;
    for (size_t end; (end = client.rest.find('\n', begin)) != string::npos;
         begin = end + 1)
        take_line(socket, client, client.rest.substr(begin, end - begin));
    client.rest.erase(0, begin);
}

int main(int argc, char* argv[]) {
    one_send_a_round = argc > 1 && string(argv[1]) == "round";
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::bind(listener, any, size) != 0 || ::listen(listener, 1000) != 0)
        return 1;
    ::getsockname(listener, any, &size);
    std::printf("(porta %d)\n", ntohs(address.sin_port));
    std::fflush(stdout);
    watch(listener);
    for (;;) {
        epoll_event events[1024];
        const int count = ::epoll_wait(epoll, events, 1024, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener)
                let_in(listener);
            else
                read_from(events[i].data.fd);
        if (!round_text.empty())
            send_to_all(round_text);
        round_text.clear();
    }
}
