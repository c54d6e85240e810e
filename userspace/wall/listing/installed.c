/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The listing in the kernel: one map for each image, and the slot that says which one counts.
 *
 * The slot is written once, when the new image is complete; the kernel then waits until no packet
 * is in the old one, and frees it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "wall/listing/listing.h"

static int fill(int map, const struct image *image, struct error *error)
{
	size_t size = (size_t)image->count * FW_LINE_SIZE;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);

	if (memory == MAP_FAILED)
		return error_set(error, -errno, "cannot map the new lists into memory: %s",
				 strerror(errno));
	memcpy(memory, image->lines, size);
	munmap(memory, size);
	return 0;
}

static int put(int listing, const struct image *image, struct error *error)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	uint32_t slot = 0;
	int map, result;

	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "listing_image", sizeof(slot), FW_LINE_SIZE,
			     image->count, &options);
	if (map < 0)
		return error_set(error, -errno, "the kernel gives no %zu MiB for the lists: %s",
				 (size_t)image->count * FW_LINE_SIZE >> 20, strerror(errno));
	result = fill(map, image, error);
	if (result == 0 && bpf_map_update_elem(listing, &slot, &map, BPF_ANY) < 0)
		result = error_set(error, -errno, "cannot put the new lists in force: %s",
				   strerror(errno));
	close(map);
	return result;
}

int listing_install(int listing, struct fw_meta *meta, const struct image *image,
		    struct error *error)
{
	uint32_t slot = 0;

	if (image) {
		__atomic_store_n(&meta->listing, 1, __ATOMIC_SEQ_CST);
		return put(listing, image, error);
	}
	if (bpf_map_delete_elem(listing, &slot) < 0 && errno != ENOENT)
		return error_set(error, -errno, "cannot empty the lists: %s", strerror(errno));
	__atomic_store_n(&meta->listing, 0, __ATOMIC_SEQ_CST);
	return 0;
}

/* The image in force. −ENOENT: there is none; −EAGAIN: it went just now. */
static int open_image(int listing)
{
	uint32_t slot = 0, id;
	int map;

	if (bpf_map_lookup_elem(listing, &slot, &id) < 0)
		return -errno;
	map = bpf_map_get_fd_by_id(id);
	return map >= 0 ? map : errno == ENOENT ? -EAGAIN : -errno;
}

static int map_image(int map, struct image *image)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	void *memory;

	if (bpf_obj_get_info_by_fd(map, &info, &size) < 0)
		return -errno;
	memory = mmap(NULL, (size_t)info.max_entries * FW_LINE_SIZE, PROT_READ, MAP_SHARED, map, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*image = (struct image){memory, info.max_entries, info.max_entries};
	return 0;
}

int listing_map(int listing, struct image *image, struct error *error)
{
	int map, result;

	*image = (struct image){.lines = NULL};
	do
		map = open_image(listing);
	while (map == -EAGAIN);
	if (map == -ENOENT)
		return 0;
	result = map < 0 ? map : map_image(map, image);
	if (map >= 0)
		close(map);
	return result == 0
		       ? 0
		       : error_set(error, result, "cannot read the lists: %s", strerror(-result));
}

void listing_unmap(struct image *image)
{
	if (image->lines)
		munmap(image->lines, (size_t)image->count * FW_LINE_SIZE);
	*image = (struct image){.lines = NULL};
}
