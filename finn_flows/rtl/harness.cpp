// Streams words through a design compiled by Verilator. See simulation.py, which writes ports.h.
//
// Usage: simulate SEED STALL_IN STALL_OUT PACE DRAIN QUIET FOLDER COUNT..., the words of each input and of each output.
// Prints a line "progress SHARE" every 65,536 cycles; a design may print other lines.
// Reads FOLDER/in<i>, writes FOLDER/out<i> (words of 32-bit chunks) and FOLDER/taken<i>, given<i> (64-bit cycle numbers).
// prelude.h is included ahead of it.
#include "Vtop.h"

using Chunks = std::vector<uint32_t>;

template <class T>
void put(T& port, const uint32_t* words, size_t chunks) {
    uint64_t value = words[0];
    if (chunks > 1) value |= uint64_t(words[1]) << 32;
    port = T(value);
}
template <std::size_t N>
void put(VlWide<N>& port, const uint32_t* words, size_t) {
    for (size_t i = 0; i < N; ++i) port[i] = words[i];
}
template <class T>
void get(const T& port, uint32_t* words, size_t chunks) {
    words[0] = uint32_t(port);
    if (chunks > 1) words[1] = uint32_t(uint64_t(port) >> 32);
}
template <std::size_t N>
void get(const VlWide<N>& port, uint32_t* words, size_t) {
    for (size_t i = 0; i < N; ++i) words[i] = port[i];
}

struct Input {
    std::string name;
    size_t chunks;
    CData* valid;
    CData* ready;
    std::function<void(const uint32_t*)> drive;
    Chunks words;
    size_t count = 0, next = 0;
    std::vector<uint64_t> taken;
};
struct Output {
    std::string name;
    size_t chunks;
    CData* valid;
    CData* ready;
    std::function<void(uint32_t*)> sample;
    Chunks words, waiting;
    bool waits = false, tap = false;
    size_t count = 0;
    std::vector<uint64_t> given;
};

template <class T>
Input make_input(const char* name, T& data, CData& valid, CData& ready, size_t chunks) {
    Input port;
    port.name = name, port.chunks = chunks, port.valid = &valid, port.ready = &ready;
    port.drive = [&data, chunks](const uint32_t* words) { put(data, words, chunks); };
    return port;
}
template <class T>
Output make_output(const char* name, T& data, CData& valid, CData& ready, size_t chunks) {
    Output port;
    port.name = name, port.chunks = chunks, port.valid = &valid, port.ready = &ready;
    port.sample = [&data, chunks](uint32_t* words) { get(data, words, chunks); };
    return port;
}

#include "ports.h"

[[noreturn]] static void fail(const std::string& message) {
    fprintf(stderr, "%s\n", message.c_str());
    exit(1);
}

template <class T>
static void save(const std::string& path, const std::vector<T>& data) {
    FILE* file = fopen(path.c_str(), "wb");
    if (!file || fwrite(data.data(), sizeof(T), data.size(), file) != data.size() || fclose(file))
        fail("cannot write " + path);
}

int main(int, char** argv) {
    const auto seed = strtoull(argv[1], nullptr, 10);
    const double stall_in = atof(argv[2]), stall_out = atof(argv[3]);
    const double pace = atof(argv[4]);
    const uint64_t drain = strtoull(argv[5], nullptr, 10), quiet = strtoull(argv[6], nullptr, 10);
    const std::string folder = std::string(argv[7]) + "/";

    const auto context = std::make_unique<VerilatedContext>();
    const auto top = std::make_unique<Vtop>(context.get());
    std::vector<Input> inputs;
    std::vector<Output> outputs;
    connect(*top, inputs, outputs);
    char** count = argv + 8;
    for (size_t i = 0; i < inputs.size(); ++i) {
        auto& port = inputs[i];
        port.count = strtoull(*count++, nullptr, 10);
        port.words.resize(port.count * port.chunks);
        const std::string path = folder + "in" + std::to_string(i);
        FILE* file = fopen(path.c_str(), "rb");
        if (!file || fread(port.words.data(), 4, port.words.size(), file) != port.words.size())
            fail("cannot read " + path);
        fclose(file);
    }
    for (auto& port : outputs) port.count = strtoull(*count++, nullptr, 10), port.waiting.resize(port.chunks);

    std::mt19937_64 random(seed);
    const auto stalls = [&random](double often) { return double(random() >> 11) * 0x1p-53 < often; };
    const auto edge = [&top] {
        top->clk = 1, top->eval();
        top->clk = 0, top->eval();
    };

    top->clk = 0, top->rst_n = 0;
    for (auto& port : inputs) *port.valid = 0;
    for (auto& port : outputs) *port.ready = 0;
    top->eval();
    for (int i = 0; i < 4; ++i) edge();
    top->rst_n = 1;

    uint64_t since_word = 0, since_done = 0;
    for (uint64_t cycle = 0;; ++cycle) {
        for (auto& port : inputs) {
            // A word stays offered until it is taken.
            if (!*port.valid && port.next < port.count && double(cycle) >= pace * double(port.next) && !stalls(stall_in)) {
                *port.valid = 1;
                port.drive(&port.words[port.next * port.chunks]);
            }
        }
        for (auto& port : outputs) *port.ready = port.tap || !stalls(stall_out);
        top->eval();

        bool moved = false, done = true;
        std::vector<Input*> take;
        for (auto& port : inputs)
            if (*port.valid && *port.ready) take.push_back(&port);
        for (auto& port : outputs) {
            Chunks word(port.chunks);
            port.sample(word.data());
            if (port.waits && !*port.valid) fail(port.name + " withdraws a word, cycle " + std::to_string(cycle));
            if (port.waits && word != port.waiting)
                fail(port.name + " changes a waiting word, cycle " + std::to_string(cycle));
            port.waits = *port.valid && !*port.ready;
            port.waiting = word;
            if (*port.valid && *port.ready) {
                port.words.insert(port.words.end(), word.begin(), word.end());
                port.given.push_back(cycle);
                moved = true;
            }
            if (port.given.size() > port.count) fail(port.name + " gives more words than expected");
            done = done && port.given.size() == port.count;
        }
        edge();
        for (auto* port : take) {
            *port->valid = 0;
            port->taken.push_back(cycle);
            ++port->next;
            moved = true;
        }
        since_word = moved ? 0 : since_word + 1;
        for (auto& port : inputs)
            if (port.next < port.count && double(cycle) < pace * double(port.next)) since_word = 0;
        if (done && ++since_done > drain) break;
        if (cycle % 65536 == 65535) {
            double share = 1;
            for (auto& port : outputs)
                if (port.count) share = std::min(share, double(port.given.size()) / double(port.count));
            printf("progress %f\n", share), fflush(stdout);
        }
        if (!done && since_word > quiet) {
            std::string state;
            for (auto& port : inputs)
                state += "\n  " + port.name + ": " + std::to_string(port.next) + " of " + std::to_string(port.count) + " taken";
            for (auto& port : outputs)
                state += "\n  " + port.name + ": " + std::to_string(port.given.size()) + " of " + std::to_string(port.count) + " given";
            fail("stuck: no word has moved for " + std::to_string(quiet) + " cycles" + state);
        }
    }
    top->final();
    for (size_t i = 0; i < inputs.size(); ++i) save(folder + "taken" + std::to_string(i), inputs[i].taken);
    for (size_t i = 0; i < outputs.size(); ++i) {
        save(folder + "out" + std::to_string(i), outputs[i].words);
        save(folder + "given" + std::to_string(i), outputs[i].given);
    }
}
