// Copyright (c) 2026 The xeiaso.net/site authors
// SPDX-License-Identifier: MIT

// A PDS with a directory of identities beside it, for tests. It runs in a
// network of its own, and is reached through the listener that it inherits as
// file descriptor 3. Arguments: the port that goes into identities, and a
// directory for its data. It ends when its standard input does.

process.stdin.resume().on("end", () => process.exit(0));

const crypto = require("node:crypto");
const net = require("node:net");
const { PDS, envToCfg, envToSecrets } = require("@atproto/pds");
const { PlcServer, Database } = require("@did-plc/server");

const [port, dir] = process.argv.slice(1);
const plcPort = port === "2582" ? 2583 : 2582; // free, in a network that has nobody else

async function main() {
	await PlcServer.create({ db: Database.mock(), port: plcPort }).start();
	const env = {
		devMode: true,
		port: Number(port),
		hostname: "localhost",
		dataDirectory: dir,
		blobstoreDiskLocation: dir + "/blobs",
		didPlcUrl: "http://localhost:" + plcPort,
		adminPassword: crypto.randomBytes(16).toString("hex"),
		jwtSecret: crypto.randomBytes(16).toString("hex"),
		plcRotationKeyK256PrivateKeyHex: crypto.randomBytes(32).toString("hex"),
		serviceHandleDomains: [".test"],
		inviteRequired: false,
		disableSsrfProtection: true,
		bskyAppViewUrl: "http://localhost:1",
		bskyAppViewDid: "did:example:nobody",
	};
	const pds = await PDS.create(envToCfg(env), envToSecrets(env));
	const server = await pds.start();
	net.createServer({ pauseOnConnect: false }, (conn) => server.emit("connection", conn))
		.listen({ fd: 3 }, () => console.log("ready"));
}

main().catch((err) => {
	console.error(err);
	process.exit(1);
});
