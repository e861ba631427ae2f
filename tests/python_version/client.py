# client.py - the chat client, Python version: the one to compare with
# ../../client.cpp, function by function, faults included. A console stands
# in for its window, one line for a row; each chunk received is a row.
#
#   run   python3 server.py               in a first terminal
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
DEFAULT_TIMEOUT = 2  # seconds
DEFAULT_BUFF = 1024


def start_chat():
    global HOST, PORT
    HOST, port = (sys.argv[1:] + ["", ""])[:2]  # ADDED: as arguments
    while not HOST:
        HOST = input("Inserire l'ip del Server host: ")
    if len(sys.argv) < 3:
        port = input(f"Inserire la porta: (Default {DEFAULT_PORT}) ")
    PORT = int(port) if port else DEFAULT_PORT


def connect_with_timeout():
    global connection_successful
    try:
        client_socket.connect(ADDR)
        connection_successful = True
    except Exception as reason:
        print("Errore durante la connessione:", reason)


def receive():
    while True:
        try:
            # FAULT: one recv() is taken for one message, but TCP is a
            # stream: it can bring two, or a part of one.
            message = client_socket.recv(BUFSIZ)
        except OSError:
            break  # FAULT: nobody is told that the connection is broken
        # FAULT: another user's text can be cut so that one recv() brings just
        # these six bytes: it ends us. The server's own, glued, does not.
        if message == b"{quit}":
            print("La connessione con il server e' stata interrotta")
            os._exit(1)
        # FAULT: not UTF-8, or half a character at the end: this raises, the
        # thread dies, and nothing is shown any more.
        text = message.decode("utf8")
        # FAULT: at the end of the stream, b"", this prints empty rows, for
        # ever. (The window shows no newline, so a row stays a row here too.)
        print(text.replace("\n", ""))


def send(msg):
    # FAULT: nothing says where msg ends; the next one may be glued to it.
    client_socket.send(msg.encode("utf8"))
    if msg == "{quit}":
        # FAULT: while receive() sits in recv(), this sends no FIN. If the
        # server does not close, the program hangs: shutdown() is missing.
        client_socket.close()


def close(signum=None, frame=None):
    print("Uscendo dalla chat...")
    try:
        client_socket.send(b"{quit}")
    except OSError:
        pass  # not connected: nobody to tell
    client_socket.close()
    os._exit(0)


sys.stdout.reconfigure(line_buffering=True)  # ADDED: flush each line
start_chat()
BUFSIZ = DEFAULT_BUFF
ADDR = (HOST, PORT)
client_socket = socket(AF_INET, SOCK_STREAM)
connection_successful = False
signal.signal(signal.SIGINT, close)
connection_thread = Thread(target=connect_with_timeout)
connection_thread.start()
connection_thread.join(timeout=DEFAULT_TIMEOUT)
if not connection_successful:
    print("Connessione non riuscita")
    os._exit(1)
receive_thread = Thread(target=receive)
receive_thread.start()
msg = ""
while msg != "{quit}":
    try:
        msg = input()
    except EOFError:
        msg = "{quit}"  # ADDED: the end of input leaves too
    send(msg)
