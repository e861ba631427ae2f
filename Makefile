# make          builds ./server and ./client (with GNU make or BSD make)
# make run      a chat on this machine: a server, and a client in front of it
# make test     the tests of the chat (needs cmake)
# make check    these, the slow ones, and whether the notes, the experiments
#               and the exercises still fit the chat as it is shipped
# make compare  this version beside the Python version; NAME=broadcast: only that
# make debug    the server under gdb, with a breakpoint for each step of a tour
# make experiment NAME=no_lock   breaks a copy of the chat, and shows it
# make exercise NAME=list        tries whether you have solved an exercise
# make bench    how fast it is; VARIANTS=1: other shapes of broadcast, too
# make fuzz     any bytes, for SECONDS=60 (needs clang++)
# make soak     a crowd that misbehaves, for SECONDS=600, and a million messages
# make attacks  how long a message takes under each attack: seven minutes
# make clean

CXX ?= g++
PORT ?= 5300
LDLIBS_Windows_NT = -lws2_32
# -O0 and -g: a debugger goes through the source line by line.
COMPILE = $(CXX) -std=c++17 -pthread -g -O0 -Wall -Wextra $(CXXFLAGS)

all: server client

server: server.cpp socket_compat.h
	$(COMPILE) server.cpp -o $@ $(LDLIBS) $(LDLIBS_$(OS))

client: client.cpp socket_compat.h
	$(COMPILE) client.cpp -o $@ $(LDLIBS) $(LDLIBS_$(OS))

# The server's own output goes into a file, so that it does not get between
# the lines of the client. The hint comes in the terminal's last row, since the
# client's window opens below: there it stays in sight. The client's exit code
# is the one of `make run`.
run: server client
	@rm -f server.log
	@./server $(PORT) > server.log & server=$$!; \
	trap : INT; \
	until grep -qs 'In attesa' server.log; do \
	    kill -0 $$server 2>/dev/null || { cat server.log; \
	        echo "Oppure: make run PORT=5301"; exit 1; }; \
	    sleep 0.1; \
	done; \
	port=$$(sed -n 's/.*(porta \([0-9]*\)).*/\1/p' server.log); \
	[ ! -t 1 ] || tput cud 999 2> /dev/null || :; \
	echo "Un altro terminale entra con: ./client 127.0.0.1 $$port"; \
	code=0; ./client 127.0.0.1 $$port || code=$$?; \
	kill $$server 2>/dev/null; wait $$server; \
	exit $$code

BUILD = cmake -S . -B build && cmake --build build --parallel 2
CTEST = ctest --test-dir build --output-on-failure --parallel 4

# Last come the packages that are missing, and how many tests each would add.
test:
	@$(BUILD)
	@code=0; $(CTEST) -LE 'shipped|slow' || code=$$?; \
	sed -n 's/.*skipped: .*(\(apt install .*\))$$/\1/p' \
	    build/Testing/Temporary/LastTest.log | sort | uniq -c \
	    | sed 's/ *\([0-9]*\) \(.*\)/\2: \1 more/'; \
	exit $$code

check:
	@$(BUILD)
	$(CTEST)

compare:
	@command -v python3 > /dev/null \
	    || { echo "make compare needs python3 (apt install python3)"; exit 1; }
	@python3 tests/compare/compare.py $(NAME)

debug: server client
	@echo "In a second terminal:  nc 127.0.0.1 $(PORT)"
	@echo "(To debug the client:  TERM=dumb gdb --args ./client 127.0.0.1)"
	@if command -v gdb > /dev/null; then \
	    exec gdb -q -x tests/debug.gdb --args ./server $(PORT); \
	fi; \
	exec lldb -o 'breakpoint set --name new_client_accept' \
	    -o 'breakpoint set --name client_handler' \
	    -o 'breakpoint set --name broadcast' \
	    -o 'breakpoint set --name send_some' -- ./server $(PORT)

# Without a NAME they list the names.
experiment:
	@tests/experiments/run.sh $(NAME)

exercise: server client
	@[ -n "$(NAME)" ] || { echo "make exercise NAME=..., where NAME is"; \
	    sed -n 's/^TEST(\(.*\)).*/  \1/p' tests/exercises/exercises.cpp; exit 0; }
	@mkdir -p build
	@$(CXX) -std=c++17 -DSERVER_PATH='"./server"' -DCLIENT_PATH='"./client"' \
	    tests/exercises/exercises.cpp -o build/exercises -pthread
	@build/exercises $(NAME)

bench:
	@tests/bench/run.sh

fuzz:
	@seconds=$(SECONDS); tests/fuzz/run.sh $${seconds:-60}

soak:
	@($(BUILD)) > /dev/null
	@seconds=$(SECONDS); env SECONDS=$${seconds:-600} build/tests/soak \
	    coming_going_talking_misbehaving
	@MESSAGES=1000000 build/tests/soak a_million_messages

attacks:
	@($(BUILD)) > /dev/null
	@ATTACKS=1 build/tests/test_hostile_peers

clean:
	rm -rf build server client server.exe client.exe server.log

.PHONY: all run test check compare debug experiment exercise bench fuzz soak \
    attacks clean
