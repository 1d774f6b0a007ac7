/*
 * simplex.c - Nelder and Mead's search (1965): a simplex of n + 1 points walks downhill by reflecting its worst point, and contracts.
 *
 * The order of all operations is that of the optimiser in InfluxDB, since forecasts are to be equal; that includes what looks odd: after a
 * shrink only two of the points are measured again, and the function may move the point that it measures.
 */
#include "fn/fn_int.h"
#include <math.h>

enum { ROUNDS_MAX = 1000 };

struct walk {
    const struct simplex *simplex;
    size_t n;
    double *points, *values;     /* n + 1 of them */
    double *centre, *reflected, *tried;
    size_t worst, second, best;
    bool is_out_of_steps;
};

size_t simplex_cells(size_t dims)
{
    return dims > 1 << 20 ? SIZE_MAX : (dims + 1) * (dims + 1) + 3 * dims;
}

static double *point(const struct walk *walk, size_t i)
{
    return walk->points + i * walk->n;
}

static double measure(struct walk *walk, double *x)
{
    const struct simplex *simplex = walk->simplex;
    if (*simplex->steps < simplex->fn_steps)
        walk->is_out_of_steps = true;
    else
        *simplex->steps -= simplex->fn_steps;
    return walk->is_out_of_steps ? 0 : simplex->fn(simplex->ctx, x);
}

static void replace_worst(struct walk *walk, const double *x, double value)
{
    memcpy(point(walk, walk->worst), x, walk->n * sizeof *x);
    walk->values[walk->worst] = value;
}

static void begin(struct walk *walk, const double *start)
{
    double n = (double)walk->n;
    double far = (sqrt(n + 1) - 1 + n) / (n * sqrt(2)), near = (sqrt(n + 1) - 1) / (n * sqrt(2));
    memcpy(walk->points, start, walk->n * sizeof *start);
    for (size_t i = 1; i <= walk->n; i++)
        for (size_t j = 0; j < walk->n; j++)
            point(walk, i)[j] = (i - 1 == j ? far : near) + start[j];
    for (size_t i = 0; i <= walk->n; i++)
        walk->values[i] = measure(walk, point(walk, i));
}

static size_t best_of(const struct walk *walk)
{
    size_t best = 0;
    for (size_t i = 0; i <= walk->n; i++)
        if (walk->values[i] < walk->values[best])
            best = i;
    return best;
}

static void look_around(struct walk *walk)
{
    const double *values = walk->values;
    walk->best = best_of(walk);
    walk->worst = 0;
    for (size_t i = 0; i <= walk->n; i++)
        if (values[i] > values[walk->worst])
            walk->worst = i;
    walk->second = walk->best;
    for (size_t i = 0; i <= walk->n; i++)
        if (values[i] > values[walk->second] && values[i] < values[walk->worst])
            walk->second = i;
    memset(walk->centre, 0, walk->n * sizeof *walk->centre);
    for (size_t i = 0; i <= walk->n; i++)
        if (i != walk->worst)
            for (size_t j = 0; j < walk->n; j++)
                walk->centre[j] += point(walk, i)[j];
    for (size_t j = 0; j < walk->n; j++)
        walk->centre[j] /= (double)walk->n;
}

static void shrink(struct walk *walk)
{
    const double *best = point(walk, walk->best);
    for (size_t i = 0; i <= walk->n; i++)
        if (i != walk->best)
            for (size_t j = 0; j < walk->n; j++)
                point(walk, i)[j] = best[j] + (point(walk, i)[j] - best[j]) / 2.0;
    walk->values[walk->worst] = measure(walk, point(walk, walk->worst));
    walk->values[walk->second] = measure(walk, point(walk, walk->second));
}

/* The reflected point is no better than the second worst: go less far, on its side or on that of the worst. */
static void contract(struct walk *walk, double reflected)
{
    const double *worst = point(walk, walk->worst);
    bool is_outside = reflected < walk->values[walk->worst] && reflected >= walk->values[walk->second];
    for (size_t j = 0; j < walk->n; j++)
        walk->tried[j] = is_outside ? walk->centre[j] + 0.5 * (walk->reflected[j] - walk->centre[j])
                                    : walk->centre[j] - 0.5 * (walk->centre[j] - worst[j]);
    double value = measure(walk, walk->tried);
    if (value < walk->values[walk->worst])
        replace_worst(walk, walk->tried, value);
    else
        shrink(walk);
}

static void go(struct walk *walk)
{
    const double *values = walk->values;
    for (size_t j = 0; j < walk->n; j++)
        walk->reflected[j] = walk->centre[j] + (walk->centre[j] - point(walk, walk->worst)[j]);
    double reflected = measure(walk, walk->reflected);
    if (reflected < values[walk->second] && reflected >= values[walk->best])
        replace_worst(walk, walk->reflected, reflected);
    if (reflected < values[walk->best]) {
        for (size_t j = 0; j < walk->n; j++)
            walk->tried[j] = walk->centre[j] + 2.0 * (walk->reflected[j] - walk->centre[j]);
        double further = measure(walk, walk->tried);
        if (further < reflected)
            replace_worst(walk, walk->tried, further);
        else
            replace_worst(walk, walk->reflected, reflected);
    }
    if (reflected >= values[walk->second])
        contract(walk, reflected);
}

static bool has_settled(const struct walk *walk)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i <= walk->n; i++)
        sum += walk->values[i];
    double mean = sum / (double)(walk->n + 1);
    for (size_t i = 0; i <= walk->n; i++)
        squares += (walk->values[i] - mean) * (walk->values[i] - mean) / (double)walk->n;
    return sqrt(squares) < walk->simplex->epsilon;
}

bool simplex_search(const struct simplex *simplex, double *x, double *out_min)
{
    size_t n = simplex->dims;
    double *work = simplex->work;
    struct walk walk = { .simplex = simplex, .n = n, .points = work, .values = work + (n + 1) * n };
    walk.centre = walk.values + n + 1;
    walk.reflected = walk.centre + n;
    walk.tried = walk.reflected + n;
    begin(&walk, x);
    for (int round = 0; round < ROUNDS_MAX && !walk.is_out_of_steps; round++) {
        look_around(&walk);
        go(&walk);
        if (has_settled(&walk))
            break;
    }
    double *best = point(&walk, best_of(&walk));
    memcpy(x, best, n * sizeof *x);
    *out_min = measure(&walk, best);
    return !walk.is_out_of_steps;
}
