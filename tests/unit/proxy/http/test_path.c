/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths that servers decode to different resources, and those that only look so.
 */
#include "rows.h"

/* What paths are read as, up to so many bytes of that, and how many of their own those take. */
static void encoded_without_need(void **state)
{
	static const struct {
		const char *path;
		uint32_t most;
		const char *read;
		uint32_t used;
	} rows[] = {
		{"/api/x", 99, "/api/x", 6},
		{"/%61%70%69", 99, "/api", 10},
		{"/%61pi", 2, "/a", 4},
		{"/%61pi", 3, "/ap", 5},
		{"/%41%7E%2d%2E%40", 99, "/A~-.@", 16},
		{"/a%2fb%2Fc%25%20%7f%c3%A9", 99, "/a%2fb%2Fc%25%20%7f%c3%A9", 25},
		{"/%25%36%31", 99, "/%2561", 10},
		{"/%2561", 99, "/%2561", 6},
		{"/%%41%4", 99, "/%A%4", 7},
		{"/", 0, "", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_slice path = {rows[i].path, (uint32_t)strlen(rows[i].path)};
		char out[64] = "";
		uint32_t used, count = http_path_read(out, rows[i].most, path, &used);

		assert_string_equal(out, rows[i].read);
		assert_int_equal(count, strlen(rows[i].read));
		assert_int_equal(used, rows[i].used);
		assert_int_equal(http_path_read(NULL, rows[i].most, path, &used), count);
		assert_int_equal(used, rows[i].used);
	}
}

#define LINE(text) text "Host: a\r\n\r\n"
static void paths(void **state)
{
#define PATH(path) LINE("GET " path " HTTP/1.1\r\n")
	static const struct row rows[] = {
		ROW("dots in names", 0, PATH("/.well-known/a.b/c..d/.../..e/f..")),
		ROW("hidden file", 0, PATH("/.git")),
		ROW("encoded names", 0, PATH("/%41%2a/b%2Ec/%2eb/a%2e%2e")),
		ROW("encoded slash within a name", 0, PATH("/group%2Fproject")),
		ROW("encoded bytes above ASCII", 0, PATH("/%c3%A9")),
		ROW("anything in the query", 0, PATH("/?../..\\%zz%00%")),
		ROW("query right after a dot in a name", 0, PATH("/a.?x")),
		ROW("matrix parameters", 0, PATH("/a;b=c/d")),
		ROW("dot", FW_BAD_TARGET, PATH("/.")),
		ROW("dot and more", FW_BAD_TARGET, PATH("/./a")),
		ROW("dot and a query", FW_BAD_TARGET, PATH("/.?a")),
		ROW("dots", FW_BAD_TARGET, PATH("/..")),
		ROW("dots and more", FW_BAD_TARGET, PATH("/a/../b")),
		ROW("dots behind sixteen bytes", FW_BAD_TARGET, PATH("/0123456789abcdef/../b")),
		ROW("dots across a vector", FW_BAD_TARGET,
		    PATH("/0123456789abcd/../0123456789abcdef")),
		ROW("first dot encoded", FW_BAD_TARGET, PATH("/a/%2e./b")),
		ROW("second dot encoded", FW_BAD_TARGET, PATH("/a/.%2E/b")),
		ROW("both encoded", FW_BAD_TARGET, PATH("/a/%2e%2e")),
		ROW("one, encoded", FW_BAD_TARGET, PATH("/a/%2e/b")),
		ROW("before an encoded slash", FW_BAD_TARGET, PATH("/a/..%2fb")),
		ROW("behind an encoded slash", FW_BAD_TARGET, PATH("/a%2f..")),
		ROW("behind an encoded backslash", FW_BAD_TARGET, PATH("/a%5C../b")),
		ROW("between encoded slashes", FW_BAD_TARGET, PATH("/a%2f%2e%2e%2fb")),
		ROW("dots with a parameter", FW_BAD_TARGET, PATH("/a/..;x/b")),
		ROW("dot with a parameter", FW_BAD_TARGET, PATH("/a/.;/b")),
		ROW("backslash", FW_BAD_TARGET, PATH("/a\\b")),
		ROW("dots before a backslash", FW_BAD_TARGET, PATH("/..\\b")),
		ROW("encoded NUL", FW_BAD_TARGET, PATH("/a%00.php")),
		ROW("encoded CR LF", FW_BAD_TARGET, PATH("/a%0d%0aX:%20y")),
		ROW("encoded tab", FW_BAD_TARGET, PATH("/a%09")),
		ROW("encoded DEL", FW_BAD_TARGET, PATH("/a%7f")),
		ROW("percent alone", FW_BAD_TARGET, PATH("/a%")),
		ROW("one digit", FW_BAD_TARGET, PATH("/a%2")),
		ROW("no digits", FW_BAD_TARGET, PATH("/a%zz")),
		ROW("digit behind the path", FW_BAD_TARGET, PATH("/a%2?e")),
		ROW("sign for a digit", FW_BAD_TARGET, PATH("/a%+2")),
		ROW("encoded percent is one byte", 0, PATH("/a/%252e%252e/b")),
		ROW("absolute form", FW_BAD_TARGET, PATH("http://a/../b")),
		ROW("absolute form, encoded", FW_BAD_TARGET, PATH("http://a/%2e%2e")),
	};

	(void)state;
	rows_check(rows, COUNT(rows), &row_limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(encoded_without_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
