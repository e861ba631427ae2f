// bench.cpp - how fast is the server, compared with the least that a server
// can do (floor.cpp)? All of them take turns, three rounds, under the same
// load; what counts are the ratios within one round, so that a slow machine,
// or a busy one, does not matter much. Nothing here fails on a time: only a
// message that is lost, cut, doubled or out of order does (exit code 1).
//
//   ./bench SERVER FLOOR [TITLE OTHER_SERVER]...
//
// run.sh builds all the programs and starts this one.

#include "load.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <fstream>
#include <iostream>

// QUICK in the environment: only to see that nothing is lost; the figures say
// little then.
const bool QUICK = std::getenv("QUICK") != nullptr;
const size_t ROUNDS = QUICK ? 1 : 3;
const double TIME = QUICK ? 0.05 : 0.6;  // seconds that a load goes on
const size_t FLOOD_BYTES = (QUICK ? 2 : 64) * 1000 * 1000;

struct Contestant {
    string title;
    std::vector<string> command;
};

// With two processors or more, one is for the clients alone, and the servers
// have the others: as if the clients were on another machine. If the system
// could move the threads about, latencies would tell of that, not of a server.
static cpu_set_t for_clients;
static cpu_set_t for_servers;

// The first three; behind them come other servers.
enum { ONE_SEND_A_MESSAGE, ONE_SEND_A_ROUND, SERVER };
static std::vector<Contestant> contestants;

struct Case {
    Workload load;
    double aim;     // for the ratio of the server; 0: none
    bool for_all;   // also for the other servers
    std::vector<std::vector<Result>> results{};  // [contestant][round]
};

struct Group {  // cases for which a server is started once
    std::vector<Case> cases;
    std::vector<std::vector<double>> memory{};   // [contestant][round], in kB
    std::vector<std::vector<double>> threads{};  // for one client
    string left_out{};                           // why
};

// 10 clients send; each has so many messages under way.
static Workload closed_loop(int clients, int in_flight, size_t bytes = 100)
{
    return {CLOSED_LOOP, clients, 10, in_flight, bytes, TIME, 0};
}

static std::vector<Group> groups = {
    {{{closed_loop(10, 8), 0, false}, {closed_loop(10, 1), 0, false}}},
    {{{closed_loop(100, 8), 12, true}, {closed_loop(100, 1), 4.5, true},
      {closed_loop(100, 8, 700), 0, false}}},
    {{{closed_loop(400, 8), 13, true}, {closed_loop(400, 1), 0, true}}},
    {{{closed_loop(900, 8), 0, false}, {closed_loop(900, 1), 0, false}}},
    {{{{ONE_AT_A_TIME, 20, 20, 1, 100, TIME, 0}, 1.3, true}}},
    {{{{FLOOD, 10, 1, 0, 700, 0, FLOOD_BYTES}, 2.5, false}}},
};
const double AIM_P99 = 4;      // ms, 100 clients with 8 messages under way
const double AIM_MEMORY = 16;  // kB a client

// --- the programs -----------------------------------------------------------

// A server that runs as long as this object lives. What it prints goes into
// the file server.log.
class Program {
public:
    explicit Program(const Contestant& contestant);
    ~Program()
    {
        ::kill(pid_, SIGKILL);  // how it ends is no matter here
        ::waitpid(pid_, nullptr, 0);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    int port() const { return port_; }
    clockid_t clock() const  // of the processor time of all its threads
    {
        clockid_t id = {};
        ::clock_getcpuclockid(pid_, &id);
        return id;
    }
    double status(const string& key) const;

private:
    pid_t pid_;
    int port_ = 0;
};

// Starts it and waits until it tells its port.
Program::Program(const Contestant& contestant)
{
    std::remove("server.log");
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it does not outlive Ctrl+C
        ::sched_setaffinity(0, sizeof for_servers, &for_servers);
        const int log
            = ::open("server.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ::dup2(log, 1);
        std::vector<char*> words;
        for (const string& word : contestant.command)
            words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        ::execv(words[0], words.data());
        ::_exit(126);
    }
    const double deadline = now() + 10;
    while (port_ == 0 && now() < deadline) {
        std::this_thread::sleep_for(milliseconds(1));
        std::ifstream log("server.log");
        string text;
        std::getline(log, text, ')');
        const size_t at = text.find("(porta ");
        if (at != string::npos && !log.eof())
            port_ = std::atoi(&text[at + 7]);
    }
    if (port_ == 0)
        throw Damage("it does not start");
}

// One number of /proc/PID/status ("VmRSS" in kB, "Threads"); -1: not known.
double Program::status(const string& key) const
{
    std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
    for (string line; std::getline(file, line);)
        if (line.compare(0, key.size() + 1, key + ":") == 0)
            return std::atof(&line[key.size() + 1]);
    return -1;
}

// --- measuring --------------------------------------------------------------

// What a case is, in words.
static string describe(const Workload& load)
{
    const string clients = std::to_string(load.clients) + " clients, ";
    const string bytes = std::to_string(load.bytes) + " bytes";
    if (load.mode == ONE_AT_A_TIME)
        return clients + "one message of " + bytes + " at a time, 1 ms apart";
    if (load.mode == FLOOD)
        return clients + "one sends "
               + std::to_string(load.flood_bytes / 1000000)
               + " MB in messages of " + bytes;
    return clients + std::to_string(load.senders) + " send, "
           + std::to_string(load.in_flight) + " x " + bytes
           + " under way for each";
}

// True if this contestant has a part in this case.
static bool takes_part(const Case& one, size_t who)
{
    if (who == ONE_SEND_A_MESSAGE && one.load.mode == FLOOD)
        return false;  // it would take long
    return who <= SERVER || one.for_all;
}

// Says what is going on: in one line on a terminal, else without the details.
static void progress(const string& text, const string& details)
{
    static string last;
    if (::isatty(2))
        std::cerr << '\r' << text << details << "\033[K" << std::flush;
    else if (text != last && !text.empty())
        std::cerr << text << std::endl;
    last = text;
}

// Starts one contestant and runs the cases of a group on it.
static void measure(Group& group, size_t who)
{
    if (!takes_part(group.cases[0], who))
        return;
    const Program program(contestants[who]);
    const double clients = group.cases[0].load.clients;
    const double memory = program.status("VmRSS");
    const double threads = program.status("Threads");
    Room room(program.port(), group.cases[0].load.clients);
    for (Case& one : group.cases)
        if (takes_part(one, who))
            one.results[who].push_back(room.run(one.load, program.clock()));
    if (memory < 0)
        return;
    group.memory[who].push_back((program.status("VmRSS") - memory) / clients);
    group.threads[who].push_back((program.status("Threads") - threads)
                                 / clients);
}

// One round: every group on every contestant. Who begins is another each time.
static void run_round(size_t round)
{
    for (Group& group : groups) {
        for (size_t i = 0; i < contestants.size(); i++) {
            const size_t who = (i + round) % contestants.size();
            if (!group.left_out.empty())
                continue;
            progress("round " + std::to_string(round + 1) + " of "
                         + std::to_string(ROUNDS) + ": "
                         + describe(group.cases[0].load),
                     " - " + contestants[who].title);
            try {
                measure(group, who);
            } catch (const Refusal& refusal) {
                group.left_out = refusal.what();
            } catch (const Damage& damage) {
                throw Damage(contestants[who].title + ": " + damage.what());
            }
        }
    }
}

// Divides the processors that this program may use. Returns how many they are.
static int divide_processors()
{
    cpu_set_t all;
    ::sched_getaffinity(0, sizeof all, &all);
    for_clients = for_servers = all;
    if (CPU_COUNT(&all) < 2)
        return 1;
    int first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&for_clients);
    CPU_SET(first, &for_clients);
    CPU_CLR(first, &for_servers);
    ::sched_setaffinity(0, sizeof for_clients, &for_clients);
    return CPU_COUNT(&all);
}

// Asks for enough descriptors, and leaves out what needs more of them.
static void make_room()
{
    rlimit limit = {};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2000);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    for (Group& group : groups) {
        if (limit.rlim_cur < static_cast<rlim_t>(group.cases[0].load.clients)
                                 + 20)
            group.left_out = "too few descriptors (ulimit -n)";
        group.memory.resize(contestants.size());
        group.threads.resize(contestants.size());
        for (Case& one : group.cases)
            one.results.resize(contestants.size());
    }
}

// --- the table --------------------------------------------------------------

// The value in the middle, and the range.
struct Spread {
    double median = -1;  // -1: nothing was measured
    double lowest = -1;
    double highest = -1;
};

// Those of some values; they may be none.
static Spread spread(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    if (values.empty())
        return {};
    return {values[values.size() / 2], values.front(), values.back()};
}

// A number with three digits, or as many as it takes; below 10 with so many
// behind the point.
static string show(double value, int digits)
{
    char text[40];
    std::snprintf(text, sizeof text, "%.*f",
                  value >= 99.95 ? 0 : value >= 9.995 ? 1 : digits, value);
    return value < 0 ? "-" : value > 0 ? text : "0";
}

// As "12.4 (11.9-13.0)".
static string show(const Spread& s)
{
    if (s.median < 0)
        return "-";
    return show(s.median, 2) + " (" + show(s.lowest, 2) + '-'
           + show(s.highest, 2) + ')';
}

// One figure of every round, multiplied.
static Spread figures(const std::vector<Result>& results,
                      double Result::*figure, double factor)
{
    std::vector<double> values;
    for (const Result& result : results)
        values.push_back(result.*figure * factor);
    return spread(values);
}

// One figure of a contestant, divided by that of a floor in the same round.
static Spread quotient(const Case& one, size_t who, size_t floor,
                       double Result::*figure)
{
    std::vector<double> values;
    const auto& mine = one.results[who];
    const auto& other = one.results[floor];
    for (size_t i = 0; i < mine.size() && i < other.size(); i++)
        values.push_back(mine[i].*figure / (other[i].*figure));
    return spread(values);
}

// How a contestant does. Closed loop: how many times the deliveries of one send
// a message. One at a time: how many times its p50. Flood: how many times as
// long as one send a round it takes.
static Spread ratio(const Case& one, size_t who)
{
    if (one.load.mode == CLOSED_LOOP)
        return quotient(one, who, ONE_SEND_A_MESSAGE, &Result::deliveries);
    if (one.load.mode == ONE_AT_A_TIME)
        return quotient(one, who, ONE_SEND_A_MESSAGE, &Result::p50);
    return quotient(one, who, ONE_SEND_A_ROUND, &Result::seconds_each);
}

// What a case is, in 16 columns.
static string describe_briefly(const Workload& load)
{
    if (load.mode != CLOSED_LOOP)
        return load.mode == FLOOD ? "flood" : "idle";
    return "N=" + std::to_string(load.clients)
           + " W=" + std::to_string(load.in_flight)
           + (load.bytes == 100 ? "" : " " + std::to_string(load.bytes) + " B");
}

// One case: a line for each contestant.
static void print_case(const Case& one)
{
    std::printf("\n%s\n", describe(one.load).c_str());
    std::printf("%-15s%17s %6s %16s %5s %s\n", "", "1000 deliveries/s",
                "p50 ms", "p99 ms", "CPU",
                one.load.mode == CLOSED_LOOP ? "times"
                : one.load.mode == FLOOD     ? "longer"
                                             : "p50");
    for (size_t who = 0; who < contestants.size(); who++) {
        const auto& results = one.results[who];
        if (results.empty())
            continue;
        const Spread rate = figures(results, &Result::deliveries, 1e-3);
        const Spread p50 = figures(results, &Result::p50, 1e3);
        const Spread p99 = figures(results, &Result::p99, 1e3);
        const Spread cpu = figures(results, &Result::cpu_each, 1e6);
        std::printf("%-15s%17s %6s %16s %5s %s\n",
                    contestants[who].title.c_str(), show(rate).c_str(),
                    show(p50.median, 3).c_str(), show(p99).c_str(),
                    show(cpu.median, 2).c_str(), show(ratio(one, who)).c_str());
    }
}

// A line of the table of memory and threads: a median for each number of
// clients.
static void print_row(const string& title, size_t who,
                      std::vector<std::vector<double>> Group::*figures)
{
    std::printf("%-40s", title.c_str());
    for (const Group& group : groups) {
        const Spread s = spread((group.*figures)[who]);
        if (group.cases[0].load.mode != CLOSED_LOOP)
            continue;
        std::printf("%10s", show(s.median, 1).c_str());
    }
    std::printf("\n");
}

// What a client takes in the server, when the loads are over.
static void print_memory()
{
    std::printf("\n%-40s", "for each client");
    for (const Group& group : groups)
        if (group.cases[0].load.mode == CLOSED_LOOP)
            std::printf("    N=%-4d", group.cases[0].load.clients);
    std::printf("\n");
    for (size_t who = 0; who < contestants.size(); who++) {
        print_row(contestants[who].title + ": kB", who, &Group::memory);
        print_row(contestants[who].title + ": threads", who, &Group::threads);
    }
}

// A line of the aims.
static void print_aim(const string& what, const Spread& measured,
                      const char* sign, double aim)
{
    std::printf("%-50s %18s  %s %g\n", what.c_str(),
                show(measured).c_str(), sign, aim);
}

// The aim of a case, if it has one.
static void print_aim_of(const Case& one)
{
    const string name = describe_briefly(one.load) + ": ";
    const Spread measured = ratio(one, SERVER);
    if (one.load.mode == ONE_AT_A_TIME)
        print_aim(name + "p50, times that of one send a message", measured,
                  "<=", one.aim);
    else if (one.load.mode == FLOOD)
        print_aim(name + "times as long as one send a round", measured, "<=",
                  one.aim);
    else if (one.aim > 0)
        print_aim(name + "deliveries, times one send a message", measured,
                  ">=", one.aim);
}

// The aims of a group that are no ratios. (With few clients, what the server
// needs for itself would count as theirs.)
static void print_aims_of(const Group& group)
{
    const Case& first = group.cases[0];
    if (first.load.mode != CLOSED_LOOP || first.load.clients < 100)
        return;
    const string name = describe_briefly(first.load) + ": ";
    if (first.load.clients == 100) {
        print_aim(name + "p99, ms",
                  figures(first.results[SERVER], &Result::p99, 1e3), "<=",
                  AIM_P99);
        std::printf("%-50s %18s  -\n",
                    (name + "p99, times that of one send a round").c_str(),
                    show(quotient(first, SERVER, ONE_SEND_A_ROUND,
                                  &Result::p99)).c_str());
    }
    print_aim("N=" + std::to_string(first.load.clients)
                  + ": memory, kB a client",
              spread(group.memory[SERVER]), "<=", AIM_MEMORY);
}

// What the server has reached, beside what it aims at.
static void print_aims()
{
    std::printf("\n%-50s %18s  aim\n", "the server", "measured");
    for (const Group& group : groups)
        for (const Case& one : group.cases)
            print_aim_of(one);
    for (const Group& group : groups)
        print_aims_of(group);
    std::printf("%-50s %18s  0\n", "lost, cut, doubled or out of order", "0");
}

// The ratios of a closed loop as bars; '|' is the aim.
static void print_bars(const Case& one, double highest)
{
    const double columns = 40 / highest;  // for a ratio of 1
    for (size_t who = ONE_SEND_A_ROUND; who < contestants.size(); who++) {
        const double value = ratio(one, who).median;
        if (value < 0)
            continue;
        string bar(static_cast<size_t>(value * columns), '#');
        const auto aim = static_cast<size_t>(one.aim * columns);
        if (who == SERVER && aim > 0) {
            bar.resize(std::max(bar.size(), aim + 1), ' ');
            bar[aim] = '|';
        }
        std::printf("%-16s%-15s%5s %s\n",
                    who == ONE_SEND_A_ROUND
                        ? describe_briefly(one.load).c_str() : "",
                    contestants[who].title.c_str(), show(value, 1).c_str(),
                    bar.c_str());
    }
}

// The chart of all closed loops.
static void print_chart()
{
    std::vector<const Case*> cases;
    double highest = 1;
    for (const Group& group : groups)
        for (const Case& one : group.cases)
            if (one.load.mode == CLOSED_LOOP)
                cases.push_back(&one);
    for (const Case* one : cases)
        for (size_t who = 0; who < contestants.size(); who++)
            highest = std::max(highest, ratio(*one, who).median);
    std::printf("\ndeliveries, times those of one send a message"
                " ('|' is the aim)\n");
    for (const Case* one : cases)
        print_bars(*one, highest);
}

// All that was measured.
static void print_report(double seconds, int processors)
{
    std::printf(
        "floor: message  one send() for each message and client, no more\n"
        "floor: round    one send() for each client, of all that has come\n"
        "server          server.cpp, built with -O2\n"
        "Medians (and ranges) of %zu rounds.\n"
        "p50, p99  latency, from a sender's send() to a receiver's recv()\n"
        "CPU       microseconds of the server for a message to a client\n"
        "times     deliveries against \"floor: message\", in the same round\n"
        "p50       against the p50 of \"floor: message\", likewise\n"
        "longer    than \"floor: round\", likewise\n", ROUNDS);
    for (const Group& group : groups) {
        for (const Case& one : group.cases) {
            if (group.left_out.empty())
                print_case(one);
            else
                std::printf("\n%s\nleft out: %s\n",
                            describe(one.load).c_str(), group.left_out.c_str());
        }
    }
    print_memory();
    print_chart();
    print_aims();
    std::printf("\n%.0f seconds; %s.\n", seconds,
                processors > 1 ? "one processor for the clients, the others for"
                                 " the servers"
                               : "clients and servers share one processor");
}

int main(int argc, char* argv[])
{
    if (argc < 3) {
        std::cerr << "usage: bench SERVER FLOOR [TITLE OTHER_SERVER]...\n";
        return 2;
    }
    contestants = {{"floor: message", {argv[2], "message"}},
                   {"floor: round", {argv[2], "round"}},
                   {"server", {argv[1], "0"}}};
    for (int i = 3; i + 1 < argc; i += 2)
        contestants.push_back({argv[i], {argv[i + 1], "0"}});
    make_room();
    const int processors = divide_processors();
    const double start = now();
    try {
        for (size_t round = 0; round < ROUNDS; round++)
            run_round(round);
    } catch (const Damage& damage) {
        progress("", "");
        std::cout << "FAILED: " << damage.what() << std::endl;
        return 1;
    }
    progress("", "");
    print_report(now() - start, processors);
    return 0;
}
