// replay.cpp - a fuzz target without a fuzzer: runs it once with each file
// named on the command line. For seeds and finds, with any compiler.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);

int main(int argc, char* argv[])
{
    for (int i = 1; i < argc; i++) {
        std::ifstream file(argv[i], std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
        if (!file || bytes.empty()) {
            std::fprintf(stderr, "FAILED: cannot read %s\n", argv[i]);
            return 2;
        }
        // Said before: if this one is broken, the program ends in it.
        std::printf("%s\n", argv[i]);
        std::fflush(stdout);
        LLVMFuzzerTestOneInput(
            reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    std::printf("inputs run: %d\n", argc - 1);
    if (argc < 2)
        std::fprintf(stderr, "FAILED: no file is named\n");
    return argc < 2 ? 2 : 0;
}
