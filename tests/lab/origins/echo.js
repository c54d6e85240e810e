// SPDX-License-Identifier: BSD-2-Clause
// Node's own HTTP server: `node echo.js PORT` prints a line of JSON for each request that it has read to its end.
"use strict";
const http = require("http");

http.createServer((request, response) => {
	const parts = [];
	request.on("data", (part) => parts.push(part));
	request.on("end", () => {
		process.stdout.write(JSON.stringify({
			method: request.method, target: request.url,
			body: Buffer.concat(parts).toString("latin1"),
		}) + "\n");
		response.setHeader("Content-Length", 2);
		response.end("ok");
	});
}).listen(Number(process.argv[2]), "127.0.0.1");
