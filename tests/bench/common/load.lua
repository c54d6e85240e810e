-- SPDX-License-Identifier: BSD-2-Clause
-- What wrk has counted, as one line of JSON.
function done(summary, latency, requests)
	local errors = summary.errors
	io.write(string.format(
		'\n{"requests": %d, "bytes": %d, "duration_us": %d, "p99_us": %d, "errors": %d}\n',
		summary.requests, summary.bytes, summary.duration, latency:percentile(99),
		errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
