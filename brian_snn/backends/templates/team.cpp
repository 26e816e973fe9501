// The threads of a program, and how they share out the parts of one task after another.
//
// A step of a large network is some hundred tasks of 10 to 1,000 microseconds, so a thread must find the next one within
// about a microsecond: it looks again and again for a while before it sleeps. The calling thread waits for nobody who has
// not taken a part: it does those itself.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "team.h"

namespace team {

namespace {

// Look again and again until something is so; false if it is not within a while, longer than what one thread does between
// two tasks.
template <typename Condition>
bool soon(const Condition& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
    while (!condition())
        if (std::chrono::steady_clock::now() > until) return false;
    return true;
}

struct Team {
    int32_t n_threads = 1;
    int64_t least_work = 1;
    void (*task)(int32_t, int32_t) = nullptr;
    int32_t n_parts = 0;
    // The number of the task, and in the lower half how many of its parts nobody has taken yet. Whoever lowers it by one
    // has taken the part of that number, and the task stays what it is until that part is done.
    std::atomic<uint64_t> offer{0};
    std::atomic<int32_t> n_done{0};
    std::atomic<int32_t> n_asleep{0};
    std::mutex mutex;
    std::condition_variable offered;

    static uint32_t left(uint64_t offer) { return static_cast<uint32_t>(offer); }

    bool take_and_do() {
        uint64_t seen = offer.load(std::memory_order_acquire);
        while (left(seen))
            if (offer.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) {
                task(left(seen), n_parts);
                n_done.fetch_add(1, std::memory_order_release);
                return true;
            }
        return false;
    }

    void work() {
        while (true)
            if (!soon([this] { return take_and_do(); })) sleep();
    }

    void sleep() {
        std::unique_lock<std::mutex> lock(mutex);
        // In this order here, and in the reverse one in `share`: one of the two sees what the other has done.
        n_asleep.fetch_add(1);
        offered.wait(lock, [this] { return left(offer.load()) > 0; });
        n_asleep.fetch_sub(1);
    }
};

// Never deleted: threads are still waiting in it when the program exits.
Team& team = *new Team;

}

void start(long n_threads, long least_work) {
    team.n_threads = n_threads;
    team.least_work = least_work;
    for (long k = 1; k < n_threads; k++) std::thread([] { team.work(); }).detach();
}

int32_t parts(int64_t work, int64_t pieces) {
    if (team.n_threads == 1) return 1;
    return std::max<int64_t>(1, std::min<int64_t>({team.n_threads, pieces, work / team.least_work}));
}

void share(int32_t n_parts, void (*task)(int32_t, int32_t)) {
    if (n_parts == 1) return task(0, 1);
    team.task = task;
    team.n_parts = n_parts;
    team.n_done.store(0, std::memory_order_relaxed);
    // The first part is the caller's, so that each thread meets the same targets again in its own cache.
    const uint64_t number = (team.offer.load(std::memory_order_relaxed) >> 32) + 1;
    team.offer.store(number << 32 | static_cast<uint32_t>(n_parts - 1));
    if (team.n_asleep.load()) {
        std::lock_guard<std::mutex> lock(team.mutex);
        team.offered.notify_all();
    }
    task(0, n_parts);
    while (team.take_and_do()) {}
    const auto done = [&] { return team.n_done.load(std::memory_order_acquire) == n_parts - 1; };
    // A thread with a part that does not run may be waiting for this very processor.
    while (!soon(done)) std::this_thread::yield();
}

}
