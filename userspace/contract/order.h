/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the supervisor and its children say to each other, over a pair of sockets that keep packets
 * apart. End of file says that the other one is gone.
 */
#ifndef CONTRACT_ORDER_H
#define CONTRACT_ORDER_H

#include <stdint.h>

enum order_word {
	/* To the child. */
	ORDER_DRAIN = 'd', /* finish what has begun, within `ms`, and leave: somebody else serves */
	ORDER_STOP = 's',  /* the same; nobody does */
	ORDER_PING = 'p',  /* is everything turning? */
	/* From the child. */
	ORDER_READY = 'r', /* it serves */
	ORDER_ALIVE = 'a', /* everything is; nothing is said otherwise */
	ORDER_LOOK = 'l',  /* it complains of somebody (struct fw_complaint) */
};

struct order {
	uint32_t word; /* enum order_word */
	uint32_t ms;
};

#endif
