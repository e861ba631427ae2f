# The trap: std::localtime() returns a pointer to one tm for the whole program,
# so that two threads can get each other's time, or half of it. A test hardly
# ever sees that; ThreadSanitizer does. localtime_r() would be a way, but is
# missing on Windows. log_line() locks a mutex anyway: under it there is one
# thread at a time, and the lines stand in the order of their times.

/^#include <condition_variable>/a\
#include <ctime>

/^static void log_line([^;]*$/,/^}/ {
    /lock(log_mutex)/a\
    char stamp[16] = "";\
    const std::time_t now = std::time(nullptr);\
    if (std::getenv("STAMP"))\
        std::strftime(stamp, sizeof stamp, "%H:%M:%S ", std::localtime(&now));
    s/ + line)/ + stamp + line)/
}
