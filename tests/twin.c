/* Integrate-and-fire neurons as a chip has them: int32_t, dense matrices, nothing else.
 *
 * Reads int32_t from the standard input, in this order, and writes for every image the spike count and the potential of
 * every neuron, population by population.
 *
 *   images, steps, populations
 *   per population: kind (0 spikes, 1 largest count, 2 integrates only), size, threshold, V(0), first step,
 *                   reset (0 subtraction, 1 zero), overflow (0 none, 1 saturates, 2 wraps), lowest, highest, sources
 *     per source: its number, its matrix (size of the source x size)
 *     current (images x size)
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPIKES = 0, LARGEST = 1, SATURATES = 1, WRAPS = 2, MOST_SOURCES = 16 };

typedef struct {
    int32_t kind, size, threshold, start, first_step, reset_to_zero, overflow, lowest, highest, n_sources;
    int32_t source[MOST_SOURCES];
    int32_t *matrix[MOST_SOURCES];
    int32_t *current, *v, *spikes, *count;
} Population;

static int32_t next_number(void)
{
    int32_t number;
    if (fread(&number, sizeof number, 1, stdin) != 1) exit(2);
    return number;
}

static int32_t *numbers(int32_t n)
{
    int32_t *array = calloc((size_t)n + 1, sizeof *array);
    if (!array) exit(3);
    return array;
}

static int32_t *next_numbers(int32_t n)
{
    int32_t *array = numbers(n);
    if (fread(array, sizeof *array, (size_t)n, stdin) != (size_t)n) exit(2);
    return array;
}

static int32_t in_width(const Population *p, int32_t v)
{
    if (p->overflow == SATURATES) return v < p->lowest ? p->lowest : v > p->highest ? p->highest : v;
    if (p->overflow == WRAPS) {
        /* highest - lowest is all ones. Unsigned numbers wrap; they are no larger than 2**31 - 1 afterwards. */
        uint32_t above = ((uint32_t)v - (uint32_t)p->lowest) & ((uint32_t)p->highest - (uint32_t)p->lowest);
        return (int32_t)above + p->lowest;
    }
    return v;
}

static void follow_largest(Population *p, const Population *all, int32_t j)
{
    int32_t largest = 0;
    for (int32_t s = 0; s < p->n_sources; s++) {
        const Population *source = &all[p->source[s]];
        for (int32_t i = 0; i < source->size; i++)
            if (p->matrix[s][i * p->size + j] && source->count[i] > largest) largest = source->count[i];
    }
    p->spikes[j] = largest - p->count[j];
    p->count[j] = largest;
}

static void integrate(Population *p, const Population *all, const int32_t *current, int32_t j)
{
    int32_t v = p->v[j] + current[j];
    for (int32_t s = 0; s < p->n_sources; s++) {
        const Population *source = &all[p->source[s]];
        for (int32_t i = 0; i < source->size; i++)
            if (source->spikes[i]) v += p->matrix[s][i * p->size + j];
    }
    v = in_width(p, v);
    p->spikes[j] = p->kind == SPIKES && v >= p->threshold;
    if (p->spikes[j]) v = p->reset_to_zero ? 0 : v - p->threshold;
    p->count[j] += p->spikes[j];
    p->v[j] = v;
}

static Population next_population(const Population *all, int32_t n_images)
{
    Population p;
    p.kind = next_number(), p.size = next_number(), p.threshold = next_number(), p.start = next_number();
    p.first_step = next_number(), p.reset_to_zero = next_number(), p.overflow = next_number();
    p.lowest = next_number(), p.highest = next_number(), p.n_sources = next_number();
    if (p.n_sources > MOST_SOURCES) exit(4);
    for (int32_t s = 0; s < p.n_sources; s++) {
        p.source[s] = next_number();
        p.matrix[s] = next_numbers(all[p.source[s]].size * p.size);
    }
    p.current = next_numbers(n_images * p.size);
    p.v = numbers(p.size), p.spikes = numbers(p.size), p.count = numbers(p.size);
    return p;
}

int main(void)
{
    int32_t n_images = next_number(), n_steps = next_number(), n_populations = next_number();
    Population *all = calloc((size_t)n_populations, sizeof *all);
    if (!all) return 3;
    for (int32_t k = 0; k < n_populations; k++) all[k] = next_population(all, n_images);
    for (int32_t image = 0; image < n_images; image++) {
        for (int32_t k = 0; k < n_populations; k++) {
            memset(all[k].spikes, 0, (size_t)all[k].size * sizeof(int32_t));
            memset(all[k].count, 0, (size_t)all[k].size * sizeof(int32_t));
            for (int32_t j = 0; j < all[k].size; j++) all[k].v[j] = all[k].start;
        }
        for (int32_t step = 0; step < n_steps; step++)
            for (int32_t k = 0; k < n_populations; k++)
                for (int32_t j = 0; step >= all[k].first_step && j < all[k].size; j++) {
                    if (all[k].kind == LARGEST) follow_largest(&all[k], all, j);
                    else integrate(&all[k], all, all[k].current + image * all[k].size, j);
                }
        for (int32_t k = 0; k < n_populations; k++) {
            fwrite(all[k].count, sizeof(int32_t), (size_t)all[k].size, stdout);
            fwrite(all[k].v, sizeof(int32_t), (size_t)all[k].size, stdout);
        }
    }
    return 0;
}
