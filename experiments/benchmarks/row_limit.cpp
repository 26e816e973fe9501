// What the synaptic events of a network take where a spike adds a row of weights: the additions alone, at random
// positions, without neurons, without a list of spikes, without geometry. No bound where arrays are larger than the
// caches, since spikes in the order of their neurons find what they need there more often.
//
// Usage: row_limit LENGTH ROWS TARGETS WEIGHTS [...], four numbers a map: numbers in a row, rows to add, numbers in the
// target and in the weights. Printed are seconds for all of them together. Compile with -O3 -march=native; -DREAL=float
// adds in float32.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#ifndef REAL
#define REAL double
#endif

namespace {

using real = REAL;

// As long as the random positions are drawn for; then they come again.
constexpr int64_t n_positions = 4096;

struct Rows {
    int64_t length, n_rows;
    std::vector<real> targets, weights;
    std::vector<int64_t> from, to;
};

template <int64_t n>
void add(Rows& r) {
    const int64_t length = n > 0 ? n : r.length;
    for (int64_t row = 0; row < r.n_rows; row++) {
        const real* __restrict w = r.weights.data() + r.from[row % n_positions];
        real* __restrict z = r.targets.data() + r.to[row % n_positions];
        for (int64_t i = 0; i < length; i++) z[i] += w[i];
    }
}

void add_all(Rows& r) {
    switch (r.length) {
        case 1: return add<1>(r);
        case 10: return add<10>(r);
        case 32: return add<32>(r);
        case 48: return add<48>(r);
        case 64: return add<64>(r);
        case 80: return add<80>(r);
        case 96: return add<96>(r);
        case 192: return add<192>(r);
        default: return add<0>(r);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5 || argc % 4 != 1) {
        std::fprintf(stderr, "usage: row_limit LENGTH ROWS TARGETS WEIGHTS [...]\n");
        return 2;
    }
    std::mt19937_64 random(1);
    std::vector<Rows> maps;
    for (int k = 1; k < argc; k += 4) {
        Rows r{std::atoll(argv[k]), std::atoll(argv[k + 1]), {}, {}, {}, {}};
        r.targets.assign(std::max<int64_t>(std::atoll(argv[k + 2]), r.length), real(0));
        r.weights.assign(std::max<int64_t>(std::atoll(argv[k + 3]), r.length), real(1) / 1024);
        for (int64_t p = 0; p < n_positions; p++) {
            r.from.push_back(int64_t(random() % (r.weights.size() - r.length + 1)));
            r.to.push_back(int64_t(random() % (r.targets.size() - r.length + 1)));
        }
        maps.push_back(std::move(r));
    }
    const auto start = std::chrono::steady_clock::now();
    for (Rows& r : maps) add_all(r);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    real sum = 0;
    for (const Rows& r : maps) sum += r.targets[0];
    // So that nothing is left out.
    std::fprintf(stderr, "%g\n", double(sum));
    std::printf("%.9f\n", seconds);
    return 0;
}
