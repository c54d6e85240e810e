/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths that servers decode to different resources, and those that only look so.
 */
#include "rows.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
