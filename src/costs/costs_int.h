/* costs_int.h - what the files of costs share. */
#ifndef AF_COSTS_COSTS_INT_H
#define AF_COSTS_COSTS_INT_H
#include "costs/costs.h"

/* Rows into sums of classes and months, which are nothing yet. */
void cost_report_sum(struct af_cost_report *report);
#endif
