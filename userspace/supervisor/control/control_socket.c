// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor/control/control_socket.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "contract/control.h"

enum { BACKLOG = 8, PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path) };

/* --- the folder ------------------------------------------------------------------------------ */

/* That nobody else can have prepared anything in there. */
static int secure(int folder, const char *name, struct error *error)
{
	struct stat is;

	if (fstat(folder, &is) < 0)
		return error_set(error, -errno, "%s: %s", name, strerror(errno));
	if (is.st_uid != 0)
		return error_set(error, -EPERM, "%s: belongs to user %u, and has to be root's",
				 name, (unsigned int)is.st_uid);
	if (is.st_mode & (S_IRWXG | S_IRWXO) && fchmod(folder, S_IRWXU) < 0)
		return error_set(error, -errno, "%s: others can enter it: %s", name,
				 strerror(errno));
	return 0;
}

/* The folder, locked until it is closed: daemons that start at once look after one another. */
static int open_folder(const char *name, struct error *error)
{
	int folder, result;

	if (mkdir(name, S_IRWXU) < 0 && errno != EEXIST)
		return error_set(error, -errno, "%s: %s", name, strerror(errno));
	folder = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return error_set(error, -errno, "%s: %s", name, strerror(errno));
	result = secure(folder, name, error);
	if (result == 0 && flock(folder, LOCK_EX) < 0)
		result = error_set(error, -errno, "%s: flock: %s", name, strerror(errno));
	if (result == 0)
		return folder;
	close(folder);
	return result;
}

/* --- who is there ---------------------------------------------------------------------------- */

enum holder {
	NOBODY, /* or none that counts */
	OURSELVES,
	ANOTHER,
	SOMEBODY, /* who has too many callers to be asked who he is */
};

static enum holder find_holder(const char *path, pid_t *pid)
{
	int fd = control_connect(path, 0);
	bool is_root;

	*pid = 0;
	if (fd < 0)
		return fd == -EAGAIN ? SOMEBODY : NOBODY;
	is_root = control_is_root(fd, pid);
	close(fd);
	if (!is_root)
		return NOBODY;
	return *pid == getpid() ? OURSELVES : ANOTHER;
}

/* --- the socket ------------------------------------------------------------------------------ */

static int listen_at(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), result;

	strcpy(address.sun_path, path);
	if (fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0 &&
	    (unlink(path) == 0 || errno == ENOENT) &&
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	result = error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return result;
}

static int keep(const char *path, int control, struct error *error)
{
	pid_t pid;
	enum holder holder = find_holder(path, &pid);

	if (control >= 0 && (holder == OURSELVES || holder == SOMEBODY))
		return control;
	if (holder == ANOTHER || holder == SOMEBODY)
		return error_set(error, -EADDRINUSE, "%s: another floodwalld listens there (%d)",
				 path, (int)pid);
	return listen_at(path, error);
}

/* False: it is longer than such an address may be. */
static bool write_path(char path[PATH_SIZE], const char *folder)
{
	return snprintf(path, PATH_SIZE, "%s/" CONTROL_NAME, folder) < PATH_SIZE;
}

int control_socket_keep(const char *folder, int control, struct error *error)
{
	char path[PATH_SIZE];
	int lock, result;

	if (!write_path(path, folder))
		return error_set(error, -ENAMETOOLONG, "%s: is too long", folder);
	lock = open_folder(folder, error);
	if (lock < 0)
		return lock;
	result = keep(path, control, error);
	close(lock);
	if (result >= 0 && control >= 0 && result != control)
		close(control);
	return result;
}

void control_socket_close(const char *folder, int control)
{
	char path[PATH_SIZE];
	struct error unused;
	pid_t pid;
	int lock;

	if (control < 0)
		return;
	lock = write_path(path, folder) ? open_folder(folder, &unused) : -1;
	if (lock >= 0 && find_holder(path, &pid) == OURSELVES)
		unlink(path);
	if (lock >= 0)
		close(lock);
	close(control);
}
