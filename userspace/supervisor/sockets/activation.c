// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/sockets/activation.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include "base/log.h"
#include "contract/address.h"

void activation_receive(struct sockets *sockets)
{
	char **names = NULL;
	bool blocking = false;
	int count = sd_listen_fds_with_names(1, &names);

	if (count < 0)
		log_warning("sockets from systemd: %s", strerror(-count));
	for (int i = 0; i < count; i++) {
		struct error error;

		blocking |= !(fcntl(SD_LISTEN_FDS_START + i, F_GETFL) & O_NONBLOCK);
		if (sockets_adopt(sockets, SD_LISTEN_FDS_START + i, &error) < 0) {
			log_warning("socket %s from systemd: %s", names[i], error.text);
			close(SD_LISTEN_FDS_START + i);
		}
		free(names[i]);
	}
	free(names);
	if (blocking)
		log_warning("sockets from systemd: whoever still accepts from them may be held up "
			    "for good; its unit needs NonBlocking=yes");
}

void activation_close_unused(struct sockets *received, const struct sockets *used)
{
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < received->count; i++)
		if (!sockets_of(used, &received->list[i].binding))
			log_warning(
				"%s: no listener is bound there (any more): the socket that was "
				"handed over is closed",
				binding_format(&received->list[i].binding, text));
	sockets_close(received, used);
}
