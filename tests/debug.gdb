# What `make debug` sets: a breakpoint where each step of the tour in
# lesson_notes.md begins, and a display that is easy to read. To step through
# the client, which divides its terminal:  TERM=dumb gdb ./client
set pagination off
set confirm off
set print thread-events off
set print pretty on
set print object on
set print elements 100

# Ctrl+C ends the server, as it does without a debugger.
handle SIGINT nostop noprint pass
handle SIGPIPE nostop noprint pass

break new_client_accept
break client_handler
break broadcast
break send_some

echo Now type: run, and then: continue, next, print clients, info threads\n
