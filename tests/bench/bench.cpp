// bench.cpp - how fast is the server, compared with the least that a server
// can do (floor.cpp)? All of them take turns, three rounds, under the same
// load; what counts are the ratios within one round, so that a slow machine,
// or a busy one, does not matter much. Nothing here fails on a time: only a
// message that is lost, cut, doubled or out of order does (exit code 1).
//
// run.sh starts it, where ./server, ./floor and the OTHERS are.

#include "load.h"

#include <map>

const size_t ROUNDS = QUICK ? 1 : 3;
const int QUIET = QUICK ? 0 : 200;  // ms; then memory is given back

struct Contestant {
    string title;
    string command;
};

// The first three; then come other servers.
enum { ONE_SEND_A_MESSAGE, ONE_SEND_A_ROUND, SERVER };
static std::vector<Contestant> contestants = {
    {"floor: message", "./floor message"},
    {"floor: round", "./floor round"},
    {"server", "./server 0"},
};

struct Case {
    Workload load;
    double aim;    // what the server's ratio should be; 0: none
    bool for_all;  // for the other servers, too
    std::map<size_t, std::vector<Result>> results{};  // [contestant][round]
};

static std::vector<Case> cases = {
    {{CLOSED_LOOP, 10, 8, 100}, 0, false},
    {{CLOSED_LOOP, 10, 1, 100}, 0, false},
    {{CLOSED_LOOP, 100, 8, 100}, 12, true},
    {{CLOSED_LOOP, 100, 1, 100}, 4.5, true},
    {{CLOSED_LOOP, 100, 8, 700}, 0, false},
    {{CLOSED_LOOP, 400, 8, 100}, 13, true},
    {{CLOSED_LOOP, 400, 1, 100}, 0, true},
    {{CLOSED_LOOP, 900, 8, 100}, 0, false},
    {{CLOSED_LOOP, 900, 1, 100}, 0, false},
    {{ONE_AT_A_TIME, 20, 1, 100}, 1.3, true},
    {{FLOOD, 10, 0, 700}, 2.5, false},
};

// How a contestant does, compared with a floor in the same round.
struct Measure {
    string name;
    string aim;  // it should be so many times the floor's
    double Result::*figure;
    size_t floor;
};
const Measure MEASURES[] = {  // for each Mode
    {"times", ">=", &Result::deliveries, ONE_SEND_A_MESSAGE},
    {"p50", "<=", &Result::p50, ONE_SEND_A_MESSAGE},
    {"longer", "<=", &Result::seconds_each, ONE_SEND_A_ROUND},
};

// --- measuring --------------------------------------------------------------

static cpu_set_t for_servers;

// With two processors or more, one is for the clients alone, and the servers
// have the others: as if the clients were on another machine. If the system
// could move the threads about, latencies would tell of that, not of a server.
static void divide_processors() {
    ::sched_getaffinity(0, sizeof for_servers, &for_servers);
    const int count = CPU_COUNT(&for_servers);
    int first = 0;
    while (!CPU_ISSET(first, &for_servers))
        first++;
    if (count > 1 && !QUICK) {
        cpu_set_t for_clients;
        CPU_ZERO(&for_clients);
        CPU_SET(first, &for_clients);
        CPU_CLR(first, &for_servers);
        ::sched_setaffinity(0, sizeof for_clients, &for_clients);
    }
}

// What a case is, in words.
static string describe(const Workload& load) {
    const string clients = to_string(load.clients) + " clients, ";
    const string bytes = to_string(load.bytes) + " bytes";
    if (load.mode == ONE_AT_A_TIME)
        return clients + "one message of " + bytes + " at a time, 1 ms apart";
    if (load.mode == FLOOD)
        return clients + "one sends " + to_string(FLOOD_BYTES / 1000000)
               + " MB in messages of " + bytes;
    return clients + to_string(SENDERS) + " send, "
           + to_string(load.in_flight) + " x " + bytes
           + " under way for each";
}

// Starts one contestant, and runs a case on it.
static Result measure(const Workload& load, const Contestant& who) {
    Program program(who.command, {}, [] {
        ::sched_setaffinity(0, sizeof for_servers, &for_servers);
    });
    program.out.skip_to("(porta ");
    const int port = std::atoi(program.out.skip_to(")").c_str());
    clockid_t clock = {};  // the processor time of all its threads
    ::clock_getcpuclockid(program.pid(), &clock);
    const long memory = status_of(program.pid(), "VmRSS");
    Room room(who.title, port, load);
    Result result = room.run(clock);
    pause_for(QUIET);
    result.memory = static_cast<double>(
        status_of(program.pid(), "VmRSS") - memory);
    result.memory /= static_cast<double>(load.clients);
    return result;
}

// One round: every case on every contestant. Who begins is another each time.
static void run_round(size_t round) {
    for (Case& one : cases) {
        std::cerr << "round " << round + 1 << " of " << ROUNDS << ": "
                  << describe(one.load) << std::endl;
        for (size_t i = 0; i < contestants.size(); i++) {
            const size_t who = (i + round) % contestants.size();
            if (who <= SERVER || one.for_all)
                one.results[who].push_back(measure(one.load,
                                                   contestants[who]));
        }
    }
}

// --- the report -------------------------------------------------------------

using Values = std::vector<double>;  // one of each round

// A number with three digits, or as many as it takes; below 10 with so many
// behind the point.
static string show(double value, int digits) {
    char text[40];
    if (value >= 9.995)
        digits = value >= 99.95 ? 0 : 1;
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

static string median(Values values, int digits) {
    std::sort(values.begin(), values.end());
    return show(values[values.size() / 2], digits);
}

// The value in the middle, and the range, as "12.4 (11.9-13.0)".
static string with_range(const Values& values) {
    const auto range = std::minmax_element(values.begin(), values.end());
    return median(values, 2) + " (" + show(*range.first, 2) + '-'
           + show(*range.second, 2) + ')';
}

// One figure, times `factor`.
static Values figures(const std::vector<Result>& results,
                      double Result::*figure, double factor) {
    Values values;
    for (const Result& result : results)
        values.push_back(result.*figure * factor);
    return values;
}

// One case: a line for each contestant.
static void print_case(Case& one) {
    const Measure& measure = MEASURES[one.load.mode];
    string ratio = measure.name;
    if (one.aim > 0)
        ratio += " (" + measure.aim + ' ' + show(one.aim, 1) + ')';
    std::printf("\n%s\n%-14s%17s %5s%17s%5s%5s %s\n",
                describe(one.load).c_str(), "", "1000 deliveries/s", "p50ms",
                "p99 ms", "CPU", "kB", ratio.c_str());
    const auto floor = figures(one.results[measure.floor], measure.figure, 1);
    for (const auto& [who, results] : one.results) {
        const auto deliveries = figures(results, &Result::deliveries, 1e-3);
        const auto p50 = figures(results, &Result::p50, 1e3);
        const auto p99 = figures(results, &Result::p99, 1e3);
        const auto cpu = figures(results, &Result::cpu_each, 1e6);
        const auto memory = figures(results, &Result::memory, 1);
        auto ratios = figures(results, measure.figure, 1);
        for (size_t i = 0; i < ratios.size(); i++)
            ratios[i] /= floor[i];
        std::printf("%-14s%17s %5s%17s%5s%5s %s\n",
                    contestants[who].title.c_str(),
                    with_range(deliveries).c_str(), median(p50, 3).c_str(),
                    with_range(p99).c_str(), median(cpu, 2).c_str(),
                    median(memory, 1).c_str(), with_range(ratios).c_str());
    }
}

TEST(bench) {
    set_limit(0, RLIMIT_NOFILE, 1000);
    divide_processors();
    const char* others = std::getenv("OTHERS");
    for (const string& other : words_of(others ? others : ""))
        contestants.push_back({other, "./" + other + " 0"});
    for (size_t round = 0; round < ROUNDS; round++)
        run_round(round);
    std::printf(
        "floor: message  one send() for each message and client, no more\n"
        "floor: round    one send() for each client, of all that has come\n"
        "server          server.cpp, built with -O2\n"
        "Medians (and ranges) of %zu rounds.\n"
        "p50, p99  latency, from a sender's send() to a receiver's recv()\n"
        "CPU       microseconds of the server for a message to a client\n"
        "kB        memory of the server for a client, when all is quiet again\n"
        "times     deliveries against \"floor: message\", in the same round\n"
        "p50       against the p50 of \"floor: message\", likewise\n"
        "longer    than \"floor: round\", likewise\n"
        "In brackets: what the server aims at; also at a p99 of 4 ms in the\n"
        "case of 100 clients and 8 x 100 bytes, and at 16 kB from 100 clients\n"
        "on. No message was lost, cut, doubled or out of order.\n", ROUNDS);
    for (Case& one : cases)
        print_case(one);
}
