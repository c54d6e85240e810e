/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every figure as Prometheus text (exposition format 0.0.4): one prefix, base units, _total on
 * counters, zeros exported. Labels are names that the configuration or a .def file gives; never an
 * address, for then a flood could make series without end.
 */
#ifndef WARDEN_METRICS_H
#define WARDEN_METRICS_H

#include <stdio.h>
#include "warden/warden.h"

/* −errno when the maps can't be read. */
int metrics_write(FILE *out, const struct warden_options *options, struct error *error);

#endif
