// Our event loop for one converted network: the yardstick for the code that brian_snn lets Brian2 generate.
//
// Usage: event_loop FOLDER. The folder holds network.txt and network.bin, written by cpp_loop.py; counts.bin (spikes of
// every neuron) and output.bin (the last population's potentials) are put beside them. Printed are seconds that the loop
// took for all images, seconds of processor time, the peak memory in KiB, and the synaptic events of every map. Nothing is
// included from brian_snn. Compile with -O3 -march=native; -DREAL=float computes in float32, which is not exact on the grid.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#ifndef REAL
#define REAL double
#endif

namespace {

using real = REAL;

enum class Kind { spiking, max_pool, readout };
enum class Map { convolution, max_pool, average_pool };

struct Population {
    Kind kind;
    int32_t size;
    bool sees_image;
    std::vector<real> v, current;  // current: one row an image where it sees the image
    std::vector<int32_t> counts, spikes;
    int32_t n_spikes = 0;
};

struct Range {
    int32_t first, last;
};

// The windows that hold a pixel.
struct Windows {
    Range rows, columns;
};

// A dense layer is a convolution over a 1 x 1 image.
struct Link {
    int32_t source, target;
    Map map;
    int32_t h_in, w_in, c_in, h_out, w_out, c_out, rows, columns, stride_rows, stride_columns, top, left;
    std::vector<real> weights;
    std::vector<Windows> windows_of_pixel;
    std::vector<int32_t> pixel_of_input, row_of_pixel, column_of_pixel;
    std::vector<int32_t> unit_of_input;  // of pooling whose windows do not overlap: the one unit, or -1
    int64_t events = 0;
};

struct Network {
    int32_t n_images, steps;
    bool resets_to_zero;
    real threshold, v_start;
    std::vector<Population> populations;
    std::vector<Link> links;
};

// The windows along one axis that hold each of its inputs: worked out once, since a division costs as much as ten sums.
std::vector<Range> windows(int32_t n_inputs, int32_t padding, int32_t kernel, int32_t stride, int32_t n_windows) {
    std::vector<Range> ranges;
    for (int32_t position = padding; position < n_inputs + padding; position++) {
        const int32_t first = position < kernel ? 0 : (position - kernel) / stride + 1;
        ranges.push_back({first, std::min(position / stride, n_windows - 1)});
    }
    return ranges;
}

// Integrates and compares 64 neurons at a time, without a branch, which the compiler vectorises; the spikes of a block are
// the bits of a word, and only they are looked at again.
template <bool resets_to_zero>
void advance(Population& p, const real* __restrict current, real threshold) {
    constexpr int32_t block = 64;
    real* __restrict v = p.v.data();
    int32_t* __restrict spikes = p.spikes.data();
    int32_t n_spikes = 0, start = 0;
    for (; start + block <= p.size; start += block) {
        alignas(block) char fires[block];
        for (int32_t k = 0; k < block; k++) {
            const real u = v[start + k] + current[start + k];
            const char above = u >= threshold;
            v[start + k] = u;
            fires[k] = above;
        }
        uint64_t bits = 0;
        for (int32_t k = 0; k < block; k += 8) {
            uint64_t eight;
            std::memcpy(&eight, fires + k, 8);
            bits |= (eight * 0x0102040810204080ULL >> 56) << k;
        }
        for (; bits; bits &= bits - 1) spikes[n_spikes++] = start + __builtin_ctzll(bits);
    }
    for (int32_t i = start; i < p.size; i++) {
        v[i] += current[i];
        if (v[i] >= threshold) spikes[n_spikes++] = i;
    }
    for (int32_t s = 0; s < n_spikes; s++) {
        const int32_t i = spikes[s];
        v[i] = resets_to_zero ? real(0) : v[i] - threshold;
        p.counts[i]++;
    }
    p.n_spikes = n_spikes;
}

void integrate(Population& p, const real* __restrict current) {
    for (int32_t i = 0; i < p.size; i++) p.v[i] += current[i];
}

// Calls `meet(source neuron, unit)` for every window of a pooling that holds a spike, and returns how many there are.
template <typename Meet>
int64_t for_windows(const Link& k, const Population& source, Meet meet) {
    if (!k.unit_of_input.empty()) {
        int64_t events = 0;
        for (int32_t s = 0; s < source.n_spikes; s++) {
            const int32_t unit = k.unit_of_input[source.spikes[s]];
            if (unit < 0) continue;
            events++;
            meet(source.spikes[s], unit);
        }
        return events;
    }
    int64_t events = 0;
    for (int32_t s = 0; s < source.n_spikes; s++) {
        const int32_t input = source.spikes[s], pixel = k.pixel_of_input[input], channel = input - pixel * k.c_in;
        const Windows& w = k.windows_of_pixel[pixel];
        events += int64_t(w.rows.last - w.rows.first + 1) * (w.columns.last - w.columns.first + 1);
        for (int32_t i = w.rows.first; i <= w.rows.last; i++)
            for (int32_t j = w.columns.first; j <= w.columns.last; j++)
                meet(input, (i * k.w_out + j) * k.c_out + channel);
    }
    return events;
}

// A unit spikes when an input's count passes its own. Counts grow by at most one a step, so it does so once a step.
int64_t send_to_pool(const Link& k, const Population& source, Population& target) {
    return for_windows(k, source, [&](int32_t input, int32_t unit) {
        if (source.counts[input] <= target.counts[unit]) return;
        target.counts[unit]++;
        target.spikes[target.n_spikes++] = unit;
    });
}

int64_t send_average(const Link& k, const Population& source, Population& target) {
    return for_windows(k, source, [&](int32_t, int32_t unit) { target.v[unit] += k.weights[unit]; });
}

// Adds rows of a length that the compiler knows, or, for n = 0, of any length. Away from the border there are as many as
// the kernel has columns, which it may know too.
template <int32_t n, int32_t columns>
inline void add(real* __restrict sums, const real* __restrict numbers, int32_t rows, int32_t length) {
    if (n > 0 && columns > 1 && rows == columns)
        for (int32_t i = 0; i < n * columns; i++) sums[i] += numbers[i];
    else if (n > 0)
        for (int32_t row = 0; row < rows; row++)
            for (int32_t i = 0; i < n; i++) sums[row * n + i] += numbers[row * n + i];
    else
        for (int32_t i = 0; i < rows * length; i++) sums[i] += numbers[i];
}

// The weights of one input channel in one kernel row lie in the order of the targets: a spike adds one run of numbers for
// each row of windows, as long as its windows are neighbours, which they are where the stride is 1.
template <int32_t n, int32_t columns>
int64_t send_rows(const Link& k, const Population& source, Population& target) {
    int64_t windows = 0;
    for (int32_t s = 0; s < source.n_spikes; s++) {
        const int32_t input = source.spikes[s], pixel = k.pixel_of_input[input], channel = input - pixel * k.c_in;
        const int32_t row = k.row_of_pixel[pixel], column = k.column_of_pixel[pixel];
        const Range y = k.windows_of_pixel[pixel].rows, x = k.windows_of_pixel[pixel].columns;
        windows += int64_t(y.last - y.first + 1) * (x.last - x.first + 1);
        const int32_t together = k.stride_columns == 1 ? x.last - x.first + 1 : 1;
        for (int32_t i = y.first; i <= y.last; i++)
            for (int32_t j = x.first; j <= x.last; j += together) {
                const int32_t down = row - i * k.stride_rows, right = column - j * k.stride_columns;
                const int64_t tap = (int64_t(down) * k.c_in + channel) * k.columns + k.columns - 1 - right;
                const real* w = k.weights.data() + tap * k.c_out;
                add<n, columns>(target.v.data() + (int64_t(i) * k.w_out + j) * k.c_out, w, together, k.c_out);
            }
    }
    return windows * k.c_out;
}

template <int32_t n>
int64_t send_channels(const Link& k, const Population& source, Population& target) {
    switch (k.stride_columns == 1 ? k.columns : 1) {
        case 3: return send_rows<n, 3>(k, source, target);
        case 5: return send_rows<n, 5>(k, source, target);
        default: return send_rows<n, 1>(k, source, target);
    }
}

int64_t send_convolution(const Link& k, const Population& source, Population& target) {
    switch (k.c_out) {
        case 10: return send_channels<10>(k, source, target);
        case 16: return send_channels<16>(k, source, target);
        case 32: return send_channels<32>(k, source, target);
        case 64: return send_channels<64>(k, source, target);
        default: return send_channels<0>(k, source, target);
    }
}

int64_t send(const Link& k, std::vector<Population>& populations) {
    const Population& source = populations[k.source];
    Population& target = populations[k.target];
    if (k.map == Map::max_pool) return send_to_pool(k, source, target);
    return k.map == Map::average_pool ? send_average(k, source, target) : send_convolution(k, source, target);
}

void simulate(Network& network, int32_t image) {
    for (auto& p : network.populations) {
        std::fill(p.v.begin(), p.v.end(), network.v_start);
        std::fill(p.counts.begin(), p.counts.end(), 0);
    }
    for (int32_t step = 0; step < network.steps; step++) {
        for (size_t position = 0; position < network.populations.size(); position++) {
            Population& p = network.populations[position];
            const real* current = p.current.data() + (p.sees_image ? int64_t(image) * p.size : 0);
            if (p.kind == Kind::readout) integrate(p, current);
            else if (p.kind == Kind::spiking && network.resets_to_zero)
                advance<true>(p, current, network.threshold);
            else if (p.kind == Kind::spiking)
                advance<false>(p, current, network.threshold);
            for (Link& link : network.links)
                if (link.source == int32_t(position)) link.events += send(link, network.populations);
            p.n_spikes = 0;
        }
    }
}

// The file holds float64; a piece at a time is read and converted, so that the peak memory is that of the network.
void read_numbers(std::ifstream& file, std::vector<real>& values, int64_t n) {
    constexpr int64_t piece = 4096;
    double read[piece];
    values.resize(n);
    for (int64_t start = 0; start < n; start += piece) {
        const int64_t n_read = std::min(piece, n - start);
        file.read(reinterpret_cast<char*>(read), n_read * sizeof(double));
        std::copy_n(read, n_read, values.data() + start);
    }
}

// From (row, column, input, output) to (row, input, column from the last to the first, output).
void sort_by_target(Link& k) {
    const std::vector<real> read = k.weights;
    for (int32_t i = 0; i < k.rows; i++)
        for (int32_t j = 0; j < k.columns; j++)
            for (int32_t channel = 0; channel < k.c_in; channel++) {
                const int64_t from = (int64_t(i) * k.columns + j) * k.c_in + channel;
                const int64_t to = (int64_t(i) * k.c_in + channel) * k.columns + k.columns - 1 - j;
                std::copy_n(read.data() + from * k.c_out, k.c_out, k.weights.data() + to * k.c_out);
            }
}

// The largest resident size of this process, which Linux calls VmHWM.
long peak_memory_kib() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word)
        if (word == "VmHWM:") {
            long kib;
            status >> kib;
            return kib;
        }
    return 0;
}

// All that depends on the place of a spike alone.
void work_out_windows(Link& k) {
    const auto rows = windows(k.h_in, k.top, k.rows, k.stride_rows, k.h_out);
    const auto columns = windows(k.w_in, k.left, k.columns, k.stride_columns, k.w_out);
    const bool is_pool = k.map != Map::convolution;
    const bool is_disjoint = k.rows <= k.stride_rows && k.columns <= k.stride_columns;
    for (int32_t row = 0; row < k.h_in; row++)
        for (int32_t column = 0; column < k.w_in; column++) {
            const Range y = rows[row], x = columns[column];
            const bool is_held = y.first <= y.last && x.first <= x.last;
            for (int32_t channel = 0; channel < k.c_in; channel++) {
                k.pixel_of_input.push_back(int32_t(k.windows_of_pixel.size()));
                if (is_pool && is_disjoint)
                    k.unit_of_input.push_back(is_held ? (y.first * k.w_out + x.first) * k.c_out + channel : -1);
            }
            k.windows_of_pixel.push_back({y, x});
            k.row_of_pixel.push_back(row + k.top);
            k.column_of_pixel.push_back(column + k.left);
        }
}

Network read_network(const std::string& folder) {
    std::ifstream text(folder + "/network.txt"), numbers(folder + "/network.bin", std::ios::binary);
    Network network;
    int32_t n_populations, n_links, kind;
    text >> network.n_images >> network.steps >> network.resets_to_zero >> network.threshold >> network.v_start;
    text >> n_populations >> n_links;
    network.populations.resize(n_populations);
    network.links.resize(n_links);
    for (auto& p : network.populations) {
        text >> kind >> p.size >> p.sees_image;
        p.kind = Kind(kind);
        p.v.resize(p.size);
        p.counts.resize(p.size);
        p.spikes.resize(p.size);
        read_numbers(numbers, p.current, int64_t(p.size) * (p.sees_image ? network.n_images : 1));
    }
    for (auto& k : network.links) {
        text >> k.source >> k.target >> kind >> k.h_in >> k.w_in >> k.c_in >> k.h_out >> k.w_out >> k.c_out;
        text >> k.rows >> k.columns >> k.stride_rows >> k.stride_columns >> k.top >> k.left;
        k.map = Map(kind);
        const int64_t n_taps = int64_t(k.rows) * k.columns * k.c_in;
        const int64_t n_weights[] = {n_taps * k.c_out, 0, int64_t(k.h_out) * k.w_out * k.c_out};
        read_numbers(numbers, k.weights, n_weights[kind]);
        if (k.map == Map::convolution) sort_by_target(k);
        work_out_windows(k);
    }
    if (!text || !numbers) {
        std::cerr << "cannot read network.txt or network.bin in " << folder << std::endl;
        std::exit(1);
    }
    return network;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: event_loop FOLDER" << std::endl;
        return 2;
    }
    const std::string folder = argv[1];
    Network network = read_network(folder);
    std::ofstream out(folder + "/counts.bin", std::ios::binary), output(folder + "/output.bin", std::ios::binary);
    double seconds = 0, processor_seconds = 0;
    for (int32_t image = 0; image < network.n_images; image++) {
        const auto start = std::chrono::steady_clock::now();
        const std::clock_t processor_start = std::clock();
        simulate(network, image);
        processor_seconds += double(std::clock() - processor_start) / CLOCKS_PER_SEC;
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        for (const auto& p : network.populations)
            out.write(reinterpret_cast<const char*>(p.counts.data()), p.size * sizeof(int32_t));
        const std::vector<double> potentials(network.populations.back().v.begin(), network.populations.back().v.end());
        output.write(reinterpret_cast<const char*>(potentials.data()), potentials.size() * sizeof(double));
    }
    out.close();
    output.close();
    if (!out || !output) {
        std::cerr << "cannot write counts.bin or output.bin in " << folder << std::endl;
        return 1;
    }
    std::printf("%.9f %.9f %ld", seconds, processor_seconds, peak_memory_kib());
    for (const Link& link : network.links) std::printf(" %lld", static_cast<long long>(link.events));
    std::printf("\n");
    return 0;
}
