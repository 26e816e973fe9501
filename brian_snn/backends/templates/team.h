// What the threads of a program share out among themselves; team.cpp says how.
#ifndef _TEAM_H
#define _TEAM_H

#include <cstdint>

namespace team {

// Start the threads besides the calling one; a part of a task is at least `least_work`.
void start(long n_threads, long least_work);

// Into how many parts to cut a task that is so much work and has so many pieces.
int32_t parts(int64_t work, int64_t pieces);

// Call task(0, n_parts) to task(n_parts - 1, n_parts), side by side, and return when all are done.
void share(int32_t n_parts, void (*task)(int32_t part, int32_t n_parts));

}

#endif
