/*
 * What is known about how well an outbound works. One prober writes it, any
 * loop reads it; every member is read on its own, and a reader that sees a
 * delay one probe older than a failure count makes no worse a choice.
 */
#ifndef GARENNE_ROUTE_OBSERVE_H
#define GARENNE_ROUTE_OBSERVE_H

#include <stdatomic.h>
#include <stdint.h>

enum observe_health {
	OBSERVE_UNKNOWN = 0, /* not probed yet */
	OBSERVE_ALIVE,
	OBSERVE_DEAD,
};

/*
 * With the plain observatory the last probe counts: @deviation_us equals
 * @delay_us and @probes stays 0. With the burst one @delay_us is the mean of the
 * samples that are kept, @deviation_us their standard deviation (half the mean
 * while there is only one), @probes and @failures their number.
 */
struct observe_stats {
	_Atomic uint32_t health; /* enum observe_health */
	_Atomic uint32_t delay_us;
	_Atomic uint32_t deviation_us;
	_Atomic uint32_t probes;
	_Atomic uint32_t failures;
};

#endif
