// replay.cpp - a fuzz target without a fuzzer: runs it once with each file
// named on the command line. For seeds and finds, with any compiler.

#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);

int main(int argc, char* argv[]) {
    for (int i = 1; i < argc; i++) {
        std::cout << argv[i] << std::endl;  // if this breaks it, it ends here
        std::ifstream file(argv[i], std::ios::binary);
        const std::string bytes(std::istreambuf_iterator<char>(file), {});
        LLVMFuzzerTestOneInput(
            reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    std::cout << "inputs run: " << argc - 1 << "\n";
    return argc < 2 ? 2 : 0;
}
