# server.py - the chat server, Python version: the one to compare with
# ../../server.cpp, function by function, faults included.
#
#   run   python3 server.py               in a first terminal: asks the port
#         python3 client.py 127.0.0.1     in a second one, and in a third
#
# FAULT marks what breaks, and how; the C++ version does it otherwise.
# ADDED marks what only the tests need.
import os
import signal
import sys
from socket import AF_INET, SOCK_STREAM, socket
from threading import Thread

DEFAULT_PORT = 5300
MAX_CLIENTS = 5  # FAULT: limits only the queue of listen(); all are let in
DEFAULT_BUFF = 1024
# FAULT: all threads change and iterate these two, and no lock guards them.
clients = {}    # socket -> name, of those in the room
addresses = {}  # socket -> (ip, port), of those connected


def new_client_accept():
    while True:
        client, client_address = SERVER.accept()
        print("%s:%s si è collegato." % client_address)
        # FAULT: if the client has reset the connection by now, this raises:
        # the thread ends, and nobody else is let in.
        client.send("CIAO! Digita il tuo Nome seguito dal tasto Invio!"
                    .encode("utf8"))
        addresses[client] = client_address
        # Not a daemon, as this thread is: Python's exit waits for it.
        Thread(target=client_handler, args=(client,), daemon=False).start()


def client_handler(socket_client):
    address = "%s:%s" % addresses[socket_client]
    try:
        # FAULT: one recv() is taken for one message, but TCP is a stream:
        # quick messages come glued, {quit} too, and long ones in parts.
        name = socket_client.recv(BUFSIZ)
        if name != b"{quit}":
            # FAULT: any name will do, even none or another's. If it is not
            # UTF-8, this raises: the client stays connected, and unheard.
            name = name.decode("utf8")
            socket_client.send(f"Benvenuto {name}! Se vuoi lasciare la Chat, "
                               "scrivi {quit} per uscire.".encode("utf8"))
            broadcast(f"{name} si è unito all chat!".encode("utf8"))
            # FAULT: what others write before the next line, it misses.
            clients[socket_client] = name
            # FAULT: the end of the stream, b"", is taken for a message too:
            # after a half-close this loops for ever, one core busy.
            while (msg := socket_client.recv(BUFSIZ)) != b"{quit}":
                broadcast(msg, name + ": ")
            socket_client.close()
            # FAULT: here it is closed, and still in clients: EBADF in the
            # thread of whoever writes next; that thread dies.
            del clients[socket_client]
            broadcast(f"{name} ha abbandonato la Chat.".encode("utf8"))
        else:
            socket_client.close()
        print(address + " si è scollegato.")
    except ConnectionError:
        # FAULT: its socket stays in clients. From now on every broadcast
        # raises, in the thread of whoever wrote: the whole room is dead.
        print("la connessione con " + address + " si e' interrotta")


def broadcast(msg, prefisso=""):
    # FAULT: whoever joins or leaves meanwhile changes the dict: RuntimeError.
    for socket_client in clients:
        # FAULT: a client that does not read blocks this, and so everyone.
        # FAULT: with the prefix it can be too long for the reader's recv().
        socket_client.send(prefisso.encode("utf8") + msg)


def close_server(signum, frame):
    print("Terminazione del server...")
    broadcast(b"{quit}")
    for socket_client in clients:
        socket_client.close()
        # FAULT: it changes the dict that it iterates: RuntimeError, and the
        # last lines are not reached. The server lives until all have left.
        del clients[socket_client]
    SERVER.close()
    os._exit(0)


sys.stdout.reconfigure(line_buffering=True)  # ADDED: flush each line
signal.signal(signal.SIGINT, close_server)  # FAULT: SERVER does not exist yet
HOST = ""  # all addresses of this machine
port_input = (sys.argv[1] if len(sys.argv) > 1 else  # ADDED: as argument
              input(f"Inserisci la porta del server "
                    f"(Default {DEFAULT_PORT}): "))
PORT = int(port_input) if port_input else DEFAULT_PORT
BUFSIZ = DEFAULT_BUFF
ADDR = (HOST, PORT)
SERVER = socket(AF_INET, SOCK_STREAM)
SERVER.bind(ADDR)  # FAULT: after a restart "Address already in use", a minute
SERVER.listen(MAX_CLIENTS)
print("In attesa di connessioni..."
      f" (porta {SERVER.getsockname()[1]})")  # ADDED: the port
ACCEPT_THREAD = Thread(target=new_client_accept, daemon=True)
ACCEPT_THREAD.start()
while ACCEPT_THREAD.is_alive():
    ACCEPT_THREAD.join(timeout=1)  # ADDED: a wait without end can miss Ctrl+C
SERVER.close()
