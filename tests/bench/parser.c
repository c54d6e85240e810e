/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast heads are parsed: floodwall's parser and http_parser (2.9, node.js' and many others'
 * until 2019), in turns of a few milliseconds on the same bytes. The peer records the same as we
 * do: where each name and value is. It judges less: Host, Connection's names and Expect are left to
 * its callers.
 *
 *     parser ROUNDS MILLISECONDS      case, subject, metric, value and unit, a line a sample
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "common/http_parser_peer.h"
#include "proxy/http/http.h"

static const char short_request[] = "GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\n\r\n";

static const char typical_request[] =
	"GET /assets/css/site.css?v=20240611 HTTP/1.1\r\n"
	"Host: www.example.com\r\n"
	"Connection: keep-alive\r\n"
	"sec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", "
	"\"Not-A.Brand\";v=\"99\"\r\n"
	"sec-ch-ua-mobile: ?0\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
	"Chrome/124.0.0.0 Safari/537.36\r\n"
	"sec-ch-ua-platform: \"Linux\"\r\n"
	"Accept: text/css,*/*;q=0.1\r\n"
	"Sec-Fetch-Site: same-origin\r\n"
	"Sec-Fetch-Mode: no-cors\r\n"
	"Sec-Fetch-Dest: style\r\n"
	"Referer: https://www.example.com/\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
	"Cookie: session=6f1d2c3b4a59687716253443\r\n\r\n";

#define COOKIE_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char long_request[] =
	"POST /api/v2/accounts/31337/transactions/search?page=3&per_page=100&sort=-created_at&"
	"filter=state%3Aopen%2Ccurrency%3AEUR HTTP/1.1\r\n"
	"Host: api.example.com\r\n"
	"User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:126.0) Gecko/20100101 "
	"Firefox/126.0\r\n"
	"Accept: application/json, text/plain, */*\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Content-Type: application/json;charset=utf-8\r\n"
	"Content-Length: 211\r\n"
	"Authorization: Bearer " COOKIE_64 COOKIE_64 COOKIE_64 COOKIE_64 COOKIE_64 "\r\n"
	"X-Request-Id: 7d9f0a3e-5b1c-4e7a-9a63-0b9d3fbb7a11\r\n"
	"X-Requested-With: XMLHttpRequest\r\n"
	"Origin: https://app.example.com\r\n"
	"Connection: keep-alive\r\n"
	"Referer: https://app.example.com/accounts/31337/transactions\r\n"
	"Cookie: _ga=GA1.2.1234567890.1234567890; csrftoken=" COOKIE_64 "; sessionid=" COOKIE_64
	"; prefs=" COOKIE_64 COOKIE_64 COOKIE_64 "; consent=" COOKIE_64 COOKIE_64 "\r\n"
	"Sec-Fetch-Dest: empty\r\n"
	"Sec-Fetch-Mode: cors\r\n"
	"Sec-Fetch-Site: same-site\r\n"
	"DNT: 1\r\n"
	"Priority: u=1\r\n"
	"Pragma: no-cache\r\n"
	"Cache-Control: no-cache\r\n\r\n";

static const char response[] = "HTTP/1.1 200 OK\r\n"
			       "Server: nginx/1.22.1\r\n"
			       "Date: Tue, 11 Jun 2024 10:32:05 GMT\r\n"
			       "Content-Type: text/html; charset=utf-8\r\n"
			       "Content-Length: 18233\r\n"
			       "Last-Modified: Mon, 10 Jun 2024 22:10:00 GMT\r\n"
			       "Connection: keep-alive\r\n"
			       "ETag: \"66677a48-4739\"\r\n"
			       "Cache-Control: max-age=600\r\n"
			       "Accept-Ranges: bytes\r\n\r\n";

static void require(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "parser: %s\n", what);
		exit(1);
	}
}

/* One head, parsed once. @step: bytes more at each call. */
typedef void parse(const char *data, size_t length, size_t step);

static const struct http_limits limits = {.target = 8192, .header = 65536, .fields = 100};

static void floodwall_request(const char *data, size_t length, size_t step)
{
	static struct http_request request;
	size_t given = step;

	http_request_init(&request);
	while (given < length) {
		require(http_request_parse(&request, data, given, &limits) == 0, "not partial");
		given += step;
	}
	require(http_request_parse(&request, data, length, &limits) == (int)length, "not taken");
}

/* Parsed, and written for the server. */
static void floodwall_forward(const char *data, size_t length, size_t step)
{
	static struct http_request request;
	static char out[8192];
	const uint32_t said = HTTP_KIND(HTTP_X_FORWARDED_FOR) | HTTP_KIND(HTTP_X_FORWARDED_PROTO);
	const struct http_forward forward = {.address = {"203.0.113.7", 11},
					     .policy = {.drop = said, .say = said}};

	(void)step;
	http_request_init(&request);
	require(http_request_parse(&request, data, length, &limits) == (int)length, "not taken");
	require(http_request_write(out, sizeof(out), &request, data, &forward) > 0, "not written");
}

static void floodwall_response(const char *data, size_t length, size_t step)
{
	static struct http_response answer;

	(void)step;
	http_response_init(&answer);
	require(http_response_parse(&answer, data, length, false) == (int)length, "not taken");
}

static void peer_request(const char *data, size_t length, size_t step)
{
	require(peer_parse(data, length, step, false), "refused by http_parser");
}

static void peer_response(const char *data, size_t length, size_t step)
{
	require(peer_parse(data, length, step, true), "refused by http_parser");
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Heads a second, over about @turn seconds. */
static double measure(parse *subject, const char *data, size_t length, size_t step, double turn)
{
	double start = seconds(), now;
	unsigned long heads = 0;
	int i;

	do {
		for (i = 0; i < 200; i++)
			subject(data, length, step);
		heads += 200;
		now = seconds();
	} while (now - start < turn);
	return (double)heads / (now - start);
}

int main(int argc, char **argv)
{
#define DATA(text) text, sizeof(text) - 1
	static const struct {
		const char *name, *data;
		size_t length, step; /* step 0: whole */
		parse *ours, *peer;
	} cases[] = {
		{"short", DATA(short_request), 0, floodwall_request, peer_request},
		{"typical", DATA(typical_request), 0, floodwall_request, peer_request},
		{"long", DATA(long_request), 0, floodwall_request, peer_request},
		{"typical_by_16", DATA(typical_request), 16, floodwall_request, peer_request},
		{"typical_by_1", DATA(typical_request), 1, floodwall_request, peer_request},
		{"typical_and_forward", DATA(typical_request), 0, floodwall_forward, NULL},
		{"response", DATA(response), 0, floodwall_response, peer_response},
	};
	int rounds = argc == 3 ? atoi(argv[1]) : 0, round;
	double turn = argc == 3 ? atof(argv[2]) / 1000 : 0, rate;
	size_t i, step;
	int subject;

	if (rounds < 1 || turn <= 0) {
		fprintf(stderr, "usage: %s ROUNDS MILLISECONDS\n", argv[0]);
		return 2;
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			for (subject = 0; subject < 2; subject++) {
				if (subject && !cases[i].peer)
					continue;
				step = cases[i].step ? cases[i].step : cases[i].length;
				rate = measure(subject ? cases[i].peer : cases[i].ours,
					       cases[i].data, cases[i].length, step, turn);
				printf("%s\t%s\tper_s\t%.0f\t1/s\n", cases[i].name,
				       subject ? "http_parser" : "floodwall", rate);
				printf("%s\t%s\tthroughput\t%.3f\tGB/s\n", cases[i].name,
				       subject ? "http_parser" : "floodwall",
				       rate * (double)cases[i].length / 1e9);
			}
		}
	}
	return 0;
}
