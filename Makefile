# make        builds ./server and ./client
# make run    a chat on this machine: a server, and a client in front of it
# make test   all tests (needs cmake)
# make experiment NAME=no_lock   breaks a copy of the chat, and shows it
# make exercise NAME=list        tries whether you have solved an exercise
# make bench  how fast it is; VARIANTS=1: other shapes of broadcast, too
# make fuzz   any bytes, then random peers, for SECONDS=60 each (needs clang++)
# make soak   a crowd that misbehaves, for SECONDS=600, and a million messages
# make attacks   how long a message takes under each attack: seven minutes
# make clean

CXX ?= g++
# -O0 and -g: a debugger goes through the source line by line.
CXXFLAGS ?= -std=c++17 -g -O0 -Wall -Wextra -pthread
PORT ?= 5300
ifeq ($(OS),Windows_NT)
LDLIBS += -lws2_32
endif

all: server client

server: server.cpp socket_compat.h
	$(CXX) $(CXXFLAGS) server.cpp -o $@ $(LDLIBS)

client: client.cpp socket_compat.h
	$(CXX) $(CXXFLAGS) client.cpp -o $@ $(LDLIBS)

# The server's own output goes into a file, so that it does not get between
# the lines of the client. The client's exit code is the one of `make run`.
run: server client
	@./server $(PORT) > server.log & server=$$!; \
	trap : INT; \
	until grep -q 'In attesa' server.log; do \
	    kill -0 $$server 2>/dev/null || { cat server.log; \
	        echo "Oppure: make run PORT=5301"; exit 1; }; \
	    sleep 0.1; \
	done; \
	echo "Un altro terminale entra con: ./client 127.0.0.1 $(PORT)"; \
	./client 127.0.0.1 $(PORT); code=$$?; \
	kill $$server 2>/dev/null; wait $$server; \
	exit $$code

BUILD = cmake -S . -B build && cmake --build build --parallel 2

test:
	$(BUILD)
	ctest --test-dir build --output-on-failure --parallel 4

# Without a NAME they list the names.
experiment:
	@tests/experiments/run.sh $(NAME)

exercise: server client
	@[ -n "$(NAME)" ] || { echo "make exercise NAME=..., where NAME is"; \
	    sed -n 's/^TEST(\(.*\))/  \1/p' tests/exercises/exercises.cpp; exit 2; }
	@mkdir -p build
	@$(CXX) -std=c++17 -DSERVER_PATH='"./server"' -DCLIENT_PATH='"./client"' \
	    tests/exercises/exercises.cpp -o build/exercises -pthread
	@build/exercises $(NAME)

bench:
	@tests/bench/run.sh

fuzz:
	@($(BUILD)) > /dev/null
	@tests/fuzz/run.sh $(or $(SECONDS),60)
	@SECONDS=$(or $(SECONDS),60) build/tests/fuzz_peers

soak:
	@($(BUILD)) > /dev/null
	@SECONDS=$(or $(SECONDS),600) build/tests/soak \
	    coming_going_talking_misbehaving
	@MESSAGES=1000000 build/tests/soak a_million_messages

attacks:
	@($(BUILD)) > /dev/null
	@ATTACKS=1 build/tests/test_hostile_peers

clean:
	rm -rf build server client server.exe client.exe server.log

.PHONY: all run test experiment exercise bench fuzz soak attacks clean
