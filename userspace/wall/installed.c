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
#include "wall/listing.h"

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

int listing_install(int listing, const struct image *image, struct error *error)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	uint32_t slot = 0;
	int map, result;

	if (!image) {
		if (bpf_map_delete_elem(listing, &slot) == 0 || errno == ENOENT)
			return 0;
		return error_set(error, -errno, "cannot empty the lists: %s", strerror(errno));
	}
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

int listing_map(int listing, struct image *image, struct error *error)
{
	struct bpf_map_info info = {0};
	uint32_t slot = 0, id, size = sizeof(info);
	int map = -1, result = 0;
	void *memory;

	*image = (struct image){NULL};
	if (bpf_map_lookup_elem(listing, &slot, &id) < 0)
		return errno == ENOENT ? 0
				       : error_set(error, -errno, "cannot read the lists: %s",
						   strerror(errno));
	map = bpf_map_get_fd_by_id(id);
	if (map < 0 || bpf_obj_get_info_by_fd(map, &info, &size) < 0)
		result = -errno;
	if (result == 0) {
		memory = mmap(NULL, (size_t)info.max_entries * FW_LINE_SIZE, PROT_READ, MAP_SHARED,
			      map, 0);
		if (memory == MAP_FAILED)
			result = -errno;
		else
			*image = (struct image){memory, info.max_entries, info.max_entries};
	}
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
	*image = (struct image){NULL};
}
